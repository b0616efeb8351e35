/** @file tests/bench/bench_solve.h
 *  lrpipe's own decomposition under the clock. */
#ifndef LRP_TESTS_BENCH_SOLVE_H
#define LRP_TESTS_BENCH_SOLVE_H

#include "kernels/linalg/factors.h"
#include "kernels/linalg/scratch.h"
#include "tests/bench/bench_check.h"

typedef struct {
  lrp_solver solver;         /* the one that did it */
  double certificate_s;      /* seconds of lrp_certify(), not part of the decomposition's */
  lrp_bench_quality quality; /* if it was looked at */
} lrp_bench_result;

/** Leading rank triplets of the matrix, from stored weights to float32 factors in memory, by the
 *  solvers that lrp_decompose() would use: where one is not up to the matrix, or its certificate
 *  fails, its time counts, too. Local.
 *  @param look         also fill result->quality, which takes longer
 *  @param[out] result  quality is not touched unless look is set
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_NUM */
lrp_status lrp_bench_solve(const lrp_bench_matrix *m, int rank, lrp_scratch *scratch, bool look,
                           double *seconds, lrp_bench_result *result);

/** How good triplets are. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_bench_check_triplets(const lrp_bench_matrix *m, const lrp_triplets *t,
                                    lrp_bench_quality *q);

#endif
