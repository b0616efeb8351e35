#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "io/model/model.h"

/* Walks through the weights in their order (io/model/families.h). */
typedef struct {
  const lrp_model *model;
  int64_t next;
} cursor;

static lrp_matrix take(cursor *at) {
  const char *name;
  lrp_matrix view;
  lrp_model_weight(at->model, at->next++, &name, &view);
  return view;
}

static void take_weights(cursor *at, lrp_linear *linear) {
  linear->w = take(at);
  linear->n_out = linear->w.rows;
  linear->n_in = linear->w.cols;
}

static lrp_status allocate(int64_t layers, size_t size, void **out) {
  *out = calloc((size_t)layers, size);
  return *out ? LRP_OK : lrp_fail_memory((size_t)layers * size, "layers");
}

/* ---- Llama ----------------------------------------------------------------------------------- */

static void take_llama_layer(cursor *at, lrp_llama_layer *out) {
  out->input_norm = take(at);
  out->post_attn_norm = take(at);
  for (int t = 0; t < LRP_LLAMA_LINEARS; t++) take_weights(at, &out->linear[t]);
  for (int t = 0; t < LRP_LLAMA_LINEARS; t++) {
    if (lrp_config_has_bias(&at->model->config, t)) out->linear[t].bias = take(at);
  }
}

lrp_status lrp_model_llama(const lrp_model *model, lrp_llama *out) {
  const int layers = lrp_config_layers(&model->config);
  cursor at = {.model = model};
  void *memory = NULL;

  assert(model->config.family == LRP_FAMILY_LLAMA);
  memset(out, 0, sizeof *out);
  const lrp_status st = allocate(layers, sizeof *out->layers, &memory);
  if (st != LRP_OK) return st;
  out->layers = memory;
  out->config = model->config.llama;
  out->embed_tokens = take(&at);
  for (int i = 0; i < layers; i++) take_llama_layer(&at, &out->layers[i]);
  out->norm = take(&at);
  out->lm_head = model->config.tie_word_embeddings ? out->embed_tokens : take(&at);
  return LRP_OK;
}

void lrp_model_llama_free(lrp_llama *llama) {
  free(llama->layers);
  memset(llama, 0, sizeof *llama);
}

/* ---- BERT ------------------------------------------------------------------------------------ */

static void take_norm(cursor *at, lrp_bert_norm *out) {
  out->weight = take(at);
  out->bias = take(at);
}

static void take_linear(cursor *at, lrp_linear *out) {
  take_weights(at, out);
  out->bias = take(at);
}

static void take_bert_layer(cursor *at, lrp_bert_layer *out) {
  for (int t = 0; t < LRP_BERT_LINEARS; t++) take_weights(at, &out->linear[t]);
  for (int t = 0; t < LRP_BERT_LINEARS; t++) out->linear[t].bias = take(at);
  take_norm(at, &out->attention_norm);
  take_norm(at, &out->output_norm);
}

static void take_decoder(cursor *at, lrp_bert *out) {
  take_linear(at, &out->transform);
  take_norm(at, &out->transform_norm);
  out->output.bias = take(at);
  out->output.w = at->model->config.tie_word_embeddings ? out->word_embeddings : take(at);
  out->output.n_out = out->output.w.rows;
  out->output.n_in = out->output.w.cols;
}

lrp_status lrp_model_bert(const lrp_model *model, lrp_bert *out) {
  const int layers = lrp_config_layers(&model->config);
  cursor at = {.model = model};
  void *memory = NULL;

  assert(model->config.family == LRP_FAMILY_BERT);
  memset(out, 0, sizeof *out);
  const lrp_status st = allocate(layers, sizeof *out->layers, &memory);
  if (st != LRP_OK) return st;
  out->layers = memory;
  out->config = model->config.bert;
  out->word_embeddings = take(&at);
  out->position_embeddings = take(&at);
  out->type_embeddings = take(&at);
  take_norm(&at, &out->embedding_norm);
  for (int i = 0; i < layers; i++) take_bert_layer(&at, &out->layers[i]);
  if (out->config.head == LRP_BERT_CLASSIFIER) take_linear(&at, &out->pooler);
  if (out->config.head == LRP_BERT_MASKED) {
    take_decoder(&at, out);
  } else if (out->config.head != LRP_BERT_BARE) {
    take_linear(&at, &out->output);
  }
  return LRP_OK;
}

void lrp_model_bert_free(lrp_bert *bert) {
  free(bert->layers);
  memset(bert, 0, sizeof *bert);
}
