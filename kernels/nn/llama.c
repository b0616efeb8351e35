#include "kernels/nn/llama.h"

#include <string.h>

#include "kernels/nn/llama_workspace.h"
#include "kernels/nn/ops.h"

enum {
  logits_bytes = 64 << 20,    /* of one panel of the head */
  logits_rows = 1024,         /* most rows of a panel, for small vocabularies */
  parallel_elements = 1 << 14 /* below, threads cost more than they save */
};

lrp_status lrp_llama_plan(lrp_llama_workspace *ws, const lrp_branch *branches, int64_t n_branches) {
  return lrp_kv_plan(ws->kv, branches, n_branches);
}

lrp_status lrp_llama_embed(const lrp_llama *model, const lrp_batch *batch, float *x) {
  const int64_t n = model->config.hidden_size;
  const lrp_matrix *table = &model->embed_tokens;
  for (int64_t i = 0; i < batch->n_tokens; i++) {
    if (batch->tokens[i] >= 0 && batch->tokens[i] < model->config.vocab_size) continue;
    return lrp_fail(LRP_ERR_BUG, "token %d of a vocabulary of %lld", batch->tokens[i],
                    (long long)model->config.vocab_size);
  }
#pragma omp parallel for if (batch->n_tokens * n > parallel_elements)
  for (int64_t i = 0; i < batch->n_tokens; i++) {
    const void *row = lrp_matrix_row(table, batch->tokens[i]);
    lrp_to_f32(x + i * n, row, table->dtype, (size_t)n);
  }
  return LRP_OK;
}

/* ---- the head ---- */

/* The head as a linear map whose weights are converted once, for any number of panels. */
static lrp_status prepare_head(const lrp_llama *model, lrp_llama_workspace *ws, lrp_linear *out) {
  *out = (lrp_linear){.n_in = ws->config.hidden_size, .n_out = ws->config.vocab_size};
  out->w = lrp_matrix_slice(model->lm_head, out->n_out, out->n_in);
  out->packed = model->packed_head;
  if (out->packed.data) return LRP_OK;
  const lrp_matrix w = out->w;
  return lrp_matmul_prepare(&w, ws->operands, &ws->head, &out->w);
}

/* logits = lm_head(norm(x)) for t rows of x; there is room for h */
static lrp_status head(const lrp_llama *model, lrp_llama_workspace *ws, const lrp_linear *lm_head,
                       const float *x, int64_t t, float *logits) {
  lrp_llama_norm(ws, &model->norm, x, t);
  return lrp_linear_apply(lm_head, ws->h.data, ws->operands, t, lm_head->n_in, logits,
                          lm_head->n_out, false, &ws->linear);
}

/* What to do with the logits of rows from .. from + t - 1. */
typedef lrp_status (*row_reader)(const float *logits, int64_t from, int64_t t, int64_t vocab,
                                 void *context);

/* The logits of all rows, some at a time: those of all rows may not fit. */
static lrp_status read_logits(const lrp_llama *model, lrp_llama_workspace *ws, const float *x,
                              int64_t n_rows, row_reader read, void *context) {
  const int64_t vocab = ws->config.vocab_size;
  const int64_t fit = logits_bytes / (vocab * (int64_t)sizeof(float)) + 1;
  const int64_t most = fit < logits_rows ? fit : logits_rows;
  const int64_t panel = n_rows < most ? n_rows : most;
  lrp_linear lm_head;
  lrp_status st = lrp_buffer_floats(&ws->logits, panel, vocab, "logits");
  if (st == LRP_OK) st = lrp_llama_workspace_rows(ws, panel);
  if (st == LRP_OK) st = prepare_head(model, ws, &lm_head);
  for (int64_t from = 0; from < n_rows && st == LRP_OK; from += panel) {
    const int64_t t = n_rows - from < panel ? n_rows - from : panel;
    st = head(model, ws, &lm_head, x + from * ws->config.hidden_size, t, ws->logits.data);
    if (st == LRP_OK) st = read(ws->logits.data, from, t, vocab, context);
  }
  return st;
}

