/** @file pipeline/savings.h
 *  How much of an evaluation was computed once for several requests and configurations. */
#ifndef LRP_PIPELINE_SAVINGS_H
#define LRP_PIPELINE_SAVINGS_H

#include "pipeline/scorebook.h"

/** Products of layers and tokens (a token that goes through a layer) of all pairs of a causal model
 *  that ask for log-likelihoods; what is generated is not counted. */
typedef struct {
  int64_t alone;    /* if every request were computed by itself, under every configuration */
  int64_t distinct; /* if every distinct token of a block were, under every configuration */
  int64_t computed; /* what was, in all attempts */
} lrp_savings;

/** Local; blocks that are not done count nothing in any of them. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_savings_of(const lrp_scorebook *book, lrp_savings *out);

#endif
