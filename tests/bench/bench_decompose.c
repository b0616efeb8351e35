/* Times the decomposition of one matrix beside that of its peers; see docs/performance.md. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/threads.h"
#include "tests/bench/bench_grid.h"
#include "tests/bench/bench_output.h"

typedef struct {
  const char *pattern, *peers; /* borrowed from argv, or NULL */
  int repeats;
  bool list, goals, grid, grid_test, help;
} options;

static const char usage[] =
    "usage: bench_decompose [options]\n"
    "Time decompositions: a line of JSON per case on stdout, a table on stderr.\n\n"
    "  --case PATTERN   only those whose name matches, as a shell pattern\n"
    "  --peers PATTERN  only those peers\n"
    "  --no-peers       none of them\n"
    "  --repeats N      timed calls of each [3 of those over 2 s, 7 of the others]\n"
    "  --list           print the cases and their goals, and stop\n"
    "  --goals          end with exit code 1 if a goal is missed\n"
    "  --grid           one matrix on all process ranks; under mpirun --bind-to none\n"
    "  --grid-test      the same with small matrices\n"
    "  --help           print this and stop\n\n"
    "Environment: LRP_BENCH_DIR, where matrices are kept [" LRP_BENCH_DIR
    "];\n"
    "LRP_BENCH_PYTHON, another Python with PyTorch, beside " LRP_BENCH_SYSTEM_PYTHON
    ";\n"
    "OMP_NUM_THREADS [the cores].\n";

static lrp_status parse_repeats(const char *text, int *repeats) {
  char *end;
  const long value = strtol(text, &end, 10);
  if (*end != '\0' || value < 1 || value > LRP_BENCH_REPEATS_MAX) {
    return lrp_fail(LRP_ERR_USAGE, "--repeats: %s: expected 1 to %d", text, LRP_BENCH_REPEATS_MAX);
  }
  *repeats = (int)value;
  return LRP_OK;
}

static lrp_status parse(int argc, char **argv, options *o) {
  static const struct option table[] = {
      {"case", required_argument, NULL, 'c'}, {"peers", required_argument, NULL, 'p'},
      {"no-peers", no_argument, NULL, 'n'},   {"repeats", required_argument, NULL, 'r'},
      {"list", no_argument, NULL, 'l'},       {"goals", no_argument, NULL, 'g'},
      {"grid", no_argument, NULL, 'm'},       {"grid-test", no_argument, NULL, 't'},
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
    if (name == 'm' || name == 't') o->grid = true;
    if (name == 't') o->grid_test = true;
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
  for (int i = 0; i < lrp_bench_case_count(); i++) {
    const lrp_bench_case *c = lrp_bench_case_at(i);
    char name[64], goal[128];
    if (!lrp_bench_case_matches(c, pattern)) continue;
    lrp_bench_case_name(c, name, sizeof name);
    lrp_bench_goal_text(&c->goal, goal, sizeof goal);
    printf("%-24s %s\n", name, goal);
  }
}

static lrp_status contest(const lrp_bench_terms *terms, const lrp_bench_case **cases, int n,
                          int threads, lrp_bench_score *score) {
  lrp_bench_contest *c = malloc(sizeof *c);
  if (!c) return lrp_fail_memory(sizeof *c, "a contest");
  lrp_status st = lrp_bench_contest_run(terms, cases, n, c);
  if (st == LRP_OK) st = lrp_bench_print(c, threads, score);
  lrp_bench_contest_free(c);
  free(c);
  return st;
}

/* Cases of one matrix make a contest. */
static lrp_status run_contests(const options *o, const lrp_bench_terms *terms, int threads,
                               lrp_bench_score *score) {
  const lrp_bench_case *cases[LRP_BENCH_CASES_MAX];
  lrp_status st = LRP_OK;
  bool any = false;

  for (int i = 0; st == LRP_OK && i < lrp_bench_case_count();) {
    const lrp_bench_case *first = lrp_bench_case_at(i);
    int n = 0;
    for (; i < lrp_bench_case_count(); i++) {
      const lrp_bench_case *c = lrp_bench_case_at(i);
      if (!lrp_bench_same_matrix(first, c)) break;
      if (lrp_bench_case_matches(c, o->pattern) && n < LRP_BENCH_CASES_MAX) cases[n++] = c;
    }
    if (n == 0) continue;
    if (!any) lrp_bench_print_head();
    any = true;
    st = contest(terms, cases, n, threads, score);
  }
  if (st == LRP_OK && !any) st = lrp_fail(LRP_ERR_USAGE, "--case: %s: no case", o->pattern);
  return st;
}

/* The distribution's Python, and the one that is asked for. */
static lrp_status start_torches(const options *o, const char *folder, int threads,
                                lrp_bench_torch *torches) {
  const char *other = getenv("LRP_BENCH_PYTHON");
  lrp_status st = LRP_OK;
  if (o->peers && strcmp(o->peers, "") == 0) return LRP_OK;
  st = lrp_bench_torch_start(LRP_BENCH_SYSTEM_PYTHON, threads, folder, &torches[0]);
  if (!other) fputs("skipped: another PyTorch: LRP_BENCH_PYTHON is not set\n", stderr);
  if (st == LRP_OK && other) st = lrp_bench_torch_start(other, threads, folder, &torches[1]);
  return st;
}

static lrp_status run(const options *o, lrp_bench_score *score) {
  const char *folder = getenv("LRP_BENCH_DIR");
  lrp_bench_torch torches[LRP_BENCH_TORCHES] = {0};
  int threads, size;

  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size > 1 && !o->grid) {
    return lrp_fail(LRP_ERR_USAGE, "%d process ranks: only --grid uses more than one", size);
  }
  if (!folder) folder = LRP_BENCH_DIR;
  if (getenv("OPENBLAS_CORETYPE")) {
    fputs("warning: OPENBLAS_CORETYPE is set: BLAS may be slower than it can be\n", stderr);
  }
  const lrp_bench_terms terms = {
      .peers = o->peers, .repeats = o->repeats, .folder = folder, .torches = torches};
  lrp_status st = lrp_threads_init(MPI_COMM_WORLD, &threads);
  if (st == LRP_OK && o->grid) return lrp_bench_grid(&terms, threads, o->grid_test, score);
  if (st == LRP_OK) st = start_torches(o, folder, threads, torches);
  if (st == LRP_OK) st = run_contests(o, &terms, threads, score);
  for (int i = 0; i < LRP_BENCH_TORCHES; i++) lrp_bench_torch_stop(&torches[i]);
  return st;
}

int main(int argc, char **argv) {
  lrp_bench_score score = {0};
  options o;
  int me;

  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &me);
  signal(SIGPIPE, SIG_IGN); /* of a peer that ended: its pipe says so */
  lrp_status st = parse(argc, argv, &o);
  if (st == LRP_OK && me == 0 && o.help) fputs(usage, stdout);
  if (st == LRP_OK && me == 0 && o.list) list(o.pattern);
  if (st == LRP_OK && !o.help && !o.list) {
    st = run(&o, &score);
    if (st == LRP_OK && me == 0) {
      fprintf(stderr, "goals: %d reached, %d missed, %d not judged\n", score.reached, score.missed,
              score.open);
    }
  }
  MPI_Bcast(&score, sizeof score, MPI_BYTE, 0, MPI_COMM_WORLD);
  if (st != LRP_OK) lrp_report_failure(st, MPI_COMM_WORLD);
  MPI_Finalize();
  if (st != LRP_OK) return lrp_status_exit_code(st);
  return o.goals && score.missed > 0 ? 1 : 0;
}
