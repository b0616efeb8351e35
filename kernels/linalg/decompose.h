/** @file kernels/linalg/decompose.h
 *  Low-rank factors of one weight matrix: solver, certificate, escalation. */
#ifndef LRP_KERNELS_LINALG_DECOMPOSE_H
#define LRP_KERNELS_LINALG_DECOMPOSE_H

#include "kernels/linalg/factors.h"

/** Rank-r factors of w on this process rank. Local.
 *  w must be finite (scan it first with lrp_matrix_count_nonfinite). Any shape from 1 x 1, any
 *  spectrum (zero, rank one, outliers). The method is that of lrp_solver_for; where it is not up to
 *  the matrix, or its certificate fails, the next of krylov, gram, gesdd, gesvd (the last two in
 *  double); if all fail: LRP_ERR_NUM. Signs are fixed as lrp_solve does.
 *  @param name     for messages
 *  @param rank     in [1, min(m, n)]
 *  @param scratch  work space, kept for the next matrix
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_NUM; LRP_ERR_DATA if s_1 is beyond float32, in which it is
 *          stored (entries near 3e38). *out is owned by the caller, zeroed on error */
lrp_status lrp_decompose(const char *name, const lrp_matrix *w, int rank, lrp_method method,
                         lrp_dtype dtype, lrp_scratch *scratch, lrp_factors *out);

/** The same over all process ranks of comm with ScaLAPACK. Collective over comm.
 *  Every process rank passes the same w (a mapped file). lrp_grid_svd in single precision where
 *  min(m, n) > LRP_EXACT_SIDE; in double for smaller ones, and where the spectrum or the
 * certificate asks for it; if that fails, too, process rank 0 solves by lrp_decompose. So it does
 * with a matrix that is too small for a grid (min(m, n) < LRP_GRID_SIDE_MIN).
 *  @param scratch  for the certificate, on process rank 0 of comm
 *  @param[out] out  on process rank 0 of comm; zeroed elsewhere
 *  @return as lrp_decompose; the same on every process rank of comm */
lrp_status lrp_decompose_grid(const char *name, const lrp_matrix *w, int rank, lrp_method method,
                              lrp_dtype dtype, MPI_Comm comm, lrp_scratch *scratch,
                              lrp_factors *out);

#endif
