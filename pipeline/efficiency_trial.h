/** @file pipeline/efficiency_trial.h
 *  Passes of a configuration over a batch of made-up sequences: what measuring takes the time of.
 *
 *  Token ids are pseudo-random, the same for all configurations. Weights are held as the evaluation
 *  holds them (pipeline/weights.h; of an encoder they lie in the files). */
#ifndef LRP_PIPELINE_EFFICIENCY_TRIAL_H
#define LRP_PIPELINE_EFFICIENCY_TRIAL_H

#include "pipeline/efficiency_readings.h"
#include "pipeline/store.h"

typedef struct lrp_trial lrp_trial;

/** Hold the dense weights. Collective over topo->comm; study, store and topo are borrowed.
 *  @param new_tokens  decoding steps; 0: none
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG; the same on every process rank */
lrp_status lrp_trial_open(const lrp_study *study, lrp_store *store, const lrp_topology *topo,
                          int64_t new_tokens, lrp_trial **out);

/** Collective over the same; sets *trial to NULL; accepts NULL. */
void lrp_trial_close(lrp_trial **trial);

/** Whether layers are spread over nodes: then no process rank can make a pass, and nothing else
 *  here may be called. The same on every process rank. */
bool lrp_trial_is_spread(const lrp_trial *trial);

/** Whether there is memory for the batches of a case besides the weights, as far as is known.
 * Local.
 *  @return LRP_OK; LRP_ERR_MEM, with the keys to change */
lrp_status lrp_trial_fits(const lrp_trial *trial, const lrp_case *one);

/** Make ready for passes of configuration c in a case: take its weights, packed, unless they are
 *  held; memory for the batch. Local.
 *  @return LRP_OK, LRP_ERR_DATA, LRP_ERR_IO, LRP_ERR_MEM, LRP_ERR_BUG */
lrp_status lrp_trial_prepare(lrp_trial *trial, int c, const lrp_case *one);

/** One pass through all layers and the head: of all tokens of the batch, whose last positions'
 *  logits are wanted; or of new_tokens steps, each a token for every sequence, with the keys and
 *  values of the pass over all tokens, which must have been made since lrp_trial_prepare chose
 *  configuration and case (lrp_trial_is_filled). Local.
 *  @return LRP_OK; LRP_ERR_DATA if a logit is not finite; LRP_ERR_MEM, LRP_ERR_BUG */
lrp_status lrp_trial_pass(lrp_trial *trial, lrp_phase phase);
bool lrp_trial_is_filled(const lrp_trial *trial);

/** Bytes of the weights that passes of the configuration use, as they are held: packed dense linear
 *  maps and head, packed factors, embeddings, norms, biases. Local. */
int64_t lrp_trial_weight_bytes(const lrp_trial *trial);

/** By how much the resident memory grows at most, in bytes, during a pass of every phase with fresh
 *  memory for activations, keys and values; the weights must have been used before. Local; the
 *  passes are made.
 *  @param[out] bytes  -1 where the kernel does not tell
 *  @return as lrp_trial_pass */
lrp_status lrp_trial_growth(lrp_trial *trial, int64_t *bytes);

/** Whether dense linear maps are packed. Local. */
bool lrp_trial_is_packed(const lrp_trial *trial);

#endif
