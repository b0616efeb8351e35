#include "pipeline/pass.h"

#include <stdlib.h>
#include <string.h>

#include "io/model/reader.h"
#include "pipeline/memory.h"

/* Reading stays ahead of computing by this part of the node's memory: what is read must still be
 * there when it is used. */
static const double ahead_share = 0.25;
static const double ahead_unknown = 1 << 28; /* where the memory is not known */

static const double wait_s = 0.2;

/* What a scan found: the lowest weight of the model's order that has a NaN. */
typedef struct {
  int64_t weight; /* INT64_MAX: none */
  int64_t count, first;
} finding;

struct lrp_pass {
  const lrp_model *model;   /* borrowed */
  const lrp_topology *topo; /* borrowed */
  lrp_reader_item *items;   /* owned: of this process rank */
  int64_t *tensor;          /* owned: number of each among all tensors */
  int *unit;                /* owned: number of each among the units; n_units: none */
  int64_t n;
  int64_t at; /* the first item of a unit that has not been reached */
  lrp_reader *reader;
  finding by_solver; /* seen by lrp_pass_scan */
};

/* ---- What is read ---------------------------------------------------------------------------- */

int64_t lrp_pass_tensors(const lrp_model *model) {
  int64_t n = 0;
  for (int s = 0; s < model->n_shards; s++) n += model->shards[s].st.count;
  return n;
}

/* Where a tensor is; number: among all. */
static lrp_reader_item item_of(const lrp_model *model, const lrp_shard *shard,
                               const lrp_safetensor *t, int64_t *number) {
  *number = t - shard->st.tensors;
  for (const lrp_shard *s = model->shards; s < shard; s++) *number += s->st.count;
  return (lrp_reader_item){.file = &shard->st, .tensor = t, .weight = -1};
}

static void add(lrp_pass *pass, lrp_reader_item item, int64_t tensor, int unit) {
  pass->items[pass->n] = item;
  pass->tensor[pass->n] = tensor;
  pass->unit[pass->n++] = unit;
}

/* The units come first; taken[tensor] is set for all of them, whoever reads them. */
static void add_units(lrp_pass *pass, const uint64_t *xxh3, const lrp_pass_unit *units, int n_units,
                      bool *taken) {
  for (int u = 0; u < n_units; u++) {
    const lrp_shard *shard;
    const lrp_safetensor *t =
        lrp_shards_find(pass->model->shards, pass->model->n_shards, units[u].name, &shard);
    int64_t tensor;
    if (!t) continue; /* the plan is of this model: lrp_model_matrix will say it */
    lrp_reader_item item = item_of(pass->model, shard, t, &tensor);
    item.look = xxh3[tensor] == 0;
    if (units[u].mine) add(pass, item, tensor, u);
    taken[tensor] = true;
  }
}

/* The others, dealt over all process ranks in the order of the files. */
static void add_others(lrp_pass *pass, const uint64_t *xxh3, int n_units, const bool *taken) {
  const lrp_model *model = pass->model;
  int64_t turn = 0;
  for (int s = 0; s < model->n_shards; s++) {
    const lrp_safetensors *st = &model->shards[s].st;
    for (int64_t i = 0; i < st->count; i++) {
      int64_t tensor;
      lrp_reader_item item = item_of(model, &model->shards[s], &st->tensors[i], &tensor);
      item.look = true;
      if (taken[tensor] || xxh3[tensor] != 0) continue;
      if (turn++ % pass->topo->size == pass->topo->me) add(pass, item, tensor, n_units);
    }
  }
}

/* Which items are weights that the model uses: only these must be numbers. */
static lrp_status number_weights(lrp_pass *pass, int64_t n_tensors) {
  const lrp_model *model = pass->model;
  int64_t *item_at = malloc(((size_t)n_tensors + 1) * sizeof *item_at);
  if (!item_at) return lrp_fail_memory((size_t)n_tensors * sizeof *item_at, "the scan");
  for (int64_t t = 0; t < n_tensors; t++) item_at[t] = -1;
  for (int64_t i = 0; i < pass->n; i++) item_at[pass->tensor[i]] = i;
  for (int64_t w = 0; w < lrp_model_weight_count(model); w++) {
    const lrp_shard *shard;
    const char *name;
    lrp_matrix view;
    int64_t tensor;
    lrp_model_weight(model, w, &name, &view);
    const lrp_safetensor *t = lrp_shards_find(model->shards, model->n_shards, name, &shard);
    if (!t) continue;
    item_of(model, shard, t, &tensor);
    if (item_at[tensor] < 0) continue;
    pass->items[item_at[tensor]].weight = w;
    pass->items[item_at[tensor]].dtype = view.dtype;
  }
  free(item_at);
  return LRP_OK;
}

static lrp_status make_items(lrp_pass *pass, const uint64_t *xxh3, const lrp_pass_unit *units,
                             int n_units) {
  const int64_t n_tensors = lrp_pass_tensors(pass->model);
  const size_t n = (size_t)n_tensors + 1;
  bool *taken = calloc(n, sizeof *taken);
  lrp_status st = LRP_OK;

  pass->items = calloc(n, sizeof *pass->items);
  pass->tensor = calloc(n, sizeof *pass->tensor);
  pass->unit = calloc(n, sizeof *pass->unit);
  if (!taken || !pass->items || !pass->tensor || !pass->unit) {
    st = lrp_fail_memory(n * sizeof *pass->items, "the list of tensors");
  }
  if (st == LRP_OK) {
    add_units(pass, xxh3, units, n_units, taken);
    add_others(pass, xxh3, n_units, taken);
    st = number_weights(pass, n_tensors);
  }
  free(taken);
  return st;
}

/* ---- Going on -------------------------------------------------------------------------------- */

