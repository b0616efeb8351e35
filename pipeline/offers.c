#include "pipeline/offers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/choose_names.h"
#include "pipeline/tensor_choice.h"

void lrp_offers_free(lrp_offers *offers) {
  free(offers->measured);
  *offers = (lrp_offers){0};
}

int64_t lrp_saving_of_layer(const lrp_config *config, lrp_method method, const int *rank) {
  int64_t saving = 0;

  for (int t = 0; t < lrp_config_layer_tensors(config); t++) {
    int64_t m, n;
    if (rank[t] == 0) continue;
    lrp_config_tensor_shape(config, t, &m, &n);
    saving += m * n - lrp_factor_parameters(method, m, n, rank[t]);
  }
  return saving;
}

int64_t lrp_saving_of(const lrp_config *config, lrp_method method, const int *rank) {
  const int layers = lrp_config_layers(config), tensors = lrp_config_layer_tensors(config);
  int64_t saving = 0;

  for (int l = 0; l < layers; l++) {
    saving += lrp_saving_of_layer(config, method, rank + (size_t)l * (size_t)tensors);
  }
  return saving;
}

static lrp_status add(lrp_offers *all, const lrp_offer *offer) {
  if (all->n == all->room) {
    const int room = 2 * all->room + 64;
    void *grown = realloc(all->measured, (size_t)room * sizeof *all->measured);
    if (!grown) return lrp_fail_memory((size_t)room * sizeof *all->measured, "measured losses");
    all->measured = grown;
    all->room = room;
  }
  all->measured[all->n] = *offer;
  all->measured[all->n++].saving = lrp_saving_of_layer(all->config, all->method, offer->rank);
  return LRP_OK;
}

lrp_status lrp_offers_every(const lrp_offers *offers, int stride, int first, lrp_offers *out) {
  lrp_status st = LRP_OK;

  *out = (lrp_offers){.config = offers->config, .method = offers->method};
  for (int i = 0; st == LRP_OK && i < offers->n; i++) {
    const int after = offers->measured[i].layer - first;
    if (after >= 0 && after % stride == 0) st = add(out, &offers->measured[i]);
  }
  return st;
}

/* ---- measured losses ---- */

static lrp_status fail_foreign(const char *what) {
  return lrp_fail(LRP_ERR_DATA,
                  "tradeoff.json: %s: not of this model, or damaged; run the job again", what);
}

/* rank of the tensor called name; rank 0 is none. */
static lrp_status set_rank(const lrp_config *config, const json_t *name, const json_t *rank,
                           lrp_offer *offer) {
  const char *text = json_string_value(name);
  const int tensor = text ? lrp_tensor_find(config, text) : -1;
  const json_int_t r = json_integer_value(rank);
  int64_t m, n;

  if (tensor < 0) return fail_foreign("a tensor");
  lrp_config_tensor_shape(config, tensor, &m, &n);
  if (r < 1 || r > (m < n ? m : n)) return fail_foreign("a rank");
  offer->rank[tensor] = (int)r;
  return LRP_OK;
}

static lrp_status set_layer(const lrp_config *config, const json_t *row, lrp_offer *offer) {
  const json_t *value = json_object_get(row, "layer");
  const json_int_t layer = json_integer_value(value);

  if (!json_is_integer(value) || layer < 0 || layer >= lrp_config_layers(config)) {
    return fail_foreign("a layer");
  }
  offer->layer = (int)layer;
  return LRP_OK;
}

/* A row of units (tensor, rank) or of layers (tensors, ranks). */
static lrp_status add_row(lrp_offers *all, const json_t *row) {
  const char *name = json_string_value(json_object_get(row, "configuration"));
  const json_t *loss = json_object_get(row, "loss"), *tensors = json_object_get(row, "tensors");
  const double margin = json_number_value(json_object_get(row, "loss_stderr"));
  lrp_offer offer = {.margin = margin, .variance = margin * margin};

  if (!name || lrp_is_chosen_name(name) || !json_is_number(loss)) return LRP_OK;
  offer.loss = fmax(json_number_value(loss), 0.0);
  lrp_status st = set_layer(all->config, row, &offer);
  if (st == LRP_OK && !tensors) {
    st =
        set_rank(all->config, json_object_get(row, "tensor"), json_object_get(row, "rank"), &offer);
  }
  if (tensors && json_array_size(tensors) == 0) st = fail_foreign("a set of tensors");
  for (size_t i = 0; st == LRP_OK && i < json_array_size(tensors); i++) {
    st = set_rank(all->config, json_array_get(tensors, i),
                  json_array_get(json_object_get(row, "ranks"), i), &offer);
  }
  return st == LRP_OK ? add(all, &offer) : st;
}

