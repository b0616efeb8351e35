#include "kernels/nn/llama.h"

#include <assert.h>
#include <string.h>

#include "kernels/nn/llama_workspace.h"
#include "kernels/nn/ops.h"
#include "kernels/nn/rope.h"

enum {
  logits_bytes = 64 << 20, /* of one panel of the head */
  logits_rows = 1024       /* most rows of a panel, for small vocabularies */
};

static void embed(const lrp_llama *model, lrp_llama_workspace *ws, const lrp_sequence *sequences) {
  const int64_t n = ws->config.hidden_size;
  const lrp_matrix *table = &model->embed_tokens;
  for (int64_t s = 0; s < ws->span_count; s++) {
    float *x = ws->x + ws->spans[s].first * n;
    for (int64_t i = 0; i < ws->spans[s].length; i++) {
      const int32_t token = sequences[s].tokens[i];
      assert(token >= 0 && token < table->rows);
      lrp_to_f32(x + i * n, lrp_matrix_row(table, token), table->dtype, (size_t)n);
    }
  }
}

/* h = norm(x) for t rows. Weights lie as they are stored: converted for each use. */
static void norm(lrp_llama_workspace *ws, const lrp_matrix *weight, const float *x, int64_t t,
                 float *h) {
  const int64_t n = ws->config.hidden_size;
  float *w = ws->norm_memory.data;
  lrp_to_f32(w, weight->data, weight->dtype, (size_t)n);
  lrp_rms_norm(x, t, n, w, ws->config.rms_norm_eps, h);
}

/* y = the linear map of t dense rows of x, or += */
static lrp_status apply(lrp_llama_workspace *ws, const lrp_linear *linear, const float *x,
                        int64_t t, float *y, bool accumulate) {
  return lrp_linear_apply(linear, x, t, linear->n_in, y, linear->n_out, accumulate, &ws->linear);
}

/* h = attention(norm(x)), before o_proj */
static lrp_status attend(const lrp_llama_layer *layer, lrp_llama_workspace *ws) {
  const lrp_linear *l = layer->linear;
  const int64_t t = ws->tokens;
  const lrp_attention_shape *shape = &ws->shape;
  norm(ws, &layer->input_norm, ws->x, t, ws->h);
  lrp_status st = apply(ws, &l[LRP_Q_PROJ], ws->h, t, ws->q, false);
  if (st == LRP_OK) st = apply(ws, &l[LRP_K_PROJ], ws->h, t, ws->k, false);
  if (st == LRP_OK) st = apply(ws, &l[LRP_V_PROJ], ws->h, t, ws->v, false);
  if (st != LRP_OK) return st;
  lrp_rope(ws->q, t, shape->heads, shape->head_dim, ws->positions, ws->rope);
  lrp_rope(ws->k, t, shape->kv_heads, shape->head_dim, ws->positions, ws->rope);
  return lrp_attention(shape, ws->q, ws->k, ws->v, ws->spans, ws->span_count, ws->h,
                       &ws->attention);
}

/* x += o_proj(h), then x += down(silu(gate) * up) of norm(x), for the first t rows */
static lrp_status finish_layer(const lrp_llama_layer *layer, lrp_llama_workspace *ws, int64_t t) {
  const lrp_linear *l = layer->linear;
  lrp_status st = apply(ws, &l[LRP_O_PROJ], ws->h, t, ws->x, true);
  if (st != LRP_OK) return st;
  norm(ws, &layer->post_attn_norm, ws->x, t, ws->h);
  st = apply(ws, &l[LRP_GATE_PROJ], ws->h, t, ws->gate, false);
  if (st == LRP_OK) st = apply(ws, &l[LRP_UP_PROJ], ws->h, t, ws->up, false);
  if (st != LRP_OK) return st;
  lrp_swiglu(ws->gate, ws->up, t, ws->config.intermediate_size);
  return apply(ws, &l[LRP_DOWN_PROJ], ws->gate, t, ws->x, true);
}

/* Move the scored rows to the front; they are listed in ascending order. */
static void compact(const lrp_llama_workspace *ws, float *x, int64_t n) {
  for (int64_t i = 0; i < ws->row_count; i++) {
    memmove(x + i * n, x + ws->rows[i] * n, (size_t)n * sizeof *x);
  }
}

/* Hidden states of the scored rows in the first row_count rows of x. Of the last layer the other
 * rows are needed as keys and values only, so it goes on without them. */
static lrp_status forward(const lrp_llama *model, lrp_llama_workspace *ws,
                          const lrp_sequence *sequences) {
  const int layers = model->config.num_hidden_layers;
  assert(layers > 0);
  embed(model, ws, sequences);
  for (int l = 0; l < layers; l++) {
    lrp_status st = attend(&model->layers[l], ws);
    if (st != LRP_OK) return st;
    int64_t t = ws->tokens;
    if (l == layers - 1) {
      compact(ws, ws->x, ws->config.hidden_size);
      compact(ws, ws->h, ws->shape.heads * ws->shape.head_dim);
      t = ws->row_count;
    }
    st = finish_layer(&model->layers[l], ws, t);
    if (st != LRP_OK) return st;
  }
  return LRP_OK;
}

