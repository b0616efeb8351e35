#include "pipeline/expand_axis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/log.h"
#include "pipeline/tensor_choice.h"

void lrp_axis_free(lrp_axis *axis) {
  for (int i = 0; i < axis->n; i++) lrp_job_configuration_free(&axis->part[i]);
  free(axis->part);
  *axis = (lrp_axis){0};
}

/* A new part of this name, zeroed but for it. */
static lrp_status add_part(lrp_axis *axis, const char *name, lrp_job_configuration **part) {
  if (axis->n == axis->room) {
    const int room = 2 * axis->room + 8;
    void *grown = realloc(axis->part, (size_t)room * sizeof *axis->part);
    if (!grown) return lrp_fail_memory((size_t)room * sizeof *axis->part, "parts of a sweep");
    axis->part = grown;
    axis->room = room;
  }
  *part = &axis->part[axis->n];
  **part = (lrp_job_configuration){.name = strdup(name)};
  if (!(*part)->name) return lrp_fail_memory(strlen(name) + 1, "a part of a sweep");
  axis->n++;
  return LRP_OK;
}

lrp_status lrp_set_layers(lrp_job_configuration *c, const int *layers, int n) {
  c->layers = calloc((size_t)n + 1, sizeof *c->layers);
  if (!c->layers) return lrp_fail_memory((size_t)n * sizeof *c->layers, "layers of a sweep");
  c->n_layers = n;
  for (int i = 0; i < n; i++) c->layers[i] = (lrp_range){layers[i], layers[i], 1};
  return LRP_OK;
}

lrp_status lrp_set_tensors(lrp_job_configuration *c, const lrp_config *config, const bool *chosen) {
  const int n = lrp_config_layer_tensors(config);

  c->tensors = calloc((size_t)n + 1, sizeof *c->tensors);
  if (!c->tensors) return lrp_fail_memory((size_t)n * sizeof *c->tensors, "tensors of a sweep");
  for (int t = 0; t < n; t++) {
    if (!chosen[t]) continue;
    c->tensors[c->n_tensors] = strdup(lrp_config_tensor_name(config, t));
    if (!c->tensors[c->n_tensors]) return lrp_fail_memory(32, "tensors of a sweep");
    c->n_tensors++;
  }
  return LRP_OK;
}

/* ---- layers ---- */

/* Layers as written -> those of the model. */
typedef struct {
  const lrp_job_sweep *sweep;
  lrp_axis *axis;
  int layers;    /* of the model */
  int reference; /* layers of the model that the sweep is written for */
  int *list;     /* owned: room for max(layers, reference) */
  bool *seen;    /* owned, likewise */
  int n;         /* members of list */
} scaler;

int64_t lrp_scaled(int64_t value, int64_t to, int64_t from) {
  return (int64_t)((double)value * (double)to / (double)from + 0.5);
}

static lrp_status begin_scaler(const lrp_job_sweep *sweep, const lrp_config *config, lrp_axis *axis,
                               scaler *s) {
  const int layers = lrp_config_layers(config);
  const int reference = sweep->for_layers > 0 ? (int)sweep->for_layers : layers;
  const size_t room = (size_t)(layers > reference ? layers : reference);

  *s = (scaler){.sweep = sweep, .axis = axis, .layers = layers, .reference = reference};
  s->list = calloc(room, sizeof *s->list);
  s->seen = calloc(room, sizeof *s->seen);
  if (s->list && s->seen) return LRP_OK;
  return lrp_fail_memory(room * sizeof *s->list, "layers of a sweep");
}

static void end_scaler(scaler *s) {
  free(s->list);
  free(s->seen);
}

static lrp_status add_layer(scaler *s, int64_t layer) {
  const lrp_job_sweep *sweep = s->sweep;

  if (layer >= s->reference) {
    return lrp_fail(LRP_ERR_JOB, "%s: sweep '%s': layers: %lld is not a layer of %s (0..%d)",
                    sweep->origin, sweep->name, (long long)layer,
                    sweep->for_layers > 0 ? "the model that it is written for" : "this model",
                    s->reference - 1);
  }
  if (s->seen[layer]) {
    return lrp_fail(LRP_ERR_JOB, "%s: sweep '%s': layers: %lld is listed twice", sweep->origin,
                    sweep->name, (long long)layer);
  }
  s->seen[layer] = true;
  s->list[s->n++] = (int)layer;
  return LRP_OK;
}

