/** @file tests/bench/bench_sgesdd.h
 *  The peer LAPACK: sgesdd on a float32 copy. */
#ifndef LRP_TESTS_BENCH_SGESDD_H
#define LRP_TESTS_BENCH_SGESDD_H

#include "tests/bench/bench_check.h"

/** Thin SVD of the matrix by sgesdd. Local. Only the routine itself is timed, on memory that was
 *  used before.
 *  @param n_ranks  how many ranks to look at the leading triplets of; quality[i] is that of
 * ranks[i]
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_NUM */
lrp_status lrp_bench_sgesdd(const lrp_bench_matrix *m, int n_ranks, const int *ranks,
                            double *seconds, lrp_bench_quality *quality);

#endif