/* Targets in the order of their rows: those of row r are order[first[r]] .. order[first[r + 1] - 1]
 */
typedef struct {
  lrp_target *targets;
  const int64_t *order, *first;
} row_targets;

static lrp_status check_targets(const lrp_target *targets, int64_t n_targets, int64_t n_rows,
                                int64_t vocab) {
  for (int64_t i = 0; i < n_targets; i++) {
    const lrp_target *t = &targets[i];
    if (t->row >= 0 && t->row < n_rows && t->token >= 0 && t->token < vocab) continue;
    return lrp_fail(LRP_ERR_BUG, "target %lld: row %lld of %lld, token %d of %lld", (long long)i,
                    (long long)t->row, (long long)n_rows, t->token, (long long)vocab);
  }
  return LRP_OK;
}

/* By counting: first[r] is the number of targets of the rows up to r, then goes back by one for
 * each target that is placed. */
static lrp_status sort_targets(lrp_llama_workspace *ws, int64_t n_rows, lrp_target *targets,
                               int64_t n_targets, row_targets *out) {
  static const char what[] = "targets";
  lrp_status st = check_targets(targets, n_targets, n_rows, ws->config.vocab_size);
  if (st == LRP_OK) st = lrp_buffer_reserve(&ws->order, n_targets, 1, sizeof(int64_t), what);
  if (st == LRP_OK) st = lrp_buffer_reserve(&ws->first, n_rows + 1, 1, sizeof(int64_t), what);
  if (st != LRP_OK) return st;
  int64_t *order = ws->order.data;
  int64_t *first = ws->first.data;
  memset(first, 0, (size_t)(n_rows + 1) * sizeof *first);
  for (int64_t i = 0; i < n_targets; i++) first[targets[i].row]++;
  for (int64_t r = 1; r <= n_rows; r++) first[r] += first[r - 1];
  for (int64_t i = n_targets - 1; i >= 0; i--) order[--first[targets[i].row]] = i;
  *out = (row_targets){.targets = targets, .order = order, .first = first};
  return LRP_OK;
}

static lrp_status read_probabilities(const float *logits, int64_t from, int64_t t, int64_t vocab,
                                     void *context) {
  const row_targets *by_row = context;
#pragma omp parallel for schedule(dynamic) if (t * vocab > parallel_elements)
  for (int64_t i = 0; i < t; i++) {
    const float *row = logits + i * vocab;
    const int64_t end = by_row->first[from + i + 1];
    int64_t at = by_row->first[from + i];
    if (at == end) continue;
    const lrp_softmax of = lrp_softmax_of(row, vocab);
    for (; at < end; at++) {
      lrp_target *target = &by_row->targets[by_row->order[at]];
      bool greedy;
      target->logprob = lrp_log_probability(row, &of, target->token, &greedy);
      target->greedy = greedy;
    }
  }
  return LRP_OK;
}

lrp_status lrp_llama_logprobs(const lrp_llama *model, lrp_llama_workspace *ws, const float *x,
                              int64_t n_rows, lrp_target *targets, int64_t n_targets) {
  row_targets by_row;
  if (n_targets <= 0) return LRP_OK;
  const lrp_status st = sort_targets(ws, n_rows, targets, n_targets, &by_row);
  if (st != LRP_OK) return st;
  return read_logits(model, ws, x, n_rows, read_probabilities, &by_row);
}

static lrp_status read_largest(const float *logits, int64_t from, int64_t t, int64_t vocab,
                               void *context) {
  int32_t *tokens = (int32_t *)context + from;
#pragma omp parallel for if (t * vocab > parallel_elements)
  for (int64_t i = 0; i < t; i++) tokens[i] = (int32_t)lrp_argmax(logits + i * vocab, vocab);
  return LRP_OK;
}

