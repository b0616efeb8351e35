/** @file kernels/linalg/pblas.h
 *  Operations on distributed matrices of one grid, block size and precision: PBLAS and ScaLAPACK
 *  without their argument lists. All collective over the grid. */
#ifndef LRP_KERNELS_LINALG_PBLAS_H
#define LRP_KERNELS_LINALG_PBLAS_H

#include <stdbool.h>

#include "kernels/linalg/dmat.h"

/** Lower triangle of c = alpha a a^T, or alpha a^T a if transposed. */
void lrp_pblas_gram(double alpha, bool transposed, const lrp_dmat *a, lrp_dmat *c);

/** c = a b(:, 0 .. c->n - 1), or a^T b(..) if transposed. */
void lrp_pblas_multiply(bool transposed, const lrp_dmat *a, const lrp_dmat *b, lrp_dmat *c);

/** Work space of a ScaLAPACK routine on one process rank. Zero-initialized: none. */
typedef struct {
  void *work; /* owned */
  int *iwork; /* owned */
  int lwork, liwork;
} lrp_pblas_work;

/** Allocate what a query asked for, and spare elements more: queries are short in places, and in
 *  float they lose digits. Local.
 *  @param query, iquery  what the routine left in work[0] and iwork[0], of that precision
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded as a failure, beyond 32 bits */
lrp_status lrp_pblas_work_init(lrp_pblas_work *w, lrp_precision precision, double query, int iquery,
                               double spare);
void lrp_pblas_work_free(lrp_pblas_work *w);

#endif
