#include <assert.h>
#include <string.h>

#include "kernels/nn/llama_workspace.h"
#include "kernels/nn/ops.h"
#include "kernels/nn/rope.h"

/* A layer at work: what all of its panels have in common. */
typedef struct {
  const lrp_llama_layer *layer;
  lrp_llama_workspace *ws;
  lrp_kv *kv;
  int kv_layer;
  const lrp_batch *batch;
  float *x;
} pass;

/* The linear map of t dense rows of x, of type operands. */
static lrp_status apply(const pass *p, int which, const void *x, int64_t t, float *y,
                        bool accumulate) {
  const lrp_linear *l = &p->layer->linear[which];
  return lrp_linear_apply(l, x, p->ws->operands, t, l->n_in, y, l->n_out, accumulate,
                          &p->ws->linear);
}

/* Index of the run that has a row of the batch. */
static int64_t run_of(const lrp_batch *batch, int64_t row) {
  int64_t low = 0, high = batch->n_runs - 1;
  while (low < high) {
    const int64_t middle = low + (high - low + 1) / 2;
    if (batch->runs[middle].first <= row) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

/* The runs of rows from .. from + t - 1, which are the rows 0 .. t - 1 of a panel, and the rows'
 * positions; returns the number of runs. */
static int64_t cut_runs(const pass *p, int64_t from, int64_t t, lrp_run *runs, int64_t *positions) {
  const lrp_run *run = p->batch->runs + run_of(p->batch, from);
  int64_t n = 0;
  for (int64_t row = 0; row < t; run++, n++) {
    const int64_t skipped = from + row - run->first;
    const int64_t left = run->count - skipped;
    const int64_t count = left < t - row ? left : t - row;
    runs[n] =
        (lrp_run){.branch = run->branch, .at = run->at + skipped, .count = count, .first = row};
    for (int64_t i = 0; i < count; i++) positions[row + i] = run->at + skipped + i;
    row += count;
  }
  return n;
}

/* mixed = attention(norm(x)) for rows from .. from + t - 1, before o_proj */
static lrp_status attend(const pass *p, int64_t from, int64_t t, void *mixed) {
  lrp_llama_workspace *ws = p->ws;
  const lrp_llama_config *c = &ws->config;
  const lrp_linear *l = p->layer->linear;
  float *q = ws->wide.data;
  float *k = q + t * l[LRP_Q_PROJ].n_out;
  float *v = k + t * l[LRP_K_PROJ].n_out;
  assert(l[LRP_Q_PROJ].n_out == (int64_t)c->num_attention_heads * c->head_dim);
  assert(l[LRP_K_PROJ].n_out == (int64_t)c->num_key_value_heads * c->head_dim);
  lrp_llama_norm(ws, &p->layer->input_norm, p->x + from * c->hidden_size, t);
  lrp_status st = apply(p, LRP_Q_PROJ, ws->h.data, t, q, false);
  if (st == LRP_OK) st = apply(p, LRP_K_PROJ, ws->h.data, t, k, false);
  if (st == LRP_OK) st = apply(p, LRP_V_PROJ, ws->h.data, t, v, false);
  if (st != LRP_OK) return st;
  int64_t *positions = ws->positions.data;
  const int64_t n_runs = cut_runs(p, from, t, ws->runs.data, positions);
  lrp_rope(q, t, c->num_attention_heads, c->head_dim, positions, ws->rope.data);
  lrp_rope(k, t, c->num_key_value_heads, c->head_dim, positions, ws->rope.data);
  return lrp_kv_attention(p->kv, p->kv_layer, ws->runs.data, n_runs, q, k, v, mixed);
}

/* x += o_proj(mixed), then x += down(silu(gate) * up) of norm(x), for t rows */
static lrp_status finish(const pass *p, const void *mixed, int64_t t, float *x) {
  lrp_llama_workspace *ws = p->ws;
  const int64_t inner = ws->config.intermediate_size;
  float *gate = ws->wide.data;
  float *up = gate + t * inner;
  lrp_status st = apply(p, LRP_O_PROJ, mixed, t, x, true);
  if (st != LRP_OK) return st;
  lrp_llama_norm(ws, &p->layer->post_attn_norm, x, t);
  st = apply(p, LRP_GATE_PROJ, ws->h.data, t, gate, false);
  if (st == LRP_OK) st = apply(p, LRP_UP_PROJ, ws->h.data, t, up, false);
  if (st != LRP_OK) return st;
  lrp_swiglu(gate, up, t, inner, ws->operands, ws->gated.data);
  return apply(p, LRP_DOWN_PROJ, ws->gated.data, t, x, true);
}

/* Rows of the last layer that have been attended and are wanted: the ones after `done` rows of x,
 * which are finished. */
typedef struct {
  int64_t listed; /* of batch->rows: those that were moved */
  int64_t done, waiting;
} queue;

static unsigned char *row_of(void *a, int64_t i, size_t bytes) {
  return (unsigned char *)a + (size_t)i * bytes;
}

/* Of rows from .. from + t - 1, the wanted ones join the queue. They move to lower places only. */
static void join(const pass *p, int64_t from, int64_t t, size_t mixed_row, queue *q) {
  const lrp_batch *b = p->batch;
  const size_t x_row = (size_t)p->ws->config.hidden_size * sizeof *p->x;
  void *mixed = p->ws->mixed.data;
  const int64_t base = q->waiting; /* row of mixed that the panel starts with */
  for (; q->listed < b->n_rows && b->rows[q->listed] < from + t; q->listed++, q->waiting++) {
    const int64_t row = b->rows[q->listed];
    memmove(row_of(p->x, q->done + q->waiting, x_row), row_of(p->x, row, x_row), x_row);
    memmove(row_of(mixed, q->waiting, mixed_row), row_of(mixed, base + row - from, mixed_row),
            mixed_row);
  }
}

/* Finish all that wait, at most `panel` rows at a time. */
static lrp_status drain(const pass *p, int64_t panel, size_t mixed_row, queue *q) {
  const int64_t hidden = p->ws->config.hidden_size;
  lrp_status st = LRP_OK;
  for (int64_t i = 0; i < q->waiting && st == LRP_OK; i += panel) {
    const int64_t t = q->waiting - i < panel ? q->waiting - i : panel;
    st = finish(p, row_of(p->ws->mixed.data, i, mixed_row), t, p->x + (q->done + i) * hidden);
  }
  q->done += q->waiting;
  q->waiting = 0;
  return st;
}

static lrp_status apply_panels(const pass *p, int64_t panel, bool last) {
  const int64_t n = p->batch->n_tokens;
  const size_t mixed_row =
      (size_t)p->layer->linear[LRP_O_PROJ].n_in * lrp_dtype_size(p->ws->operands);
  queue q = {0};
  lrp_status st = LRP_OK;
  for (int64_t from = 0; from < n && st == LRP_OK; from += panel) {
    const int64_t t = n - from < panel ? n - from : panel;
    st = attend(p, from, t, row_of(p->ws->mixed.data, q.waiting, mixed_row));
    if (st != LRP_OK) return st;
    if (last) {
      join(p, from, t, mixed_row, &q);
    } else {
      q.waiting += t;
    }
    if (q.waiting >= panel || from + t == n) st = drain(p, panel, mixed_row, &q);
  }
  return st;
}

lrp_status lrp_llama_layer_apply(const lrp_llama_layer *layer, lrp_llama_workspace *ws, lrp_kv *kv,
                                 int kv_layer, const lrp_batch *batch, bool last, float *x) {
  const pass p = {.layer = layer,
                  .ws = ws,
                  .kv = kv ? kv : ws->kv,
                  .kv_layer = kv ? kv_layer : 0,
                  .batch = batch,
                  .x = x};
  int64_t panel;
  if (batch->n_tokens <= 0) return LRP_OK;
  const lrp_status st = lrp_llama_workspace_begin(ws, batch, &panel);
  if (st != LRP_OK) return st;
  return apply_panels(&p, panel, last);
}
