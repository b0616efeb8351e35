/** @file kernels/linalg/lapack.h
 *  Prototypes of the BLAS and LAPACK routines in use (Fortran 77 names, 32-bit integers).
 *
 *  The trailing size_t arguments are the lengths of the character arguments, which gfortran passes
 *  behind all others; without them the callee reads whatever lies there.
 *  Source: Anderson et al., LAPACK Users' Guide, 3rd edition, SIAM 1999. */
#ifndef LRP_KERNELS_LINALG_LAPACK_H
#define LRP_KERNELS_LINALG_LAPACK_H

#include <stddef.h>

void dgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k,
            const double *alpha, const double *a, const int *lda, const double *b, const int *ldb,
            const double *beta, double *c, const int *ldc, size_t, size_t);

void dgesdd_(const char *jobz, const int *m, const int *n, double *a, const int *lda, double *s,
             double *u, const int *ldu, double *vt, const int *ldvt, double *work, const int *lwork,
             int *iwork, int *info, size_t);
void dgesvd_(const char *jobu, const char *jobvt, const int *m, const int *n, double *a,
             const int *lda, double *s, double *u, const int *ldu, double *vt, const int *ldvt,
             double *work, const int *lwork, int *info, size_t, size_t);

#endif
