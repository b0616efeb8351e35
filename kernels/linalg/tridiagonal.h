/** @file kernels/linalg/tridiagonal.h
 *  Eigenvectors of a symmetric tridiagonal matrix by divide and conquer.
 *
 *  As xSTEDC, whose steps it calls, but on all threads, and the last and largest of its products
 *  only for the vectors that are wanted. */
#ifndef LRP_KERNELS_LINALG_TRIDIAGONAL_H
#define LRP_KERNELS_LINALG_TRIDIAGONAL_H

#include <stdbool.h>

#include "kernels/linalg/scratch.h"

/** Whether 32-bit LAPACK can index the work of an order n. Local. */
bool lrp_tridiagonal_fits(int n);

/** T z_i = d_i z_i for the rank largest d_i. Local, on the OpenMP threads; the same bits for the
 *  same number of threads.
 *  @param[in,out] d  n: the diagonal; becomes all eigenvalues, in no order
 *  @param e          n - 1: below the diagonal; overwritten
 *  @param[out] z     n x n, column-major: the vector of d[i] is column i, if wanted
 *  @param[out] order n: d[order[0]] >= d[order[1]] >= ...
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded as a failure, without convergence
 *  Source: Cuppen, Numer. Math. 36 (1981), 177-195; Gu & Eisenstat, SIAM J. Matrix Anal. Appl. 16
 *  (1995), 172-191; Tisseur & Dongarra, SIAM J. Sci. Comput. 20 (1999), 2223-2236. */
lrp_status lrp_tridiagonal(int n, float *d, float *e, int rank, float *z, int *order,
                           lrp_scratch *scratch);

#endif
