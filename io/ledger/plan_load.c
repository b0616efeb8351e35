/* The plan of a ledger, read back. Nothing of it is trusted before it fits the file. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "io/ledger/ledger_internal.h"

/* A whole dataset of /plan: cols = 0 for bytes, else that many int64 per row. */
static lrp_status read_table(const lrp_ledger *l, const char *path, int64_t cols, void **table,
                             int64_t *rows) {
  lrp_h5_dataset d =
      lrp_h5_describe(l->path, path, cols > 0 ? LRP_LEDGER_I64 : LRP_LEDGER_U8, -1, cols);
  lrp_status st = lrp_h5_open(l->file, &d);
  const int64_t bytes = st == LRP_OK ? lrp_h5_bytes(&d) : 0;

  if (st == LRP_OK && (bytes < 0 || bytes > l->file_size)) {
    st = lrp_fail(LRP_ERR_DATA, "%s: %s is larger than the file", l->path, path);
  }
  if (st == LRP_OK) {
    *rows = d.rows;
    *table = malloc((size_t)bytes + 1);
    if (!*table) st = lrp_fail_memory((size_t)bytes, path);
  }
  if (st == LRP_OK) st = lrp_h5_read(&d, 0, d.rows, *table);
  lrp_h5_close(&d);
  return st;
}

static lrp_status bad_row(const lrp_ledger *l, const char *table, int64_t row) {
  return lrp_fail(LRP_ERR_DATA, "%s: %s: row %lld makes no sense; the file is damaged", l->path,
                  table, (long long)row);
}

/* Names end with a NUL because the last byte of all is one. */
static char *name_at(const lrp_ledger *l, int64_t offset) {
  return offset >= 0 && offset < l->n_names ? l->names + offset : NULL;
}

static lrp_status load_names(lrp_ledger *l) {
  void *names = NULL;
  const lrp_status st = read_table(l, LRP_PLAN_NAMES, 0, &names, &l->n_names);

  l->names = names;
  if (st == LRP_OK && l->n_names > 0 && l->names[l->n_names - 1] != '\0') {
    return bad_row(l, LRP_PLAN_NAMES, l->n_names - 1);
  }
  return st;
}

static lrp_status fill_datasets(lrp_ledger *l, const int64_t *table) {
  for (int64_t i = 0; i < l->n_datasets; i++) {
    const int64_t *row = table + 4 * i;
    const lrp_ledger_type type = (lrp_ledger_type)row[1];
    const bool known = row[1] >= LRP_LEDGER_F64 && row[1] <= LRP_LEDGER_U8;
    const lrp_h5_dataset d = {
        .size = known ? lrp_h5_type_size(type) : 1, .rows = row[2], .cols = row[3]};
    const int64_t bytes = lrp_h5_bytes(&d);
    char *path = name_at(l, row[0]);
    if (!known || !path || bytes < 0 || bytes > l->file_size) {
      return bad_row(l, LRP_PLAN_DATASETS, i);
    }
    l->datasets[i] =
        (lrp_ledger_dataset){.path = path, .type = type, .rows = row[2], .cols = row[3]};
  }
  return LRP_OK;
}

static lrp_status fill_extents(lrp_ledger *l, const int64_t *table) {
  for (int64_t i = 0; i < l->n_extents; i++) {
    const int64_t *row = table + 3 * i;
    if (row[0] < 0 || row[0] >= l->n_datasets || row[1] < 0 || row[2] < 0 ||
        row[1] > l->datasets[row[0]].rows || row[2] > l->datasets[row[0]].rows - row[1]) {
      return bad_row(l, LRP_PLAN_EXTENTS, i);
    }
    l->extents[i] = (lrp_ledger_extent){.dataset = row[0], .row = row[1], .rows = row[2]};
  }
  return LRP_OK;
}

static lrp_status fill_units(lrp_ledger *l, const int64_t *table) {
  for (int64_t i = 0; i < l->n_units; i++) {
    const int64_t *row = table + 3 * i;
    char *name = name_at(l, row[0]);
    if (!name || row[1] < 0 || row[1] > l->n_extents || row[2] < 0 || row[2] > INT_MAX ||
        row[2] > l->n_extents - row[1]) {
      return bad_row(l, LRP_PLAN_UNITS, i);
    }
    l->units[i] = (lrp_ledger_unit){.name = name, .first_extent = row[1], .n_extents = (int)row[2]};
  }
  return LRP_OK;
}

static lrp_status load_datasets(lrp_ledger *l) {
  void *table = NULL;
  lrp_status st = read_table(l, LRP_PLAN_DATASETS, 4, &table, &l->n_datasets);

  if (st == LRP_OK) {
    l->datasets = calloc((size_t)l->n_datasets + 1, sizeof *l->datasets);
    if (!l->datasets) st = lrp_fail_memory((size_t)l->n_datasets * sizeof *l->datasets, "datasets");
  }
  if (st == LRP_OK) st = fill_datasets(l, table);
  free(table);
  return st;
}

static lrp_status load_extents(lrp_ledger *l) {
  void *table = NULL;
  lrp_status st = read_table(l, LRP_PLAN_EXTENTS, 3, &table, &l->n_extents);

  if (st == LRP_OK) {
    l->extents = calloc((size_t)l->n_extents + 1, sizeof *l->extents);
    if (!l->extents) st = lrp_fail_memory((size_t)l->n_extents * sizeof *l->extents, "extents");
  }
  if (st == LRP_OK) st = fill_extents(l, table);
  free(table);
  return st;
}

static lrp_status load_units(lrp_ledger *l) {
  void *table = NULL;
  lrp_status st = read_table(l, LRP_PLAN_UNITS, 3, &table, &l->n_units);

  if (st == LRP_OK) {
    l->units = calloc((size_t)l->n_units + 1, sizeof *l->units);
    if (!l->units) st = lrp_fail_memory((size_t)l->n_units * sizeof *l->units, "units");
  }
  if (st == LRP_OK) st = fill_units(l, table);
  free(table);
  return st;
}

lrp_status lrp_plan_load(lrp_ledger *ledger) {
  lrp_status st = load_names(ledger);

  if (st == LRP_OK) st = load_datasets(ledger);
  if (st == LRP_OK) st = load_extents(ledger);
  if (st == LRP_OK) st = load_units(ledger);
  return st;
}
