/** @file tests/bench/evaluate/cases.h
 *  Which forward passes are measured, and what is to be reached. */
#ifndef LRP_TESTS_BENCH_EVALUATE_CASES_H
#define LRP_TESTS_BENCH_EVALUATE_CASES_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/nn/llama.h"

/** The tokens of a pass. */
enum { LRP_BENCH_TOKENS = 512 };

/** What is wanted of a pass: the probability of the last token; of every token; or nothing, for the
 *  layers are the first ones of a larger model. */
typedef enum { LRP_BENCH_LAST_ROW, LRP_BENCH_ALL_ROWS, LRP_BENCH_LAYERS } lrp_bench_wanted;

typedef struct {
  const char *name; /* "1.1b" */
  lrp_llama_config config;
} lrp_bench_shape;

/** Limits, all at least. 0: none. */
typedef struct {
  double share, stretch; /* of the peak */
  double torch;          /* tokens/s over those of the fastest PyTorch, without transformers */
  double dense;          /* tokens/s over those of the dense model in the same run */
} lrp_bench_limits;

typedef struct {
  const lrp_bench_shape *shape;
  lrp_dtype dtype;
  int divisor; /* 0: dense; else linear maps have rank hidden_size / divisor, or their least side */
  lrp_bench_wanted wanted;
  bool on_request; /* not run unless it is named */
  lrp_bench_limits goal;
} lrp_bench_pass;

/** Number of cases; case i, a dense one before those of its factors. Local. */
int lrp_bench_pass_count(void);
const lrp_bench_pass *lrp_bench_pass_at(int i);

/** "1.1b-bf16-d4" to name, which holds size bytes. Local. */
void lrp_bench_pass_name(const lrp_bench_pass *c, char *name, size_t size);

/** Whether the case is asked for by the shell pattern; NULL: all that are not on request. Local. */
bool lrp_bench_pass_matches(const lrp_bench_pass *c, const char *pattern);

/** Whether b is c by factors instead. Local. */
bool lrp_bench_pass_is_dense_of(const lrp_bench_pass *b, const lrp_bench_pass *c);

/** The rank of a linear map, 0: dense. Local. */
int64_t lrp_bench_pass_rank(const lrp_bench_pass *c, int64_t n_in, int64_t n_out);

/** Products and sums that a pass cannot do without, counted as two: linear maps, attention of each
 *  token to those before it, the head for wanted rows; of the last layer what wanted rows need.
 *  Local. */
double lrp_bench_pass_flops(const lrp_bench_pass *c);

/** "share >= 0.75, >= 1.25 of PyTorch", or "" to text. Local. */
void lrp_bench_limits_text(const lrp_bench_limits *goal, char *text, size_t size);

#endif
