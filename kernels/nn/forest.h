/** @file kernels/nn/forest.h
 *  Token sequences whose common beginnings are one: a forest in which each distinct beginning is
 *  computed once. */
#ifndef LRP_KERNELS_NN_FOREST_H
#define LRP_KERNELS_NN_FOREST_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/status.h"

/** A stretch of tokens without a fork. */
typedef struct {
  int64_t parent; /* the branch that it continues, of a lower index; -1: none */
  int64_t start;  /* position of its first token: where the parent ends; 0 without one */
  int64_t length; /* tokens that it has, or room for; > 0 */
} lrp_branch;

/** Rows first .. first + count - 1 of a token matrix are the positions at .. at + count - 1, which
 *  lie in one branch. */
typedef struct {
  int64_t branch, at, count, first;
} lrp_run;

/** What one pass through the model computes: a row per token. All borrowed. */
typedef struct {
  const int32_t *tokens; /* n_tokens, each in [0, vocab_size) */
  int64_t n_tokens;
  const lrp_run *runs; /* n_runs, in the order of the rows, which they cover; a branch that is
                          continued in this pass comes before those that continue it */
  int64_t n_runs;
  const int64_t *rows; /* n_rows, ascending: those whose logits are wanted */
  int64_t n_rows;
} lrp_batch;

/** One sequence to score: log P(last n_score tokens | the tokens before them). */
typedef struct {
  const int32_t *tokens; /* borrowed; n_tokens of them, each in [0, vocab_size) */
  int64_t n_tokens;      /* model input is the first n_tokens - 1 */
  int64_t n_score;       /* in [1, n_tokens - 1] */
  double loglikelihood;  /* out: sum of natural-log probabilities */
  bool greedy; /* out: every scored token is the argmax of its row, lowest index on ties */
} lrp_sequence;

/** A scored token: what its log-probability is read from. */
typedef struct {
  int64_t row;    /* index into batch.rows */
  int32_t token;  /* the one whose probability is wanted */
  int32_t greedy; /* out: it is the argmax, lowest index on ties */
  double logprob; /* out: natural log of its probability */
} lrp_target;

/** Sequences as a forest, and the batch that computes it at once. */
typedef struct {
  lrp_branch *branches; /* owned, n_branches */
  int64_t n_branches;
  lrp_batch batch;     /* its arrays are owned; a run per branch, which is all of it */
  lrp_target *targets; /* owned, n_targets: by sequence, then by position */
  int64_t n_targets;
} lrp_forest;

/** Build the forest of count sequences. Local. Its shape depends on the sequences, not on their
 *  order; O(total tokens + count log count) comparisons of neighbours in sorted order.
 *  @param share  false: every sequence is computed by itself, for comparison
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_BUG for an n_score out of range; *out is owned by the
 *          caller, zeroed upon failure */
lrp_status lrp_forest_build(const lrp_sequence *sequences, int64_t count, bool share,
                            lrp_forest *out);

/** Sum the targets' log-probabilities into the sequences that the forest was built from, in the
 *  order of their tokens. Local. */
void lrp_forest_collect(const lrp_forest *forest, lrp_sequence *sequences, int64_t count);

/** Release the memory and zero *forest. Local; accepts a zeroed one. */
void lrp_forest_free(lrp_forest *forest);

#endif
