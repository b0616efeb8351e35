#include "pipeline/store.h"

#include <stdlib.h>
#include <string.h>

#include "io/base/json_memory.h"
#include "pipeline/provenance.h"

/* Extents of a unit in a factors ledger, in this order. */
enum { part_left, part_middle, part_right, part_spectrum, parts };

static const char *const part_names[2][3] = {{"u1", "core", "u2"}, {"u", "s", "vt"}};

/* "/factors/<tensor>/u1", "/spectrum/<tensor>"; freed by the caller. */
static char *part_path(lrp_method method, const char *tensor, int part) {
  char *path = NULL;
  const int n = part == part_spectrum
                    ? asprintf(&path, "/spectrum/%s", tensor)
                    : asprintf(&path, "/factors/%s/%s", tensor, part_names[method][part]);
  if (n >= 0) return path;
  lrp_fail_memory(strlen(tensor), "a dataset path");
  return NULL;
}

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* The plan of a ledger for the units with missing[i]. */
typedef struct {
  lrp_ledger_plan plan;
  lrp_ledger_dataset *datasets;
  lrp_ledger_extent *extents;
  lrp_ledger_unit *units;
} factor_plan;

static void factor_plan_free(factor_plan *p) {
  for (int64_t i = 0; p->datasets && i < p->plan.n_datasets; i++) free(p->datasets[i].path);
  free(p->datasets);
  free(p->extents);
  free(p->units);
}

static lrp_status add_unit(factor_plan *p, const lrp_study *study, const lrp_unit *unit) {
  const lrp_method method = study->job.decompose.method;
  const lrp_ledger_type type = lrp_ledger_type_of(study->store_dtype);
  const int64_t r = unit->rank;
  const lrp_ledger_dataset shape[parts] = {
      [part_left] = {.type = type, .rows = unit->m, .cols = r},
      [part_middle] = {.type = LRP_LEDGER_F32, .rows = r, .cols = method == LRP_TUCKER ? r : 0},
      [part_right] = {.type = type, .rows = r, .cols = unit->n},
      [part_spectrum] = {.type = LRP_LEDGER_F64, .rows = smaller(unit->m, unit->n)},
  };
  const int64_t first = p->plan.n_datasets;
  p->units[p->plan.n_units++] =
      (lrp_ledger_unit){.name = unit->name, .first_extent = first, .n_extents = parts};
  for (int part = 0; part < parts; part++) {
    lrp_ledger_dataset *d = &p->datasets[p->plan.n_datasets];
    *d = shape[part];
    d->path = part_path(method, unit->name, part);
    if (!d->path) return LRP_ERR_MEM;
    p->extents[p->plan.n_datasets] =
        (lrp_ledger_extent){.dataset = p->plan.n_datasets, .row = 0, .rows = d->rows};
    p->plan.n_datasets++;
  }
  p->plan.n_extents = p->plan.n_datasets;
  return LRP_OK;
}

static lrp_status factor_plan_init(factor_plan *p, const lrp_study *study, const bool *missing) {
  const size_t n = (size_t)study->plan.n_units;
  lrp_status st = LRP_OK;

  *p = (factor_plan){0};
  p->datasets = calloc(n * parts, sizeof *p->datasets);
  p->extents = calloc(n * parts, sizeof *p->extents);
  p->units = calloc(n, sizeof *p->units);
  if (!p->datasets || !p->extents || !p->units) {
    st = lrp_fail_memory(n * parts * sizeof *p->datasets, "the plan of the factors");
  }
  for (size_t i = 0; st == LRP_OK && i < n; i++) {
    if (missing[i]) st = add_unit(p, study, &study->plan.units[i]);
  }
  p->plan.format = LRP_FACTORS_FORMAT;
  p->plan.datasets = p->datasets;
  p->plan.extents = p->extents;
  p->plan.units = p->units;
  return st;
}

/* What a ledger for the units with missing[i] is planned for. NULL when out of memory. */
static json_t *make_covers(const lrp_study *study, const bool *missing) {
  json_t *units = json_array();
  for (int i = 0; i < study->plan.n_units; i++) {
    const lrp_unit *u = &study->plan.units[i];
    if (!missing[i]) continue;
    json_array_append_new(
        units, json_pack("{s:s, s:I, s:I, s:i}", "tensor", u->name, "m", (json_int_t)u->m, "n",
                         (json_int_t)u->n, "rank", u->rank));
  }
  return json_pack("{s:o, s:s, s:s, s:o}", "model", lrp_model_files(study), "method",
                   lrp_method_name(study->job.decompose.method), "dtype",
                   lrp_dtype_name(study->store_dtype), "units", units);
}

