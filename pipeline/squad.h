/** @file pipeline/squad.h
 *  SQuAD v1.1: from the logits of a window to an answer, and the official scores of an answer. All
 *  calls are local. */
#ifndef LRP_PIPELINE_SQUAD_H
#define LRP_PIPELINE_SQUAD_H

#include <stdint.h>

#include "kernels/status.h"

/** Of start and of end logits so many are looked at; an answer has at most so many tokens. */
enum { LRP_SQUAD_BEST = 20, LRP_SQUAD_LONGEST = 30 };

/** Characters [first, end) of a context; first = -1: none. */
typedef struct {
  int32_t first, end;
} lrp_char_range;

/** Best answer of a window of n tokens: of the pairs of a start and an end token among the
 *  LRP_SQUAD_BEST largest start and end logits, both with a range, the end not before the start and
 *  at most LRP_SQUAD_LONGEST tokens, the one with the largest sum of logits. Of equal logits the
 *  earlier token counts as larger, of equal sums the pair with the larger start logit.
 *  @param logits  n x 2: start and end of each token
 *  @param ranges  characters of the context that each token covers; first = -1 for all other tokens
 *  @param score   the sum, in float as the logits are; 0 without a pair
 *  Source: post-processing of Hugging Face's run_qa. */
lrp_char_range lrp_squad_best(const float *logits, const lrp_char_range *ranges, int64_t n,
                              double *score);

/** Text as it is compared: lower case, without ASCII punctuation and the words a, an, the, words
 *  separated by one space. Freed by the caller; NULL when out of memory.
 *  Source: Rajpurkar et al., arXiv:1606.05250, evaluate-v1.1.py. */
char *lrp_squad_normalized(const char *text);

/** Scores in [0, 1] of a prediction against one right answer, both normalized: 1 if they are equal,
 *  and F1 of their words as multisets (0 if they share none). */
double lrp_squad_exact(const char *prediction, const char *gold);
double lrp_squad_f1(const char *prediction, const char *gold);

#endif
