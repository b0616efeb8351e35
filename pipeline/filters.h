/** @file pipeline/filters.h
 *  Answers read out of generated texts, and their comparison with the right ones, as
 *  lm-evaluation-harness does both. */
#ifndef LRP_PIPELINE_FILTERS_H
#define LRP_PIPELINE_FILTERS_H

#include <stdbool.h>

/** Where the answer of a text is. */
typedef struct {
  const char *name;    /* "strict-match" */
  const char *pattern; /* regular expression: the answer is what a group of it holds, */
  const char *before;  /* all of the match but this in front; "" if there is nothing */
  bool last;           /* of all matches the last one counts, else the first */
} lrp_filter;

/** "#### " and a number, the first one. */
extern const lrp_filter lrp_strict_match;
/** The last number. */
extern const lrp_filter lrp_flexible_extract;

/** The answer in text (UTF-8), without white space at its ends; "[invalid]" if there is none.
 *  Local; freed by the caller; NULL: out of memory (recorded). */
char *lrp_filter_apply(const lrp_filter *filter, const char *text);

/** An answer as exact_match of gsm8k compares it: without ",", "$", all up to the last "#### " and
 *  a final ".", in lower case. Local; freed by the caller; NULL: out of memory (recorded). */
char *lrp_answer_normalized(const char *text);

/** Whether two answers are equal then: 1 or 0; NaN: out of memory (recorded). Local. */
double lrp_answer_match(const char *prediction, const char *target);

#endif
