/** @file tests/bench/bench_contest.h
 *  lrpipe and its peers on one matrix, taking turns. */
#ifndef LRP_TESTS_BENCH_CONTEST_H
#define LRP_TESTS_BENCH_CONTEST_H

#include "tests/bench/bench_solve.h"
#include "tests/bench/bench_torch.h"

enum {
  LRP_BENCH_TORCHES = 2,   /* the distribution's Python and another one */
  LRP_BENCH_CASES_MAX = 8, /* of one matrix */
  LRP_BENCH_REPEATS_MAX = 50,
  LRP_BENCH_CONTENDERS_MAX = LRP_BENCH_CASES_MAX * (2 + LRP_BENCH_TORCHES) + 1 + LRP_BENCH_TORCHES
};

/** What is timed over and over: lrpipe on a case (against = nobody) or a peer. */
typedef struct {
  lrp_bench_peer peer; /* LRP_BENCH_NOBODY: lrpipe itself */
  int which;           /* case of the contest; -1: a peer that serves all of them at once */
  int torch;           /* which Python, of the torch.* */
  int calls;           /* done, the first of which is a warm-up */
  double warm_up_s, seconds[LRP_BENCH_REPEATS_MAX];
  bool failed;
  lrp_bench_quality quality[LRP_BENCH_CASES_MAX]; /* of a peer, by case */
} lrp_bench_contender;

typedef struct {
  const char *peers; /* shell pattern of the names of peers; NULL: all; "": none */
  int repeats;       /* 0: 3 of those over 2 s, 7 of the others */
  const char *folder;
  lrp_bench_torch *torches; /* borrowed, LRP_BENCH_TORCHES of them, some not running */
} lrp_bench_terms;

typedef struct {
  const lrp_bench_terms *terms;
  lrp_bench_matrix m;
  lrp_bench_matrix llm; /* of outlier cases: what their time is compared with */
  const lrp_bench_case *cases[LRP_BENCH_CASES_MAX];
  int n_cases;
  lrp_bench_contender contenders[LRP_BENCH_CONTENDERS_MAX];
  int n_contenders;
  lrp_bench_result results[LRP_BENCH_CASES_MAX]; /* of lrpipe, by case */
  lrp_scratch scratch;                           /* of lrpipe, kept as in a run */
  double other_load;                             /* part of all cores that others used meanwhile */
} lrp_bench_contest;

/** Run the contest of cases, which share a matrix: first every contender once, to warm up and to
 *  look at what it computed, then in turns. Local. Progress goes to stderr.
 *  @return LRP_OK or what failed. Release with free, which zeroes, whatever came out */
lrp_status lrp_bench_contest_run(const lrp_bench_terms *terms, const lrp_bench_case **cases,
                                 int n_cases, lrp_bench_contest *out);
void lrp_bench_contest_free(lrp_bench_contest *c);

/** Median of the timed calls; NaN if there is none or one failed. Local. */
double lrp_bench_seconds(const lrp_bench_contender *c);

/** The contender of that kind which serves case which, or NULL. Local. */
const lrp_bench_contender *lrp_bench_find(const lrp_bench_contest *c, lrp_bench_peer peer,
                                          int torch, int which);

#endif
