/** @file pipeline/sweep.h
 *  Configurations as a tree over layers: those that agree below a layer share what it computes.
 *
 *  A walk carries activations from layer to layer. Where configurations part, the activations are
 *  copied and each part goes on by itself, the largest one last and without a copy: so a walk holds
 *  at most 1 + log2(configurations) of them. With less room it computes again from the start. */
#ifndef LRP_PIPELINE_SWEEP_H
#define LRP_PIPELINE_SWEEP_H

#include <stdint.h>

#include "kernels/status.h"
#include "pipeline/plan.h"

/** What the configurations of a plan put into each layer. */
typedef struct {
  int layers, n_configurations;
  int n_variants; /* over all layers */
  int *variant; /* owned, n_configurations x layers: equal numbers are equal layers; configurations
                   that agree from layer 0 on are neighbours in order */
  int *order;   /* owned, n_configurations: a permutation that sorts them by their variants */
} lrp_sweep;

/** Local; the same on every process rank. Ranks must be final. @return LRP_OK, LRP_ERR_MEM; release
 *  with free */
lrp_status lrp_sweep_create(const lrp_plan *plan, lrp_sweep *out);
void lrp_sweep_free(lrp_sweep *sweep);

/** What a walk does. x is buffer number 0, 1, ... of activations. */
typedef struct {
  void *context;
  /** Buffer x = activations in front of layer from. */
  lrp_status (*start)(void *context, int x);
  /** Buffer x = layer of configuration applied to it. */
  lrp_status (*apply)(void *context, int configuration, int layer, int x);
  /** Buffer to = a copy of buffer from. */
  lrp_status (*copy)(void *context, int from, int to);
  /** n configurations, which are the same as far as the walk goes, have got x. */
  lrp_status (*finish)(void *context, const int *configurations, int n, int x);
  /** Whether the walk may turn to further configurations, which are so many layers away from their
   *  end; any other status than LRP_OK ends it. */
  lrp_status (*go_on)(void *context, int layers);
} lrp_sweep_steps;

/** Walk the layers [from, to) of n configurations, a part of sweep->order in its order, with room
 *  for `buffers` buffers (at least 1). Local; n > 0. @return LRP_OK or the first other status of a
 *  step; LRP_ERR_MEM */
lrp_status lrp_sweep_walk(const lrp_sweep *sweep, const int *configurations, int n, int from,
                          int to, int buffers, const lrp_sweep_steps *steps);

/** Layers that such a walk applies: its cost, in units of a layer; n >= 0. Local. -1: out of memory
 *  (recorded). */
int64_t lrp_sweep_cost(const lrp_sweep *sweep, const int *configurations, int n, int from, int to,
                       int buffers);

#endif
