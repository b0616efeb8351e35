/** @file pipeline/propose.h
 *  A finished run -> a proposal: which configuration of a given size loses least. */
#ifndef LRP_PIPELINE_PROPOSE_H
#define LRP_PIPELINE_PROPOSE_H

#include "pipeline/job.h"
#include "pipeline/plan.h"

/** Read <output>/job.yaml and tradeoff.json; write choice.json (what is proposed and why) and
 *  choice.yaml (the job, with the configurations that it did not have). Local: by one process rank.
 *  Candidates for target percent are the least predicted loss (pipeline/offers.h) in all layers,
 *  and in every 2nd, 3rd and 4th layer, where these can save so much. Beside them there is the list
 *  of the paper whose size is nearest (pipeline/paper_lists.h); unless it is target percent
 * smaller, and at most half a point more, there are as many candidates at just its size. Each
 * candidate, the list too, takes part in every choice for which it is small enough. Where losses
 * will not be measured, the first candidate of each size is the only one. Equal ones are proposed
 * once; a configuration that the job has is taken by the name that it has there. A run of the same
 * choice that was stopped before its report was written is left as it is.
 *  @return LRP_OK; LRP_ERR_ABSENT if the run is not complete; LRP_ERR_DATA if its report is of
 *          another job or damaged; LRP_ERR_JOB if what was measured cannot save so much;
 *          LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_propose(const char *output, double target_percent);

/** Append the configuration with these ranks[layers * tensors], not all 0, to the job: as layers,
 *  tensors and rank where one set says it, else in parts. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_job_add_ranks(lrp_job *job, const lrp_config *config, const char *name,
                             const int *rank);

#endif
