/** @file tests/bench/bench_output.h
 *  Results of a contest: JSON lines on stdout, a table for people on stderr. */
#ifndef LRP_TESTS_BENCH_OUTPUT_H
#define LRP_TESTS_BENCH_OUTPUT_H

#include "tests/bench/bench_contest.h"
#include "tests/bench/bench_line.h"

/** How many goals were reached, missed, and could not be judged: the peer was not there. */
typedef struct {
  int reached, missed, open;
} lrp_bench_score;

/** Head of the table. Local. */
void lrp_bench_print_head(void);

/** A line of JSON and some of the table for each case; *score counts on. Local.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_IO */
lrp_status lrp_bench_print(const lrp_bench_contest *c, int threads, lrp_bench_score *score);

/** Parts of that, for what is no contest. All local.
 *  ratio: goal->ratio or goal->stretch. theirs: seconds of the peer, NaN if it is not there.
 *  print_row: q may be NULL, a ratio of 0 is left out. */
lrp_bench_verdict lrp_bench_judge(const lrp_bench_goal *goal, double ratio,
                                  const lrp_bench_quality *quality, double seconds, double theirs);
void lrp_bench_count(lrp_bench_score *score, lrp_bench_verdict verdict);
void lrp_bench_print_row(const char *name, const char *method, double seconds,
                         const lrp_bench_quality *q, double ratio);
void lrp_bench_print_goal(const lrp_bench_goal *goal, lrp_bench_verdict verdict);

#endif
