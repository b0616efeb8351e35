/** @file pipeline/partition.h
 *  Who decomposes what: pure arithmetic, the same on every process rank. */
#ifndef LRP_PIPELINE_PARTITION_H
#define LRP_PIPELINE_PARTITION_H

#include "kernels/status.h"
#include "pipeline/plan.h"

/** Owner of a unit that is not dealt because it is done. */
enum { LRP_PARTITION_NONE = -2147483647 - 1 };

/** Units whose m n exceeds grid_elements are shared by group_size = min(size, ceil(m n /
 *  grid_elements)) process ranks, the largest such number over all of them; process rank p belongs
 *  to group p / group_size, the last size % group_size ranks to none. The others are done by one
 *  process rank each: dealt to nodes, and within a node taken from a shared counter. So are all of
 *  them where size = 1. group_size counts units that are done, too: a resumed run of equal size
 *  solves a unit on an equal grid. */
typedef struct {
  int group_size; /* 0: no unit needs a grid */
  int n_groups;
  int *owner;   /* owned, n_units: group of a grid unit (>= 0), -1 - node of a local one, or
                   LRP_PARTITION_NONE */
  int *order;   /* owned, n_units: units by descending cost, ties by index */
  double *load; /* owned, n_nodes: cost of the local units dealt to each node */
} lrp_partition;

/** @param todo  n_units flags: only these are dealt (NULL: all)
 *  @param node_ranks  process ranks per node, n_nodes of them (a node's capacity)
 *  @param size  process ranks in all
 *  @return LRP_OK, LRP_ERR_MEM. Local. */
lrp_status lrp_partition_create(const lrp_plan *plan, const bool *todo, int64_t grid_elements,
                                int size, const int *node_ranks, int n_nodes, lrp_partition *out);
void lrp_partition_free(lrp_partition *p);

/** Longest processing time first: item i -> bin[i], so that cost / capacity is balanced. Local.
 *  Ties go to the item and the bin of lower index. Bins of capacity < 1 stay empty; at least one
 *  has more. @return LRP_OK, LRP_ERR_MEM
 *  Source: Graham, SIAM J. Appl. Math. 17 (1969), 416-429. */
lrp_status lrp_partition_lpt(const double *cost, int64_t n, const int *capacity, int n_bins,
                             int *bin);

#endif
