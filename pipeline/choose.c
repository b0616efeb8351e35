#include "pipeline/choose.h"

#include <stdlib.h>

#include "io/base/file.h"
#include "kernels/log.h"
#include "pipeline/propose.h"
#include "pipeline/run.h"

/* The proposal, by process rank 0. What the job's sweeps do is logged by the run that follows. */
static lrp_status propose(const lrp_options *options, MPI_Comm comm) {
  lrp_status st = LRP_OK;
  int me;

  MPI_Comm_rank(comm, &me);
  lrp_log_init(me, true);
  if (me == 0) st = lrp_propose(options->operand, options->target_percent);
  return lrp_agree(st, comm);
}

static lrp_status show(const lrp_options *options, MPI_Comm comm) {
  lrp_status st = LRP_OK;
  int me;

  MPI_Comm_rank(comm, &me);
  if (me == 0) st = lrp_choice_print(options->operand);
  st = lrp_agree(st, comm);
  if (st != LRP_OK) lrp_report_failure(st, comm);
  return st;
}

lrp_status lrp_choose(const lrp_options *options, MPI_Comm comm, int argc, char **argv) {
  lrp_options run = *options;
  char *job = NULL;
  lrp_status st = propose(options, comm);

  if (st == LRP_OK) {
    job = lrp_path_join(options->operand, "choice.yaml");
    st = lrp_agree(job ? LRP_OK : LRP_ERR_MEM, comm);
  }
  if (st != LRP_OK) {
    lrp_report_failure(st, comm);
  } else {
    run.operand = job;
    st = lrp_run_job(&run, comm, argc, argv); /* says what failed */
    if (st == LRP_OK) st = show(options, comm);
  }
  free(job);
  return st;
}