/* The head as a linear map whose weights are converted once, for any number of calls of head(). */
static lrp_status prepare_head(const lrp_llama *model, lrp_llama_workspace *ws, lrp_linear *out) {
  *out = (lrp_linear){.n_in = ws->config.hidden_size, .n_out = ws->config.vocab_size};
  const lrp_matrix w = lrp_matrix_slice(model->lm_head, out->n_out, out->n_in);
  return lrp_matmul_prepare(&w, ws->linear.operands, &ws->head_memory, &out->w);
}

/* logits = lm_head(norm(x)) for t rows of x */
static lrp_status head(const lrp_llama *model, lrp_llama_workspace *ws, const lrp_linear *lm_head,
                       const float *x, int64_t t, float *logits) {
  norm(ws, &model->norm, x, t, ws->h);
  return apply(ws, lm_head, ws->h, t, logits, false);
}

/* Log-probability of the token that follows one scored row. */
typedef struct {
  int32_t token;
  bool greedy;
  double loglikelihood;
} row_result;

static void list_targets(const lrp_sequence *sequences, int64_t count, row_result *results) {
  for (int64_t s = 0; s < count; s++) {
    const lrp_sequence *q = &sequences[s];
    for (int64_t i = q->n_tokens - q->n_score; i < q->n_tokens; i++)
      (results++)->token = q->tokens[i];
  }
}

static lrp_status score_rows(const lrp_llama *model, lrp_llama_workspace *ws, row_result *results) {
  const int64_t vocab = ws->config.vocab_size;
  const int64_t fit = logits_bytes / (vocab * (int64_t)sizeof(float)) + 1;
  const int64_t most = fit < logits_rows ? fit : logits_rows;
  const int64_t panel = ws->row_count < most ? ws->row_count : most;
  lrp_linear lm_head;
  lrp_status st = lrp_buffer_floats(&ws->logits_memory, panel, vocab, "logits");
  if (st == LRP_OK) st = prepare_head(model, ws, &lm_head);
  if (st != LRP_OK) return st;
  float *logits = ws->logits_memory.data;
  for (int64_t from = 0; from < ws->row_count; from += panel) {
    const int64_t t = ws->row_count - from < panel ? ws->row_count - from : panel;
    st = head(model, ws, &lm_head, ws->x + from * ws->config.hidden_size, t, logits);
    if (st != LRP_OK) return st;
#pragma omp parallel for
    for (int64_t i = 0; i < t; i++) {
      row_result *r = &results[from + i];
      assert(r->token >= 0 && r->token < vocab);
      r->loglikelihood = lrp_log_softmax(logits + i * vocab, vocab, r->token, &r->greedy);
    }
  }
  return LRP_OK;
}

/* Sums in the order of the tokens. */
static void collect(lrp_sequence *sequences, int64_t count, const row_result *results) {
  for (int64_t s = 0; s < count; s++) {
    lrp_sequence *q = &sequences[s];
    q->loglikelihood = 0.0;
    q->greedy = true;
    for (int64_t i = 0; i < q->n_score; i++, results++) {
      q->loglikelihood += results->loglikelihood;
      q->greedy = q->greedy && results->greedy;
    }
  }
}

lrp_status lrp_llama_score(const lrp_llama *model, lrp_llama_workspace *ws, lrp_sequence *sequences,
                           int64_t count) {
  for (int64_t s = 0; s < count; s++) {
    if (sequences[s].n_score >= 1 && sequences[s].n_score < sequences[s].n_tokens) continue;
    return lrp_fail(LRP_ERR_BUG, "a sequence of %lld tokens cannot score %lld of them",
                    (long long)sequences[s].n_tokens, (long long)sequences[s].n_score);
  }
  if (count <= 0) return LRP_OK;
  lrp_status st = lrp_llama_workspace_begin(ws, sequences, count);
  if (st != LRP_OK) return st;
  st = lrp_buffer_reserve(&ws->result_memory, ws->row_count, 1, sizeof(row_result), "scores");
  if (st != LRP_OK) return st;
  row_result *results = ws->result_memory.data;
  list_targets(sequences, count, results);
  st = forward(model, ws, sequences);
  if (st == LRP_OK) st = score_rows(model, ws, results);
  if (st == LRP_OK) collect(sequences, count, results);
  return st;
}

lrp_status lrp_llama_logits(const lrp_llama *model, lrp_llama_workspace *ws, const int32_t *tokens,
                            int64_t n, float *logits) {
  /* One more token than the model reads, as in a sequence to score; it is never looked at. */
  const lrp_sequence all = {.tokens = tokens, .n_tokens = n + 1, .n_score = n};
  lrp_linear lm_head;
  if (n <= 0) return LRP_OK;
  lrp_status st = lrp_llama_workspace_begin(ws, &all, 1);
  if (st == LRP_OK) st = forward(model, ws, &all);
  if (st == LRP_OK) st = prepare_head(model, ws, &lm_head);
  if (st == LRP_OK) st = head(model, ws, &lm_head, ws->x, n, logits);
  return st;
}
