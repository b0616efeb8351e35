/* Which of the offers together: a part of pipeline/offers.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/knapsack.h"
#include "pipeline/offers.h"

/* Sets of offers of a layer that exclude each other. */
typedef struct {
  lrp_offer *item; /* owned, n */
  int n, room;
} menu;

static lrp_status put(menu *m, const lrp_offer *offer) {
  if (m->n == m->room) {
    const int room = 2 * m->room + 32;
    void *grown = realloc(m->item, (size_t)room * sizeof *m->item);
    if (!grown) return lrp_fail_memory((size_t)room * sizeof *m->item, "a choice in a layer");
    m->item = grown;
    m->room = room;
  }
  m->item[m->n++] = *offer;
  return LRP_OK;
}

/* The tensor that the offer is alone about; -1: it is about several. */
static int only_tensor(const lrp_offer *offer) {
  int tensor = -1;

  for (int t = 0; t < LRP_MAX_LAYER_TENSORS; t++) {
    if (offer->rank[t] == 0) continue;
    if (tensor >= 0) return -1;
    tensor = t;
  }
  return tensor;
}

static bool same_ranks(const lrp_offer *a, const int *rank, int tensors) {
  return memcmp(a->rank, rank, (size_t)tensors * sizeof *rank) == 0;
}

/* What was measured of just these ranks of a layer, the cheapest if it was measured twice. */
static const lrp_offer *find_measured(const lrp_offers *all, int layer, const int *rank) {
  const int tensors = lrp_config_layer_tensors(all->config);
  const lrp_offer *found = NULL;

  for (int i = 0; i < all->n; i++) {
    const lrp_offer *o = &all->measured[i];
    if (o->layer != layer || !same_ranks(o, rank, tensors)) continue;
    if (!found || o->loss + o->margin < found->loss + found->margin) found = o;
  }
  return found;
}

/* Knapsack options of the menu, and only the undominated ones of it, by saving. */
static lrp_status reduce(menu *m, lrp_knapsack_option **options) {
  lrp_offer *kept = malloc(((size_t)m->n + 1) * sizeof *kept);

  *options = malloc(((size_t)m->n + 1) * sizeof **options);
  if (!kept || !*options) {
    free(kept);
    return lrp_fail_memory((size_t)m->n * sizeof *kept, "a choice in a layer");
  }
  for (int i = 0; i < m->n; i++) {
    const lrp_offer *o = &m->item[i];
    (*options)[i] = (lrp_knapsack_option){o->saving, o->loss + o->margin, i};
  }
  m->n = lrp_knapsack_prune(*options, m->n);
  for (int i = 0; i < m->n; i++) kept[i] = m->item[(*options)[i].id];
  for (int i = 0; i < m->n; i++) (*options)[i].id = i;
  free(m->item);
  m->item = kept;
  m->room = m->n + 1;
  return LRP_OK;
}

/* Of a menu by saving: at most LRP_LAYER_OFFERS, evenly spread over savings, with the largest. */
static void thin(menu *m) {
  const double width = m->n > 0 ? (double)m->item[m->n - 1].saving / (LRP_LAYER_OFFERS - 1) : 0.0;
  double last = -1.0;
  int kept = 0;

  if (m->n <= LRP_LAYER_OFFERS) return;
  for (int i = 0; i < m->n; i++) {
    const double cell = floor((double)m->item[i].saving / width);
    if (cell == last && i < m->n - 1) continue;
    last = cell;
    m->item[kept++] = m->item[i];
  }
  m->n = kept;
}

/* Every set of m, alone and with each of the single offers of a tensor. */
static lrp_status extend(menu *m, const lrp_offers *all, int layer, int tensor) {
  lrp_knapsack_option *options = NULL;
  const int n = m->n;
  lrp_status st = LRP_OK;

  for (int i = 0; st == LRP_OK && i < all->n; i++) {
    const lrp_offer *o = &all->measured[i];
    if (o->layer != layer || only_tensor(o) != tensor) continue;
    st = put(m, o);
    for (int k = 0; st == LRP_OK && k < n; k++) {
      lrp_offer both = m->item[k];
      both.rank[tensor] = o->rank[tensor];
      both.saving += o->saving;
      both.loss += o->loss;
      both.margin += o->margin;
      both.variance += o->variance;
      st = put(m, &both);
    }
  }
  if (st == LRP_OK) st = reduce(m, &options);
  if (st == LRP_OK) thin(m);
  free(options);
  return st;
}

