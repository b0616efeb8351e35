/** @file kernels/linalg/grid_eigh.h
 *  Leading eigenvectors of a symmetric matrix that is spread over a process grid. */
#ifndef LRP_KERNELS_LINALG_GRID_EIGH_H
#define LRP_KERNELS_LINALG_GRID_EIGH_H

#include "kernels/linalg/dmat.h"

/** G v_i = w_i v_i for the rank smallest eigenvalues, ascending. Collective over the grid of g,
 *  whose process rows and columns each hold some of G.
 *  The steps of PxSYEVD, of which only the last one, the transformation back, is done for rank
 *  vectors instead of n: PxSYTRD, PxSTEDC, PxORMTR. Needs 3 n^2 / (process ranks) elements beside
 * G.
 *  @param[in,out] g  n x n, finite (PxSTEDC hangs on NaN), the lower triangle; overwritten
 *  @param[out] w  all n eigenvalues, ascending, on every process rank
 *  @param[out] v  n x n on the grid of g, whose first rank columns are the eigenvectors and whose
 *                 others are undefined; created here, owned by the caller, NULL on error
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded as a failure, without convergence or if
 *          32-bit ScaLAPACK cannot hold the work space. The same on every process rank of the grid.
 *  Source: Tisseur & Dongarra, SIAM J. Sci. Comput. 20 (1999), 2223-2236. */
lrp_status lrp_grid_eigh(lrp_dmat *g, int rank, double *w, lrp_dmat **v);

#endif
