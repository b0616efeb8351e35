#include "pipeline/sensitivity.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/json_number.h"

struct lrp_sensitivity {
  const lrp_documents *docs;
  const char *const *tensor_names;
  int layers, tensors;
  double *loss, *score; /* owned: of the dense configuration, by document */
  double *difference;   /* owned: room */
  json_t *dense, *configurations;
  json_t *shown[LRP_SHAPE_MIXED]; /* units, layers, tensors; NULL of LRP_SHAPE_DENSE */
};

/* ---- shapes ---- */

lrp_shape lrp_configuration_shape(const int *rank, int layers, int tensors) {
  int n = 0, first_layer = 0, first_tensor = 0;
  bool one_layer = true, one_tensor = true;
  for (int i = 0; i < layers * tensors; i++) {
    if (rank[i] == 0) continue;
    if (n++ == 0) {
      first_layer = i / tensors;
      first_tensor = i % tensors;
    }
    one_layer = one_layer && i / tensors == first_layer;
    one_tensor = one_tensor && i % tensors == first_tensor;
  }
  if (n == 0) return LRP_SHAPE_DENSE;
  if (n == 1) return LRP_SHAPE_UNIT;
  if (one_layer) return LRP_SHAPE_LAYER;
  return one_tensor ? LRP_SHAPE_TENSOR : LRP_SHAPE_MIXED;
}

/* ---- means ---- */

/* Set <name> and <name>_stderr, or the first one alone. */
static bool set_estimate(json_t *object, const char *name, lrp_estimate e, bool error) {
  char key[48];
  snprintf(key, sizeof key, "%s_stderr", name);
  return json_object_set_new(object, name, lrp_json_number(e.value)) == 0 &&
         (!error || json_object_set_new(object, key, lrp_json_number(e.stderr_)) == 0);
}

static void subtract(const double *a, const double *b, int64_t n, double *out) {
  for (int64_t i = 0; i < n; i++) out[i] = a[i] - b[i];
}

/* What a configuration amounts to. */
typedef struct {
  lrp_estimate loss, held_out_loss; /* increases */
  lrp_estimate held_out_score;
  lrp_estimate score_drop; /* percentage points */
} effect;

static effect effect_of(lrp_sensitivity *s, const lrp_measured *c) {
  const int64_t n = lrp_documents_count(s->docs);
  effect e = {.held_out_score = lrp_mean_score(s->docs, c->score, LRP_ODD)};
  subtract(c->loss, s->loss, n, s->difference);
  e.loss = lrp_mean_loss(s->docs, s->difference, LRP_EVEN);
  e.held_out_loss = lrp_mean_loss(s->docs, s->difference, LRP_ODD);
  subtract(s->score, c->score, n, s->difference);
  e.score_drop = lrp_mean_score(s->docs, s->difference, LRP_BOTH);
  e.score_drop.value *= 100.0;
  e.score_drop.stderr_ *= 100.0;
  return e;
}

/* ---- objects ---- */

/* object, if it was completed; else NULL and it is released. */
static json_t *kept(json_t *object, bool ok) {
  if (ok) return object;
  json_decref(object);
  return NULL;
}

static json_t *configuration_json(const lrp_measured *c, const effect *e) {
  json_t *object = json_pack("{s:s, s:o}", "configuration", c->name, "reduction_percent",
                             lrp_json_number(c->reduction_percent));
  return kept(object, object && set_estimate(object, "loss", e->loss, true) &&
                          set_estimate(object, "held_out_loss", e->held_out_loss, true) &&
                          set_estimate(object, "held_out_score", e->held_out_score, true));
}

static json_t *dense_json(const lrp_sensitivity *s, const lrp_measured *dense) {
  const lrp_documents *docs = s->docs;
  json_t *object = json_pack("{s:s, s:I, s:I}", "configuration", dense->name, "documents",
                             (json_int_t)lrp_documents_losses(docs, LRP_EVEN), "held_out_documents",
                             (json_int_t)lrp_documents_losses(docs, LRP_ODD));
  return kept(
      object,
      object && set_estimate(object, "loss", lrp_mean_loss(docs, s->loss, LRP_EVEN), false) &&
          set_estimate(object, "held_out_loss", lrp_mean_loss(docs, s->loss, LRP_ODD), false) &&
          set_estimate(object, "held_out_score", lrp_mean_score(docs, s->score, LRP_ODD), true));
}

/* Layers, tensors and ranks that the configuration has. */
static bool add_places(json_t *layers, json_t *tensors, json_t *ranks, const lrp_sensitivity *s,
                       const int *rank) {
  bool ok = layers && tensors && ranks;
  for (int i = 0; ok && i < s->layers * s->tensors; i++) {
    if (rank[i] == 0) continue;
    ok = json_array_append_new(layers, json_integer(i / s->tensors)) == 0 &&
         json_array_append_new(tensors, json_string(s->tensor_names[i % s->tensors])) == 0 &&
         json_array_append_new(ranks, json_integer(rank[i])) == 0;
  }
  return ok;
}

