/** @file pipeline/expand_axis.h
 *  What a sweep goes over: its sets of layers and of tensors, in the terms of a model. */
#ifndef LRP_PIPELINE_EXPAND_AXIS_H
#define LRP_PIPELINE_EXPAND_AXIS_H

#include "io/model/config.h"
#include "pipeline/job.h"

/** Sets, each a configuration with a name ("" if the sweep does not go over them) and layers, or
 *  with a name and tensors. */
typedef struct {
  lrp_job_configuration *part; /* owned, n */
  int n, room;
} lrp_axis;

/** The sets of layers, or of tensors, of a sweep that has no samples. Local.
 *  @return LRP_OK, LRP_ERR_JOB, LRP_ERR_MEM. Release with free in any case. */
lrp_status lrp_axis_of_layers(const lrp_job_sweep *sweep, const lrp_config *config, lrp_axis *out);
lrp_status lrp_axis_of_tensors(const lrp_job_sweep *sweep, const lrp_config *config, lrp_axis *out);
void lrp_axis_free(lrp_axis *axis);

/** round(value to / from), half up, for value >= 0 and from > 0. Local. */
int64_t lrp_scaled(int64_t value, int64_t to, int64_t from);

/** c gets these layers; c gets the tensors with chosen[t], by name. Local. @return LRP_OK,
 *  LRP_ERR_MEM */
lrp_status lrp_set_layers(lrp_job_configuration *c, const int *layers, int n);
lrp_status lrp_set_tensors(lrp_job_configuration *c, const lrp_config *config, const bool *chosen);

#endif