static void destroy(lrp_pass *pass) {
  free(pass->items);
  free(pass->tensor);
  free(pass->unit);
  free(pass);
}

lrp_status lrp_pass_start(const lrp_model *model, const lrp_topology *topo, const uint64_t *xxh3,
                          const lrp_pass_unit *units, int n_units, lrp_pass **out) {
  const double memory = lrp_memory_available();
  const double ahead =
      (memory > 0.0 ? ahead_share * memory : ahead_unknown) / topo->node_ranks[topo->node_index];
  lrp_pass *pass = calloc(1, sizeof *pass);
  lrp_status st = LRP_OK;

  *out = NULL;
  if (!pass) st = lrp_fail_memory(sizeof *pass, "the pass over the weights");
  if (st == LRP_OK) {
    *pass = (lrp_pass){.model = model, .topo = topo, .by_solver = {.weight = INT64_MAX}};
    st = make_items(pass, xxh3, units, n_units);
  }
  if (st == LRP_OK) st = lrp_reader_start(pass->items, pass->n, (size_t)ahead, &pass->reader);
  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) {
    *out = pass;
  } else if (pass) {
    lrp_reader_stop(&pass->reader);
    destroy(pass);
  }
  return st;
}

void lrp_pass_reached(lrp_pass *pass, int unit) {
  while (pass->at < pass->n && pass->unit[pass->at] < unit) pass->at++;
  lrp_reader_reached(pass->reader, pass->at);
}

lrp_status lrp_pass_check(lrp_pass *pass) {
  return pass->by_solver.weight != INT64_MAX ? LRP_ERR_DATA : lrp_reader_state(pass->reader);
}

/* Number of the weight called name. */
static int64_t weight_number(const lrp_model *model, const char *name) {
  const int64_t n = lrp_model_weight_count(model);
  for (int64_t w = 0; w < n; w++) {
    const char *other;
    lrp_matrix view;
    lrp_model_weight(model, w, &other, &view);
    if (strcmp(name, other) == 0) return w;
  }
  return n - 1;
}

lrp_status lrp_pass_scan(lrp_pass *pass, const char *name, const lrp_matrix *w) {
  int64_t row = 0, col = 0;
  const int64_t count = lrp_matrix_count_nonfinite(w, &row, &col);
  if (count == 0) return LRP_OK;
  const int64_t weight = weight_number(pass->model, name);
  if (weight < pass->by_solver.weight) {
    pass->by_solver = (finding){.weight = weight, .count = count, .first = row * w->cols + col};
  }
  return LRP_ERR_DATA;
}

lrp_status lrp_pass_finish(lrp_pass *pass, lrp_control *control) {
  lrp_status st = LRP_OK;
  lrp_watch_phase(control->watch, "read the other weights");
  while (st == LRP_OK && !lrp_reader_wait(pass->reader, wait_s)) {
    st = lrp_stop_check(control->stop, 0.0);
    if (st == LRP_OK) st = lrp_pass_check(pass);
  }
  return st == LRP_OK ? lrp_pass_check(pass) : st;
}

/* ---- What was found -------------------------------------------------------------------------- */

static finding find_first(const lrp_pass *pass) {
  finding best = pass->by_solver;
  for (int64_t i = 0; i < pass->n; i++) {
    const lrp_reader_item *item = &pass->items[i];
    if (!item->done || item->nonfinite == 0 || item->weight >= best.weight) continue;
    best = (finding){item->weight, item->nonfinite, item->first};
  }
  return best;
}

/* Whoever saw the first one in the model's order says it. Collective. */
static lrp_status report_first(const lrp_pass *pass) {
  const finding mine = find_first(pass);
  int64_t first = mine.weight;
  const char *name;
  lrp_matrix w;

  MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT64_T, MPI_MIN, pass->topo->comm);
  if (first == INT64_MAX) return LRP_OK; /* what failed was something else */
  if (mine.weight != first) return LRP_ERR_DATA;
  lrp_model_weight(pass->model, first, &name, &w);
  return lrp_fail(LRP_ERR_DATA,
                  "%s: tensor %s: %lld NaN or infinite values of %lld, the first at [%lld, %lld]; "
                  "repair or replace the model",
                  pass->model->dir, name, (long long)mine.count, (long long)(w.rows * w.cols),
                  (long long)(mine.first / w.cols), (long long)(mine.first % w.cols));
}

/* Hashes that any process rank has learnt. Collective. */
static void share_hashes(const lrp_pass *pass, uint64_t *xxh3) {
  const int64_t n = lrp_pass_tensors(pass->model);
  for (int64_t i = 0; i < pass->n; i++) {
    const lrp_reader_item *item = &pass->items[i];
    if (item->done && item->nonfinite == 0) xxh3[pass->tensor[i]] = item->xxh3;
  }
  MPI_Allreduce(MPI_IN_PLACE, xxh3, (int)n, MPI_UINT64_T, MPI_BOR, pass->topo->comm);
}

lrp_status lrp_pass_end(lrp_pass **out, uint64_t *xxh3) {
  lrp_pass *pass = *out;
  if (!pass) return LRP_OK;
  int bad = lrp_pass_check(pass) == LRP_ERR_DATA;
  MPI_Allreduce(MPI_IN_PLACE, &bad, 1, MPI_INT, MPI_MAX, pass->topo->comm);
  while (bad && !lrp_reader_wait(pass->reader, wait_s)) continue;
  lrp_status st = lrp_reader_stop(&pass->reader);
  if (bad) {
    const lrp_status found = report_first(pass);
    if (found > st) st = found;
  }
  share_hashes(pass, xxh3);
  st = lrp_agree(st, pass->topo->comm);
  destroy(pass);
  *out = NULL;
  return st;
}