lrp_status lrp_llama_argmax(const lrp_llama *model, lrp_llama_workspace *ws, const float *x,
                            int64_t n_rows, int32_t *tokens) {
  if (n_rows <= 0) return LRP_OK;
  const lrp_status st = read_logits(model, ws, x, n_rows, read_largest, tokens);
  for (int64_t i = 0; i < n_rows && st == LRP_OK; i++) {
    if (tokens[i] >= 0) continue;
    return lrp_fail(LRP_ERR_DATA, "a logit is not finite: the model overflows in %s",
                    lrp_dtype_name(ws->operands));
  }
  return st;
}

/* ---- whole models ---- */

/* x = hidden states of the wanted rows, from their embeddings through all layers. */
static lrp_status forward(const lrp_llama *model, lrp_llama_workspace *ws, const lrp_batch *batch,
                          float *x) {
  const int layers = model->config.num_hidden_layers;
  lrp_status st = lrp_llama_embed(model, batch, x);
  for (int l = 0; l < layers && st == LRP_OK; l++) {
    st = lrp_llama_layer_apply(&model->layers[l], ws, NULL, 0, batch, l == layers - 1, x);
  }
  return st;
}

static lrp_status score_forest(const lrp_llama *model, lrp_llama_workspace *ws, lrp_forest *f) {
  const lrp_batch *batch = &f->batch;
  lrp_status st = lrp_buffer_floats(&ws->x, batch->n_tokens, ws->config.hidden_size,
                                    "hidden states; use a smaller batch");
  if (st == LRP_OK) st = lrp_llama_plan(ws, f->branches, f->n_branches);
  if (st == LRP_OK) st = forward(model, ws, batch, ws->x.data);
  if (st != LRP_OK) return st;
  return lrp_llama_logprobs(model, ws, ws->x.data, batch->n_rows, f->targets, f->n_targets);
}

lrp_status lrp_llama_score(const lrp_llama *model, lrp_llama_workspace *ws, lrp_sequence *sequences,
                           int64_t count) {
  lrp_forest forest;
  if (count <= 0) return LRP_OK;
  lrp_status st = lrp_forest_build(sequences, count, true, &forest);
  if (st == LRP_OK) st = score_forest(model, ws, &forest);
  if (st == LRP_OK) lrp_forest_collect(&forest, sequences, count);
  lrp_forest_free(&forest);
  return st;
}

/* Logits of rows from .. from + t - 1 to where they belong. */
static lrp_status copy_logits(const float *logits, int64_t from, int64_t t, int64_t vocab,
                              void *context) {
  memcpy((float *)context + from * vocab, logits, (size_t)(t * vocab) * sizeof *logits);
  return LRP_OK;
}

lrp_status lrp_llama_logits(const lrp_llama *model, lrp_llama_workspace *ws, const int32_t *tokens,
                            int64_t n, float *logits) {
  const lrp_branch branch = {.parent = -1, .length = n};
  const lrp_run run = {.count = n};
  if (n <= 0) return LRP_OK;
  lrp_status st = lrp_buffer_reserve(&ws->rows, n, 1, sizeof(int64_t), "rows");
  if (st == LRP_OK) st = lrp_buffer_floats(&ws->x, n, ws->config.hidden_size, "hidden states");
  if (st == LRP_OK) st = lrp_llama_plan(ws, &branch, 1);
  if (st != LRP_OK) return st;
  int64_t *rows = ws->rows.data;
  for (int64_t i = 0; i < n; i++) rows[i] = i;
  const lrp_batch batch = {
      .tokens = tokens, .n_tokens = n, .runs = &run, .n_runs = 1, .rows = rows, .n_rows = n};
  st = forward(model, ws, &batch, ws->x.data);
  if (st == LRP_OK) st = read_logits(model, ws, ws->x.data, n, copy_logits, logits);
  return st;
}
