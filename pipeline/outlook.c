#include "pipeline/outlook.h"

#include <math.h>
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

static lrp_cost_task task_of(const lrp_outlook *o, const lrp_unit *u) {
  return lrp_unit_task(u, o->job.decompose.method, o->model_dtype, lrp_outlook_factor_dtype(o));
}

double lrp_outlook_memory(const lrp_outlook *o) {
  double memory = 0.0;

  for (int i = 0; i < o->plan.n_units; i++) {
    const lrp_unit *u = &o->plan.units[i];
    const lrp_cost_task task = task_of(o, u);
    const double need =
        o->partition.owner[i] >= 0 ? lrp_cost_grid_bytes(&task, o->partition.group_size) : u->bytes;
    if (need > memory) memory = need;
  }
  return memory;
}

double lrp_outlook_disk(const lrp_outlook *o) {
  double bytes = 0.0;

  for (int i = 0; i < o->plan.n_units; i++) {
    const lrp_cost_task task = task_of(o, &o->plan.units[i]);
    bytes += lrp_cost_stored_bytes(&task);
  }
  return bytes;
}

/* Speeds for the fullest node, seconds of the units, who does what, and how long that takes. */
static lrp_status predict(lrp_outlook *o, const int *node_ranks, int threads) {
  int most = 1;
  for (int n = 0; n < o->n_nodes; n++) most = node_ranks[n] > most ? node_ranks[n] : most;
  const lrp_machine machine = lrp_machine_here(threads, most);
  lrp_status st = lrp_calibration_load(&machine, &o->calibration);

  if (st != LRP_OK) return st;
  lrp_plan_predict(&o->plan, &o->calibration.cost, o->job.decompose.method, o->model_dtype,
                   lrp_outlook_factor_dtype(o));
  st = lrp_partition_create(&o->plan, NULL, o->job.decompose.grid_elements, INFINITY, o->ranks,
                            node_ranks, o->n_nodes, &o->partition);
  if (st != LRP_OK) return st;
  return lrp_forecast_make(
      &o->plan, &o->partition, NULL,
      lrp_forecast_reading(&o->calibration.cost, &o->config, o->model_dtype, o->ranks), node_ranks,
      o->n_nodes, &o->forecast);
}

lrp_status lrp_outlook_open(const lrp_options *options, const char *path, const int *node_ranks,
                            int n_nodes, int threads, lrp_outlook *o) {
  *o = (lrp_outlook){.n_nodes = n_nodes};
  for (int n = 0; n < n_nodes; n++) o->ranks += node_ranks[n];
  lrp_status st = read_job(options, path, &o->job);

  if (st == LRP_OK) st = lrp_config_read(o->job.model, &o->config);
  if (st == LRP_OK) st = lrp_job_check_tasks(&o->job, &o->config);
  if (st == LRP_OK) st = lrp_job_check_measure(&o->job, &o->config);
  if (st == LRP_OK) st = read_dtype(o);
  if (st == LRP_OK) st = lrp_plan_create(&o->job, &o->config, &o->plan);
  if (st == LRP_OK) st = predict(o, node_ranks, threads);
  return st;
}

void lrp_outlook_close(lrp_outlook *o) {
  lrp_partition_free(&o->partition);
  lrp_plan_free(&o->plan);
  lrp_job_free(&o->job);
  *o = (lrp_outlook){.ranks = 0};
}