/* The menu of a layer: sets of single tensors, and what was measured together. */
static lrp_status list_layer(const lrp_offers *all, int layer, menu *m,
                             lrp_knapsack_option **options) {
  lrp_status st = LRP_OK;

  for (int t = 0; st == LRP_OK && t < lrp_config_layer_tensors(all->config); t++) {
    st = extend(m, all, layer, t);
  }
  for (int i = 0; i < m->n; i++) { /* the sum is no better guess than the measurement */
    const lrp_offer *measured = find_measured(all, layer, m->item[i].rank);
    if (measured) m->item[i] = *measured;
  }
  for (int i = 0; st == LRP_OK && i < all->n; i++) {
    const lrp_offer *o = &all->measured[i];
    if (o->layer == layer && only_tensor(o) < 0) st = put(m, o);
  }
  if (st == LRP_OK) st = reduce(m, options);
  return st;
}

lrp_status lrp_offers_choose(const lrp_offers *all, int64_t saving, int *rank, int64_t *most,
                             bool *found) {
  const int layers = lrp_config_layers(all->config);
  const size_t n = (size_t)layers, tensors = (size_t)lrp_config_layer_tensors(all->config);
  menu *menus = calloc(n, sizeof *menus);
  lrp_knapsack_group *groups = calloc(n, sizeof *groups);
  int *taken = calloc(n, sizeof *taken);
  lrp_knapsack_result result = {0};
  lrp_status st = LRP_OK;

  memset(rank, 0, n * tensors * sizeof *rank);
  if (!menus || !groups || !taken) st = lrp_fail_memory(n * sizeof *menus, "a choice of layers");
  for (int l = 0; st == LRP_OK && l < layers; l++) {
    st = list_layer(all, l, &menus[l], &groups[l].options);
    groups[l].n = menus[l].n;
  }
  if (st == LRP_OK) st = lrp_knapsack_solve(groups, layers, saving, taken, &result);
  for (int l = 0; st == LRP_OK && l < layers; l++) {
    if (saving > result.most || taken[l] < 0) continue;
    memcpy(rank + (size_t)l * tensors, menus[l].item[taken[l]].rank, tensors * sizeof *rank);
  }
  *most = result.most;
  *found = saving <= result.most;
  for (int l = 0; l < layers; l++) {
    if (menus) free(menus[l].item);
    if (groups) free(groups[l].options);
  }
  free(taken);
  free(groups);
  free(menus);
  return st;
}

/* ---- prediction ---- */

static bool predict_layer(const lrp_offers *all, int layer, const int *rank, double *loss,
                          double *variance) {
  const int tensors = lrp_config_layer_tensors(all->config);
  const lrp_offer *whole = find_measured(all, layer, rank);

  if (whole) {
    *loss += whole->loss;
    *variance += whole->variance;
    return true;
  }
  for (int t = 0; t < tensors; t++) {
    int alone[LRP_MAX_LAYER_TENSORS] = {0};
    if (rank[t] == 0) continue;
    alone[t] = rank[t];
    const lrp_offer *o = find_measured(all, layer, alone);
    if (!o) return false;
    *loss += o->loss;
    *variance += o->variance;
  }
  return true;
}

bool lrp_offers_predict(const lrp_offers *all, const int *rank, double *loss, double *error) {
  const int layers = lrp_config_layers(all->config),
            tensors = lrp_config_layer_tensors(all->config);
  double variance = 0.0;

  *loss = 0.0;
  for (int l = 0; l < layers; l++) {
    const int *here = rank + (size_t)l * (size_t)tensors;
    if (!predict_layer(all, l, here, loss, &variance)) return false;
  }
  *error = sqrt(variance);
  return true;
}
