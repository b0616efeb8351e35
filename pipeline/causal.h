/** @file pipeline/causal.h
 *  Blocks of requests of a causal model -> scores, under several configurations at once.
 *
 *  The requests of a block are a forest (kernels/nn/forest.h): a beginning that several share is
 *  computed once. The configurations are a tree over layers (pipeline/sweep.h): layers below which
 *  they agree are computed once, too. Scores do not depend on either. */
#ifndef LRP_PIPELINE_CAUSAL_H
#define LRP_PIPELINE_CAUSAL_H

#include "pipeline/control.h"
#include "pipeline/portions.h"
#include "pipeline/weights.h"

/** What a process rank keeps from block to block. */
typedef struct lrp_causal lrp_causal;

/** All borrowed. Local. Release with destroy, which accepts NULL. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_causal_create(lrp_scorebook *book, lrp_store *store, const lrp_sweep *sweep,
                             lrp_weights *weights, lrp_control *control, lrp_causal **out);
void lrp_causal_destroy(lrp_causal **causal);

/** Compute the block of a portion under n configurations, which are in the order of the sweep, and
 *  record the scores; where layers are spread, as far as they are here, and send what came out.
 *  Local but for that. The time limit is asked between configurations.
 *  @return LRP_OK; LRP_STOPPED; LRP_ERR_DATA if a score is not finite; LRP_ERR_MEM, LRP_ERR_IO,
 *          LRP_ERR_BUG: what was recorded by then stays */
lrp_status lrp_causal_portion(lrp_causal *causal, const lrp_portion *portion,
                              const int *configurations, int n);

/** The same for what the process rank before this one in the column sends of a portion: takes all
 *  of it, whatever fails. @return as above */
lrp_status lrp_causal_follow(lrp_causal *causal, const lrp_portion *portion);

#endif
