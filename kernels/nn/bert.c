#include "kernels/nn/bert.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "kernels/nn/bert_workspace.h"

enum {
  logits_bytes = 64 << 20, /* of one panel of the decoder */
  logits_rows = 1024       /* most rows of a panel, for small vocabularies */
};

/* ---- Encoder --------------------------------------------------------------------------------- */

/* y += a row of an embedding table */
static void add_row(const lrp_matrix *table, int64_t row, float *scratch, float *y) {
  assert(row >= 0 && row < table->rows);
  lrp_to_f32(scratch, lrp_matrix_row(table, row), table->dtype, (size_t)table->cols);
  for (int64_t j = 0; j < table->cols; j++) y[j] += scratch[j];
}

/* x = norm(x) for t rows. Weights lie as they are stored: converted for each use. */
static void norm(lrp_bert_workspace *ws, const lrp_bert_norm *norm, float *x, int64_t t) {
  const int64_t n = ws->config.hidden_size;
  lrp_to_f32(ws->weight, norm->weight.data, norm->weight.dtype, (size_t)n);
  lrp_to_f32(ws->bias, norm->bias.data, norm->bias.dtype, (size_t)n);
  lrp_layer_norm(x, t, n, ws->weight, ws->bias, ws->config.layer_norm_eps, x);
}

static void embed(const lrp_bert *model, lrp_bert_workspace *ws, const lrp_bert_input *inputs) {
  const int64_t n = ws->config.hidden_size;
#pragma omp parallel for schedule(dynamic)
  for (int64_t s = 0; s < ws->span_count; s++) {
    float *scratch = ws->h + ws->spans[s].first * n;
    for (int64_t i = 0; i < ws->spans[s].length; i++) {
      float *x = ws->x + (ws->spans[s].first + i) * n;
      memset(x, 0, (size_t)n * sizeof *x);
      add_row(&model->word_embeddings, inputs[s].tokens[i], scratch, x);
      add_row(&model->type_embeddings, inputs[s].types ? inputs[s].types[i] : 0, scratch, x);
      add_row(&model->position_embeddings, i, scratch, x);
    }
  }
  norm(ws, &model->embedding_norm, ws->x, ws->tokens);
}

/* y = the linear map of t dense rows of x, or += */
static lrp_status apply(lrp_bert_workspace *ws, const lrp_linear *linear, const float *x, int64_t t,
                        float *y, bool accumulate) {
  return lrp_linear_apply(linear, x, LRP_F32, t, linear->n_in, y, linear->n_out, accumulate,
                          &ws->linear);
}

/* y = activation(the linear map of t rows of x) */
static lrp_status apply_active(lrp_bert_workspace *ws, const lrp_linear *linear, const float *x,
                               int64_t t, float *y) {
  lrp_linear unbiased = *linear;
  unbiased.bias = (lrp_matrix){0}; /* added by the activation, in one pass */
  const lrp_status st = apply(ws, &unbiased, x, t, y, false);
  if (st != LRP_OK) return st;
  lrp_to_f32(ws->bias, linear->bias.data, linear->bias.dtype, (size_t)linear->n_out);
  lrp_activate(ws->config.hidden_act, y, t, linear->n_out, ws->bias);
  return LRP_OK;
}

/* Move the chosen rows to the front; they are listed in ascending order. */
static void compact(const lrp_bert_workspace *ws, float *x) {
  const int64_t n = ws->config.hidden_size;
  for (int64_t i = 0; i < ws->row_count; i++) {
    memmove(x + i * n, x + ws->rows[i] * n, (size_t)n * sizeof *x);
  }
}

/* h = attention(x), before its output map. If `chosen`, x and h go on with the chosen rows, one of
 * each input; the others are needed as keys and values only. */
static lrp_status attend(const lrp_bert_layer *layer, lrp_bert_workspace *ws, bool chosen) {
  const lrp_linear *l = layer->linear;
  const int64_t t = ws->tokens;
  lrp_attention_shape shape = ws->shape;
  lrp_status st = apply(ws, &l[LRP_BERT_KEY], ws->x, t, ws->k, false);
  if (st == LRP_OK) st = apply(ws, &l[LRP_BERT_VALUE], ws->x, t, ws->v, false);
  if (chosen) {
    compact(ws, ws->x);
    shape.queries = 1;
  }
  if (st == LRP_OK) {
    st = apply(ws, &l[LRP_BERT_QUERY], ws->x, chosen ? ws->row_count : t, ws->q, false);
  }
  if (st != LRP_OK) return st;
  return lrp_attention(&shape, ws->q, ws->k, ws->v, ws->spans, ws->span_count, ws->h,
                       &ws->attention);
}

