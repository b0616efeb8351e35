/** @file tests/bench/evaluate/output.h
 *  Results: JSON lines on stdout, a table for people on stderr. */
#ifndef LRP_TESTS_BENCH_EVALUATE_OUTPUT_H
#define LRP_TESTS_BENCH_EVALUATE_OUTPUT_H

#include "tests/bench/evaluate/contest.h"

/** What holds for the whole run. */
typedef struct {
  int threads;
  double peak[3];              /* flops/s by type: the best so far, 0: none */
  const lrp_bench_pass *dense; /* the last dense case, and its seconds */
  double dense_seconds;
  int cases, reached, missed, open; /* goals: open ones have no peer here */
} lrp_bench_machine;

/** Head of the table. Local. */
void lrp_bench_print_head(void);

/** A line of JSON and some of the table. Keeps dense cases and counts goals in *machine. Local.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_IO */
lrp_status lrp_bench_print_pass(lrp_bench_machine *machine, const lrp_bench_pass *pass,
                                const lrp_bench_times *times);

#endif