static lrp_status check_word(const char *key, const char *job, const json_t *covers,
                             const char *output) {
  const char *stored = json_string_value(json_object_get(covers, key));
  if (stored && strcmp(stored, job) == 0) return LRP_OK;
  return lrp_fail(LRP_ERR_JOB,
                  "decompose.%s: the job says %s, %s holds factors of %s; restore it or choose "
                  "another output",
                  key, job, output, stored ? stored : "?");
}

/* The job and the model must be those that the ledger was planned for. */
static lrp_status check_covers(const lrp_study *study, const json_t *covers) {
  const char *output = study->job.output;
  lrp_status st =
      check_word("method", lrp_method_name(study->job.decompose.method), covers, output);
  if (st == LRP_OK) st = check_word("dtype", lrp_dtype_name(study->store_dtype), covers, output);
  if (st != LRP_OK) return st;

  json_t *files = lrp_model_files(study);
  const bool same = files && json_equal(files, json_object_get(covers, "model"));
  json_decref(files);
  if (same) return LRP_OK;
  return lrp_fail(LRP_ERR_DATA,
                  "%s: its config.json or weight files are not those that %s was made from; "
                  "restore the model or choose another output",
                  study->job.model, output);
}

/* Units that ledger number l has at a sufficient rank find their place there. */
static lrp_status find_places(lrp_store *store, int l, const json_t *covers) {
  const lrp_plan *plan = &store->study->plan;
  const json_t *units = json_object_get(covers, "units");
  json_t *index = json_object();
  size_t slot;
  const json_t *u;

  json_array_foreach(units, slot, u) {
    json_object_set_new(index, json_string_value(json_object_get(u, "tensor")),
                        json_integer((json_int_t)slot));
  }
  for (int i = 0; i < plan->n_units; i++) {
    const json_t *at = json_object_get(index, plan->units[i].name);
    if (store->place[i].ledger >= 0 || !at) continue;
    u = json_array_get(units, (size_t)json_integer_value(at));
    const int rank = (int)json_integer_value(json_object_get(u, "rank"));
    if (rank < plan->units[i].rank) continue;
    store->place[i] = (lrp_store_place){l, json_integer_value(at), rank};
  }
  json_decref(index);
  if (json_array_size(units) == (size_t)lrp_ledger_units(store->ledgers.ledger[l])) return LRP_OK;
  return lrp_fail(LRP_ERR_DATA, "%s: a factors ledger is damaged: units and plan differ",
                  store->study->job.output);
}

static lrp_status adopt(lrp_store *store, int l) {
  json_t *covers = NULL;
  lrp_status st = lrp_ledgers_note(store->ledgers.ledger[l], "covers", &covers);
  if (st == LRP_OK) st = check_covers(store->study, covers);
  if (st == LRP_OK) st = find_places(store, l, covers);
  json_decref(covers);
  return lrp_json_checked(st);
}

/* Plan a further ledger for the units that have no place yet. Collective. */
static lrp_status add_missing(lrp_store *store, const lrp_topology *topo,
                              const json_t *provenance) {
  const lrp_study *study = store->study;
  const int n = study->plan.n_units;
  bool *missing = calloc((size_t)n + 1, sizeof *missing);
  factor_plan p = {0};
  json_t *covers = NULL;
  int n_missing = 0;
  lrp_status st = missing ? LRP_OK : lrp_fail_memory((size_t)n, "the plan of the factors");

  if (st == LRP_OK) {
    for (int i = 0; i < n; i++) {
      missing[i] = store->place[i].ledger < 0;
      n_missing += missing[i];
    }
    st = factor_plan_init(&p, study, missing);
    covers = make_covers(study, missing);
    if (!covers) st = lrp_fail_memory(0, "the plan of the factors");
    st = lrp_json_checked(st);
  }
  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK && n_missing > 0) {
    st = lrp_ledgers_add(study->job.output, LRP_FACTORS_STEM, &p.plan, covers, provenance,
                         study->job_yaml, topo->comm, &store->ledgers);
    if (st == LRP_OK) st = lrp_agree(adopt(store, store->ledgers.n - 1), topo->comm);
  }
  json_decref(covers);
  factor_plan_free(&p);
  free(missing);
  return st;
}

lrp_status lrp_store_open(const lrp_study *study, const lrp_topology *topo,
                          const json_t *provenance, int attempt, lrp_store *store) {
  const size_t n = (size_t)study->plan.n_units;
  *store = (lrp_store){.study = study, .attempt = attempt};
  store->place = calloc(n + 1, sizeof *store->place);
  lrp_status st = store->place ? LRP_OK : lrp_fail_memory(n * sizeof *store->place, "the store");
  st = lrp_agree(st, topo->comm);
  if (st != LRP_OK) return st;
  for (size_t i = 0; i < n; i++) store->place[i].ledger = -1;

  st = lrp_ledgers_open(study->job.output, LRP_FACTORS_STEM, LRP_FACTORS_FORMAT, topo->comm,
                        &store->ledgers);
  for (int l = 0; st == LRP_OK && l < store->ledgers.n; l++) st = adopt(store, l);
  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) st = add_missing(store, topo, provenance);
  if (st != LRP_OK) lrp_store_close(store);
  return st;
}

