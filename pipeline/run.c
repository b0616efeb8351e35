#include "pipeline/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "io/ledger/lock.h"
#include "kernels/log.h"
#include "kernels/threads.h"
#include "pipeline/configure.h"
#include "pipeline/control.h"
#include "pipeline/decompose_stage.h"
#include "pipeline/efficiency_report.h"
#include "pipeline/efficiency_stage.h"
#include "pipeline/evaluate_stage.h"
#include "pipeline/provenance.h"
#include "pipeline/report.h"
#include "pipeline/show_tasks.h"

/* Before saying "locked": process ranks outlive a killed mpirun by seconds, and a run that died on
 * another host is known to be dead after a minute. A batch job may start earlier than that. */
static const double lock_wait_s = 75.0;

/* What a run holds from its start to its end. */
typedef struct {
  lrp_topology topo;
  lrp_study study;
  lrp_lock *lock;
  lrp_identity identity;
  lrp_control control;
  json_t *provenance;
  lrp_store store;
  lrp_scorebook book;
  bool evaluates, store_open, book_open, worked;
} run_state;

/* A file below the output directory, written by process rank 0. */
static lrp_status write_file(const lrp_study *study, const char *name, const char *text) {
  char *path = lrp_path_join(study->job.output, name);
  const lrp_status st = path ? lrp_file_write(path, text, strlen(text)) : LRP_ERR_MEM;
  free(path);
  return st;
}

static lrp_status open_log(const lrp_study *study) {
  char *path = lrp_path_join(study->job.output, "run.log");
  const lrp_status st = path ? lrp_log_open(path) : LRP_ERR_MEM;
  free(path);
  return st;
}

/* Create the output directory, take its lock, open log and progress. Collective. */
static lrp_status open_output(run_state *run, double max_time_s, double start) {
  const lrp_topology *topo = &run->topo;
  const char *output = run->study.job.output;
  lrp_status st = topo->me == 0 ? lrp_make_directory(output) : LRP_OK;
  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) st = lrp_lock_take(output, lock_wait_s, topo->comm, &run->lock);
  if (st == LRP_OK && topo->me == 0) st = open_log(&run->study);
  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) st = lrp_progress_open(output, topo, &run->control.progress);
  if (st == LRP_OK) {
    st = lrp_stop_create(output, max_time_s, start, topo, &run->control.stop);
  }
  return st;
}

static void log_start(const run_state *run, int argc, char **argv) {
  char line[2048] = "";
  size_t used = 0;
  for (int i = 0; i < argc && used < sizeof line; i++) {
    used += (size_t)snprintf(line + used, sizeof line - used, " %s", argv[i]);
  }
  lrp_log("lrpipe %s, attempt %d:%s", LRP_VERSION, lrp_progress_attempt(run->control.progress),
          line);
  lrp_log("%d process ranks on %d nodes, %d threads each; BLAS kernel %s", run->topo.size,
          run->topo.n_nodes, run->topo.threads, lrp_blas_kernel());
  if (!lrp_blas_is_openmp()) {
    lrp_warn(
        "BLAS is not the OpenMP build of OpenBLAS: install libopenblas0-openmp, or select it "
        "with update-alternatives; threads may compete");
  }
}

static bool all_stored(const run_state *run) {
  for (int i = 0; i < run->study.plan.n_units; i++) {
    if (!lrp_store_done(&run->store, i, NULL)) return false;
  }
  return true;
}

static bool all_scored(const run_state *run) {
  for (int64_t b = 0; b < run->book.n_blocks; b++) {
    if (!lrp_scorebook_done(&run->book, b, NULL)) return false;
  }
  return true;
}

/* All weights have been looked at when this is over, also where there is nothing to decompose. */
static lrp_status decompose(run_state *run) {
  const lrp_topology *topo = &run->topo;
  lrp_watch_phase(run->control.watch, "compare the model");
  lrp_status st = lrp_identity_open(&run->study, topo, &run->control, &run->identity);
  if (st != LRP_OK) return st;
  lrp_watch_phase(run->control.watch, "open the factors");
  st = lrp_store_open(&run->study, topo, run->provenance,
                      lrp_progress_attempt(run->control.progress), &run->store);
  if (st != LRP_OK) return st;
  run->store_open = true;
  const bool stored = all_stored(run);
  if (!stored || !lrp_identity_complete(&run->identity)) {
    run->worked = run->worked || !stored;
    if (topo->me == 0 && run->evaluates) {
      lrp_progress_later(run->control.progress, lrp_evaluate_predict(&run->study, topo));
    }
    st = lrp_decompose_stage(&run->store, &run->identity, topo, &run->control);
  }
  if (st == LRP_OK) st = lrp_agree(lrp_resolve_energy(&run->study, &run->store), topo->comm);
  return st;
}

static lrp_status evaluate(run_state *run) {
  const lrp_topology *topo = &run->topo;
  lrp_watch_phase(run->control.watch, "open the evaluation");
  lrp_status st = lrp_scorebook_open(&run->study, topo, run->provenance,
                                     lrp_progress_attempt(run->control.progress), &run->book);
  if (st != LRP_OK) return st;
  run->book_open = true;
  lrp_progress_later(run->control.progress, 0.0);
  if (all_scored(run)) return LRP_OK;
  run->worked = true;
  return lrp_evaluate_stage(&run->book, &run->store, topo, &run->control);
}

static lrp_status measure(run_state *run) {
  bool worked = false;
  const lrp_status st =
      lrp_efficiency_stage(&run->study, &run->store, &run->topo, &run->control, &worked);
  run->worked = run->worked || worked;
  return st;
}

