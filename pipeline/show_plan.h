/** @file pipeline/show_plan.h
 *  lrpipe plan: what a job would do, without MPI. */
#ifndef LRP_PIPELINE_SHOW_PLAN_H
#define LRP_PIPELINE_SHOW_PLAN_H

#include "pipeline/options.h"

/** Print to stdout: configurations with parameters, reduction, bytes; units; partition for
 *  options->ranks process ranks of options->nodes nodes; predicted seconds and balance, and where
 *  their speeds come from; memory per process rank; disk. Local, no MPI.
 *  @return LRP_OK, LRP_ERR_ABSENT, LRP_ERR_DATA, LRP_ERR_JOB, ... */
lrp_status lrp_show_plan(const lrp_options *options);

#endif
