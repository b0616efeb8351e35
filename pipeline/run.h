/** @file pipeline/run.h
 *  lrpipe run: the stages in order, skipping what is done. */
#ifndef LRP_PIPELINE_RUN_H
#define LRP_PIPELINE_RUN_H

#include "pipeline/options.h"

/** Run the job of options->operand to its end, or continue it, or say that it is complete.
 *  Collective over comm. argc and argv are recorded in the provenance.
 *  What failed is said on stderr, once, and in run.log.
 *  @return LRP_OK or the status of what failed; the same on every process rank */
lrp_status lrp_run_job(const lrp_options *options, MPI_Comm comm, int argc, char **argv);

#endif
