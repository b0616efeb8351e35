/** @file pipeline/tensor_choice.h
 *  The tensors that a job's words name: all, attention, mlp, or a tensor's own name. */
#ifndef LRP_PIPELINE_TENSOR_CHOICE_H
#define LRP_PIPELINE_TENSOR_CHOICE_H

#include <stdbool.h>

#include "io/model/config.h"
#include "pipeline/job.h"

/** Index of the tensor called name in a layer of the model, or -1. Local. */
int lrp_tensor_find(const lrp_config *config, const char *name);

/** Record LRP_ERR_JOB: name, under a key of c, is no tensor of this model. Local. */
lrp_status lrp_tensor_fail(const lrp_config *config, const lrp_job_configuration *c,
                           const char *key, const char *name);

/** chosen[t]: whether c->tensors or c->all_tensors name tensor t. The groups are attention (the
 *  four matrices of attention) and mlp (the others). Local.
 *  @return LRP_OK; LRP_ERR_JOB for a word that names nothing */
lrp_status lrp_tensor_choose(const lrp_config *config, const lrp_job_configuration *c,
                             bool chosen[LRP_MAX_LAYER_TENSORS]);

#endif
