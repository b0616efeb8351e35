/** @file kernels/nn/bert.h
 *  Forward pass of BERT and of its heads.
 *  Source: Devlin et al., arXiv:1810.04805; layout of Hugging Face BertModel and its classes. */
#ifndef LRP_KERNELS_NN_BERT_H
#define LRP_KERNELS_NN_BERT_H

#include <stdbool.h>

#include "kernels/nn/linear.h"
#include "kernels/nn/ops.h"

/** What stands on top of the encoder: the class of the model. */
typedef enum {
  LRP_BERT_BARE,       /* BertModel: hidden states */
  LRP_BERT_CLASSIFIER, /* BertForSequenceClassification */
  LRP_BERT_SPANS,      /* BertForQuestionAnswering */
  LRP_BERT_MASKED      /* BertForMaskedLM */
} lrp_bert_head;

/** Hyper-parameters, by the names of config.json. */
typedef struct {
  int64_t hidden_size, intermediate_size, vocab_size, type_vocab_size;
  int64_t max_position_embeddings;
  int num_hidden_layers, num_attention_heads;
  double layer_norm_eps;
  lrp_activation hidden_act;
  lrp_bert_head head;
  int64_t num_labels; /* outputs of LRP_BERT_CLASSIFIER; 2 (start, end) of LRP_BERT_SPANS; else 0 */
} lrp_bert_config;

/** The linear maps of a layer, in the order of the paper's masks. */
enum {
  LRP_BERT_QUERY,
  LRP_BERT_KEY,
  LRP_BERT_VALUE,
  LRP_BERT_ATTENTION_OUTPUT,
  LRP_BERT_INTERMEDIATE,
  LRP_BERT_OUTPUT,
  LRP_BERT_LINEARS
};

/** Weight and bias of a LayerNorm, each 1 x hidden_size. */
typedef struct {
  lrp_matrix weight, bias;
} lrp_bert_norm;

typedef struct {
  lrp_linear linear[LRP_BERT_LINEARS];
  lrp_bert_norm attention_norm, output_norm;
} lrp_bert_layer;

/** A model: views of weights that lie elsewhere. A configuration of factors is another lrp_bert
 *  whose linears say so. */
typedef struct {
  lrp_bert_config config;
  lrp_matrix word_embeddings;     /* vocab_size x hidden_size */
  lrp_matrix position_embeddings; /* max_position_embeddings x hidden_size */
  lrp_matrix type_embeddings;     /* type_vocab_size x hidden_size */
  lrp_bert_norm embedding_norm;
  lrp_bert_layer *layers;       /* owned by whoever built the model */
  lrp_linear pooler;            /* LRP_BERT_CLASSIFIER only */
  lrp_linear transform;         /* LRP_BERT_MASKED only, with its norm */
  lrp_bert_norm transform_norm; /* likewise */
  lrp_linear output;            /* the last map of the head: num_labels or vocab_size outputs */
} lrp_bert;

/** One input, special tokens included. */
typedef struct {
  const int32_t *tokens; /* borrowed; n_tokens of them, each in [0, vocab_size) */
  const int32_t *types;  /* borrowed; each in [0, type_vocab_size); NULL: all 0 */
  int64_t n_tokens;      /* in [1, max_position_embeddings] */
} lrp_bert_input;

/** A masked token to score: log P(target at position | the input, which has [MASK] there). */
typedef struct {
  lrp_bert_input input;
  int64_t position;     /* in [0, n_tokens - 1] */
  int32_t target;       /* in [0, vocab_size) */
  double loglikelihood; /* out: natural log */
  bool greedy;          /* out: target is the argmax of its row, lowest index on ties */
} lrp_bert_blank;

/** Activations and converted weights, allocated once and reused. */
typedef struct lrp_bert_workspace lrp_bert_workspace;

/** @param[in] operands  LRP_F32; or LRP_BF16: linear maps multiply in bfloat16 and sum in float32
 *                       (kernels/nn/linear.h), all else stays float32
 *  @return LRP_OK, LRP_ERR_MEM. Local. Release with destroy. */
lrp_status lrp_bert_workspace_create(const lrp_bert_config *config, lrp_dtype operands,
                                     lrp_bert_workspace **ws);
void lrp_bert_workspace_destroy(lrp_bert_workspace **ws);

/** Floats that lrp_bert_forward writes for an input of n tokens: num_labels of LRP_BERT_CLASSIFIER,
 *  n x 2 of LRP_BERT_SPANS, n x vocab_size of LRP_BERT_MASKED, n x hidden_size of LRP_BERT_BARE.
 *  Local. */
int64_t lrp_bert_outputs(const lrp_bert_config *config, int64_t n);

/** Run count inputs in one batch without padding; their outputs lie one after the other in out:
 *  class logits; (start, end) logits of each token; token logits of each token; last hidden states.
 *  Local. An input attends to itself only. Results do not depend, bitwise, on which inputs share a
 *  batch or on the number of threads.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG (an input of no or too many tokens) */
lrp_status lrp_bert_forward(const lrp_bert *model, lrp_bert_workspace *ws,
                            const lrp_bert_input *inputs, int64_t count, float *out);

/** Score count masked tokens in one batch. Local; LRP_BERT_MASKED only. As lrp_bert_forward, but
 *  logits are computed at the masked positions alone. @return likewise */
lrp_status lrp_bert_score(const lrp_bert *model, lrp_bert_workspace *ws, lrp_bert_blank *blanks,
                          int64_t count);

#endif
