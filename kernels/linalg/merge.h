/** @file kernels/linalg/merge.h
 *  One merge of divide and conquer: eigenvectors of a rank-one change of two solved problems. */
#ifndef LRP_KERNELS_LINALG_MERGE_H
#define LRP_KERNELS_LINALG_MERGE_H

#include <stdint.h>

#include "kernels/status.h"

/** Two solved problems, of orders n1 and n - n1, side by side; of numbers of about 1. */
typedef struct {
  int n, n1;
  float rho;   /* the element between them: it was taken from the diagonal on both sides of it */
  float *d;    /* n; in: eigenvalues of both; out: of the whole */
  float *q;    /* n x n; in: vectors of both, on the diagonal; out: of the whole */
  int ld;      /* of q */
  int *order;  /* n, counted from 1, ascending; in: of each problem by itself; out: of the whole */
  int wanted;  /* of the vectors: those of the largest eigenvalues */
  float *work; /* n * lrp_merge_work(n, wanted) */
  int *iwork;  /* 4 n */
} lrp_merge;

/** Elements of work space per column. Local. */
static inline int64_t lrp_merge_work(int64_t n, int64_t wanted) {
  return 8 + (wanted > n / 2 ? n / 2 + wanted : n);
}

/** Solve the whole. Local, on the OpenMP threads, or on one if many are at work already.
 *  @return LRP_OK; LRP_ERR_NUM, not recorded as a failure, without convergence */
lrp_status lrp_merge_halves(lrp_merge *m);

#endif
