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
void sgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k,
            const float *alpha, const float *a, const int *lda, const float *b, const int *ldb,
            const float *beta, float *c, const int *ldc, size_t, size_t);
void strmm_(const char *side, const char *uplo, const char *trans, const char *diag, const int *m,
            const int *n, const float *alpha, const float *a, const int *lda, float *b,
            const int *ldb, size_t, size_t, size_t, size_t);
void ssyrk_(const char *uplo, const char *trans, const int *n, const int *k, const float *alpha,
            const float *a, const int *lda, const float *beta, float *c, const int *ldc, size_t,
            size_t);

void dsyrk_(const char *uplo, const char *trans, const int *n, const int *k, const double *alpha,
            const double *a, const int *lda, const double *beta, double *c, const int *ldc, size_t,
            size_t);
void strsm_(const char *side, const char *uplo, const char *transa, const char *diag, const int *m,
            const int *n, const float *alpha, const float *a, const int *lda, float *b,
            const int *ldb, size_t, size_t, size_t, size_t);

void spotrf_(const char *uplo, const int *n, float *a, const int *lda, int *info, size_t);
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info, size_t);
void ssygst_(const int *itype, const char *uplo, const int *n, float *a, const int *lda,
             const float *b, const int *ldb, int *info, size_t);
void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w,
             double *work, const int *lwork, int *iwork, const int *liwork, int *info, size_t,
             size_t);
void dsygvd_(const int *itype, const char *jobz, const char *uplo, const int *n, double *a,
             const int *lda, double *b, const int *ldb, double *w, double *work, const int *lwork,
             int *iwork, const int *liwork, int *info, size_t, size_t);
void dgesdd_(const char *jobz, const int *m, const int *n, double *a, const int *lda, double *s,
             double *u, const int *ldu, double *vt, const int *ldvt, double *work, const int *lwork,
             int *iwork, int *info, size_t);
void dgesvd_(const char *jobu, const char *jobvt, const int *m, const int *n, double *a,
             const int *lda, double *s, double *u, const int *ldu, double *vt, const int *ldvt,
             double *work, const int *lwork, int *info, size_t, size_t);

void ssyevd_(const char *jobz, const char *uplo, const int *n, float *a, const int *lda, float *w,
             float *work, const int *lwork, int *iwork, const int *liwork, int *info, size_t,
             size_t);
void ssterf_(const int *n, float *d, float *e, int *info);
void sstedc_(const char *compz, const int *n, float *d, float *e, float *z, const int *ldz,
             float *work, const int *lwork, int *iwork, const int *liwork, int *info, size_t);

/* The steps of one merge of xSTEDC. */
void slaed2_(int *k, const int *n, const int *n1, float *d, float *q, const int *ldq, int *indxq,
             float *rho, float *z, float *dlambda, float *w, float *q2, int *indx, int *indxc,
             int *indxp, int *coltyp, int *info);
void slaed4_(const int *n, const int *i, const float *d, const float *z, float *delta,
             const float *rho, float *dlam, int *info);
void slamrg_(const int *n1, const int *n2, const float *a, const int *strd1, const int *strd2,
             int *index);

#endif