static void print_list(FILE *out, const int *list, int n) {
  for (int i = 0; i < n; i++) fprintf(out, "%s%d", i > 0 ? ", " : "", list[i]);
}

/* Replace the members of list, which are layers of the reference, by their images. */
static lrp_status scale_list(scaler *s, const char *name) {
  const int n = s->n;
  char *text = NULL;
  size_t size = 0;
  FILE *out;

  if (s->layers == s->reference) return LRP_OK;
  out = open_memstream(&text, &size);
  if (!out) return lrp_fail_memory(BUFSIZ, "layers of a sweep");
  print_list(out, s->list, n);
  fprintf(out, " of %d are ", s->reference);
  memset(s->seen, 0, (size_t)s->layers * sizeof *s->seen);
  s->n = 0;
  for (int i = 0; i < n; i++) {
    const int layer = (int)lrp_scaled(s->list[i], s->layers - 1, s->reference - 1);
    if (!s->seen[layer]) s->list[s->n++] = layer; /* s->n <= i: not read yet */
    s->seen[layer] = true;
  }
  print_list(out, s->list, s->n);
  if (fclose(out) == 0 && text) {
    lrp_log("sweep '%s'%s%s: layers %s of %d%s", s->sweep->name, *name ? ": " : "", name, text,
            s->layers, s->n < n ? ", once each" : "");
  }
  free(text);
  return LRP_OK;
}

/* Make list the layers of the model that set names. */
static lrp_status list_set(scaler *s, const lrp_job_configuration *set, const char *name) {
  const lrp_range all = {.first = 0, .last = s->layers - 1, .step = 1};
  const bool every = !set || set->all_layers;
  const int reference = s->reference;
  lrp_status st = LRP_OK;

  if (every) s->reference = s->layers; /* all layers of any model */
  memset(s->seen, 0, (size_t)s->reference * sizeof *s->seen);
  s->n = 0;
  for (int i = 0; st == LRP_OK && i < (every ? 1 : set->n_layers); i++) {
    const lrp_range *r = every ? &all : &set->layers[i];
    for (int64_t l = r->first; st == LRP_OK && l <= r->last; l += r->step) st = add_layer(s, l);
  }
  if (st == LRP_OK) st = scale_list(s, name);
  s->reference = reference;
  return st;
}

static lrp_status add_listed(scaler *s, const char *name) {
  lrp_job_configuration *part = NULL;
  const lrp_status st = add_part(s->axis, name, &part);
  return st == LRP_OK ? lrp_set_layers(part, s->list, s->n) : st;
}

/* Digits of a layer's number, at least two. */
static int digits(int layers) {
  return layers <= 100 ? 2 : layers <= 1000 ? 3 : layers <= 10000 ? 4 : 5;
}

static lrp_status each_layer(scaler *s) {
  const lrp_sets *sets = &s->sweep->layers;
  lrp_status st = list_set(s, sets->n > 0 ? &sets->sets[0] : NULL, "");
  char name[32];

  for (int i = 0; st == LRP_OK && i < s->n; i++) {
    lrp_job_configuration *part = NULL;
    snprintf(name, sizeof name, "l%0*d", digits(s->layers), s->list[i]);
    st = add_part(s->axis, name, &part);
    if (st == LRP_OK) st = lrp_set_layers(part, &s->list[i], 1);
  }
  return st;
}

/* count layers from first on, a stride apart. */
static lrp_status add_stretch(scaler *s, int count, int stride) {
  const lrp_job_sweep *sweep = s->sweep;
  const int width = digits(s->reference);
  lrp_status st = LRP_OK;
  char name[64] = "";
  int at = 0;

  if (sweep->counts.swept) at = snprintf(name, sizeof name, "n%0*d", width, count);
  if (sweep->strides.swept) {
    snprintf(name + at, sizeof name - (size_t)at, "%ss%0*d", at > 0 ? "-" : "", width, stride);
  }
  memset(s->seen, 0, (size_t)s->reference * sizeof *s->seen);
  s->n = 0;
  for (int64_t i = 0; st == LRP_OK && i < count; i++) st = add_layer(s, sweep->first + i * stride);
  if (st == LRP_OK) st = scale_list(s, name);
  return st == LRP_OK ? add_listed(s, name) : st;
}

