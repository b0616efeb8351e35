#include "pipeline/show_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/model/model.h"
#include "pipeline/partition.h"
#include "pipeline/plan.h"
#include "pipeline/supported.h"

/* Larger than what the parser takes, so that it is the parser who says why. */
enum { max_job_bytes = 1 << 24 };

/* What is shown. */
typedef struct {
  lrp_job job;
  lrp_config config;
  lrp_plan plan;
  lrp_partition partition;
  lrp_dtype model_dtype;
  bool has_weights; /* else model_dtype is an assumption */
  int ranks;
} view;

/* ---- reading ---- */

static lrp_status read_job(const lrp_options *options, lrp_job *job) {
  lrp_overrides overrides = {.set = options->set, .n_set = options->n_set, .environment = environ};
  char *text = NULL;
  size_t size = 0;
  lrp_status st = lrp_file_read(options->operand, max_job_bytes, &text, &size);

  while (environ && environ[overrides.n_environment]) overrides.n_environment++;
  if (st == LRP_OK) st = lrp_job_parse(options->operand, text, size, &overrides, job);
  if (st == LRP_OK) st = lrp_job_check_supported(job);
  free(text);
  return st;
}

/* A plan can be made before the weights are there. */
static lrp_status read_dtype(view *v) {
  lrp_model model;
  const lrp_status st = lrp_model_open(v->job.model, &model);

  v->has_weights = st == LRP_OK;
  v->model_dtype = LRP_BF16;
  if (st == LRP_OK) {
    v->model_dtype = lrp_model_dtype(&model);
    lrp_model_close(&model);
  }
  if (st != LRP_ERR_ABSENT) return st;
  lrp_failure_clear();
  return LRP_OK;
}

static lrp_dtype factor_dtype(const view *v) {
  switch (v->job.decompose.dtype) {
    case LRP_STORE_F32:
      return LRP_F32;
    case LRP_STORE_F16:
      return LRP_F16;
    case LRP_STORE_BF16:
      return LRP_BF16;
    case LRP_STORE_MODEL:
      break;
  }
  return v->model_dtype;
}

/* ---- sections ---- */

static void show_model(const view *v) {
  const int layers = lrp_config_layers(&v->config), tensors = lrp_config_layer_tensors(&v->config);

  printf("model           %s\n", v->job.model);
  printf("  architecture  %s, %d layers x %d tensors, %" PRId64 " parameters\n",
         v->config.architecture, layers, tensors, lrp_config_parameters(&v->config));
  printf("  weights       %s%s\n", lrp_dtype_name(v->model_dtype),
         v->has_weights ? "" : " (assumed: the weights are not there yet)");
  printf("output          %s\n", v->job.output);
  printf("method          %s, factors in %s\n", lrp_method_name(v->job.decompose.method),
         lrp_dtype_name(factor_dtype(v)));
}

static void show_configurations(const view *v) {
  const size_t weight_bytes = lrp_dtype_size(v->model_dtype);
  const size_t factor_bytes = lrp_dtype_size(factor_dtype(v));
  bool bounds = false;

  printf("configurations  %d\n", v->plan.n_configurations);
  printf("  %-24s %11s %15s %15s %15s\n", "name", "reduction_%", "parameters", "bytes",
         "flops_per_token");
  for (int i = 0; i < v->plan.n_configurations; i++) {
    const lrp_configuration *c = &v->plan.configurations[i];
    const lrp_size size =
        lrp_plan_size(&v->config, v->job.decompose.method, c->rank, weight_bytes, factor_bytes);
    printf("  %-24s %11.4f %15" PRId64 " %15" PRId64 " %15" PRId64 "%s\n", c->name,
           size.reduction_percent, size.parameters, size.bytes, size.flops_per_token,
           c->energy > 0.0 ? " *" : "");
    if (c->energy > 0.0) bounds = true;
  }
  if (bounds) puts("  * ranks follow from the spectrum: at most these parameters");
}

static const lrp_unit *largest_unit(const lrp_plan *plan, const lrp_partition *p, bool grid) {
  const lrp_unit *largest = NULL;

  for (int j = 0; j < plan->n_units && !largest; j++) {
    if ((p->owner[p->order[j]] >= 0) == grid) largest = &plan->units[p->order[j]];
  }
  return largest;
}

static void show_unit(const char *what, const lrp_unit *u) {
  if (!u) return;
  printf("  %-12s  %s, %" PRId64 " x %" PRId64 ", rank %d, %.3g flops\n", what, u->name, u->m, u->n,
         u->rank, u->cost);
}

