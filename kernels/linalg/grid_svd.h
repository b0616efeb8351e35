/** @file kernels/linalg/grid_svd.h
 *  Leading singular triplets of a matrix that is spread over a process grid. */
#ifndef LRP_KERNELS_LINALG_GRID_SVD_H
#define LRP_KERNELS_LINALG_GRID_SVD_H

#include "kernels/linalg/dmat.h"
#include "kernels/linalg/factors.h"
#include "kernels/linalg/grid.h"

/** Side of the short side from which on ScaLAPACK is safe: it hangs on tiny matrices. */
enum { LRP_GRID_SIDE_MIN = 8 };

/** The leading rank triplets of w, which every process rank passes (a mapped file, of which it
 * reads its share) and which must be finite (ScaLAPACK hangs on NaN). Collective over grid->comm;
 *  min(m, n) >= LRP_GRID_SIDE_MIN.
 *
 *  Eigenvectors V of the Gram matrix of the short side, then W V (or W^T V) = Q R, whose R is all
 *  but diagonal: s is its diagonal, Q and V are the vectors. The leading rank singular values are
 *  these; the others are square roots of eigenvalues, of which those below 1e-7 s_1 (1e-3 s_1 in
 *  single) are noise: forming the Gram matrix squares the condition number. Signs are arbitrary.
 *  In double, vectors are orthonormal as far as float holds them, whatever the rank of w. In
 * single, which is three times as fast, they are to 4e-6, with 1e-6 more error than the best
 * product of that rank, if s_1 / s_rank is at most about 50; a few larger singular values do not
 * count (see grid_outlier.h). Else the result is LRP_ERR_NUM.
 *
 *  Memory: a process rank holds its share of at most m n + max(4 k^2, k^2 + max(m, n) rank)
 *  elements at a time, k = min(m, n), and panels of m or n by 512. Process rank 0 also has the
 *  result and, while collecting it, 64 MiB.
 *  @param[out] t  on process rank 0 of the grid, owned by the caller; zeroed elsewhere and on error
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded as a failure, without convergence, if
 *          single precision does not do, or if 32-bit ScaLAPACK cannot hold the matrix. The same on
 *          every process rank of the grid. */
lrp_status lrp_grid_svd(const lrp_matrix *w, int rank, lrp_precision precision,
                        const lrp_grid *grid, lrp_triplets *t);

#endif
