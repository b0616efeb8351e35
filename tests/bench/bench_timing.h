/** @file tests/bench/bench_timing.h
 *  Clock and median. */
#ifndef LRP_TESTS_BENCH_TIMING_H
#define LRP_TESTS_BENCH_TIMING_H

/** Monotonic clock in seconds. Local. */
double lrp_bench_clock(void);

/** Median of n values, which are sorted; NaN if n < 1. Local. */
double lrp_bench_median(double *values, int n);

#endif
