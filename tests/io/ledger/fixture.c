#include "tests/io/ledger/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { job_size = 100003 };

static void add_extent(fixture *f, int64_t dataset, int64_t row, int64_t rows) {
  f->extents[f->plan.n_extents++] =
      (lrp_ledger_extent){.dataset = dataset, .row = row, .rows = rows};
}

/* 1 to 11 times block_rows rows for block i. */
static int64_t rows_of(int64_t i, int64_t block_rows) {
  return (1 + i * 7 % 11) * block_rows;
}

void fixture_init(fixture *f, int64_t block_rows) {
  int64_t rows = 0;

  memset(f, 0, sizeof *f);
  for (int i = 0; i < fixture_blocks; i++) rows += rows_of(i, block_rows);
  const lrp_ledger_dataset datasets[fixture_datasets] = {
      {"/factors/model.layers.0.self_attn.q_proj.weight/u1", LRP_LEDGER_F32, 37, 5},
      {"/factors/model.layers.0.self_attn.q_proj.weight/core", LRP_LEDGER_F16, 5, 3},
      {"/spectrum/model.layers.0.self_attn.q_proj.weight", LRP_LEDGER_BF16, 11, 0},
      {"/shared/loglik", LRP_LEDGER_F64, rows, 3},
      {"/shared/tokens", LRP_LEDGER_I32, rows, 0},
      {"/other/bytes", LRP_LEDGER_U8, 13, 0},
      {"/other/nothing", LRP_LEDGER_I64, 0, 4}};
  memcpy(f->datasets, datasets, sizeof datasets);

  for (int64_t i = 0; i < 3; i++) add_extent(f, i, 0, f->datasets[i].rows);
  add_extent(f, 5, 0, 13);
  f->units[0] = (lrp_ledger_unit){.name = f->names[0], .first_extent = 0, .n_extents = 4};
  snprintf(f->names[0], sizeof f->names[0], "q_proj");
  rows = 0;
  for (int i = 0; i < fixture_blocks; i++) {
    f->units[1 + i] = (lrp_ledger_unit){
        .name = f->names[1 + i], .first_extent = f->plan.n_extents, .n_extents = 2};
    snprintf(f->names[1 + i], sizeof f->names[1 + i], "block %d", i);
    add_extent(f, 3, rows, rows_of(i, block_rows));
    add_extent(f, 4, rows, rows_of(i, block_rows));
    rows += rows_of(i, block_rows);
  }

  f->job = malloc(job_size);
  for (int i = 0; f->job && i < job_size; i++) f->job[i] = (char)(i * 31 % 251);
  f->notes[0] = (lrp_ledger_note){.name = "job", .bytes = f->job, .size = job_size};
  f->notes[1] = (lrp_ledger_note){.name = "empty.note", .bytes = NULL, .size = 0};
  f->plan.format = FIXTURE_FORMAT;
  f->plan.datasets = f->datasets;
  f->plan.n_datasets = fixture_datasets;
  f->plan.extents = f->extents;
  f->plan.units = f->units;
  f->plan.n_units = fixture_units;
  f->plan.notes = f->notes;
  f->plan.n_notes = 2;
}

void fixture_free(fixture *f) {
  free(f->job);
}

size_t fixture_bytes(const fixture *f, int64_t dataset, int64_t rows) {
  static const size_t sizes[] = {8, 4, 2, 2, 8, 4, 1};
  const lrp_ledger_dataset *d = &f->datasets[dataset];
  return (size_t)rows * (size_t)(d->cols > 0 ? d->cols : 1) * sizes[d->type];
}

void *fixture_data(const fixture *f, const lrp_ledger_extent *extent) {
  const size_t size = fixture_bytes(f, extent->dataset, extent->rows);
  const size_t first = fixture_bytes(f, extent->dataset, extent->row);
  unsigned char *data = malloc(size + 1);

  for (size_t i = 0; data && i < size; i++) {
    data[i] =
        (unsigned char)((first + i) * 2654435761u >> 13 ^ (size_t)extent->dataset * 89 ^ 0x5a);
  }
  return data;
}

lrp_status fixture_write(lrp_ledger *ledger, const fixture *f, int64_t unit, int attempt) {
  const lrp_ledger_unit *u = &f->units[unit];
  const lrp_unit_record record = {.attempt = attempt,
                                  .process_ranks = 1,
                                  .rank = (int)unit,
                                  .relative_error = 0.5 * (double)unit,
                                  .seconds = 1.25};
  void *data[4] = {NULL, NULL, NULL, NULL};
  lrp_status st;

  for (int i = 0; i < u->n_extents; i++) {
    data[i] = fixture_data(f, &f->extents[u->first_extent + i]);
  }
  st = lrp_ledger_write(ledger, unit, (const void *const *)data, &record);
  for (int i = 0; i < u->n_extents; i++) free(data[i]);
  return st;
}

bool fixture_right(lrp_ledger *ledger, const fixture *f, int64_t unit) {
  const lrp_ledger_unit *u = &f->units[unit];
  bool right = true;

  for (int i = 0; i < u->n_extents; i++) {
    const lrp_ledger_extent *e = &f->extents[u->first_extent + i];
    const size_t size = fixture_bytes(f, e->dataset, e->rows);
    void *expected = fixture_data(f, e);
    void *found = calloc(size + 1, 1);
    right =
        right && expected && found &&
        lrp_ledger_read(ledger, f->datasets[e->dataset].path, e->row, e->rows, found) == LRP_OK &&
        memcmp(expected, found, size) == 0;
    free(found);
    free(expected);
  }
  return right;
}
