/* Times forward passes beside those of PyTorch and transformers; see docs/performance.md. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/threads.h"
#include "tests/bench/evaluate/output.h"

typedef struct {
  const char *pattern, *peers; /* borrowed from argv, or NULL */
  int repeats;
  bool list, goals, help;
} options;

static const char usage[] =
    "usage: bench_evaluate [options]\n"
    "Time forward passes: a line of JSON per case on stdout, a table on stderr.\n\n"
    "  --case PATTERN   only those whose name matches, as a shell pattern\n"
    "  --peers PATTERN  only those peers: torch, transformers, current torch, current "
    "transformers\n"
    "  --no-peers       none of them\n"
    "  --repeats N      timed passes of each [3 of those over 2 s, 7 of the others]\n"
    "  --list           print the cases and their goals, and stop\n"
    "  --goals          end with exit code 1 if a goal is missed\n"
    "  --help           print this and stop\n\n"
    "Environment: LRP_BENCH_PYTHON, another Python with PyTorch, beside " LRP_BENCH_SYSTEM_PYTHON
    ";\n"
    "OMP_NUM_THREADS [the cores].\n";

static lrp_status parse_repeats(const char *text, int *repeats) {
  char *end;
  const long value = strtol(text, &end, 10);
  if (end == text || *end != '\0' || value < 1 || value > LRP_BENCH_PASSES_MAX) {
    return lrp_fail(LRP_ERR_USAGE, "--repeats: %s: expected 1 to %d", text, LRP_BENCH_PASSES_MAX);
  }
  *repeats = (int)value;
  return LRP_OK;
}

static lrp_status parse(int argc, char **argv, options *o) {
  static const struct option table[] = {
      {"case", required_argument, NULL, 'c'}, {"peers", required_argument, NULL, 'p'},
      {"no-peers", no_argument, NULL, 'n'},   {"repeats", required_argument, NULL, 'r'},
      {"list", no_argument, NULL, 'l'},       {"goals", no_argument, NULL, 'g'},
      {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0}};
  lrp_status st = LRP_OK;
  int name;

  *o = (options){0};
  opterr = 0;
  while (st == LRP_OK && (name = getopt_long(argc, argv, "", table, NULL)) != -1) {
    if (name == 'c') o->pattern = optarg;
    if (name == 'p') o->peers = optarg;
    if (name == 'n') o->peers = "";
    if (name == 'r') st = parse_repeats(optarg, &o->repeats);
    if (name == 'l') o->list = true;
    if (name == 'g') o->goals = true;
    if (name == 'h') o->help = true;
    if (name == '?') {
      st = lrp_fail(LRP_ERR_USAGE, "%s: no such option, or without its value; see --help",
                    argv[optind - 1]);
    }
  }
  if (st == LRP_OK && optind < argc) {
    st = lrp_fail(LRP_ERR_USAGE, "%s: unexpected argument; see --help", argv[optind]);
  }
  return st;
}

static void list(const char *pattern) {
  for (int i = 0; i < lrp_bench_pass_count(); i++) {
    const lrp_bench_pass *c = lrp_bench_pass_at(i);
    char name[64], goal[128];
    if (!lrp_bench_pass_matches(c, pattern)) continue;
    lrp_bench_pass_name(c, name, sizeof name);
    lrp_bench_limits_text(&c->goal, goal, sizeof goal);
    printf("%-24s %s\n", name, goal);
  }
}

static lrp_status run_cases(const options *o, const lrp_bench_ways *ways,
                            lrp_bench_machine *machine) {
  lrp_status st = LRP_OK;
  lrp_bench_print_head();
  for (int i = 0; st == LRP_OK && i < lrp_bench_pass_count(); i++) {
    const lrp_bench_pass *c = lrp_bench_pass_at(i);
    lrp_bench_times times;
    if (!lrp_bench_pass_matches(c, o->pattern)) continue;
    st = lrp_bench_race(ways, c, &times);
    if (st == LRP_OK) st = lrp_bench_print_pass(machine, c, &times);
    machine->cases++;
  }
  if (st == LRP_OK && machine->cases == 0) {
    st = lrp_fail(LRP_ERR_USAGE, "--case: %s: no case", o->pattern);
  }
  return st;
}

/* The distribution's Python, and the one that is asked for. */
static lrp_status start_pythons(const options *o, int threads, lrp_bench_python *pythons) {
  const char *other = getenv("LRP_BENCH_PYTHON");
  lrp_status st = LRP_OK;
  if (o->peers && strcmp(o->peers, "") == 0) return LRP_OK;
  st = lrp_bench_python_start(LRP_BENCH_SYSTEM_PYTHON, LRP_BENCH_PEER_LLAMA, threads, &pythons[0]);
  if (!other) fputs("skipped: another PyTorch: LRP_BENCH_PYTHON is not set\n", stderr);
  if (st == LRP_OK && other) {
    st = lrp_bench_python_start(other, LRP_BENCH_PEER_LLAMA, threads, &pythons[1]);
  }
  return st;
}

static lrp_status run(const options *o, lrp_bench_machine *machine) {
  lrp_bench_python pythons[LRP_BENCH_PYTHONS] = {0};
  const lrp_bench_ways ways = {.peers = o->peers, .repeats = o->repeats, .pythons = pythons};
  int size;

  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size > 1) return lrp_fail(LRP_ERR_USAGE, "%d process ranks: expected one", size);
  if (getenv("OPENBLAS_CORETYPE")) {
    fputs("warning: OPENBLAS_CORETYPE is set: peers may be slower than they can be\n", stderr);
  }
  lrp_status st = lrp_threads_init(MPI_COMM_WORLD, &machine->threads);
  if (st == LRP_OK) st = start_pythons(o, machine->threads, pythons);
  if (st == LRP_OK) st = run_cases(o, &ways, machine);
  for (int i = 0; i < LRP_BENCH_PYTHONS; i++) lrp_bench_python_stop(&pythons[i]);
  return st;
}

int main(int argc, char **argv) {
  lrp_bench_machine machine = {0};
  options o;

  MPI_Init(&argc, &argv);
  signal(SIGPIPE, SIG_IGN); /* of a peer that ended: its pipe says so */
  lrp_status st = parse(argc, argv, &o);
  if (st == LRP_OK && o.help) fputs(usage, stdout);
  if (st == LRP_OK && o.list) list(o.pattern);
  if (st == LRP_OK && !o.help && !o.list) {
    st = run(&o, &machine);
    if (st == LRP_OK) {
      fprintf(stderr, "goals: %d reached, %d missed, %d not judged\n", machine.reached,
              machine.missed, machine.open);
    }
  }
  if (st != LRP_OK) lrp_report_failure(st, MPI_COMM_WORLD);
  MPI_Finalize();
  if (st != LRP_OK) return lrp_status_exit_code(st);
  return o.goals && machine.missed > 0 ? 1 : 0;
}
