/** @file pipeline/supported.h
 *  What a job may ask for beyond its syntax: tasks that exist, and settings that this version and
 *  the processors run. */
#ifndef LRP_PIPELINE_SUPPORTED_H
#define LRP_PIPELINE_SUPPORTED_H

#include <mpi.h>

#include "io/model/config.h"
#include "kernels/matrix.h"
#include "pipeline/job.h"

/** Refuse unknown tasks (with "did you mean") and shots that contradict each other or the tasks
 *  (pipeline/task_set.h). Local, deterministic.
 *  @return LRP_OK, LRP_ERR_JOB, LRP_ERR_MEM */
lrp_status lrp_job_check_supported(const lrp_job *job);

/** Refuse tasks that the model has no head for: those of causal models need a language model's,
 * sst2 and its like a classifier of as many labels, squad one of answers, pseudo_perplexity one of
 * masked tokens. Local. @return LRP_OK; LRP_ERR_JOB with the tasks that the model can do */
lrp_status lrp_job_check_tasks(const lrp_job *job, const lrp_config *config);

/** Refuse lengths to measure that the model has no positions for. Decoding may go beyond: its time
 * is taken, its text is not wanted. Local. @return LRP_OK; LRP_ERR_JOB with the limit */
lrp_status lrp_job_check_measure(const lrp_job *job, const lrp_config *config);

/** Type in which the forward pass multiplies. Collective over comm; *out is the same everywhere.
 *  auto: bfloat16 when the weights are and every process rank's processor multiplies it, else
 *  float32. @return LRP_OK; LRP_ERR_JOB if bfloat16 is wanted where a processor cannot */
lrp_status lrp_eval_dtype_resolve(lrp_eval_dtype wanted, lrp_dtype weights, MPI_Comm comm,
                                  lrp_dtype *out);

#endif
