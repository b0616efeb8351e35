#include "kernels/nn/bert_workspace.h"

#include <assert.h>
#include <stdlib.h>

static const char what[] = "activations; use a smaller batch or fewer process ranks per host";

lrp_status lrp_bert_workspace_create(const lrp_bert_config *config, lrp_dtype operands,
                                     lrp_bert_workspace **ws) {
  assert(operands == LRP_F32 || operands == LRP_BF16);
  *ws = calloc(1, sizeof **ws);
  if (!*ws) return lrp_fail_memory(sizeof **ws, "a workspace");
  (*ws)->config = *config;
  (*ws)->linear.operands = operands;
  (*ws)->shape =
      (lrp_attention_shape){.heads = config->num_attention_heads,
                            .kv_heads = config->num_attention_heads,
                            .head_dim = config->hidden_size / config->num_attention_heads};
  return LRP_OK;
}

void lrp_bert_workspace_destroy(lrp_bert_workspace **ws) {
  lrp_bert_workspace *w = *ws;
  if (!w) return;
  lrp_attention_scratch_free(&w->attention);
  lrp_linear_scratch_free(&w->linear);
  lrp_buffer_free(&w->logits_memory);
  lrp_buffer_free(&w->head_memory);
  lrp_buffer_free(&w->norm_memory);
  lrp_buffer_free(&w->wide_memory);
  lrp_buffer_free(&w->h_memory);
  lrp_buffer_free(&w->x_memory);
  lrp_buffer_free(&w->row_memory);
  lrp_buffer_free(&w->span_memory);
  lrp_buffer_free(&w->input_memory);
  free(w);
  *ws = NULL;
}

static int64_t largest(int64_t a, int64_t b) {
  return a > b ? a : b;
}

static lrp_status reserve_rows(lrp_bert_workspace *ws) {
  const lrp_bert_config *c = &ws->config;
  const int64_t t = ws->tokens, n = c->hidden_size;
  lrp_status st = lrp_buffer_floats(&ws->x_memory, t, n, what);
  if (st == LRP_OK) st = lrp_buffer_floats(&ws->h_memory, t, n, what);
  if (st == LRP_OK) {
    st = lrp_buffer_floats(&ws->wide_memory, t, largest(3 * n, c->intermediate_size), what);
  }
  if (st == LRP_OK)
    st = lrp_buffer_floats(&ws->norm_memory, 2, largest(n, c->intermediate_size), what);
  if (st != LRP_OK) return st;
  ws->x = ws->x_memory.data;
  ws->h = ws->h_memory.data;
  ws->q = ws->wide_memory.data;
  ws->k = ws->q + t * n;
  ws->v = ws->k + t * n;
  ws->wide = ws->wide_memory.data;
  ws->weight = ws->norm_memory.data;
  ws->bias = ws->weight + largest(n, c->intermediate_size);
  return LRP_OK;
}

lrp_status lrp_bert_workspace_begin(lrp_bert_workspace *ws, const lrp_bert_input *inputs,
                                    int64_t count) {
  lrp_status st = lrp_buffer_reserve(&ws->span_memory, count, 1, sizeof(lrp_span), what);
  if (st == LRP_OK) st = lrp_buffer_reserve(&ws->row_memory, count, 1, sizeof(int64_t), what);
  if (st != LRP_OK) return st;
  ws->spans = ws->span_memory.data;
  ws->rows = ws->row_memory.data;
  ws->span_count = count;
  ws->row_count = 0;
  ws->tokens = 0;
  for (int64_t s = 0; s < count; s++) {
    const int64_t length = inputs[s].n_tokens;
    if (length < 1 || length > ws->config.max_position_embeddings) {
      return lrp_fail(LRP_ERR_BUG, "an input of %lld tokens for a model of %lld positions",
                      (long long)length, (long long)ws->config.max_position_embeddings);
    }
    ws->spans[s] = (lrp_span){.first = ws->tokens, .length = length};
    ws->tokens += length;
  }
  return reserve_rows(ws);
}
