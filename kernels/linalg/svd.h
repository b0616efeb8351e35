/** @file kernels/linalg/svd.h
 *  Thin singular value decomposition of one matrix by LAPACK in double. */
#ifndef LRP_KERNELS_LINALG_SVD_H
#define LRP_KERNELS_LINALG_SVD_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/linalg/factors.h"
#include "kernels/status.h"

/** Whether LAPACK with 32-bit integers can index an m x n matrix, its vectors and the work space
 *  of solver (LRP_SOLVER_GESDD or LRP_SOLVER_GESVD). Local. */
bool lrp_svd_fits(lrp_solver solver, int64_t m, int64_t n);

/** Thin SVD A = U diag(s) VT with k = min(m, n), everything column-major and dense. Local.
 *  A row-major m x n matrix is a column-major n x m one: call it with (n, m), and what comes out as
 *  U and VT is, row-major, its vt (k x n) and its u (m x k).
 *  @param solver  LRP_SOLVER_GESDD or LRP_SOLVER_GESVD; lrp_svd_fits() holds
 *  @param a   m x n, finite; overwritten
 *  @param[out] s   k, descending
 *  @param[out] u   m x k
 *  @param[out] vt  k x n
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM if it did not converge, which is not recorded as a
 *          failure: the caller has another solver
 *  Source: Gu & Eisenstat, SIAM J. Matrix Anal. Appl. 16 (1995), 79-92 (gesdd); Golub & Kahan,
 *  SIAM J. Numer. Anal. B 2 (1965), 205-224 (gesvd). */
lrp_status lrp_svd(lrp_solver solver, int m, int n, double *a, double *s, double *u, double *vt);

#endif
