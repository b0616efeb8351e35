/** @file pipeline/knapsack.h
 *  The cheapest way to save enough: at most one option of each group (a multiple-choice knapsack).
 */
#ifndef LRP_PIPELINE_KNAPSACK_H
#define LRP_PIPELINE_KNAPSACK_H

#include <stdint.h>

#include "kernels/status.h"

/** What can be taken of a group: it saves so much, at that cost. */
typedef struct {
  int64_t saving;
  double cost; /* >= 0 */
  int id;      /* the caller's */
} lrp_knapsack_option;

/** Options that exclude each other. None of them saves and costs nothing. */
typedef struct {
  lrp_knapsack_option *options; /* borrowed; put in order by lrp_knapsack_solve */
  int n;
} lrp_knapsack_group;

typedef struct {
  int64_t saving; /* of what is taken; the sum itself, not that of the grid */
  double cost;
  int64_t most; /* that all groups together can save */
  int64_t step; /* of the grid */
} lrp_knapsack_result;

/** Most cells of the grid. */
enum { LRP_KNAPSACK_CELLS = 1 << 17 };

/** Keep of n options those that save something and that no other beats: one that saves at least as
 *  much for at most the same cost. They come in the order of their savings; of equal ones the first
 *  stays. Local. @return how many are left, at the beginning of options */
int lrp_knapsack_prune(lrp_knapsack_option *options, int n);

/** The least cost with savings of at least target, and taken[g]: the id of what is taken of group
 *  g, or -1. Local, deterministic.
 *  Dynamic programming, group by group, over what is given up of the largest possible savings,
 * which is known exactly; partial solutions that fall into one cell of a grid of LRP_KNAPSACK_CELLS
 *  compete, and the cheapest stays. So the target is always truly reached, and the cost is at most
 *  the least cost of a target that is n_groups (step - 1) higher. It is exact where step = 1: where
 *  most - target < LRP_KNAPSACK_CELLS.
 *  Source: Kellerer, Pferschy & Pisinger, Knapsack Problems, Springer 2004, chapter 11.
 *  @return LRP_OK, also if target > result->most: then nothing is taken; LRP_ERR_MEM */
lrp_status lrp_knapsack_solve(lrp_knapsack_group *groups, int n_groups, int64_t target, int *taken,
                              lrp_knapsack_result *result);

#endif
