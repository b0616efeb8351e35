/** @file kernels/linalg/ortho.h
 *  Orthonormal bases of thin blocks, by Cholesky QR. Local.
 *
 *  A block is row-major, n rows of l entries: BLAS sees its transpose. */
#ifndef LRP_KERNELS_LINALG_ORTHO_H
#define LRP_KERNELS_LINALG_ORTHO_H

#include <stdbool.h>

#include "kernels/linalg/scratch.h"

/** g = X^T X summed in double, l x l, column-major, the lower triangle. X is n x l, leading
 *  dimension ldx. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_gram_f64(int64_t n, int l, const float *x, int64_t ldx, double *g,
                        lrp_scratch *scratch);

/** g = P diag(w) P^T of a small symmetric matrix, n x n, column-major, the lower triangle; w
 *  ascending, P replaces g. @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded */
lrp_status lrp_eigen_f64(int n, double *g, double *w, lrp_scratch *scratch);

/** X (n x l, leading dimension ldx) = Q R: Q replaces X. As many passes of Cholesky QR as it takes,
 *  with sums in double and a shift where it must be: |Q^T Q - I| is what was asked for whatever X
 * was. Directions that X has only by rounding come out arbitrary.
 *  @param enough  |Q^T Q - I| at which no further pass is worth while; not below 2e-6
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded, if X has fewer than l directions
 *  Source: Fukaya et al., SIAM J. Sci. Comput. 42 (2020), A477-A503. */
lrp_status lrp_orthonormalize(int64_t n, int l, float *x, int64_t ldx, double enough,
                              lrp_scratch *scratch);

/** What float32 can do. */
#define LRP_ORTHONORMAL 2e-6

/** X = Q R of columns that are nearly orthonormal already: one pass in float32, fast for thousands
 *  of columns. Only Q is kept, in place of X.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded, if they are not independent */
lrp_status lrp_reorthonormalize(int64_t n, int l, float *x, int64_t ldx, lrp_scratch *scratch);

/** Columns of X divided by their length, exactly to float32: sums of s^2 depend on it.
 *  @param[out] norms  l of them, or NULL
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded, if a column is zero */
lrp_status lrp_normalize_columns(int64_t n, int l, float *x, int64_t ldx, lrp_scratch *scratch,
                                 double *norms);

#endif