static double largest_of(const double *x, int n) {
  double largest = 0.0;
  for (int i = 0; i < n; i++) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

static double sum_of(const double *x, int n) {
  double sum = 0.0;
  for (int i = 0; i < n; i++) sum += x[i];
  return sum;
}

/* Predicted operations of each process rank: its share of the grid units, then local ones as the
 * shared counter of a node deals them, to whoever is free first. */
static void predict_load(const view *v, double *load) {
  const lrp_plan *plan = &v->plan;
  const lrp_partition *p = &v->partition;

  for (int i = 0; i < plan->n_units; i++) {
    for (int k = 0; p->owner[i] >= 0 && k < p->group_size; k++) {
      load[p->owner[i] * p->group_size + k] += plan->units[i].cost / p->group_size;
    }
  }
  for (int j = 0; j < plan->n_units; j++) {
    const int i = p->order[j];
    int least = 0;
    if (p->owner[i] >= 0) continue;
    for (int k = 1; k < v->ranks; k++) {
      if (load[k] < load[least]) least = k;
    }
    load[least] += plan->units[i].cost;
  }
}

static lrp_status show_partition(const view *v) {
  const lrp_partition *p = &v->partition;
  double *load = calloc((size_t)v->ranks, sizeof *load);
  double largest, mean;
  int n_grid = 0;

  if (!load) return lrp_fail_memory((size_t)v->ranks * sizeof *load, "the predicted load");
  predict_load(v, load);
  largest = largest_of(load, v->ranks);
  mean = sum_of(load, v->ranks) / v->ranks;
  free(load);
  for (int i = 0; i < v->plan.n_units; i++) n_grid += p->owner[i] >= 0;
  printf("units           %d\n", v->plan.n_units);
  show_unit("largest local", largest_unit(&v->plan, p, false));
  show_unit("largest grid", largest_unit(&v->plan, p, true));
  printf("partition       %d process ranks on one node\n", v->ranks);
  printf("  grid units    %d", n_grid);
  if (n_grid > 0) printf(", by %d groups of %d process ranks", p->n_groups, p->group_size);
  printf("\n  local units   %d, one process rank each\n", v->plan.n_units - n_grid);
  printf("  flops         %.3g per process rank on average, at most %.3g\n", mean, largest);
  printf("  balance       %.3f (average / largest)\n", largest > 0.0 ? mean / largest : 1.0);
  return LRP_OK;
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

/* Factors, middle factor (float32) and spectrum (double) of all units. */
static double disk_bytes(const view *v) {
  const double element = (double)lrp_dtype_size(factor_dtype(v));
  double bytes = 0.0;

  for (int i = 0; i < v->plan.n_units; i++) {
    const lrp_unit *u = &v->plan.units[i];
    const double r = u->rank, k = (double)(u->m < u->n ? u->m : u->n);
    bytes += element * r * (double)(u->m + u->n) + 8.0 * k;
    bytes += 4.0 * (v->job.decompose.method == LRP_TUCKER ? r * r : r);
  }
  return bytes;
}

static void show_resources(const view *v) {
  const double mib = 1024.0 * 1024.0;
  double memory = 0.0;

  for (int i = 0; i < v->plan.n_units; i++) {
    const lrp_unit *u = &v->plan.units[i];
    const double need =
        v->partition.owner[i] >= 0 ? grid_bytes(u, v->partition.group_size) : local_bytes(u);
    if (need > memory) memory = need;
  }
  printf(
      "memory          about %.1f MiB per process rank to decompose, besides the mapped weights\n",
      memory / mib);
  printf("disk            %.1f MiB for factors.h5\n", disk_bytes(v) / mib);
}

static void show_evaluation(const view *v) {
  const lrp_job *job = &v->job;

  printf("evaluate        %d tasks", job->evaluate.n_tasks);
  for (int i = 0; i < job->evaluate.n_tasks; i++) {
    printf("%s%s", i == 0 ? ": " : ", ", job->evaluate.tasks[i]);
  }
  putchar('\n');
}

lrp_status lrp_show_plan(const lrp_options *options) {
  view v = {.ranks = (int)options->ranks};
  lrp_status st = read_job(options, &v.job);

  if (st == LRP_OK) st = lrp_config_read(v.job.model, &v.config);
  if (st == LRP_OK) st = read_dtype(&v);
  if (st == LRP_OK) st = lrp_plan_create(&v.job, &v.config, &v.plan);
  if (st == LRP_OK) {
    st = lrp_partition_create(&v.plan, NULL, v.job.decompose.grid_elements, v.ranks, &v.ranks, 1,
                              &v.partition);
  }
  if (st == LRP_OK) {
    show_model(&v);
    show_configurations(&v);
    st = show_partition(&v);
  }
  if (st == LRP_OK) {
    show_resources(&v);
    show_evaluation(&v);
    if (fflush(stdout) != 0) st = lrp_fail(LRP_ERR_IO, "standard output: cannot be written");
  }
  lrp_partition_free(&v.partition);
  lrp_plan_free(&v.plan);
  lrp_job_free(&v.job);
  return st;
}
