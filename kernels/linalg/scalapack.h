/** @file kernels/linalg/scalapack.h
 *  Prototypes of the BLACS and ScaLAPACK routines in use (32-bit integers). The trailing size_t
 *  arguments are as in lapack.h; what is written in C (BLACS, PBLAS, pxgemr2d) has none.
 *  Source: Blackford et al., ScaLAPACK Users' Guide, SIAM 1997. */
#ifndef LRP_KERNELS_LINALG_SCALAPACK_H
#define LRP_KERNELS_LINALG_SCALAPACK_H

#include <mpi.h>
#include <stddef.h>

int Csys2blacs_handle(MPI_Comm comm);
void Cfree_blacs_system_handle(int handle);
void Cblacs_gridinit(int *ictxt, const char *order, int nprow, int npcol);
void Cblacs_gridinfo(int ictxt, int *nprow, int *npcol, int *myrow, int *mycol);
void Cblacs_gridexit(int ictxt);

int numroc_(const int *n, const int *nb, const int *iproc, const int *isrcproc, const int *nprocs);
void descinit_(int *desc, const int *m, const int *n, const int *mb, const int *nb,
               const int *irsrc, const int *icsrc, const int *ictxt, const int *lld, int *info);

void pb_topset_(const int *ictxt, const char *op, const char *scope, const char *top);

/* Called by PBLAS; a program that has its own tunes it so. */
int pilaenv_(const int *ictxt, const char *precision, size_t);

/* x is the letter of the precision, real its type. */
#define LRP_SCALAPACK(x, real)                                                                   \
  void p##x##syrk_(const char *uplo, const char *trans, const int *n, const int *k,              \
                   const real *alpha, const real *a, const int *ia, const int *ja,               \
                   const int *desca, const real *beta, real *c, const int *ic, const int *jc,    \
                   const int *descc);                                                            \
  void p##x##gemm_(const char *transa, const char *transb, const int *m, const int *n,           \
                   const int *k, const real *alpha, const real *a, const int *ia, const int *ja, \
                   const int *desca, const real *b, const int *ib, const int *jb,                \
                   const int *descb, const real *beta, real *c, const int *ic, const int *jc,    \
                   const int *descc);                                                            \
  void p##x##gemr2d_(const int *m, const int *n, const real *a, const int *ia, const int *ja,    \
                     const int *desca, real *b, const int *ib, const int *jb, const int *descb,  \
                     const int *ictxt);                                                          \
  void p##x##sytrd_(const char *uplo, const int *n, real *a, const int *ia, const int *ja,       \
                    const int *desca, real *d, real *e, real *tau, real *work, const int *lwork, \
                    int *info, size_t);                                                          \
  void p##x##stedc_(const char *compz, const int *n, real *d, real *e, real *q, const int *iq,   \
                    const int *jq, const int *descq, real *work, const int *lwork, int *iwork,   \
                    const int *liwork, int *info, size_t);                                       \
  void p##x##ormtr_(const char *side, const char *uplo, const char *trans, const int *m,         \
                    const int *n, const real *a, const int *ia, const int *ja, const int *desca, \
                    const real *tau, real *c, const int *ic, const int *jc, const int *descc,    \
                    real *work, const int *lwork, int *info, size_t, size_t, size_t);            \
  void p##x##potrf_(const char *uplo, const int *n, real *a, const int *ia, const int *ja,       \
                    const int *desca, int *info, size_t);                                        \
  void p##x##trsm_(const char *side, const char *uplo, const char *transa, const char *diag,     \
                   const int *m, const int *n, const real *alpha, const real *a, const int *ia,  \
                   const int *ja, const int *desca, real *b, const int *ib, const int *jb,       \
                   const int *descb);
LRP_SCALAPACK(s, float)
LRP_SCALAPACK(d, double)
#undef LRP_SCALAPACK

void pdgeqrf_(const int *m, const int *n, double *a, const int *ia, const int *ja, const int *desca,
              double *tau, double *work, const int *lwork, int *info);
void pdorgqr_(const int *m, const int *n, const int *k, double *a, const int *ia, const int *ja,
              const int *desca, const double *tau, double *work, const int *lwork, int *info);

#endif
