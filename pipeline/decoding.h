/** @file pipeline/decoding.h
 *  Blocks of requests of a generation task -> answers, by greedy decoding with a configuration. */
#ifndef LRP_PIPELINE_DECODING_H
#define LRP_PIPELINE_DECODING_H

#include "pipeline/scorebook.h"
#include "pipeline/weights.h"

/** What a process rank keeps from block to block: layers, workspace, keys and values. */
typedef struct lrp_decoding lrp_decoding;

/** All borrowed. Local. Release with destroy, which accepts NULL. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_decoding_create(lrp_scorebook *book, lrp_store *store, lrp_weights *weights,
                               lrp_decoding **out);
void lrp_decoding_destroy(lrp_decoding **decoding);

/** Generate the answers of block b of the scorebook, which is of a task of LRP_GENERATE, and record
 *  them there. Local; where layers are spread, collective over the column, all process ranks of
 *  which compute and the last one records. The bits do not depend on what was computed before, or
 *  together.
 *  @return LRP_OK; LRP_ERR_DATA if a logit is not finite; LRP_ERR_MEM, LRP_ERR_IO, LRP_ERR_BUG; the
 *          same on the column, but for the recording */
lrp_status lrp_decoding_block(lrp_decoding *decoding, int64_t b);

#endif