lrp_status lrp_store_close(lrp_store *store) {
  const lrp_status st = lrp_ledgers_close(&store->ledgers);
  free(store->place);
  *store = (lrp_store){0};
  return st;
}

static lrp_ledger *ledger_of(const lrp_store *store, int i) {
  return store->ledgers.ledger[store->place[i].ledger];
}

bool lrp_store_done(const lrp_store *store, int i, lrp_unit_record *record) {
  return lrp_ledger_done(ledger_of(store, i), store->place[i].slot, record);
}

lrp_status lrp_store_put(lrp_store *store, int i, const lrp_factors *f, double seconds,
                         int process_ranks) {
  const void *const data[parts] = {
      [part_left] = f->left,
      [part_middle] = f->middle,
      [part_right] = f->right,
      [part_spectrum] = f->spectrum,
  };
  const lrp_unit_record record = {
      .attempt = store->attempt,
      .process_ranks = process_ranks,
      .rank = f->rank,
      .solver = (int32_t)f->solver,
      .relative_error = f->certificate.relative_error,
      .orthogonality = f->certificate.orthogonality,
      .residual = f->certificate.residual,
      .predicted = f->certificate.predicted,
      .frobenius = f->certificate.norm,
      .seconds = seconds,
  };
  return lrp_ledger_write(ledger_of(store, i), store->place[i].slot, data, &record);
}

/* Every ledger, also after a failure: what is done stays done. */
lrp_status lrp_store_flush(lrp_store *store) {
  lrp_status st = LRP_OK;
  for (int l = 0; l < store->ledgers.n; l++) {
    const lrp_status flushed = lrp_ledger_flush(store->ledgers.ledger[l]);
    if (flushed > st) st = flushed;
  }
  return st;
}

lrp_status lrp_store_flush_after(lrp_store *store, double seconds) {
  lrp_status st = LRP_OK;
  for (int l = 0; st == LRP_OK && l < store->ledgers.n; l++) {
    st = lrp_ledger_flush_after(store->ledgers.ledger[l], seconds);
  }
  return st;
}

lrp_status lrp_store_refresh(lrp_store *store) {
  lrp_status st = LRP_OK;
  for (int l = 0; st == LRP_OK && l < store->ledgers.n; l++) {
    st = lrp_ledger_refresh(store->ledgers.ledger[l]);
  }
  return st;
}

/* View of the first rows x cols of a stored part. */
static lrp_status view(lrp_store *store, int i, int part, lrp_dtype dtype, int64_t rows,
                       int64_t cols, int64_t ld, lrp_matrix *out) {
  const lrp_study *study = store->study;
  char *path = part_path(study->job.decompose.method, study->plan.units[i].name, part);
  if (!path) return LRP_ERR_MEM;
  *out = (lrp_matrix){.dtype = dtype, .rows = rows, .cols = cols, .ld = ld};
  const lrp_status st = lrp_ledger_map(ledger_of(store, i), path, &out->data);
  free(path);
  return st;
}

lrp_status lrp_store_factors(lrp_store *store, int i, int rank, lrp_matrix *left,
                             lrp_matrix *middle, lrp_matrix *right) {
  const lrp_unit *u = &store->study->plan.units[i];
  const lrp_dtype dtype = store->study->store_dtype;
  const bool tucker = store->study->job.decompose.method == LRP_TUCKER;
  const int64_t ld = store->place[i].rank;
  lrp_status st = view(store, i, part_left, dtype, u->m, rank, ld, left);
  if (st == LRP_OK) st = view(store, i, part_middle, LRP_F32, tucker ? rank : 1, rank, ld, middle);
  if (st == LRP_OK) st = view(store, i, part_right, dtype, rank, u->n, u->n, right);
  return st;
}

lrp_status lrp_store_spectrum(lrp_store *store, int i, double **s) {
  const lrp_study *study = store->study;
  const lrp_unit *u = &study->plan.units[i];
  const int64_t k = smaller(u->m, u->n);
  char *path = part_path(study->job.decompose.method, u->name, part_spectrum);
  lrp_status st = path ? LRP_OK : LRP_ERR_MEM;

  *s = malloc((size_t)k * sizeof **s);
  if (!*s) st = lrp_fail_memory((size_t)k * sizeof **s, "a spectrum");
  if (st == LRP_OK) st = lrp_ledger_read(ledger_of(store, i), path, 0, k, *s);
  free(path);
  if (st != LRP_OK) {
    free(*s);
    *s = NULL;
  }
  return st;
}
