/** @file tests/bench/bench_line.h
 *  A result as a line of JSON on stdout. */
#ifndef LRP_TESTS_BENCH_LINE_H
#define LRP_TESTS_BENCH_LINE_H

#include <jansson.h>

#include "kernels/status.h"

/** Whether a goal was reached; open: it could not be judged, for the peer was not there. */
typedef enum {
  LRP_BENCH_NO_GOAL,
  LRP_BENCH_REACHED,
  LRP_BENCH_MISSED,
  LRP_BENCH_OPEN
} lrp_bench_verdict;

/** A number, or null for NaN and infinity; true, false or null. Local. */
json_t *lrp_bench_real(double value);
json_t *lrp_bench_json_verdict(lrp_bench_verdict verdict);

/** Add threads, blas_kernel and processor. Local. */
void lrp_bench_add_machine(json_t *line, int threads);

/** Print line, which is taken over (NULL: there was no memory for it). Local.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_IO */
lrp_status lrp_bench_print_line(json_t *line);

#endif
