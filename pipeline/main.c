/** @file pipeline/main.c
 *  Parse options, run, exit code; nothing else. */
#include <mpi.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "io/ledger/ledger.h"
#include "pipeline/choose.h"
#include "pipeline/doctor.h"
#include "pipeline/inspect.h"
#include "pipeline/manual.h"
#include "pipeline/options.h"
#include "pipeline/page.h"
#include "pipeline/report.h"
#include "pipeline/run.h"
#include "pipeline/show_plan.h"
#include "pipeline/space.h"
#include "pipeline/stop.h"

/* ROMIO: Open MPI's own MPI-IO deadlocks and loses data with some access patterns (hdf5 #1227). */
static void prepare_mpi(void) {
  setenv("OMPI_MCA_io", "romio321", 0);
}

static bool is_collective(lrp_command command) {
  return command == LRP_CMD_RUN || command == LRP_CMD_CHOOSE || command == LRP_CMD_DOCTOR;
}

/* The commands of all process ranks. */
static int run(const lrp_options *options, int argc, char **argv) {
  int provided;
  prepare_mpi();
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  const lrp_status st = options->command == LRP_CMD_DOCTOR ? lrp_doctor(options, MPI_COMM_WORLD)
                        : options->command == LRP_CMD_CHOOSE
                            ? lrp_choose(options, MPI_COMM_WORLD, argc, argv)
                            : lrp_run_job(options, MPI_COMM_WORLD, argc, argv);
  MPI_Finalize();
  return lrp_status_exit_code(st);
}

/* Without MPI, the launchers' variables tell which process this is. */
static bool is_first_process(void) {
  static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *rank = getenv(names[i]);
    if (rank) return strcmp(rank, "0") == 0;
  }
  return true;
}

/* A wrong command line is said once, not by every process rank; the others give the first the time
 * to speak, because mpirun ends them all when one has failed. */
static void report(lrp_status st) {
  const unsigned patience_s = 2;
  if (is_first_process()) {
    lrp_report_failure(st, MPI_COMM_NULL);
  } else {
    sleep(patience_s);
  }
}

static lrp_status renew_report(const char *output) {
  const lrp_status st = lrp_page_renew(output);
  return st == LRP_OK ? lrp_report_print(output) : st;
}

static lrp_status command(const lrp_options *options) {
  switch (options->command) {
    case LRP_CMD_PLAN:
      return lrp_show_plan(options);
    case LRP_CMD_SPACE:
      return lrp_space(options);
    case LRP_CMD_STATUS:
      return lrp_inspect_status(options->operand);
    case LRP_CMD_VERIFY:
      return lrp_inspect_verify(options->operand);
    case LRP_CMD_INSPECT:
      return lrp_inspect(options->operand);
    case LRP_CMD_REPORT:
      return renew_report(options->operand);
    case LRP_CMD_KEYS:
      lrp_manual_keys();
      return LRP_OK;
    case LRP_CMD_MAN:
      lrp_manual_page();
      return LRP_OK;
    case LRP_CMD_COMPLETION:
      lrp_manual_completion();
      return LRP_OK;
    case LRP_CMD_HELP:
      lrp_options_help();
      return LRP_OK;
    case LRP_CMD_VERSION:
      puts("lrpipe " LRP_VERSION);
      return LRP_OK;
    case LRP_CMD_RUN:
    case LRP_CMD_CHOOSE:
    case LRP_CMD_DOCTOR:
      break;
  }
  return lrp_fail(LRP_ERR_BUG, "a command without code");
}

int main(int argc, char **argv) {
  lrp_options options;

  lrp_stop_install();       /* first: mpirun may forward a signal at any moment */
  signal(SIGPIPE, SIG_IGN); /* a closed stdout does not end a run */
  lrp_json_memory_init();
  lrp_ledger_init();
  lrp_status st = lrp_options_parse(argc, argv, &options);
  if (st == LRP_OK && is_collective(options.command)) {
    const int code = run(&options, argc, argv);
    lrp_options_free(&options);
    return code;
  }
  if (st == LRP_OK) st = command(&options);
  if (st == LRP_OK) st = lrp_stdout_flush();
  if (st != LRP_OK) report(st);
  lrp_options_free(&options);
  return lrp_status_exit_code(st);
}
