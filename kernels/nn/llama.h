/** @file kernels/nn/llama.h
 *  Forward pass of the Llama family and log-likelihoods of token sequences.
 *  Source: Touvron et al., arXiv:2302.13971; layout of Hugging Face LlamaForCausalLM. */
#ifndef LRP_KERNELS_NN_LLAMA_H
#define LRP_KERNELS_NN_LLAMA_H

#include <stdbool.h>

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
} lrp_llama;

/** One sequence to score: log P(last n_score tokens | the tokens before them). */
typedef struct {
  const int32_t *tokens; /* borrowed; n_tokens of them, each in [0, vocab_size) */
  int64_t n_tokens;      /* model input is the first n_tokens - 1 */
  int64_t n_score;       /* in [1, n_tokens - 1] */
  double loglikelihood;  /* out: sum of natural-log probabilities */
  bool greedy; /* out: every scored token is the argmax of its row, lowest index on ties */
} lrp_sequence;

/** Activations, rotary tables and converted weights, allocated once and reused. */
typedef struct lrp_llama_workspace lrp_llama_workspace;

/** @param[in] operands  LRP_F32; or LRP_BF16: dense linear maps and the head multiply in bfloat16
 *                       and sum in float32, all else (norms, rotation, attention, the residual
 *                       stream, logits) stays float32
 *  @return LRP_OK, LRP_ERR_MEM. Local. Release with destroy. */
lrp_status lrp_llama_workspace_create(const lrp_llama_config *config, lrp_dtype operands,
                                      lrp_llama_workspace **ws);
void lrp_llama_workspace_destroy(lrp_llama_workspace **ws);

/** Score count sequences in one batch without padding. Local.
 *  Sequences may be longer than max_position_embeddings: rotary tables grow on demand. Results do
 *  not depend, bitwise, on which sequences share the batch or on the number of threads.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG */
lrp_status lrp_llama_score(const lrp_llama *model, lrp_llama_workspace *ws, lrp_sequence *sequences,
                           int64_t count);

/** Logits (n x vocab_size, row-major) of every position of one sequence of n tokens. Local.
 *  For tests and generation. @return as lrp_llama_score */
lrp_status lrp_llama_logits(const lrp_llama *model, lrp_llama_workspace *ws, const int32_t *tokens,
                            int64_t n, float *logits);

#endif
