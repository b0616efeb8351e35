/** @file kernels/linalg/grid_svd.h
 *  Leading singular triplets of a matrix that is spread over a process grid. */
#ifndef LRP_KERNELS_LINALG_GRID_SVD_H
#define LRP_KERNELS_LINALG_GRID_SVD_H

#include "kernels/linalg/factors.h"
#include "kernels/linalg/grid.h"

/** Side of the short side from which on ScaLAPACK is safe: it hangs on tiny matrices. */
enum { LRP_GRID_SIDE_MIN = 8 };

/** The leading rank triplets of w, which every process rank passes and which must be finite
 * (PDSYEVD hangs on NaN). Collective over grid->comm; min(m, n) >= LRP_GRID_SIDE_MIN.
 *
 *  Eigenvectors V of the Gram matrix of the short side, QR of W V (or W^T V), SVD of R. The leading
 *  rank singular values are those of R; the others are square roots of eigenvalues, of which those
 *  below 1e-7 s_1 are noise: forming the Gram matrix squares the condition number. Singular vectors
 *  are orthonormal whatever the rank of w, their signs are arbitrary.
 *  @param[out] t  on process rank 0 of the grid, owned by the caller; zeroed elsewhere and on error
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded as a failure, without convergence or if
 *          32-bit ScaLAPACK cannot hold the matrix. The same on every process rank of the grid. */
lrp_status lrp_grid_svd(const lrp_matrix *w, int rank, const lrp_grid *grid, lrp_triplets *t);

#endif
