#include "kernels/nn/llama_workspace.h"

#include <assert.h>
#include <omp.h>
#include <stdlib.h>

#include "kernels/nn/ops.h"
#include "kernels/nn/rope.h"

enum {
  panel_least = 512, /* products of fewer rows are slower, those of more are not faster */
  panel_most = 4096,
  thread_rows = 128, /* so that many threads have enough to do */
  step = 16          /* panels have a multiple of so many rows: fewer shapes to generate code for */
};

static const char what[] = "activations; use fewer process ranks per host";

lrp_causal_shape lrp_llama_causal_shape(const lrp_llama_config *config) {
  return (lrp_causal_shape){.heads = config->num_attention_heads,
                            .kv_heads = config->num_key_value_heads,
                            .head_dim = config->head_dim,
                            .window = config->sliding_window};
}

lrp_status lrp_llama_kv_create(const lrp_llama_config *config, lrp_dtype operands, int layers,
                               lrp_kv **kv) {
  const lrp_causal_shape shape = lrp_llama_causal_shape(config);
  return lrp_kv_create(&shape, operands, layers, kv);
}

lrp_status lrp_llama_workspace_create(const lrp_llama_config *config, lrp_dtype operands,
                                      lrp_llama_workspace **out) {
  assert(operands == LRP_F32 || operands == LRP_BF16);
  lrp_llama_workspace *ws = calloc(1, sizeof *ws);
  *out = ws;
  if (!ws) return lrp_fail_memory(sizeof *ws, "a workspace");
  ws->config = *config;
  ws->operands = operands;
  ws->linear.operands = operands;
  const lrp_status st = lrp_llama_kv_create(config, operands, 1, &ws->kv);
  if (st != LRP_OK) lrp_llama_workspace_destroy(out);
  return st;
}

void lrp_llama_workspace_destroy(lrp_llama_workspace **out) {
  lrp_llama_workspace *ws = *out;
  if (!ws) return;
  lrp_linear_scratch_free(&ws->linear);
  lrp_buffer *const buffers[] = {&ws->first, &ws->order,     &ws->rows,  &ws->logits, &ws->head,
                                 &ws->x,     &ws->gated,     &ws->mixed, &ws->wide,   &ws->h,
                                 &ws->norm,  &ws->positions, &ws->runs,  &ws->rope};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) lrp_buffer_free(buffers[i]);
  lrp_kv_destroy(&ws->kv);
  free(ws);
  *out = NULL;
}

static int64_t largest(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* Rotary table for all positions of the batch: twice what is asked, so that sequences that become
 * longer one by one do not compute it each time. */
static lrp_status grow_rope(lrp_llama_workspace *ws, const lrp_batch *batch) {
  int64_t longest = 0;
  for (int64_t i = 0; i < batch->n_runs; i++) {
    longest = largest(longest, batch->runs[i].at + batch->runs[i].count);
  }
  if (longest <= ws->rope_positions) return LRP_OK;
  const int64_t positions = largest(2 * longest, 256);
  ws->rope_positions = 0;
  const lrp_status st =
      lrp_buffer_floats(&ws->rope, positions, ws->config.head_dim, "rotary tables");
  if (st != LRP_OK) return st;
  lrp_rope_table(positions, ws->config.head_dim, ws->config.rope_theta, &ws->config.rope_scaling,
                 ws->rope.data);
  ws->rope_positions = positions;
  return LRP_OK;
}

/* Rows of each of the least number of panels. */
static int64_t panel_rows(int64_t n_tokens) {
  const int64_t wanted = largest(panel_least, (int64_t)omp_get_max_threads() * thread_rows);
  const int64_t most = wanted < panel_most ? wanted : panel_most;
  const int64_t panels = (n_tokens + most - 1) / most;
  if (panels <= 1) return n_tokens;
  const int64_t rows = (n_tokens + panels - 1) / panels;
  return (rows + step - 1) / step * step;
}

lrp_status lrp_llama_workspace_rows(lrp_llama_workspace *ws, int64_t t) {
  const int64_t n = ws->config.hidden_size;
  lrp_status st = lrp_buffer_floats(&ws->norm, 1, n, what);
  if (st == LRP_OK) st = lrp_buffer_reserve(&ws->h, t, n, lrp_dtype_size(ws->operands), what);
  return st;
}

lrp_status lrp_llama_workspace_begin(lrp_llama_workspace *ws, const lrp_batch *batch,
                                     int64_t *panel) {
  const lrp_llama_config *c = &ws->config;
  const int64_t t = panel_rows(batch->n_tokens);
  const int64_t q = (int64_t)c->num_attention_heads * c->head_dim;
  const int64_t kv = (int64_t)c->num_key_value_heads * c->head_dim;
  const int64_t wide = largest(q + 2 * kv, 2 * c->intermediate_size);
  const size_t size = lrp_dtype_size(ws->operands);
  *panel = t;
  lrp_status st = grow_rope(ws, batch);
  if (st == LRP_OK) st = lrp_llama_workspace_rows(ws, t);
  if (st == LRP_OK) st = lrp_buffer_reserve(&ws->runs, batch->n_runs, 1, sizeof(lrp_run), what);
  if (st == LRP_OK) st = lrp_buffer_reserve(&ws->positions, t, 1, sizeof(int64_t), what);
  if (st == LRP_OK) st = lrp_buffer_floats(&ws->wide, t, wide, what);
  if (st == LRP_OK) st = lrp_buffer_reserve(&ws->mixed, 2 * t, q, size, what);
  if (st == LRP_OK) st = lrp_buffer_reserve(&ws->gated, t, c->intermediate_size, size, what);
  return st;
}

void lrp_llama_norm(lrp_llama_workspace *ws, const lrp_matrix *weight, const float *x, int64_t t) {
  const int64_t n = ws->config.hidden_size;
  float *w = ws->norm.data;
  lrp_to_f32(w, weight->data, weight->dtype, (size_t)n);
  lrp_rms_norm(x, t, n, w, ws->config.rms_norm_eps, ws->operands, ws->h.data);
}
