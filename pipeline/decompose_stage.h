/** @file pipeline/decompose_stage.h
 *  The decompose stage: every unit that is not stored yet, once; and one pass over the weights. */
#ifndef LRP_PIPELINE_DECOMPOSE_STAGE_H
#define LRP_PIPELINE_DECOMPOSE_STAGE_H

#include "pipeline/control.h"
#include "pipeline/identity.h"
#include "pipeline/store.h"

/** Decompose and store what is missing. Collective over topo->comm.
 *  First the units that are too large for one process rank, each over a group of them; then the
 *  others, one process rank each, taken one by one from a counter of the node. Meanwhile a thread
 *  of each process rank reads weights ahead, and all that identity does not know yet: when this
 *  returns LRP_OK, every weight has been looked at for NaN and Inf, and identity is complete and
 *  saved.
 *  @return LRP_OK, LRP_STOPPED (control->stop), LRP_ERR_DATA (NaN or Inf: no unit is begun after
 * one was seen), LRP_ERR_NUM, LRP_ERR_IO, LRP_ERR_MEM; the same on every process rank */
lrp_status lrp_decompose_stage(lrp_store *store, lrp_identity *identity, const lrp_topology *topo,
                               lrp_control *control);

#endif
