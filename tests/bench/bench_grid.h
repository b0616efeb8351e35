/** @file tests/bench/bench_grid.h
 *  The decomposition of one matrix by several process ranks. */
#ifndef LRP_TESTS_BENCH_GRID_H
#define LRP_TESTS_BENCH_GRID_H

#include "tests/bench/bench_output.h"

/** Time the grid path on all process ranks of MPI_COMM_WORLD and compare it: with one process rank
 *  that uses the threads of all, and, on a smaller matrix, with pdgesvd. Collective. Results as of
 *  bench_output.h, by process rank 0.
 *  @param small  tiny matrices, to test the benchmark
 *  @return LRP_OK or what failed; LRP_ERR_USAGE if the process ranks are bound to cores, so that
 * one cannot use those of all. The same on every process rank */
lrp_status lrp_bench_grid(const lrp_bench_terms *terms, int threads, bool small,
                          lrp_bench_score *score);

#endif
