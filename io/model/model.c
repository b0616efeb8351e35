#include "io/model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/model/families.h"

static lrp_weight_spec spec_at(const lrp_model *model, int64_t i) {
  return lrp_family_of(&model->config)->weight_at(&model->config, i);
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

static bool shape_is(const lrp_safetensor *t, const lrp_weight_spec *w) {
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

static lrp_status wrong_shape(const lrp_shard *at, const lrp_safetensor *t,
                              const lrp_weight_spec *w) {
  const int64_t wanted[] = {w->rows, w->cols};
  char is[LRP_SAFETENSORS_MAX_DIMS * 24], should[64];

  print_shape(t->shape, t->ndim, is, sizeof is);
  print_shape(wanted + 2 - w->ndim, w->ndim, should, sizeof should);
  return lrp_fail(LRP_ERR_DATA, "%s: tensor %s: shape is %s, but config.json asks for %s",
                  at->st.path, t->name, is, should);
}

/* The weight under one of its names, or NULL. */
static const lrp_safetensor *find(const lrp_model *model, const lrp_weight_spec *w,
                                  const lrp_shard **at) {
  const lrp_safetensor *t = lrp_shards_find(model->shards, model->n_shards, w->name, at);
  if (t || !w->other[0]) return t;
  return lrp_shards_find(model->shards, model->n_shards, w->other, at);
}

static lrp_status view_of(const lrp_model *model, const lrp_weight_spec *w, const char **name,
                          lrp_matrix *view) {
  const lrp_shard *at = NULL;
  const lrp_safetensor *t = find(model, w, &at);
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
static lrp_status check_absent(const lrp_model *model) {
  const int64_t count = lrp_model_weight_count(model);
  lrp_name_list absent = {0};

  for (int64_t i = 0; i < count; i++) {
    const lrp_weight_spec w = spec_at(model, i);
    if (!find(model, &w, NULL)) lrp_name_list_add(&absent, w.name);
  }
  if (absent.count == 0) return LRP_OK;
  return lrp_fail(LRP_ERR_DATA, "%s: %lld of %lld weights are absent: %s", model->dir,
                  (long long)absent.count, (long long)count, absent.text);
}

static lrp_status check_weights(const lrp_model *model) {
  const int64_t count = lrp_model_weight_count(model);
  lrp_status st = check_absent(model);

  for (int64_t i = 0; i < count && st == LRP_OK; i++) {
    const lrp_weight_spec w = spec_at(model, i);
    lrp_matrix view;
    st = view_of(model, &w, NULL, &view);
  }
  return st;
}

/* A BERT model's files call its weights "bert.encoder..." or "encoder...", whatever its class. */
static void choose_names(lrp_model *model) {
  static const char with[] = "bert.embeddings.position_embeddings.weight";
  const char *bare = strchr(with, '.') + 1;

  if (model->config.family != LRP_FAMILY_BERT) return;
  if (lrp_shards_find(model->shards, model->n_shards, with, NULL)) {
    model->config.bare_names = false;
  } else if (lrp_shards_find(model->shards, model->n_shards, bare, NULL)) {
    model->config.bare_names = true;
  }
}

lrp_status lrp_model_open(const char *dir, lrp_model *out) {
  lrp_status st = LRP_OK;

  memset(out, 0, sizeof *out);
  out->dir = strdup(dir);
  if (!out->dir) st = lrp_fail_memory(strlen(dir) + 1, "a path");
  if (st == LRP_OK) st = lrp_config_read(dir, &out->config);
  if (st == LRP_OK) st = lrp_shards_open(dir, &out->shards, &out->n_shards);
  if (st == LRP_OK) choose_names(out);
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
  lrp_weight_spec w = {.ndim = 2, .rows = rows, .cols = cols};

  /* A name that does not fit in a specification is none of a weight. */
  if (!t || strlen(name) >= sizeof w.name) {
    return lrp_fail(LRP_ERR_DATA, "%s: tensor %.200s is absent", model->dir, name);
  }
  snprintf(w.name, sizeof w.name, "%s", name);
  if (rows == 1 && t->ndim == 1) w.ndim = 1;
  return view_of(model, &w, NULL, view);
}

lrp_dtype lrp_model_dtype(const lrp_model *model) {
  static const lrp_dtype wide_first[] = {LRP_F32, LRP_BF16, LRP_F16};
  const lrp_config *c = &model->config;
  const int tensors = lrp_config_layer_tensors(c);
  int64_t count[] = {[LRP_F32] = 0, [LRP_F16] = 0, [LRP_BF16] = 0};
  lrp_dtype most = wide_first[0];

  for (int64_t i = 0; i < (int64_t)lrp_config_layers(c) * tensors; i++) {
    lrp_weight_spec w = {.ndim = 2};
    lrp_matrix view;
    lrp_config_tensor_path(c, (int)(i / tensors), (int)(i % tensors), w.name, sizeof w.name);
    lrp_config_tensor_shape(c, (int)(i % tensors), &w.rows, &w.cols);
    if (view_of(model, &w, NULL, &view) == LRP_OK) count[view.dtype]++;
  }
  for (size_t i = 1; i < sizeof wide_first / sizeof *wide_first; i++) {
    if (count[wide_first[i]] > count[most]) most = wide_first[i];
  }
  return most;
}

int64_t lrp_model_weight_count(const lrp_model *model) {
  return lrp_family_of(&model->config)->weight_count(&model->config);
}

void lrp_model_weight(const lrp_model *model, int64_t i, const char **name, lrp_matrix *view) {
  const lrp_weight_spec w = spec_at(model, i);

  *name = "";
  memset(view, 0, sizeof *view);
  (void)view_of(model, &w, name, view); /* lrp_model_open() has checked it */
}