lrp_status lrp_offers_of_losses(const json_t *sensitivity, const lrp_config *config,
                                lrp_method method, lrp_offers *out) {
  static const char *const lists[] = {"units", "layers"};
  lrp_status st = LRP_OK;

  *out = (lrp_offers){.config = config, .method = method};
  for (size_t l = 0; l < sizeof lists / sizeof *lists; l++) {
    const json_t *rows = json_object_get(sensitivity, lists[l]);
    for (size_t i = 0; st == LRP_OK && i < json_array_size(rows); i++) {
      st = add_row(out, json_array_get(rows, i));
    }
  }
  return st;
}

/* ---- errors ---- */

/* s_i: of the listed points [i, s], or between them. at: where the search goes on. */
static double singular_value(const json_t *spectrum, int i, size_t *at) {
  const size_t n = json_array_size(spectrum);
  double before = 0.0, s_before = 0.0;

  for (; *at < n; (*at)++) {
    const json_t *point = json_array_get(spectrum, *at);
    const double here = json_number_value(json_array_get(point, 0));
    const double s = json_number_value(json_array_get(point, 1));
    if (here >= i) {
      if (*at == 0 || here == i) return s;
      point = json_array_get(spectrum, *at - 1);
      before = json_number_value(json_array_get(point, 0));
      s_before = json_number_value(json_array_get(point, 1));
      return s_before + (s - s_before) * (i - before) / (here - before);
    }
  }
  return 0.0;
}

/* |W - W_r|^2 / |W|^2 for r <= stored, by that of the stored rank: what lies between them is
 * s_{r+1}^2 + .. + s_stored^2, and |W|^2 follows from the first ones. Less than 0: not known. */
static double squared_error(const json_t *unit, int r) {
  const json_t *spectrum = json_object_get(unit, "spectrum");
  const int stored = (int)json_integer_value(json_object_get(unit, "rank"));
  const double e = json_number_value(json_object_get(unit, "relative_error"));
  double first = 0.0, between = 0.0;
  size_t at = 0;

  if (r == stored) return e * e;
  if (r > stored || json_array_size(spectrum) == 0) return -1.0;
  for (int i = 1; i <= stored; i++) {
    const double s = singular_value(spectrum, i, &at);
    *(i <= r ? &first : &between) += s * s;
  }
  if (first + between <= 0.0) return e * e;
  return e * e + (1.0 - e * e) * between / (first + between);
}

/* Whether the unit whose offers begin at first has one of this rank. */
static bool has_rank(const lrp_offers *all, int first, int tensor, int rank) {
  for (int i = first; i < all->n; i++) {
    if (all->measured[i].rank[tensor] == rank) return true;
  }
  return false;
}

/* The unit at each rank that it has in a configuration. */
static lrp_status add_unit(lrp_offers *all, const lrp_plan *plan, const json_t *unit) {
  const json_t *name = json_object_get(unit, "short");
  lrp_offer offer = {0};
  lrp_status st = set_layer(all->config, unit, &offer);
  if (st == LRP_OK) st = set_rank(all->config, name, json_object_get(unit, "rank"), &offer);
  if (st != LRP_OK) return st;

  const int tensor = lrp_tensor_find(all->config, json_string_value(name)), first = all->n;
  const size_t at = (size_t)offer.layer * (size_t)plan->tensors + (size_t)tensor;
  for (int c = 0; st == LRP_OK && c < plan->n_configurations; c++) {
    const lrp_configuration *configuration = &plan->configurations[c];
    const int r = configuration->rank[at];
    if (r == 0 || configuration->energy > 0.0 || has_rank(all, first, tensor, r)) continue;
    if (lrp_is_chosen_name(configuration->name)) continue;
    offer.rank[tensor] = r;
    offer.loss = squared_error(unit, r);
    if (offer.loss >= 0.0) st = add(all, &offer);
  }
  return st;
}

lrp_status lrp_offers_of_errors(const json_t *tensors, const lrp_plan *plan,
                                const lrp_config *config, lrp_method method, lrp_offers *out) {
  lrp_status st = LRP_OK;

  *out = (lrp_offers){.config = config, .method = method};
  for (size_t i = 0; st == LRP_OK && i < json_array_size(tensors); i++) {
    st = add_unit(out, plan, json_array_get(tensors, i));
  }
  return st;
}
