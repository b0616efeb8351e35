/** @file pipeline/weights_plan.h
 *  How a model's weights are held, by bytes: pure arithmetic. */
#ifndef LRP_PIPELINE_WEIGHTS_PLAN_H
#define LRP_PIPELINE_WEIGHTS_PLAN_H

#include <stdbool.h>
#include <stdint.h>

/** Nodes in groups, each of which holds the model. */
typedef struct {
  bool packed;   /* laid out for products; else as they lie in the mapped files */
  int together;  /* nodes that hold the model together, at least; 1: each holds all of it */
  bool fits;     /* else it is tried all the same: pages will be read again and again */
  int64_t bytes; /* of the node that holds most */
} lrp_weights_plan;

/** Packed on every node, else as they lie on every node, else by the fewest nodes that can, packed
 *  before as they lie. Local.
 *  @param packed, mapped  bytes of n layers, the first with the embedding, the last with the head;
 *                         packed ones need the embedding only where it lies
 *  @param budget          bytes that a node may use for them */
lrp_weights_plan lrp_weights_choose(const int64_t *packed, const int64_t *mapped, int n,
                                    int n_nodes, int64_t budget);

/** Node i belongs to the group of nodes [*first, *end), at least `together` of them. Of n layers no
 *  more than n nodes of a group have one: the others, i >= *end, have nothing to do. Local. */
void lrp_weights_group(int i, int n_nodes, int together, int n, int *first, int *end);

#endif
