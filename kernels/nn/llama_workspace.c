#include "kernels/nn/llama_workspace.h"

#include <assert.h>
#include <stdlib.h>

#include "kernels/nn/rope.h"

static const char what[] = "activations; use a smaller batch or fewer process ranks per host";

lrp_status lrp_llama_workspace_create(const lrp_llama_config *config, lrp_dtype operands,
                                      lrp_llama_workspace **ws) {
  assert(operands == LRP_F32 || operands == LRP_BF16);
  *ws = calloc(1, sizeof **ws);
  if (!*ws) return lrp_fail_memory(sizeof **ws, "a workspace");
  (*ws)->config = *config;
  (*ws)->linear.operands = operands;
  (*ws)->shape = (lrp_attention_shape){.heads = config->num_attention_heads,
                                       .kv_heads = config->num_key_value_heads,
                                       .head_dim = config->head_dim,
                                       .window = config->sliding_window};
  return LRP_OK;
}

void lrp_llama_workspace_destroy(lrp_llama_workspace **ws) {
  lrp_llama_workspace *w = *ws;
  if (!w) return;
  lrp_attention_scratch_free(&w->attention);
  lrp_linear_scratch_free(&w->linear);
  lrp_buffer_free(&w->result_memory);
  lrp_buffer_free(&w->logits_memory);
  lrp_buffer_free(&w->head_memory);
  lrp_buffer_free(&w->norm_memory);
  lrp_buffer_free(&w->rope_memory);
  lrp_buffer_free(&w->wide_memory);
  lrp_buffer_free(&w->h_memory);
  lrp_buffer_free(&w->x_memory);
  lrp_buffer_free(&w->row_memory);
  lrp_buffer_free(&w->position_memory);
  lrp_buffer_free(&w->span_memory);
  free(w);
  *ws = NULL;
}

static int64_t largest(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* Rotary table of at least `longest` positions: twice what is asked, so that sequences that become
 * longer one by one do not compute it each time. */
static lrp_status grow_rope(lrp_llama_workspace *ws, int64_t longest) {
  if (longest <= ws->rope_positions) return LRP_OK;
  const int64_t positions = largest(2 * longest, 256);
  ws->rope_positions = 0;
  const lrp_status st =
      lrp_buffer_floats(&ws->rope_memory, positions, ws->config.head_dim, "rotary tables");
  if (st != LRP_OK) return st;
  lrp_rope_table(positions, ws->config.head_dim, ws->config.rope_theta, &ws->config.rope_scaling,
                 ws->rope_memory.data);
  ws->rope = ws->rope_memory.data;
  ws->rope_positions = positions;
  return LRP_OK;
}

static lrp_status reserve_rows(lrp_llama_workspace *ws) {
  const lrp_llama_config *c = &ws->config;
  const int64_t t = ws->tokens;
  const int64_t q = ws->shape.heads * ws->shape.head_dim;
  const int64_t kv = ws->shape.kv_heads * ws->shape.head_dim;
  const int64_t wide = largest(q + 2 * kv, 2 * c->intermediate_size);
  lrp_status st = lrp_buffer_reserve(&ws->position_memory, t, 1, sizeof(int64_t), what);
  if (st == LRP_OK) st = lrp_buffer_reserve(&ws->row_memory, t, 1, sizeof(int64_t), what);
  if (st == LRP_OK) st = lrp_buffer_floats(&ws->x_memory, t, c->hidden_size, what);
  if (st == LRP_OK) st = lrp_buffer_floats(&ws->h_memory, t, largest(c->hidden_size, q), what);
  if (st == LRP_OK) st = lrp_buffer_floats(&ws->wide_memory, t, wide, what);
  if (st == LRP_OK) st = lrp_buffer_floats(&ws->norm_memory, 1, c->hidden_size, what);
  if (st != LRP_OK) return st;
  ws->positions = ws->position_memory.data;
  ws->rows = ws->row_memory.data;
  ws->x = ws->x_memory.data;
  ws->h = ws->h_memory.data;
  ws->q = ws->wide_memory.data;
  ws->k = ws->q + t * q;
  ws->v = ws->k + t * kv;
  ws->gate = ws->wide_memory.data;
  ws->up = ws->gate + t * c->intermediate_size;
  return LRP_OK;
}

static void list_rows(lrp_llama_workspace *ws, const lrp_sequence *sequences) {
  ws->row_count = 0;
  for (int64_t s = 0; s < ws->span_count; s++) {
    const lrp_span span = ws->spans[s];
    for (int64_t p = 0; p < span.length; p++) {
      ws->positions[span.first + p] = p;
      if (p >= span.length - sequences[s].n_score) ws->rows[ws->row_count++] = span.first + p;
    }
  }
}

lrp_status lrp_llama_workspace_begin(lrp_llama_workspace *ws, const lrp_sequence *sequences,
                                     int64_t count) {
  int64_t longest = 0;
  lrp_status st = lrp_buffer_reserve(&ws->span_memory, count, 1, sizeof(lrp_span), what);
  if (st != LRP_OK) return st;
  ws->spans = ws->span_memory.data;
  ws->span_count = count;
  ws->tokens = 0;
  for (int64_t s = 0; s < count; s++) {
    const int64_t length = sequences[s].n_tokens - 1;
    ws->spans[s] = (lrp_span){.first = ws->tokens, .length = length};
    ws->tokens += length;
    longest = largest(longest, length);
  }
  st = grow_rope(ws, longest);
  if (st == LRP_OK) st = reserve_rows(ws);
  if (st == LRP_OK) list_rows(ws, sequences);
  return st;
}