/* Write the report where anything is new, a file is missing, or the job was another. Collective. */
static lrp_status report(run_state *run) {
  const lrp_topology *topo = &run->topo;
  lrp_watch_phase(run->control.watch, "report");
  lrp_status st = LRP_OK;
  if (topo->me == 0) {
    bool current = false;
    if (!run->worked) st = lrp_report_is_current(&run->study, &current);
    if (st == LRP_OK && current) st = lrp_efficiency_is_current(&run->study, &current);
    if (st == LRP_OK && !current) {
      run->worked = true;
      st = lrp_report_write(&run->study, &run->store, run->evaluates ? &run->book : NULL,
                            run->provenance);
    }
  }
  return lrp_agree(st, topo->comm);
}

/* The job that the results are of: written once everything agrees with what the output holds. */
static lrp_status write_job(run_state *run) {
  lrp_status st = LRP_OK;
  if (run->topo.me == 0) st = write_file(&run->study, "job.yaml", run->study.job_yaml);
  return lrp_agree(st, run->topo.comm);
}

/* progress.json of a run that finds everything done. */
static void show_complete(run_state *run) {
  const int64_t done = run->study.plan.n_units + (run->book_open ? run->book.n_blocks : 0);
  lrp_progress_begin(run->control.progress,
                     &(lrp_progress_stage){.name = "report", .total = done, .done = done});
}

static lrp_status work(run_state *run) {
  lrp_status st = decompose(run);
  if (st == LRP_OK && run->evaluates) st = evaluate(run);
  if (st == LRP_OK && run->study.job.measure.given) st = measure(run);
  if (st == LRP_OK) st = write_job(run);
  if (st == LRP_OK && !run->worked) show_complete(run);
  if (st == LRP_OK) st = report(run);
  return st;
}

static lrp_status worse(lrp_status a, lrp_status b) {
  return a > b ? a : b;
}

/* Close everything, whatever happened before, and say what went wrong, in run.log, too. Collective.
 */
static lrp_status close_run(run_state *run, lrp_status st) {
  const lrp_topology *topo = &run->topo;
  if (run->book_open) st = worse(st, lrp_scorebook_close(&run->book));
  if (run->store_open) st = worse(st, lrp_store_close(&run->store));
  const char *stopped_by = lrp_stop_reason(run->control.stop, topo->comm);
  st = worse(st, lrp_progress_close(&run->control.progress, st, stopped_by));
  st = lrp_agree(st, topo->comm);
  if (st != LRP_OK) lrp_report_failure(st, topo->comm);
  const lrp_status closed = lrp_agree(topo->me == 0 ? lrp_log_close() : LRP_OK, topo->comm);
  if (st == LRP_OK && closed != LRP_OK) lrp_report_failure(closed, topo->comm);
  lrp_stop_destroy(&run->control.stop);
  lrp_lock_release(&run->lock);
  return worse(st, closed);
}

/* The table and the last line on stdout. Collective. */
static lrp_status say_result(const run_state *run) {
  const char *output = run->study.job.output;
  lrp_status st = LRP_OK;
  if (run->topo.me == 0 && run->worked) {
    st = lrp_report_print(output);
    printf("complete: %s (report.html, tradeoff.csv, tensors.csv, <configuration>/results.json)\n",
           output);
  } else if (run->topo.me == 0) {
    printf("already complete: %s\n", output);
  }
  const lrp_status written = lrp_stdout_flush();
  if (st == LRP_OK) st = written;
  st = lrp_agree(st, run->topo.comm);
  if (st != LRP_OK) lrp_report_failure(st, run->topo.comm);
  return st;
}

/* --write_out and --show_config. Collective. */
static lrp_status show_tasks(const run_state *run, const lrp_options *options) {
  const lrp_study *study = &run->study;
  lrp_status st = LRP_OK;
  if (run->topo.me == 0 && options->show_config) {
    st = lrp_show_settings(study->tasks, study->n_tasks);
  }
  if (run->topo.me == 0 && options->write_out) lrp_show_prompts(study->tasks, study->n_tasks);
  return lrp_agree(st, run->topo.comm);
}

lrp_status lrp_run_job(const lrp_options *options, MPI_Comm comm, int argc, char **argv) {
  run_state run = {0};
  const double start = MPI_Wtime();
  lrp_status st = lrp_topology_init(&run.topo, comm);
  if (st != LRP_OK) {
    lrp_report_failure(st, comm);
    return st;
  }
  lrp_log_init(run.topo.me, options->quiet);
  st = lrp_watch_start(&run.topo, options->watchdog_s, &run.control.watch);
  if (st == LRP_OK) st = lrp_study_open(options, &run.topo, &run.study);
  if (st == LRP_OK) st = show_tasks(&run, options);
  if (st == LRP_OK) {
    run.evaluates = run.study.n_tasks > 0;
    run.provenance = lrp_provenance(&run.study, &run.topo, argc, argv);
    if (!run.provenance) st = lrp_fail_memory(0, "the provenance");
    st = lrp_agree(lrp_json_checked(st), comm);
  }
  if (st == LRP_OK) {
    st = open_output(&run, options->max_time_s, start);
    if (st == LRP_OK) {
      log_start(&run, argc, argv);
      st = work(&run);
    }
  }
  st = close_run(&run, st);
  if (st == LRP_OK) st = say_result(&run);
  lrp_watch_stop(&run.control.watch);
  json_decref(run.provenance);
  lrp_identity_close(&run.identity);
  lrp_study_close(&run.study);
  lrp_topology_free(&run.topo);
  return st;
}
