/** @file tests/bench/bench_check.h
 *  How good factors are, in double: independent of the certificates of the program. */
#ifndef LRP_TESTS_BENCH_CHECK_H
#define LRP_TESTS_BENCH_CHECK_H

#include "tests/bench/bench_matrix.h"

/** u diag(s) vt as views of float32, whoever computed it. */
typedef struct {
  int rank;
  lrp_matrix u;   /* rows x rank */
  const float *s; /* borrowed, rank */
  lrp_matrix vt;  /* rank x cols */
} lrp_bench_factors;

typedef struct {
  double excess;        /* |W - u diag(s) vt|_F / optimum - 1 */
  double orthogonality; /* max(|u^T u - I|_max, |vt vt^T - I|_max) */
} lrp_bench_quality;

/** Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_bench_check(const lrp_bench_matrix *m, const lrp_bench_factors *f,
                           lrp_bench_quality *q);

#endif