/* x = norm(x + output(h)), then x = norm(x + output(activation(intermediate(x)))), for t rows */
static lrp_status finish_layer(const lrp_bert_layer *layer, lrp_bert_workspace *ws, int64_t t) {
  const lrp_linear *l = layer->linear;
  lrp_status st = apply(ws, &l[LRP_BERT_ATTENTION_OUTPUT], ws->h, t, ws->x, true);
  if (st != LRP_OK) return st;
  norm(ws, &layer->attention_norm, ws->x, t);
  st = apply_active(ws, &l[LRP_BERT_INTERMEDIATE], ws->x, t, ws->wide);
  if (st == LRP_OK) st = apply(ws, &l[LRP_BERT_OUTPUT], ws->wide, t, ws->x, true);
  if (st == LRP_OK) norm(ws, &layer->output_norm, ws->x, t);
  return st;
}

/* Hidden states in x: of all rows, or of the chosen ones if there are any. */
static lrp_status encode(const lrp_bert *model, lrp_bert_workspace *ws,
                         const lrp_bert_input *inputs) {
  const int layers = model->config.num_hidden_layers;
  lrp_status st = LRP_OK;
  assert(layers > 0 && (ws->row_count == 0 || ws->row_count == ws->span_count));
  embed(model, ws, inputs);
  for (int l = 0; l < layers && st == LRP_OK; l++) {
    const bool chosen = l == layers - 1 && ws->row_count > 0;
    st = attend(&model->layers[l], ws, chosen);
    if (st == LRP_OK) st = finish_layer(&model->layers[l], ws, chosen ? ws->row_count : ws->tokens);
  }
  return st;
}

/* ---- Heads ----------------------------------------------------------------------------------- */

/* out = classifier(tanh(pooler(x))) for t rows, each the first of its input */
static lrp_status classify(const lrp_bert *model, lrp_bert_workspace *ws, int64_t t, float *out) {
  const lrp_status st = apply(ws, &model->pooler, ws->x, t, ws->h, false);
  if (st != LRP_OK) return st;
  for (int64_t i = 0; i < t * ws->config.hidden_size; i++) ws->h[i] = tanhf(ws->h[i]);
  return apply(ws, &model->output, ws->h, t, out, false);
}

/* The decoder with weights that are converted once, for any number of calls of decode(). */
static lrp_status prepare_decoder(const lrp_bert *model, lrp_bert_workspace *ws, lrp_linear *out) {
  *out = model->output;
  const lrp_matrix w = lrp_matrix_slice(model->output.w, out->n_out, out->n_in);
  return lrp_matmul_prepare(&w, ws->linear.operands, &ws->head_memory, &out->w);
}

/* out = decoder(norm(activation(transform(x)))) for t rows of x */
static lrp_status decode(const lrp_bert *model, lrp_bert_workspace *ws, const lrp_linear *decoder,
                         const float *x, int64_t t, float *out) {
  const lrp_status st = apply_active(ws, &model->transform, x, t, ws->h);
  if (st != LRP_OK) return st;
  norm(ws, &model->transform_norm, ws->h, t);
  return apply(ws, decoder, ws->h, t, out, false);
}

static lrp_status decode_all(const lrp_bert *model, lrp_bert_workspace *ws, float *out) {
  lrp_linear decoder;
  const lrp_status st = prepare_decoder(model, ws, &decoder);
  return st == LRP_OK ? decode(model, ws, &decoder, ws->x, ws->tokens, out) : st;
}

int64_t lrp_bert_outputs(const lrp_bert_config *config, int64_t n) {
  switch (config->head) {
    case LRP_BERT_BARE:
      return n * config->hidden_size;
    case LRP_BERT_CLASSIFIER:
      return config->num_labels;
    case LRP_BERT_SPANS:
      return n * config->num_labels;
    case LRP_BERT_MASKED:
      return n * config->vocab_size;
  }
  return 0;
}

