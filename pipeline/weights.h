/** @file pipeline/weights.h
 *  The weights of a causal model as its forward pass wants them, held once per node.
 *
 *  Packed weights lie in memory that the process ranks of a node share. A model that is too large
 *  for that is used as it lies in its mapped files, or its layers are spread over nodes
 *  (pipeline/spread.h). Products have the same bits in each case. */
#ifndef LRP_PIPELINE_WEIGHTS_H
#define LRP_PIPELINE_WEIGHTS_H

#include "pipeline/spread.h"
#include "pipeline/store.h"

typedef struct lrp_weights lrp_weights;

/** Hold the dense weights of study->model, of the Llama family. Collective over topo->comm; study
 *  and topo are borrowed. How, is the same on every process rank; it follows from
 *  study->job.evaluate.memory, else from the memory that the poorest node has available:
 *  - packed, on every node, if that fits;
 *  - as they lie in the mapped files, if these fit in the page cache, or if there is one node;
 *  - else by the fewest nodes together that can, each with a range of the layers.
 *  Says which, and how many bytes, in the log.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG; the same on every process rank */
lrp_status lrp_weights_open(const lrp_study *study, const lrp_topology *topo, lrp_weights **out);

/** Collective over topo->comm; no process rank may use the weights any more. Sets *weights to NULL;
 *  accepts NULL. */
void lrp_weights_close(lrp_weights **weights);

/** Layers [*from, *to) that this process rank computes: all of them; or, where they are spread, its
 *  part (none, if its node has more process ranks than there are columns). Local. */
void lrp_weights_range(const lrp_weights *weights, int *from, int *to);

/** The dense model: views, packed where they are. Layers out of range, too, as they lie. Local;
 *  borrowed. */
const lrp_llama *lrp_weights_dense(const lrp_weights *weights);

/** The column that this process rank belongs to; NULL if the layers are not spread. Local;
 *  borrowed. */
lrp_column *lrp_weights_column(lrp_weights *weights);

/** Whether this process rank takes blocks of requests: always, but where the layers are spread only
 *  the first of a column. Local. */
bool lrp_weights_takes(const lrp_weights *weights);

/** capacity[i] = process ranks of node i that take blocks; topo->n_nodes of them. Local. */
void lrp_weights_capacity(const lrp_weights *weights, int *capacity);

/** Bytes of memory that a process rank may use besides the weights, as far as is known; the same on
 *  every process rank, > 0. Local. */
int64_t lrp_weights_spare(const lrp_weights *weights);

/** A layer of a configuration. */
typedef struct {
  lrp_llama_layer layer;         /* views, packed where that pays */
  void *held[LRP_LLAMA_LINEARS]; /* of lrp_weights: keeps factors in memory */
} lrp_held_layer;

/** The layer number layer of configuration c: dense linear maps are those of lrp_weights_dense,
 *  others are read from the store, packed. Local; packed factors are kept for the next call as far
 *  as there is memory. Not to be called by several threads at a time.
 *  @return LRP_OK, LRP_ERR_DATA, LRP_ERR_IO, LRP_ERR_MEM, LRP_ERR_BUG; *out is zeroed upon failure,
 *          else to be released */
lrp_status lrp_weights_layer(lrp_weights *weights, lrp_store *store, int c, int layer,
                             lrp_held_layer *out);

/** The layer is not used any more. Local; zeroes *layer; accepts a zeroed one. */
void lrp_layer_release(lrp_weights *weights, lrp_held_layer *layer);

#endif
