/** @file kernels/linalg/grid_ortho.h
 *  Orthonormal basis of a distributed matrix whose columns are nearly orthogonal. */
#ifndef LRP_KERNELS_LINALG_GRID_ORTHO_H
#define LRP_KERNELS_LINALG_GRID_ORTHO_H

#include "kernels/linalg/dmat.h"

/** B = Q R: b becomes Q, and s the diagonal of R, not negative, on every process rank. Collective
 *  over the grid of b, m >= n.
 *  Columns should descend in norm: each is only corrected by those before it, which are more
 *  accurate. By the Cholesky factor of the Gram matrix of the normalized columns, if these are
 * nearly orthogonal, as eigenvectors make them; else, in double, by Householder reflections, which
 * are several times slower: Q is orthonormal whatever b is.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded as a failure, if single precision does
 * not do for b, or 32-bit ScaLAPACK cannot hold the work space. The same on every process rank.
 *  Source: Stathopoulos & Wu, SIAM J. Sci. Comput. 23 (2002), 2165-2182 (Cholesky QR). */
lrp_status lrp_grid_orthonormalize(lrp_dmat *b, double *s);

#endif
