/** @file kernels/linalg/decompose.h
 *  Low-rank factors of one weight matrix: solver, certificate, escalation. */
#ifndef LRP_KERNELS_LINALG_DECOMPOSE_H
#define LRP_KERNELS_LINALG_DECOMPOSE_H

#include "kernels/linalg/factors.h"

/** Rank-r factors of w on this process rank. Local.
 *  w must be finite (scan it first with lrp_matrix_count_nonfinite). Any shape from 1 x 1, any
 *  spectrum (zero, rank one, outliers). LAPACK gesdd in double; if its certificate fails, gesvd;
 *  if that fails too: LRP_ERR_NUM. Signs are fixed: the entry of largest magnitude of each column
 *  of the left factor is positive (the first of those within 1e-6 of the largest).
 *  @param name  for messages
 *  @param rank  in [1, min(m, n)]
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_NUM; LRP_ERR_DATA if s_1 is beyond float32, in which it is
 *          stored (entries near 3e38). *out is owned by the caller, zeroed on error */
lrp_status lrp_decompose(const char *name, const lrp_matrix *w, int rank, lrp_method method,
                         lrp_dtype dtype, lrp_factors *out);

/** The same over all process ranks of comm with ScaLAPACK. Collective over comm.
 *  Every process rank passes the same w (a mapped file). Gram matrix of the short side (PxSYRK),
 *  PxSYEVD, PxGEMM, QR of W V and a small SVD for orthonormal factors also of rank-deficient
 *  matrices; all in double, block size at most 64. A matrix too small for a grid (min(m, n) < 8) is
 *  solved on process rank 0 of comm. If the certificate fails, process rank 0 solves by
 *  lrp_decompose.
 *  @param[out] out  on process rank 0 of comm; zeroed elsewhere
 *  @return as lrp_decompose; the same on every process rank of comm */
lrp_status lrp_decompose_grid(const char *name, const lrp_matrix *w, int rank, lrp_method method,
                              lrp_dtype dtype, MPI_Comm comm, lrp_factors *out);

#endif
