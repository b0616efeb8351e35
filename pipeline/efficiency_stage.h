/** @file pipeline/efficiency_stage.h
 *  Latency, energy and memory of the configurations: what of it has not been measured yet. */
#ifndef LRP_PIPELINE_EFFICIENCY_STAGE_H
#define LRP_PIPELINE_EFFICIENCY_STAGE_H

#include "pipeline/control.h"
#include "pipeline/store.h"

/** Take the samples that are missing, into OUT/measurements.json. Collective over topo->comm.
 *  Process rank 0 measures, with its threads; all others sleep, because a latency is that of one
 *  process. Samples that were taken with other settings (efficiency_file.h) do not count. Where the
 *  layers of the model are spread over nodes nothing is measured, with a warning.
 *  @param[out] worked  whether there was something to do; the same on every process rank
 *  @return LRP_OK, LRP_STOPPED (control->stop), LRP_ERR_DATA, LRP_ERR_IO, LRP_ERR_MEM, LRP_ERR_BUG,
 *          LRP_ERR_CREATE, LRP_ERR_PERM; the same on every process rank */
lrp_status lrp_efficiency_stage(const lrp_study *study, lrp_store *store, const lrp_topology *topo,
                                lrp_control *control, bool *worked);

#endif
