#include "io/model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { layer_norms = 2, name_size = 96 };

static const char embed_name[] = "model.embed_tokens.weight";
static const char head_name[] = "lm_head.weight";

/* A weight that the forward pass needs. */
typedef struct {
  char name[name_size];
  int ndim; /* 1: a vector of cols elements */
  int64_t rows, cols;
} weight_spec;

/* Where the weights of a kind are in the order of lrp_model_weight(). */
typedef struct {
  int n_linears, n_biases, biased[LRP_MAX_LAYER_TENSORS];
  int64_t per_layer, last_norm, count;
} weight_order;

static weight_order order_of(const lrp_config *c) {
  weight_order o = {.n_linears = lrp_config_layer_tensors(c)};
  for (int t = 0; t < o.n_linears; t++) {
    if (lrp_config_has_bias(c, t)) o.biased[o.n_biases++] = t;
  }
  o.per_layer = layer_norms + o.n_linears + o.n_biases;
  o.last_norm = 1 + lrp_config_layers(c) * o.per_layer;
  o.count = o.last_norm + (c->tie_word_embeddings ? 1 : 2);
  return o;
}

/* The names under which a tied matrix of embedding and head may lie. */
static const char *embedding_name(const lrp_model *model) {
  const bool under_head = model->config.tie_word_embeddings &&
                          !lrp_shards_find(model->shards, model->n_shards, embed_name, NULL) &&
                          lrp_shards_find(model->shards, model->n_shards, head_name, NULL);
  return under_head ? head_name : embed_name;
}

static weight_spec matrix_spec(const char *name, int64_t rows, int64_t cols) {
  weight_spec w = {.ndim = 2, .rows = rows, .cols = cols};
  snprintf(w.name, sizeof w.name, "%s", name);
  return w;
}

static weight_spec norm_spec(const lrp_config *c, int layer, const char *name) {
  weight_spec w = {.ndim = 1, .rows = 1, .cols = c->llama.hidden_size};
  if (layer < 0) {
    snprintf(w.name, sizeof w.name, "model.%s.weight", name);
  } else {
    snprintf(w.name, sizeof w.name, "model.layers.%d.%s.weight", layer, name);
  }
  return w;
}

static weight_spec linear_spec(const lrp_config *c, int layer, int tensor) {
  weight_spec w = {.ndim = 2};
  lrp_config_tensor_path(c, layer, tensor, w.name, sizeof w.name);
  lrp_config_tensor_shape(c, tensor, &w.rows, &w.cols);
  return w;
}

static weight_spec bias_spec(const lrp_config *c, int layer, int tensor) {
  static const char suffix[] = "weight";
  weight_spec w = linear_spec(c, layer, tensor);
  char *end = w.name + strlen(w.name) - (sizeof suffix - 1);
  snprintf(end, sizeof suffix, "bias");
  w.ndim = 1;
  w.cols = w.rows;
  w.rows = 1;
  return w;
}

/* The i-th weight in the order of lrp_model_weight(). */
static weight_spec spec_at(const lrp_model *model, const weight_order *o, int64_t i) {
  const lrp_config *c = &model->config;
  const lrp_llama_config *l = &c->llama;
  const int layer = (int)((i - 1) / o->per_layer);
  const int k = (int)((i - 1) % o->per_layer);

  if (i == 0) return matrix_spec(embedding_name(model), l->vocab_size, l->hidden_size);
  if (i == o->last_norm) return norm_spec(c, -1, "norm");
  if (i > o->last_norm) return matrix_spec(head_name, l->vocab_size, l->hidden_size);
  if (k == 0) return norm_spec(c, layer, "input_layernorm");
  if (k == 1) return norm_spec(c, layer, "post_attention_layernorm");
  if (k < layer_norms + o->n_linears) return linear_spec(c, layer, k - layer_norms);
  return bias_spec(c, layer, o->biased[k - layer_norms - o->n_linears]);
}

