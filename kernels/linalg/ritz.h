/** @file kernels/linalg/ritz.h
 *  Singular triplets out of a subspace that is known to hold them. Local. */
#ifndef LRP_KERNELS_LINALG_RITZ_H
#define LRP_KERNELS_LINALG_RITZ_H

#include "kernels/linalg/factors.h"
#include "kernels/linalg/scratch.h"

/** A basis K of size vectors, nearly orthonormal, with its image A K; row-major, leading dimension
 *  ld. All borrowed. */
typedef struct {
  int size, ld;
  int64_t k;
  const float *basis; /* k x size */
  int64_t p;
  const float *image; /* p x size */
  int block;
  const float
      *residual; /* k x block, dense: A^T A of the last block vectors, without what K holds */
} lrp_subspace;

/** Ritz pairs of A^T A in K: |A K x_i|^2 = theta_i for |K x_i| = 1. */
typedef struct {
  int cols;       /* of vectors */
  double *theta;  /* size of them, descending */
  double *rho;    /* cols: |A^T A K x_i - theta_i K x_i|, by the last block */
  float *vectors; /* x_i, size x cols, column-major */
} lrp_ritz;

/** The leading cols pairs (fewer if the subspace is smaller), in work space that lives until the
 *  caller releases it. In float32, or in double where the subspace is small, or graded: where
 *  theta_1 would drown the others.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded */
lrp_status lrp_ritz_solve(const lrp_subspace *s, int cols, lrp_ritz *z, lrp_scratch *scratch);

/** SVD of U C^T for orthonormal U (m x cols) and C (n x cols), row-major: the leading t->rank
 *  triplets into t, which is created; U is not kept. In double, but for rotating U.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded: C has fewer than t->rank directions */
lrp_status lrp_ritz_finish(int cols, const float *u, const float *c, lrp_triplets *t,
                           lrp_scratch *scratch);

#endif
