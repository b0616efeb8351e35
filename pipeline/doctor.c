#include "pipeline/doctor.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/base/file.h"
#include "pipeline/doctor_calibrate.h"
#include "pipeline/doctor_facts.h"

static const char standard_job[] = "lrpipe.yaml";

/* What process rank 0 made of the operand. */
typedef struct {
  char output[PATH_MAX];
  const char *job; /* borrowed, or NULL */
  lrp_outlook outlook;
  bool planned;
} target;

static bool has_suffix(const char *text, const char *suffix) {
  const size_t n = strlen(text), m = strlen(suffix);
  return n >= m && strcmp(text + n - m, suffix) == 0;
}

/* A job is a file, or looks like one; everything else is an output. */
static bool is_job(const char *path) {
  struct stat s;

  if (stat(path, &s) == 0) return !S_ISDIR(s.st_mode);
  return has_suffix(path, ".yaml") || has_suffix(path, ".yml") || has_suffix(path, ".json");
}

/* A bad job is a finding like the others: what the machine says is of use all the same. */
static void read_job(const lrp_options *options, const lrp_topology *topo, target *t,
                     lrp_findings *f) {
  const lrp_status st = lrp_outlook_open(options, t->job, topo->node_ranks, topo->n_nodes,
                                         topo->threads, &t->outlook);
  char why[1024];

  if (t->outlook.job.output) {
    snprintf(t->output, sizeof t->output, "%s", t->outlook.job.output);
  }
  t->planned = st == LRP_OK;
  if (t->planned) {
    lrp_finding_ok(f, "job", "%s: %d units, %d configurations", t->job, t->outlook.plan.n_units,
                   t->outlook.plan.n_configurations);
    return;
  }
  snprintf(why, sizeof why, "%s",
           lrp_failure_message(st) ? lrp_failure_message(st) : lrp_status_string(st));
  lrp_finding_bad(f, st, "job", "mend it; lrpipe plan shows what it would do", "%s", why);
}

static void choose_target(const lrp_options *options, const lrp_topology *topo, target *t,
                          lrp_findings *f) {
  const char *operand = options->operand;

  if (!*operand) operand = lrp_file_exists(standard_job) ? standard_job : ".";
  snprintf(t->output, sizeof t->output, "%s", operand);
  if (!is_job(operand)) return;
  snprintf(t->output, sizeof t->output, ".");
  t->job = operand;
  read_job(options, topo, t, f);
}

/* On process rank 0 only. */
static void check_machine(const lrp_topology *topo, const lrp_facts *facts, const target *t,
                          lrp_findings *f) {
  lrp_check_cores(topo, facts, f);
  lrp_check_libraries(facts, topo->size, f);
  lrp_check_memory(topo, facts, t->planned ? &t->outlook : NULL, f);
  lrp_check_time(f);
  lrp_check_energy(t->planned ? &t->outlook : NULL, f);
}

/* Measure speeds, or say where those come from that are known. Collective. */
static lrp_status predictions(const lrp_options *options, const lrp_topology *topo,
                              const char *output, lrp_findings *f) {
  char dir[PATH_MAX];

  if (options->calibrate) {
    const int error = lrp_nearest_directory(output, dir, sizeof dir);
    return lrp_doctor_calibrate(topo, error ? "." : dir, f);
  }
  return lrp_agree(topo->me == 0 ? lrp_check_speeds(topo, f) : LRP_OK, topo->comm);
}

static lrp_status finish(const lrp_topology *topo, const lrp_findings *f) {
  int code = f->status;

  if (topo->me == 0) {
    printf("%d ok, %d to look at, %d bad\n", f->ok, f->warnings, f->bad);
    if (fflush(stdout) != 0 && code == LRP_OK) {
      code = lrp_fail(LRP_ERR_IO, "standard output: cannot be written");
    }
  }
  MPI_Bcast(&code, 1, MPI_INT, 0, topo->comm);
  return (lrp_status)code;
}

static lrp_status examine(const lrp_options *options, const lrp_topology *topo) {
  lrp_findings f = {.quiet = options->quiet};
  lrp_facts own, *all = NULL;
  target *t = calloc(1, sizeof *t);
  lrp_status st = t ? LRP_OK : lrp_fail_memory(sizeof *t, "the doctor");

  if (topo->me == 0) {
    all = calloc((size_t)topo->size, sizeof *all);
    if (!all) st = lrp_fail_memory((size_t)topo->size * sizeof *all, "the doctor");
  }
  st = lrp_agree(st, topo->comm);
  if (st != LRP_OK) goto cleanup;

  lrp_facts_collect(topo, &own);
  MPI_Gather(&own, sizeof own, MPI_BYTE, all, sizeof own, MPI_BYTE, 0, topo->comm);
  if (topo->me == 0) {
    choose_target(options, topo, t, &f);
    check_machine(topo, all, t, &f);
  }
  MPI_Bcast(t->output, sizeof t->output, MPI_CHAR, 0, topo->comm);
  lrp_check_output(topo, t->output, t->planned ? &t->outlook : NULL, &f);
  st = predictions(options, topo, t->output, &f);
  if (st == LRP_OK) st = finish(topo, &f);

cleanup:
  if (t) lrp_outlook_close(&t->outlook);
  free(all);
  free(t);
  return st;
}

lrp_status lrp_doctor(const lrp_options *options, MPI_Comm comm) {
  lrp_topology topo;
  lrp_status st = lrp_topology_init(&topo, comm);

  if (st == LRP_OK) {
    st = examine(options, &topo);
    lrp_topology_free(&topo);
  }
  if (st != LRP_OK) lrp_report_failure(st, comm);
  return st;
}
