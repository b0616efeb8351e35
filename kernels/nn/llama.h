/** @file kernels/nn/llama.h
 *  Forward pass of the Llama family and log-likelihoods of token sequences.
 *  Source: Touvron et al., arXiv:2302.13971; layout of Hugging Face LlamaForCausalLM. */
#ifndef LRP_KERNELS_NN_LLAMA_H
#define LRP_KERNELS_NN_LLAMA_H

#include <stdbool.h>

#include "kernels/nn/forest.h"
#include "kernels/nn/kv.h"
#include "kernels/nn/linear.h"
#include "kernels/nn/rope.h"

/** Hyper-parameters, by the names of config.json. */
typedef struct {
  int64_t hidden_size, intermediate_size, vocab_size;
  int num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim;
  int64_t max_position_embeddings;
  double rms_norm_eps, rope_theta;
  lrp_rope_scaling rope_scaling;
  int64_t sliding_window; /* last tokens that each token attends to, itself included; 0: all */
} lrp_llama_config;

/** The linear maps of a layer, in the order of the paper's masks. */
enum {
  LRP_Q_PROJ,
  LRP_K_PROJ,
  LRP_V_PROJ,
  LRP_O_PROJ,
  LRP_GATE_PROJ,
  LRP_UP_PROJ,
  LRP_DOWN_PROJ,
  LRP_LLAMA_LINEARS
};

typedef struct {
  lrp_matrix input_norm;     /* 1 x hidden_size */
  lrp_matrix post_attn_norm; /* 1 x hidden_size */
  lrp_linear linear[LRP_LLAMA_LINEARS];
} lrp_llama_layer;

/** A model: views of weights that lie elsewhere. A configuration of factors is another lrp_llama
 *  whose linears say so. */
typedef struct {
  lrp_llama_config config;
  lrp_matrix embed_tokens; /* vocab_size x hidden_size */
  lrp_llama_layer *layers; /* owned by whoever built the model */
  lrp_matrix norm;         /* 1 x hidden_size */
  lrp_matrix lm_head;      /* vocab_size x hidden_size */
  lrp_packed packed_head;  /* of lm_head; data NULL: lm_head is used as it lies */
} lrp_llama;

/** Activations, rotary tables, and keys and values of one layer: allocated once and reused. Knows
 *  nothing of a configuration's weights. */
typedef struct lrp_llama_workspace lrp_llama_workspace;

/** @param[in] operands  LRP_F32; or LRP_BF16: linear maps, the head and attention multiply in
 *                       bfloat16 and sum in float32. What they multiply is rounded once: norms'
 *                       results, queries, keys, values, probabilities, attended rows, gated rows.
 *                       All else (rotation, the residual stream, logits) stays float32.
 *  @return LRP_OK, LRP_ERR_MEM. Local. Release with destroy. */
lrp_status lrp_llama_workspace_create(const lrp_llama_config *config, lrp_dtype operands,
                                      lrp_llama_workspace **ws);
void lrp_llama_workspace_destroy(lrp_llama_workspace **ws);

/** The shape of a model's attention. Local. */
lrp_causal_shape lrp_llama_causal_shape(const lrp_llama_config *config);

/** Keys and values that stay from pass to pass, for generation. Local; release with
 *  lrp_kv_destroy.
 *  @param layers  all that this process computes: not always those of the model */
lrp_status lrp_llama_kv_create(const lrp_llama_config *config, lrp_dtype operands, int layers,
                               lrp_kv **kv);

/* ---- one layer after the other ---- */

/** Make room for a forest in the workspace's own keys and values, for lrp_llama_layer_apply
 *  without a kv. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_llama_plan(lrp_llama_workspace *ws, const lrp_branch *branches, int64_t n_branches);

/** x (n_tokens x hidden_size) = embeddings of the batch's tokens. Local.
 *  @return LRP_OK; LRP_ERR_BUG for a token that the model does not have */
lrp_status lrp_llama_embed(const lrp_llama *model, const lrp_batch *batch, float *x);

/** x = layer(x) in place, n_tokens x hidden_size. Local.
 *  Rows do not depend, bitwise, on the other rows (but for the keys and values that they see) or on
 *  the number of threads. Positions may exceed max_position_embeddings: rotary tables grow.
 *  @param kv    keeps keys and values, as those of its layer kv_layer; NULL: the workspace's own,
 *               as lrp_llama_plan made room for them
 *  @param last  only batch->rows are wanted further: afterwards they are the first n_rows of x, and
 *               the other rows mean nothing
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG */
lrp_status lrp_llama_layer_apply(const lrp_llama_layer *layer, lrp_llama_workspace *ws, lrp_kv *kv,
                                 int kv_layer, const lrp_batch *batch, bool last, float *x);

/** Log-probabilities of targets from x, n_rows x hidden_size: what the last layer left. Local.
 *  targets in any order; several may share a row, whose logits are computed once.
 *  @return as lrp_llama_layer_apply */
lrp_status lrp_llama_logprobs(const lrp_llama *model, lrp_llama_workspace *ws, const float *x,
                              int64_t n_rows, lrp_target *targets, int64_t n_targets);

/** tokens[i] = argmax of the logits of row i of x, the lowest index on ties: greedy decoding.
 * Local.
 *  @return as lrp_llama_layer_apply; LRP_ERR_DATA if a logit is not finite */
lrp_status lrp_llama_argmax(const lrp_llama *model, lrp_llama_workspace *ws, const float *x,
                            int64_t n_rows, int32_t *tokens);

/* ---- whole models ---- */

/** Score count sequences in one batch, common beginnings once (lrp_forest_build). Local.
 *  Results do not depend, bitwise, on which sequences share the batch or on the number of threads.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG */
lrp_status lrp_llama_score(const lrp_llama *model, lrp_llama_workspace *ws, lrp_sequence *sequences,
                           int64_t count);

/** Logits (n x vocab_size, row-major) of every position of one sequence of n tokens. Local.
 *  For tests. @return as lrp_llama_score */
lrp_status lrp_llama_logits(const lrp_llama *model, lrp_llama_workspace *ws, const int32_t *tokens,
                            int64_t n, float *logits);

#endif
