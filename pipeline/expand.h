/** @file pipeline/expand.h
 *  Sweeps of a job -> configurations, for a model. */
#ifndef LRP_PIPELINE_EXPAND_H
#define LRP_PIPELINE_EXPAND_H

#include "io/model/config.h"
#include "pipeline/job.h"

/** Most configurations that the sweeps of a job make together. */
enum { LRP_MAX_EXPANDED = 100000 };

typedef struct {
  lrp_job_configuration *made; /* owned, n_made: those of the first sweep, of the second, ... */
  int n_made, room;
  int *ends; /* owned: how many were made when a sweep of the job was through */
} lrp_expansion;

/** Make the configurations of job->sweeps: the cross product of what each of them goes over, or
 *  its random samples. Layers l of a model of R layers become round(l (L-1) / (R-1)) of one of L,
 *  without repetitions, and ranks r for a width of H become max(1, round(r hidden_size / H)),
 *  where the sweep says for which model it is written; what becomes of layers is logged.
 *  A name is that of the sweep and a part, after a '-', for everything that is gone over: l05
 *  (layer), n05 (count), s06 (stride), the name or number of a set, a tensor's name, r0250 (rank as
 *  written), q0.5 (ratio), e0.9 (energy), or five digits of a sample. So a name does not depend on
 *  the other members of a sweep, which may grow.
 *  Local, deterministic: the same on every process rank and every machine.
 *  @return LRP_OK; LRP_ERR_JOB with the sweep's origin: a layer or tensor that the model lacks or
 *          that is listed twice, filters that nothing passes, a name that is too long or used twice
 *          in the job, too many configurations; LRP_ERR_MEM. Release with free in any case. */
lrp_status lrp_expand(const lrp_job *job, const lrp_config *config, lrp_expansion *out);
void lrp_expansion_free(lrp_expansion *e);

#endif
