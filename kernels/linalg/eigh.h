/** @file kernels/linalg/eigh.h
 *  Leading eigenpairs of a symmetric matrix in float32, by two-stage tridiagonalisation. */
#ifndef LRP_KERNELS_LINALG_EIGH_H
#define LRP_KERNELS_LINALG_EIGH_H

#include "kernels/linalg/scratch.h"

/** G v_i = w_i v_i, i < rank. Local, on the OpenMP threads of this process rank.
 *  Dense -> band (matrix products) -> tridiagonal (bulge chasing, pipelined over the threads) ->
 *  divide and conquer -> only the rank leading vectors transformed back. Any n >= 1; small ones go
 *  to ssyevd. The same bits for the same number of threads. Any scale: g is brought to about 1.
 *  Work space: some 2.5 n^2 float32, 2.8 n^2 for all vectors, 1.6 n^2 for none.
 *  @param[in,out] g  n x n, column-major, leading dimension n; the lower triangle is read, all of
 *                    it overwritten
 *  @param[out] w     n eigenvalues, descending
 *  @param[out] v     n x rank, column-major, leading dimension n: orthonormal columns, as w is
 *                    ordered; NULL with rank = 0: eigenvalues only
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded as a failure, without convergence or if
 *          32-bit LAPACK cannot index n^2 numbers
 *  Source: Bischof, Lang & Sun, ACM TOMS 26 (2000), 581-601; Haidar, Ltaief & Dongarra, SC'11. */
lrp_status lrp_eigh(int n, float *g, int rank, float *w, float *v, lrp_scratch *scratch);

#endif
