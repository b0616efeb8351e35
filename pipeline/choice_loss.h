/** @file pipeline/choice_loss.h
 *  What accuracy blurs: how sure a model is of the right choice of a question. */
#ifndef LRP_PIPELINE_CHOICE_LOSS_H
#define LRP_PIPELINE_CHOICE_LOSS_H

#include <stdbool.h>

#include "pipeline/tasks.h"

/** -ln of the share that the right ones have in the likelihoods of n choices,
 *  -ln(sum_right exp(ll) / sum exp(ll)) >= 0. Local. Neither overflows nor loses digits, however
 *  small the likelihoods and however near 0 the loss. No right choice, or one of likelihood 0:
 *  infinity; only right ones: 0; NaN where a log-likelihood is, or where all likelihoods are 0.
 *  @param truth  which choices are right; NULL: gold alone */
double lrp_choice_loss(const double *ll, int n, int gold, const bool *truth);

/** Whether a document of kind has such a loss: it is a question with several choices, of which one
 *  at least is right. Local. */
bool lrp_doc_has_choice_loss(const lrp_task_kind *kind, const lrp_doc *doc);

#endif
