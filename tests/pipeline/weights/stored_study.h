/** @file tests/pipeline/weights/stored_study.h
 *  A run up to its evaluation: a model of real weight files, a job, factors in the store. */
#ifndef LRP_TESTS_PIPELINE_WEIGHTS_STORED_STUDY_H
#define LRP_TESTS_PIPELINE_WEIGHTS_STORED_STUDY_H

#include <math.h>

#include "kernels/log.h"
#include "pipeline/store.h"
#include "tests/io/base/temp_dir.h"
#include "tests/mpi_test.h"

enum {
  layers = 5,
  hidden = 320, /* square maps of it are packed, those of 64 keys and values are not */
  tokens = 3,
  rank = 7
};

static lrp_topology real;
static lrp_options options = {.operand = NULL};
static lrp_study study;
static lrp_store store;
static lrp_llama plain; /* as it lies */

/* ---- a run up to its evaluation -------------------------------------------------------------- */

static inline void write_inputs(void) {
  char command[2048], job[4096];
  snprintf(command, sizeof command,
           "'%s' %s/model --layers %d --hidden %d --intermediate 500 --heads 5 --kv-heads 1 "
           "--vocab 600 --dtype bfloat16",
           SYNTH_MODEL, temp_dir, layers, hidden);
  assert_int_equal(system(command), 0);
  snprintf(job, sizeof job,
           "model: %s/model\noutput: %s/out\nconfigurations:\n  - {name: dense}\n"
           "  - {name: low, layers: [0, 3], tensors: [q_proj, k_proj, down_proj], rank: %d}\n"
           "  - {name: lower, layers: [3], tensors: [q_proj], rank: 2}\n",
           temp_dir, temp_dir, rank);
  temp_text("job.yaml", job);
  assert_int_equal(mkdir(temp_path("out"), 0700), 0);
}

/* Factors that are no decomposition of anything. */
static inline lrp_status put_factors(int i) {
  const lrp_unit *u = &study.plan.units[i];
  const int r = store.place[i].rank, k = (int)(u->m < u->n ? u->m : u->n);
  const size_t n_left = (size_t)(u->m * r), n_right = (size_t)(r * u->n);
  float *left = malloc(n_left * sizeof *left), *right = malloc(n_right * sizeof *right);
  float *core = calloc((size_t)r * (size_t)r, sizeof *core);
  double *spectrum = calloc((size_t)k, sizeof *spectrum);
  const lrp_factors f = {
      .rank = r, .spectrum = spectrum, .left = left, .middle = core, .right = right};
  assert_true(left && right && core && spectrum);
  for (size_t j = 0; j < n_left; j++) left[j] = sinf((float)(j + 31 * (size_t)i));
  for (size_t j = 0; j < n_right; j++) right[j] = cosf((float)(3 * j + (size_t)i));
  for (int j = 0; j < r; j++) core[j * r + j] = 1.0f / (float)(j + 1);
  const lrp_status st = lrp_store_put(&store, i, &f, 0.0, 1);
  free(left);
  free(right);
  free(core);
  free(spectrum);
  return st;
}

static inline lrp_status fill_store(void) {
  json_t *provenance = json_object();
  lrp_status st = lrp_store_open(&study, &real, provenance, 1, &store);
  json_decref(provenance);
  for (int i = 0; st == LRP_OK && i < study.plan.n_units; i++) {
    if (i % real.size == real.me) st = put_factors(i);
  }
  if (st == LRP_OK) st = lrp_store_flush(&store);
  st = lrp_agree(st, MPI_COMM_WORLD);
  return st == LRP_OK ? lrp_store_refresh(&store) : st;
}

static inline int study_setup(void **state) {
  (void)state;
  if (real.me == 0 && temp_setup(NULL) != 0) return -1;
  MPI_Bcast(temp_dir, sizeof temp_dir, MPI_CHAR, 0, MPI_COMM_WORLD);
  if (real.me == 0) write_inputs();
  MPI_Barrier(MPI_COMM_WORLD);
  options.operand = temp_path("job.yaml");
  lrp_status st = lrp_study_open(&options, &real, &study);
  if (st == LRP_OK) st = lrp_model_llama(&study.model, &plain);
  st = lrp_agree(st, MPI_COMM_WORLD);
  if (st == LRP_OK) st = fill_store();
  if (st != LRP_OK) lrp_report_failure(st, MPI_COMM_WORLD);
  return st == LRP_OK ? 0 : -1;
}

static inline int study_teardown(void **state) {
  (void)state;
  lrp_store_close(&store);
  lrp_model_llama_free(&plain);
  lrp_study_close(&study);
  MPI_Barrier(MPI_COMM_WORLD);
  if (real.me == 0) temp_remove(temp_dir);
  return 0;
}

/* ---- products -------------------------------------------------------------------------------- */

/* y = x W^T for x of some rows that depend on nothing. */
static inline void apply(const lrp_linear *linear, float *y) {
  lrp_linear_scratch scratch = {.operands = study.eval_dtype};
  float *x = malloc((size_t)(tokens * linear->n_in) * sizeof *x);
  assert_non_null(x);
  for (int64_t i = 0; i < tokens * linear->n_in; i++) x[i] = sinf((float)(i % 1009));
  assert_int_equal(
      lrp_linear_apply(linear, x, LRP_F32, tokens, linear->n_in, y, linear->n_out, false, &scratch),
      LRP_OK);
  lrp_linear_scratch_free(&scratch);
  free(x);
}

static inline bool same(const lrp_linear *a, const lrp_linear *b) {
  const size_t n = (size_t)(tokens * a->n_out);
  float *y = malloc(2 * n * sizeof *y);
  assert_true(y && a->n_out == b->n_out);
  memset(y, 0xff, 2 * n * sizeof *y);
  apply(a, y);
  apply(b, y + n);
  const bool equal = memcmp(y, y + n, n * sizeof *y) == 0;
  free(y);
  return equal;
}

/* The factors of unit i at rank r, packed here. */
static inline bool same_as_factors(const lrp_linear *linear, int i, int r) {
  lrp_linear own = {.n_in = study.plan.units[i].n, .n_out = study.plan.units[i].m, .rank = r};
  assert_int_equal(lrp_store_factors(&store, i, r, &own.left, &own.middle, &own.right), LRP_OK);
  const size_t bytes = lrp_linear_packed_bytes(&own, study.eval_dtype);
  void *memory = aligned_alloc(64, bytes + 64);
  assert_non_null(memory);
  if (bytes > 0) assert_int_equal(lrp_linear_pack(&own, study.eval_dtype, memory), LRP_OK);
  const bool equal = linear->rank == r && same(linear, &own);
  free(memory);
  return equal;
}

#endif
