/** @file pipeline/topology.h
 *  Process ranks and hosts of a run, and a counter that the process ranks of a host share. */
#ifndef LRP_PIPELINE_TOPOLOGY_H
#define LRP_PIPELINE_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/status.h"

/** Where this process rank stands. "Node" is a host: the process ranks that share memory. */
typedef struct {
  MPI_Comm comm; /* borrowed: all process ranks of the run */
  MPI_Comm node; /* owned: those of this host */
  int me, size;
  int node_index, n_nodes; /* nodes in the order of their lowest process rank */
  int *node_ranks;         /* owned, n_nodes: process ranks of each */
  int threads;             /* OpenMP threads of this process rank */
} lrp_topology;

/** Collective over comm, which must outlive the topology. @return LRP_OK, LRP_ERR_MEM; the same on
 *  every process rank. */
lrp_status lrp_topology_init(lrp_topology *topo, MPI_Comm comm);
void lrp_topology_free(lrp_topology *topo);

/** A list of items that the process ranks of a node take one by one. (Across nodes a counter would
 *  not do: the target of a one-sided operation makes no progress while it computes.) */
typedef struct lrp_deal lrp_deal;

/** Deal the items i of 0 .. n - 1 with todo[i] to the nodes node[i]; within a node the next item
 *  goes to whoever asks next, in the order of order[] (a permutation; NULL: ascending). Collective;
 *  all arguments are the same on every process rank.
 *  @return LRP_OK, LRP_ERR_MEM; the same on every process rank */
lrp_status lrp_deal_create(const lrp_topology *topo, const int *node, const bool *todo,
                           const int *order, int64_t n, lrp_deal **deal);

/** Next item, or -1 when there is none. Local. */
int64_t lrp_deal_next(lrp_deal *deal);

/** No process rank of this node gets a further item (a failure). Local. */
void lrp_deal_stop(lrp_deal *deal);

/** Collective over the node. Sets *deal to NULL; accepts NULL. */
void lrp_deal_destroy(lrp_deal **deal);

#endif
