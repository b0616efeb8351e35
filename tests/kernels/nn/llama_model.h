/** @file tests/kernels/nn/llama_model.h
 *  Llama models of random weights for the tests of its passes. */
#ifndef LRP_TESTS_KERNELS_NN_LLAMA_MODEL_H
#define LRP_TESTS_KERNELS_NN_LLAMA_MODEL_H

#include "kernels/nn/llama.h"
#include "tests/kernels/nn/nn_test.h"

enum { model_layers = 2, model_rank = 24, model_owned = 96 };

/** What a model is like. Large: its products are those of oneDNN where there is one. */
typedef struct {
  bool large, biased, factored, packed;
  int64_t window;
  lrp_dtype operands;
} model_kind;

typedef struct {
  model_kind kind;
  lrp_llama model;
  lrp_llama_layer layers[model_layers];
  void *owned[model_owned];
  int n_owned;
  lrp_llama_workspace *ws;
} test_model;

static inline lrp_matrix model_matrix(test_model *m, int64_t rows, int64_t cols, float scale) {
  float *x = random_floats(rows * cols, (uint64_t)m->n_owned + 1, scale);
  assert_true(m->n_owned < model_owned);
  m->owned[m->n_owned++] = x;
  return view(x, rows, cols, cols);
}

/* Aligned to 64 bytes. */
static inline void *model_memory(test_model *m, size_t bytes) {
  void *memory = aligned_alloc(64, bytes);
  assert_non_null(memory);
  assert_true(m->n_owned < model_owned);
  m->owned[m->n_owned++] = memory;
  return memory;
}

static inline void model_linear(test_model *m, lrp_linear *l, int64_t n_out, int64_t n_in,
                                bool biased) {
  const float scale = 1.7f / sqrtf((float)n_in); /* results as large as what is multiplied */
  *l = (lrp_linear){.n_in = n_in, .n_out = n_out};
  if (m->kind.factored) {
    l->rank = model_rank;
    l->left = model_matrix(m, n_out, model_rank, 0.5f);
    l->right = model_matrix(m, model_rank, n_in, scale);
    l->middle = model_matrix(m, 1, model_rank, 1.0f);
  } else {
    l->w = model_matrix(m, n_out, n_in, scale);
  }
  if (biased) l->bias = model_matrix(m, 1, n_out, 0.5f);
  const size_t bytes = lrp_linear_packed_bytes(l, m->kind.operands);
  if (!m->kind.packed || bytes == 0) return;
  assert_int_equal(lrp_linear_pack(l, m->kind.operands, model_memory(m, bytes)), LRP_OK);
}

static inline void model_layer(test_model *m, lrp_llama_layer *layer) {
  const lrp_llama_config *c = &m->model.config;
  const int64_t n = c->hidden_size;
  const int64_t q = (int64_t)c->num_attention_heads * c->head_dim;
  const int64_t kv = (int64_t)c->num_key_value_heads * c->head_dim;
  layer->input_norm = model_matrix(m, 1, n, 1.0f);
  layer->post_attn_norm = model_matrix(m, 1, n, 1.0f);
  model_linear(m, &layer->linear[LRP_Q_PROJ], q, n, m->kind.biased);
  model_linear(m, &layer->linear[LRP_K_PROJ], kv, n, m->kind.biased);
  model_linear(m, &layer->linear[LRP_V_PROJ], kv, n, m->kind.biased);
  model_linear(m, &layer->linear[LRP_O_PROJ], n, q, false);
  model_linear(m, &layer->linear[LRP_GATE_PROJ], c->intermediate_size, n, false);
  model_linear(m, &layer->linear[LRP_UP_PROJ], c->intermediate_size, n, false);
  model_linear(m, &layer->linear[LRP_DOWN_PROJ], n, c->intermediate_size, false);
}

static inline void model_head(test_model *m) {
  lrp_llama *model = &m->model;
  const lrp_llama_config *c = &model->config;
  const size_t bytes = lrp_packed_bytes(c->vocab_size, c->hidden_size, m->kind.operands);
  model->embed_tokens = model_matrix(m, c->vocab_size, c->hidden_size, 1.0f);
  model->norm = model_matrix(m, 1, c->hidden_size, 1.0f);
  model->lm_head = model_matrix(m, c->vocab_size, c->hidden_size, 0.3f);
  if (!m->kind.packed || bytes == 0) return;
  assert_int_equal(
      lrp_pack(&model->lm_head, m->kind.operands, model_memory(m, bytes), &model->packed_head),
      LRP_OK);
}

static inline void model_create(test_model *m, const model_kind *kind) {
  *m = (test_model){.kind = *kind};
  m->model = (lrp_llama){.config = {.hidden_size = kind->large ? 256 : 24,
                                    .intermediate_size = kind->large ? 320 : 40,
                                    .vocab_size = kind->large ? 307 : 53,
                                    .num_hidden_layers = model_layers,
                                    .num_attention_heads = 4,
                                    .num_key_value_heads = 2,
                                    .head_dim = kind->large ? 64 : 6,
                                    .max_position_embeddings = 32,
                                    .rms_norm_eps = 1e-5,
                                    .rope_theta = 10000.0,
                                    .sliding_window = kind->window},
                         .layers = m->layers};
  model_head(m);
  for (int l = 0; l < model_layers; l++) model_layer(m, &m->layers[l]);
  assert_int_equal(lrp_llama_workspace_create(&m->model.config, kind->operands, &m->ws), LRP_OK);
}

static inline void model_free(test_model *m) {
  lrp_llama_workspace_destroy(&m->ws);
  for (int i = 0; i < m->n_owned; i++) free(m->owned[i]);
}

#endif
