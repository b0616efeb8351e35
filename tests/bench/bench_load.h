/** @file tests/bench/bench_load.h
 *  Whether anybody else computes meanwhile. */
#ifndef LRP_TESTS_BENCH_LOAD_H
#define LRP_TESTS_BENCH_LOAD_H

#include <sys/types.h>

enum { LRP_BENCH_LOAD_PIDS = 3 }; /* the benchmark and two Pythons */

/** Processor seconds so far: of all, and of those processes (0: none). */
typedef struct {
  double at, all, own;
} lrp_bench_load;

/** Take the time. Local. */
lrp_bench_load lrp_bench_load_now(const pid_t *pids);

/** Part of all processors that others, or other guests of the host, used between two such times;
 * NaN where the system does not say. Local. */
double lrp_bench_load_of_others(lrp_bench_load from, lrp_bench_load to);

#endif
