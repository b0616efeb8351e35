/** @file kernels/linalg/grid_outlier.h
 *  Directions of a distributed matrix that hide all others from single precision. */
#ifndef LRP_KERNELS_LINALG_GRID_OUTLIER_H
#define LRP_KERNELS_LINALG_GRID_OUTLIER_H

#include <stdbool.h>

#include "kernels/linalg/dmat.h"

enum { LRP_OUTLIERS_MAX = 8 };

/** Singular values of outliers, descending. */
typedef struct {
  int count;
  double s[LRP_OUTLIERS_MAX];
} lrp_outliers;

/** Scale down the leading singular values of b that exceed the root mean square of the others 27
 *  times, to little more than the largest of these: singular vectors and their order stay the same.
 *  Collective over the grid of b, which is in single precision. Power iteration in double for each.
 *  The rounding of the Gram matrix of b is relative to its largest value; so tamed, single
 * precision does for models whose weights have a few directions a thousand times stronger than the
 * others.
 *  @param right  whether vectors of length b->n are iterated, else of b->m: the short side
 *  @param[out] o  what the values were
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded as a failure: there are more outliers, or
 *          some too close to each other, or too large for vectors in float. The same on every
 *          process rank of the grid. */
lrp_status lrp_grid_tame(lrp_dmat *b, bool right, lrp_outliers *o);

#endif