lrp_status lrp_bert_forward(const lrp_bert *model, lrp_bert_workspace *ws,
                            const lrp_bert_input *inputs, int64_t count, float *out) {
  if (count <= 0) return LRP_OK;
  lrp_status st = lrp_bert_workspace_begin(ws, inputs, count);
  if (st != LRP_OK) return st;
  if (model->config.head == LRP_BERT_CLASSIFIER) {
    for (int64_t s = 0; s < count; s++) ws->rows[s] = ws->spans[s].first;
    ws->row_count = count;
  }
  st = encode(model, ws, inputs);
  if (st != LRP_OK) return st;
  switch (model->config.head) {
    case LRP_BERT_CLASSIFIER:
      return classify(model, ws, count, out);
    case LRP_BERT_SPANS:
      return apply(ws, &model->output, ws->x, ws->tokens, out, false);
    case LRP_BERT_MASKED:
      return decode_all(model, ws, out);
    case LRP_BERT_BARE:
      memcpy(out, ws->x, (size_t)(ws->tokens * ws->config.hidden_size) * sizeof *out);
  }
  return LRP_OK;
}

/* ---- Masked tokens --------------------------------------------------------------------------- */

static lrp_status check_blanks(const lrp_bert *model, const lrp_bert_blank *blanks, int64_t count) {
  if (model->config.head != LRP_BERT_MASKED) {
    return lrp_fail(LRP_ERR_BUG, "a model without a decoder cannot score masked tokens");
  }
  for (int64_t s = 0; s < count; s++) {
    const lrp_bert_blank *b = &blanks[s];
    if (b->position >= 0 && b->position < b->input.n_tokens && b->target >= 0 &&
        b->target < model->config.vocab_size)
      continue;
    return lrp_fail(LRP_ERR_BUG, "token %d at position %lld of %lld cannot be scored",
                    (int)b->target, (long long)b->position, (long long)b->input.n_tokens);
  }
  return LRP_OK;
}

/* Score the rows of x, one for each blank, panel by panel. */
static lrp_status score_rows(const lrp_bert *model, lrp_bert_workspace *ws,
                             lrp_bert_blank *blanks) {
  const int64_t vocab = ws->config.vocab_size;
  const int64_t fit = logits_bytes / (vocab * (int64_t)sizeof(float)) + 1;
  const int64_t most = fit < logits_rows ? fit : logits_rows;
  const int64_t panel = ws->row_count < most ? ws->row_count : most;
  lrp_linear decoder;
  lrp_status st = lrp_buffer_floats(&ws->logits_memory, panel, vocab, "logits");
  if (st == LRP_OK) st = prepare_decoder(model, ws, &decoder);
  if (st != LRP_OK) return st;
  float *logits = ws->logits_memory.data;
  for (int64_t from = 0; from < ws->row_count; from += panel) {
    const int64_t t = ws->row_count - from < panel ? ws->row_count - from : panel;
    st = decode(model, ws, &decoder, ws->x + from * ws->config.hidden_size, t, logits);
    if (st != LRP_OK) return st;
#pragma omp parallel for
    for (int64_t i = 0; i < t; i++) {
      lrp_bert_blank *b = &blanks[from + i];
      b->loglikelihood = lrp_log_softmax(logits + i * vocab, vocab, b->target, &b->greedy);
    }
  }
  return LRP_OK;
}

lrp_status lrp_bert_score(const lrp_bert *model, lrp_bert_workspace *ws, lrp_bert_blank *blanks,
                          int64_t count) {
  lrp_status st = check_blanks(model, blanks, count);
  if (st != LRP_OK || count <= 0) return st;
  st = lrp_buffer_reserve(&ws->input_memory, count, 1, sizeof(lrp_bert_input), "inputs");
  if (st != LRP_OK) return st;
  lrp_bert_input *inputs = ws->input_memory.data;
  for (int64_t s = 0; s < count; s++) inputs[s] = blanks[s].input;
  st = lrp_bert_workspace_begin(ws, inputs, count);
  if (st != LRP_OK) return st;
  for (int64_t s = 0; s < count; s++) ws->rows[s] = ws->spans[s].first + blanks[s].position;
  ws->row_count = count;
  st = encode(model, ws, inputs);
  return st == LRP_OK ? score_rows(model, ws, blanks) : st;
}
