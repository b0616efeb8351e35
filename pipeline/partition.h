/** @file pipeline/partition.h
 *  Who decomposes what: pure arithmetic, the same on every process rank. */
#ifndef LRP_PIPELINE_PARTITION_H
#define LRP_PIPELINE_PARTITION_H

#include "kernels/status.h"
#include "pipeline/plan.h"

/** Owner of a unit that is not dealt because it is done. */
enum { LRP_PARTITION_NONE = -2147483647 - 1 };

/** Process ranks from which on more of them do not pay for one unit. */
enum { LRP_PARTITION_GROUP_MAX = 16 };

/** Process ranks that share a unit are worth half as many: predicted speed against one of them. (On
 *  one node two process ranks with ScaLAPACK take as long as one of them takes alone, with half of
 *  its memory; a grid of more is expected to do no better.) 1 for one. Local. */
double lrp_partition_speedup(int process_ranks);

/** Some units are shared by group_size process ranks, process rank p belonging to group
 *  p / group_size, the last size % group_size ranks to none. These are
 *  - units that are too large for one process rank: m n > grid_elements, or bytes > rank_bytes;
 *  - the largest of those whose method is gram, if that is predicted to bring the end at least a
 *    tenth forward: where there are fewer units than process ranks, or a few more.
 *  The others are done by one process rank each: dealt to nodes, and within a node taken from a
 *  shared counter, after the shared ones. So are all of them where size = 1.
 *  group_size is at least what the largest unit needs, ceil(m n / grid_elements) and so many that
 *  lrp_cost_grid_bytes <= rank_bytes, if there are as many; more, up to LRP_PARTITION_GROUP_MAX,
 *  where that leaves a group for each. Units that are done count, too: a resumed run of equal size
 * solves a unit on an equal grid. */
typedef struct {
  int group_size; /* 0: no unit needs a grid */
  int n_groups;
  int *owner;   /* owned, n_units: group of a grid unit (>= 0), -1 - node of a local one, or
                   LRP_PARTITION_NONE */
  int *order;   /* owned, n_units: units by descending seconds, ties by index */
  double *load; /* owned, n_nodes: seconds of the local units dealt to each node */
} lrp_partition;

/** @param todo  n_units flags: only these are dealt (NULL: all)
 *  @param grid_elements  elements that one process rank takes
 *  @param rank_bytes  memory that a process rank may use; INFINITY if that is not known
 *  @param size  process ranks in all
 *  @param node_ranks  process ranks per node, n_nodes of them (a node's capacity)
 *  @return LRP_OK, LRP_ERR_MEM. Local. */
lrp_status lrp_partition_create(const lrp_plan *plan, const bool *todo, int64_t grid_elements,
                                double rank_bytes, int size, const int *node_ranks, int n_nodes,
                                lrp_partition *out);
void lrp_partition_free(lrp_partition *p);

/** Longest processing time first: item i -> bin[i], so that cost / capacity is balanced. Local.
 *  Ties go to the item and the bin of lower index. Bins of capacity < 1 stay empty; at least one
 *  has more. @return LRP_OK, LRP_ERR_MEM
 *  Source: Graham, SIAM J. Appl. Math. 17 (1969), 416-429. */
lrp_status lrp_partition_lpt(const double *cost, int64_t n, const int *capacity, int n_bins,
                             int *bin);

#endif
