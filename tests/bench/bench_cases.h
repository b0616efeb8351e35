/** @file tests/bench/bench_cases.h
 *  What is measured, and what is to be reached. */
#ifndef LRP_TESTS_BENCH_CASES_H
#define LRP_TESTS_BENCH_CASES_H

#include <stdbool.h>
#include <stddef.h>

/** Spectra of weight matrices.
 *  llm: a signal that decays as i^-1/2, its first value doubled, in normal noise;
 *  gauss: the noise alone; outlier: llm and one singular value far above all others. */
typedef enum { LRP_BENCH_LLM, LRP_BENCH_GAUSS, LRP_BENCH_OUTLIER } lrp_bench_spectrum;

/** "llm", "gauss", "outlier". Local. */
const char *lrp_bench_spectrum_name(lrp_bench_spectrum spectrum);

/** Who else is timed. torch.* are those of the first Python (the distribution's); the same of
 *  another Python come beside them. The llm time is that of lrpipe on the llm matrix. */
typedef enum {
  LRP_BENCH_NOBODY,
  LRP_BENCH_LLM_TIME,
  LRP_BENCH_SGESDD,
  LRP_BENCH_SVD,
  LRP_BENCH_LOWRANK,
  LRP_BENCH_ONE_RANK, /* of the grid path: lrpipe on one process rank with the cores of all */
  LRP_BENCH_PDGESVD   /* of the grid path */
} lrp_bench_peer;

/** "llm", "sgesdd", "torch.linalg.svd", .. Local. */
const char *lrp_bench_peer_name(lrp_bench_peer peer);

/** Limits, all at most. 0: none. */
typedef struct {
  lrp_bench_peer against;
  double ratio, stretch; /* seconds / seconds of the peer */
  double excess;         /* error / optimal error - 1 */
} lrp_bench_goal;

typedef struct {
  lrp_bench_spectrum spectrum;
  int rows, cols, rank; /* rows >= cols > rank */
  int q;                /* of svd_lowrank */
  bool on_request;      /* not run unless it is named */
  lrp_bench_goal goal;
} lrp_bench_case;

/** Number of cases; case i, those of one matrix behind each other. Local. */
int lrp_bench_case_count(void);
const lrp_bench_case *lrp_bench_case_at(int i);

/** "llm-4096x4096-r16" to name, which holds size bytes. Local. */
void lrp_bench_case_name(const lrp_bench_case *c, char *name, size_t size);

/** Whether the case is asked for by the shell pattern; NULL: all that are not on request. Local. */
bool lrp_bench_case_matches(const lrp_bench_case *c, const char *pattern);

/** Whether both cases are about the same matrix. Local. */
bool lrp_bench_same_matrix(const lrp_bench_case *a, const lrp_bench_case *b);

/** "<= 0.25 of torch.linalg.svd, excess <= 1e-06", or "" to text. Local. */
void lrp_bench_goal_text(const lrp_bench_goal *goal, char *text, size_t size);

#endif