static bool matrix_dtype(const char *name, lrp_dtype *dtype) {
  static const struct {
    const char *name;
    lrp_dtype dtype;
  } supported[] = {{"F32", LRP_F32}, {"F16", LRP_F16}, {"BF16", LRP_BF16}};
  for (size_t i = 0; i < sizeof supported / sizeof *supported; i++) {
    if (strcmp(name, supported[i].name) != 0) continue;
    *dtype = supported[i].dtype;
    return true;
  }
  return false;
}

static bool shape_is(const lrp_safetensor *t, const weight_spec *w) {
  if (t->ndim != w->ndim) return false;
  if (t->ndim == 1) return t->shape[0] == w->cols;
  return t->shape[0] == w->rows && t->shape[1] == w->cols;
}

/* "[4, 5]" */
static void print_shape(const int64_t *shape, int ndim, char *text, size_t size) {
  size_t n = (size_t)snprintf(text, size, "[");
  for (int i = 0; i < ndim && n < size; i++) {
    n += (size_t)snprintf(text + n, size - n, "%s%lld", i ? ", " : "", (long long)shape[i]);
  }
  if (n < size) snprintf(text + n, size - n, "]");
}

static lrp_status wrong_shape(const lrp_shard *at, const lrp_safetensor *t, const weight_spec *w) {
  const int64_t wanted[] = {w->rows, w->cols};
  char is[LRP_SAFETENSORS_MAX_DIMS * 24], should[64];

  print_shape(t->shape, t->ndim, is, sizeof is);
  print_shape(wanted + 2 - w->ndim, w->ndim, should, sizeof should);
  return lrp_fail(LRP_ERR_DATA, "%s: tensor %s: shape is %s, but config.json asks for %s",
                  at->st.path, t->name, is, should);
}

static lrp_status view_of(const lrp_model *model, const weight_spec *w, const char **name,
                          lrp_matrix *view) {
  const lrp_shard *at = NULL;
  const lrp_safetensor *t = lrp_shards_find(model->shards, model->n_shards, w->name, &at);
  lrp_dtype dtype;

  if (!t) return lrp_fail(LRP_ERR_DATA, "%s: tensor %s is absent", model->dir, w->name);
  if (!shape_is(t, w)) return wrong_shape(at, t, w);
  if (!matrix_dtype(t->dtype, &dtype)) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: tensor %s: dtype %s is not supported (supported: F32, F16, BF16)",
                    at->st.path, t->name, t->dtype);
  }
  if (name) *name = t->name;
  *view = (lrp_matrix){
      .data = t->data, .dtype = dtype, .rows = w->rows, .cols = w->cols, .ld = w->cols};
  return LRP_OK;
}

/* All that are absent in one message. */
static lrp_status check_absent(const lrp_model *model, const weight_order *o) {
  lrp_name_list absent = {0};

  for (int64_t i = 0; i < o->count; i++) {
    const weight_spec w = spec_at(model, o, i);
    if (lrp_shards_find(model->shards, model->n_shards, w.name, NULL)) continue;
    lrp_name_list_add(&absent, w.name);
  }
  if (absent.count == 0) return LRP_OK;
  return lrp_fail(LRP_ERR_DATA, "%s: %lld of %lld weights are absent: %s", model->dir,
                  (long long)absent.count, (long long)o->count, absent.text);
}

static lrp_status check_weights(const lrp_model *model) {
  const weight_order o = order_of(&model->config);
  lrp_status st = check_absent(model, &o);

  for (int64_t i = 0; i < o.count && st == LRP_OK; i++) {
    const weight_spec w = spec_at(model, &o, i);
    lrp_matrix view;
    st = view_of(model, &w, NULL, &view);
  }
  return st;
}

lrp_status lrp_model_open(const char *dir, lrp_model *out) {
  lrp_status st = LRP_OK;

  memset(out, 0, sizeof *out);
  out->dir = strdup(dir);
  if (!out->dir) st = lrp_fail_memory(strlen(dir) + 1, "a path");
  if (st == LRP_OK) st = lrp_config_read(dir, &out->config);
  if (st == LRP_OK) st = lrp_shards_open(dir, &out->shards, &out->n_shards);
  if (st == LRP_OK) st = check_weights(out);
  if (st != LRP_OK) lrp_model_close(out);
  return st;
}

