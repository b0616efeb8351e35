#include "pipeline/outlook.h"

#include <stdlib.h>
#include <unistd.h>

#include "io/base/file.h"
#include "pipeline/supported.h"

/* Larger than what the parser takes, so that it is the parser who says why. */
enum { max_job_bytes = 1 << 24 };

static lrp_status read_job(const lrp_options *options, const char *path, lrp_job *job) {
  lrp_overrides overrides = {.set = options->set, .n_set = options->n_set, .environment = environ};
  char *text = NULL;
  size_t size = 0;
  lrp_status st = lrp_file_read(path, max_job_bytes, &text, &size);

  while (environ && environ[overrides.n_environment]) overrides.n_environment++;
  if (st == LRP_OK) st = lrp_job_parse(path, text, size, &overrides, job);
  if (st == LRP_OK) st = lrp_job_check_supported(job);
  free(text);
  return st;
}

/* A plan can be made before the weights are there. */
static lrp_status read_dtype(lrp_outlook *o) {
  lrp_model model;
  const lrp_status st = lrp_model_open(o->job.model, &model);

  o->has_weights = st == LRP_OK;
  o->model_dtype = LRP_BF16;
  if (st == LRP_OK) {
    o->model_dtype = lrp_model_dtype(&model);
    lrp_model_close(&model);
  }
  if (st != LRP_ERR_ABSENT) return st;
  lrp_failure_clear();
  return LRP_OK;
}

lrp_dtype lrp_outlook_factor_dtype(const lrp_outlook *o) {
  switch (o->job.decompose.dtype) {
    case LRP_STORE_F32:
      return LRP_F32;
    case LRP_STORE_F16:
      return LRP_F16;
    case LRP_STORE_BF16:
      return LRP_BF16;
    case LRP_STORE_MODEL:
      break;
  }
  return o->model_dtype;
}

/* Bytes that a local unit needs at once, all in double: W, the thin u and vt, s, and the work space
 * of gesdd (4 k^2 + 7 k). */
static double local_bytes(const lrp_unit *u) {
  const double m = (double)u->m, n = (double)u->n, k = m < n ? m : n;
  return 8.0 * (m * n + k * (m + n) + 4.0 * k * k + 8.0 * k);
}

/* Of a grid unit on each process rank: its part of W, of W V, of the Gram matrix, of the vectors
 * and of the eigensolver's work space. */
static double grid_bytes(const lrp_unit *u, int group_size) {
  const double m = (double)u->m, n = (double)u->n, k = m < n ? m : n;
  return 8.0 * (2.0 * m * n + 5.0 * k * k) / group_size;
}

double lrp_outlook_memory(const lrp_outlook *o) {
  double memory = 0.0;

  for (int i = 0; i < o->plan.n_units; i++) {
    const lrp_unit *u = &o->plan.units[i];
    const double need =
        o->partition.owner[i] >= 0 ? grid_bytes(u, o->partition.group_size) : local_bytes(u);
    if (need > memory) memory = need;
  }
  return memory;
}

/* Factors, middle factor (float32) and spectrum (double) of all units. */
double lrp_outlook_disk(const lrp_outlook *o) {
  const double element = (double)lrp_dtype_size(lrp_outlook_factor_dtype(o));
  double bytes = 0.0;

  for (int i = 0; i < o->plan.n_units; i++) {
    const lrp_unit *u = &o->plan.units[i];
    const double r = u->rank, k = (double)(u->m < u->n ? u->m : u->n);
    bytes += element * r * (double)(u->m + u->n) + 8.0 * k;
    bytes += 4.0 * (o->job.decompose.method == LRP_TUCKER ? r * r : r);
  }
  return bytes;
}

lrp_status lrp_outlook_open(const lrp_options *options, const char *path, const int *node_ranks,
                            int n_nodes, lrp_outlook *o) {
  *o = (lrp_outlook){.ranks = 0};
  for (int n = 0; n < n_nodes; n++) o->ranks += node_ranks[n];
  lrp_status st = read_job(options, path, &o->job);

  if (st == LRP_OK) st = lrp_config_read(o->job.model, &o->config);
  if (st == LRP_OK) st = lrp_job_check_tasks(&o->job, &o->config);
  if (st == LRP_OK) st = read_dtype(o);
  if (st == LRP_OK) st = lrp_plan_create(&o->job, &o->config, &o->plan);
  if (st == LRP_OK) {
    st = lrp_partition_create(&o->plan, NULL, o->job.decompose.grid_elements, o->ranks, node_ranks,
                              n_nodes, &o->partition);
  }
  return st;
}

void lrp_outlook_close(lrp_outlook *o) {
  lrp_partition_free(&o->partition);
  lrp_plan_free(&o->plan);
  lrp_job_free(&o->job);
  *o = (lrp_outlook){.ranks = 0};
}
