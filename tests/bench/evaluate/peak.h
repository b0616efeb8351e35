/** @file tests/bench/evaluate/peak.h
 *  What the processor can do: products and sums of registers, nothing else. */
#ifndef LRP_TESTS_BENCH_EVALUATE_PEAK_H
#define LRP_TESTS_BENCH_EVALUATE_PEAK_H

#include "kernels/matrix.h"

/** Flops per second of all OpenMP threads together, the best of some 50 ms: fused
 *  multiply-adds of the widest kind for LRP_F32, VDPBF16PS (two products and sums per element) for
 *  LRP_BF16. Local. NaN where the processor has no such instruction. */
double lrp_bench_peak(lrp_dtype dtype);

#endif
