/** @file pipeline/identity.h
 *  Which model this is, and whether its weights are numbers. */
#ifndef LRP_PIPELINE_IDENTITY_H
#define LRP_PIPELINE_IDENTITY_H

#include "io/model/model.h"
#include "pipeline/topology.h"

/** Look for NaN and Inf in every weight, shared over the process ranks. Collective.
 *  @return LRP_OK; LRP_ERR_DATA with tensor, index and count of the first bad one in the model's
 *          order, whatever the number of process ranks; LRP_ERR_MEM; the same everywhere */
lrp_status lrp_identity_scan(const lrp_model *model, const lrp_topology *topo);

/** XXH3-64 of every weight file, files shared over the process ranks. Collective.
 *  @param[out] xxh3  model->n_shards, owned by the caller
 *  @return LRP_OK, LRP_ERR_IO, LRP_ERR_MEM; the same everywhere */
lrp_status lrp_identity_hash(const lrp_model *model, const lrp_topology *topo, uint64_t **xxh3);

#endif
