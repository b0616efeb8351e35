/** @file pipeline/scorer.h
 *  Blocks of requests of an encoder -> numbers, by the forward pass of a configuration. */
#ifndef LRP_PIPELINE_SCORER_H
#define LRP_PIPELINE_SCORER_H

#include "pipeline/scorebook.h"
#include "pipeline/store.h"

/** What a process rank keeps from block to block: model, workspace, buffers. */
typedef struct lrp_scorer lrp_scorer;

/** Local. Release with destroy, which accepts NULL. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_scorer_create(const lrp_scorebook *book, lrp_scorer **out);
void lrp_scorer_destroy(lrp_scorer **scorer);

/** Score block b of book and write it there: per request of a class its logit and whether it is the
 *  largest; of a window of LRP_SPANS score, first and end; of a masked token its log-probability
 * and whether it is the likeliest. Local. The bits do not depend on what was scored before.
 *  @return LRP_OK; LRP_ERR_DATA if a score is not finite; LRP_ERR_MEM, LRP_ERR_IO, LRP_ERR_BUG */
lrp_status lrp_scorer_block(lrp_scorer *scorer, lrp_scorebook *book, lrp_store *store, int64_t b);

#endif