static bool set_places(json_t *object, lrp_shape shape, const lrp_sensitivity *s, const int *rank) {
  const bool one_layer = shape != LRP_SHAPE_TENSOR, one_tensor = shape != LRP_SHAPE_LAYER;
  json_t *layers = json_array(), *tensors = json_array(), *ranks = json_array();
  bool ok = object && add_places(layers, tensors, ranks, s, rank);
  ok = ok &&
       json_object_set(object, one_layer ? "layer" : "layers",
                       one_layer ? json_array_get(layers, 0) : layers) == 0 &&
       json_object_set(object, one_tensor ? "tensor" : "tensors",
                       one_tensor ? json_array_get(tensors, 0) : tensors) == 0 &&
       json_object_set(object, shape == LRP_SHAPE_UNIT ? "rank" : "ranks",
                       shape == LRP_SHAPE_UNIT ? json_array_get(ranks, 0) : ranks) == 0;
  json_decref(layers);
  json_decref(tensors);
  json_decref(ranks);
  return ok;
}

static json_t *shape_json(const lrp_sensitivity *s, lrp_shape shape, const lrp_measured *c,
                          const effect *e) {
  json_t *object = json_object();
  return kept(object, set_places(object, shape, s, c->rank) &&
                          json_object_set_new(object, "configuration", json_string(c->name)) == 0 &&
                          json_object_set_new(object, "reduction_percent",
                                              lrp_json_number(c->reduction_percent)) == 0 &&
                          set_estimate(object, "loss", e->loss, true) &&
                          set_estimate(object, "score_drop", e->score_drop, true));
}

/* ---- all of it ---- */

static lrp_status allocate(lrp_sensitivity *s) {
  const size_t bytes = ((size_t)lrp_documents_count(s->docs) + 1) * sizeof *s->loss;
  s->loss = malloc(bytes);
  s->score = malloc(bytes);
  s->difference = malloc(bytes);
  s->configurations = json_array();
  bool ok = s->loss && s->score && s->difference && s->configurations;
  for (int i = LRP_SHAPE_UNIT; i <= LRP_SHAPE_TENSOR; i++) {
    s->shown[i] = json_array();
    ok = ok && s->shown[i];
  }
  return ok ? LRP_OK : lrp_fail_memory(3 * bytes, "the sensitivity");
}

lrp_status lrp_sensitivity_create(const lrp_documents *docs, int layers, int tensors,
                                  const char *const *tensor_names, const lrp_measured *dense,
                                  lrp_sensitivity **out) {
  const size_t bytes = (size_t)lrp_documents_count(docs) * sizeof(double);
  lrp_sensitivity *s = calloc(1, sizeof *s);
  *out = s;
  if (!s) return lrp_fail_memory(sizeof *s, "the sensitivity");
  s->docs = docs;
  s->tensor_names = tensor_names;
  s->layers = layers;
  s->tensors = tensors;
  lrp_status st = allocate(s);
  if (st == LRP_OK) {
    memcpy(s->loss, dense->loss, bytes);
    memcpy(s->score, dense->score, bytes);
    s->dense = dense_json(s, dense);
    if (!s->dense) st = lrp_fail_memory(0, "the sensitivity");
  }
  if (st != LRP_OK) lrp_sensitivity_destroy(out);
  return st;
}

lrp_status lrp_sensitivity_add(lrp_sensitivity *s, const lrp_measured *c) {
  const lrp_shape shape = lrp_configuration_shape(c->rank, s->layers, s->tensors);
  const effect e = effect_of(s, c);
  bool ok = json_array_append_new(s->configurations, configuration_json(c, &e)) == 0;
  if (ok && shape != LRP_SHAPE_DENSE && shape != LRP_SHAPE_MIXED) {
    ok = json_array_append_new(s->shown[shape], shape_json(s, shape, c, &e)) == 0;
  }
  return ok ? LRP_OK : lrp_fail_memory(0, "the sensitivity");
}

json_t *lrp_sensitivity_json(const lrp_sensitivity *s) {
  return json_pack("{s:s, s:s, s:O, s:O, s:O, s:O, s:O}", "measure",
                   s->docs->choice ? "choice_loss" : "score", "split",
                   "even documents choose, odd ones are held out", "dense", s->dense,
                   "configurations", s->configurations, "units", s->shown[LRP_SHAPE_UNIT], "layers",
                   s->shown[LRP_SHAPE_LAYER], "tensors", s->shown[LRP_SHAPE_TENSOR]);
}

void lrp_sensitivity_destroy(lrp_sensitivity **s) {
  if (!*s) return;
  free((*s)->loss);
  free((*s)->score);
  free((*s)->difference);
  json_decref((*s)->dense);
  json_decref((*s)->configurations);
  for (int i = 0; i < LRP_SHAPE_MIXED; i++) json_decref((*s)->shown[i]);
  free(*s);
  *s = NULL;
}