void lrp_model_close(lrp_model *model) {
  lrp_shards_close(model->shards, model->n_shards);
  free(model->dir);
  memset(model, 0, sizeof *model);
}

lrp_status lrp_model_matrix(const lrp_model *model, const char *name, int64_t rows, int64_t cols,
                            lrp_matrix *view) {
  const lrp_safetensor *t = lrp_shards_find(model->shards, model->n_shards, name, NULL);
  weight_spec w = matrix_spec(name, rows, cols);

  /* A name that does not fit in a specification is none of a weight. */
  if (!t || strlen(name) >= sizeof w.name) {
    return lrp_fail(LRP_ERR_DATA, "%s: tensor %.200s is absent", model->dir, name);
  }
  if (rows == 1 && t->ndim == 1) w.ndim = 1;
  return view_of(model, &w, NULL, view);
}

lrp_dtype lrp_model_dtype(const lrp_model *model) {
  static const lrp_dtype wide_first[] = {LRP_F32, LRP_BF16, LRP_F16};
  const weight_order o = order_of(&model->config);
  int64_t count[] = {[LRP_F32] = 0, [LRP_F16] = 0, [LRP_BF16] = 0};
  lrp_dtype most = wide_first[0];

  for (int64_t i = 1; i < o.last_norm; i++) {
    const int k = (int)((i - 1) % o.per_layer) - layer_norms;
    const char *name;
    lrp_matrix view;
    if (k < 0 || k >= o.n_linears) continue;
    lrp_model_weight(model, i, &name, &view);
    count[view.dtype]++;
  }
  for (size_t i = 1; i < sizeof wide_first / sizeof *wide_first; i++) {
    if (count[wide_first[i]] > count[most]) most = wide_first[i];
  }
  return most;
}

int64_t lrp_model_weight_count(const lrp_model *model) {
  return order_of(&model->config).count;
}

void lrp_model_weight(const lrp_model *model, int64_t i, const char **name, lrp_matrix *view) {
  const weight_order o = order_of(&model->config);
  const weight_spec w = spec_at(model, &o, i);

  *name = "";
  memset(view, 0, sizeof *view);
  (void)view_of(model, &w, name, view); /* lrp_model_open() has checked it */
}

/* View of the i-th weight, for the loops below. */
static lrp_matrix weight_view(const lrp_model *model, int64_t i) {
  const char *name;
  lrp_matrix view;
  lrp_model_weight(model, i, &name, &view);
  return view;
}

static void fill_layer(const lrp_model *model, const weight_order *o, int layer,
                       lrp_llama_layer *out) {
  const int64_t first = 1 + layer * o->per_layer;
  const int64_t linears = first + layer_norms;

  out->input_norm = weight_view(model, first);
  out->post_attn_norm = weight_view(model, first + 1);
  for (int t = 0; t < o->n_linears; t++) {
    lrp_linear *linear = &out->linear[t];
    linear->w = weight_view(model, linears + t);
    linear->n_out = linear->w.rows;
    linear->n_in = linear->w.cols;
  }
  for (int b = 0; b < o->n_biases; b++) {
    out->linear[o->biased[b]].bias = weight_view(model, linears + o->n_linears + b);
  }
}

lrp_status lrp_model_llama(const lrp_model *model, lrp_llama *out) {
  const weight_order o = order_of(&model->config);
  const int layers = lrp_config_layers(&model->config);

  memset(out, 0, sizeof *out);
  out->layers = calloc((size_t)layers, sizeof *out->layers);
  if (!out->layers) return lrp_fail_memory((size_t)layers * sizeof *out->layers, "layers");
  out->config = model->config.llama;
  for (int i = 0; i < layers; i++) fill_layer(model, &o, i, &out->layers[i]);
  out->embed_tokens = weight_view(model, 0);
  out->norm = weight_view(model, o.last_norm);
  out->lm_head =
      model->config.tie_word_embeddings ? out->embed_tokens : weight_view(model, o.last_norm + 1);
  return LRP_OK;
}

void lrp_model_llama_free(lrp_llama *llama) {
  free(llama->layers);
  memset(llama, 0, sizeof *llama);
}