static lrp_status add_stretches(scaler *s) {
  const lrp_numbers *counts = &s->sweep->counts, *strides = &s->sweep->strides;
  lrp_status st = LRP_OK;

  for (int c = 0; c < counts->n; c++) {
    for (int i = 0; st == LRP_OK && i < strides->n; i++) {
      st = add_stretch(s, (int)counts->values[c], (int)strides->values[i]);
    }
  }
  return st;
}

/* What the name of a set's configurations says about it. */
static const char *set_name(const lrp_sets *sets, int i, char text[16]) {
  text[0] = '\0';
  if (sets->form == LRP_SETS_NUMBERED) snprintf(text, 16, "%02d", i + 1);
  return sets->form == LRP_SETS_NAMED ? sets->sets[i].name : text;
}

lrp_status lrp_axis_of_layers(const lrp_job_sweep *sweep, const lrp_config *config, lrp_axis *out) {
  const lrp_sets *sets = &sweep->layers;
  lrp_job_configuration *part = NULL;
  char number[16];
  scaler s;
  lrp_status st = begin_scaler(sweep, config, out, &s);

  if (st == LRP_OK && (sweep->each == LRP_EACH_LAYER || sweep->each == LRP_EACH_UNIT)) {
    st = each_layer(&s);
  } else if (st == LRP_OK && sweep->strides.n > 0) {
    st = add_stretches(&s);
  } else if (st == LRP_OK && sets->n == 0) {
    st = add_part(out, "", &part);
    if (st == LRP_OK) part->all_layers = true;
  } else {
    for (int i = 0; st == LRP_OK && i < sets->n; i++) {
      const char *name = set_name(sets, i, number);
      st = list_set(&s, &sets->sets[i], name);
      if (st == LRP_OK) st = add_listed(&s, name);
    }
  }
  end_scaler(&s);
  return st;
}

/* ---- tensors ---- */

/* The tensors that set i of a sweep names; without sets, all. */
static lrp_status choose(const lrp_job_sweep *sweep, const lrp_config *config, int i,
                         bool chosen[LRP_MAX_LAYER_TENSORS]) {
  lrp_job_configuration set = {.all_tensors = true};

  if (sweep->tensors.n > 0) set = sweep->tensors.sets[i];
  set.origin = sweep->origin; /* for messages */
  set.name = sweep->name;
  return lrp_tensor_choose(config, &set, chosen);
}

static lrp_status each_tensor(const lrp_job_sweep *sweep, const lrp_config *config, lrp_axis *out) {
  bool chosen[LRP_MAX_LAYER_TENSORS];
  lrp_status st = choose(sweep, config, 0, chosen);

  for (int t = 0; t < LRP_MAX_LAYER_TENSORS; t++) {
    lrp_job_configuration *part = NULL;
    bool one[LRP_MAX_LAYER_TENSORS] = {false};
    if (st != LRP_OK || !chosen[t]) continue;
    one[t] = true;
    st = add_part(out, lrp_config_tensor_name(config, t), &part);
    if (st == LRP_OK) st = lrp_set_tensors(part, config, one);
  }
  return st;
}

lrp_status lrp_axis_of_tensors(const lrp_job_sweep *sweep, const lrp_config *config,
                               lrp_axis *out) {
  const int n = sweep->tensors.n > 0 ? sweep->tensors.n : 1;
  lrp_status st = LRP_OK;
  char number[16];

  if (sweep->each == LRP_EACH_TENSOR || sweep->each == LRP_EACH_UNIT) {
    return each_tensor(sweep, config, out);
  }
  for (int i = 0; st == LRP_OK && i < n; i++) {
    bool chosen[LRP_MAX_LAYER_TENSORS];
    lrp_job_configuration *part = NULL;
    st = choose(sweep, config, i, chosen);
    if (st == LRP_OK) st = add_part(out, set_name(&sweep->tensors, i, number), &part);
    if (st == LRP_OK) st = lrp_set_tensors(part, config, chosen);
  }
  return st;
}
