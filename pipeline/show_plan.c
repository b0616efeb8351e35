#include "pipeline/show_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/outlook.h"

static void show_model(const lrp_outlook *o) {
  const int layers = lrp_config_layers(&o->config), tensors = lrp_config_layer_tensors(&o->config);

  printf("model           %s\n", o->job.model);
  printf("  architecture  %s, %d layers x %d tensors, %" PRId64 " parameters\n",
         o->config.architecture, layers, tensors, lrp_config_parameters(&o->config));
  printf("  weights       %s%s\n", lrp_dtype_name(o->model_dtype),
         o->has_weights ? "" : " (assumed: the weights are not there yet)");
  printf("output          %s\n", o->job.output);
  printf("method          %s, factors in %s\n", lrp_method_name(o->job.decompose.method),
         lrp_dtype_name(lrp_outlook_factor_dtype(o)));
}

static void show_configurations(const lrp_outlook *o) {
  const size_t weight_bytes = lrp_dtype_size(o->model_dtype);
  const size_t factor_bytes = lrp_dtype_size(lrp_outlook_factor_dtype(o));
  bool bounds = false;

  printf("configurations  %d\n", o->plan.n_configurations);
  printf("  %-24s %11s %15s %15s %15s\n", "name", "reduction_%", "parameters", "bytes",
         "flops_per_token");
  for (int i = 0; i < o->plan.n_configurations; i++) {
    const lrp_configuration *c = &o->plan.configurations[i];
    const lrp_size size =
        lrp_plan_size(&o->config, o->job.decompose.method, c->rank, weight_bytes, factor_bytes);
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
static void predict_load(const lrp_outlook *o, double *load) {
  const lrp_plan *plan = &o->plan;
  const lrp_partition *p = &o->partition;

  for (int i = 0; i < plan->n_units; i++) {
    for (int k = 0; p->owner[i] >= 0 && k < p->group_size; k++) {
      load[p->owner[i] * p->group_size + k] += plan->units[i].cost / p->group_size;
    }
  }
  for (int j = 0; j < plan->n_units; j++) {
    const int i = p->order[j];
    int least = 0;
    if (p->owner[i] >= 0) continue;
    for (int k = 1; k < o->ranks; k++) {
      if (load[k] < load[least]) least = k;
    }
    load[least] += plan->units[i].cost;
  }
}

static lrp_status show_partition(const lrp_outlook *o) {
  const lrp_partition *p = &o->partition;
  double *load = calloc((size_t)o->ranks, sizeof *load);
  double largest, mean;
  int n_grid = 0;

  if (!load) return lrp_fail_memory((size_t)o->ranks * sizeof *load, "the predicted load");
  predict_load(o, load);
  largest = largest_of(load, o->ranks);
  mean = sum_of(load, o->ranks) / o->ranks;
  free(load);
  for (int i = 0; i < o->plan.n_units; i++) n_grid += p->owner[i] >= 0;
  printf("units           %d\n", o->plan.n_units);
  show_unit("largest local", largest_unit(&o->plan, p, false));
  show_unit("largest grid", largest_unit(&o->plan, p, true));
  printf("partition       %d process ranks on one node\n", o->ranks);
  printf("  grid units    %d", n_grid);
  if (n_grid > 0) printf(", by %d groups of %d process ranks", p->n_groups, p->group_size);
  printf("\n  local units   %d, one process rank each\n", o->plan.n_units - n_grid);
  printf("  flops         %.3g per process rank on average, at most %.3g\n", mean, largest);
  printf("  balance       %.3f (average / largest)\n", largest > 0.0 ? mean / largest : 1.0);
  return LRP_OK;
}

static void show_resources(const lrp_outlook *o) {
  const double mib = 1024.0 * 1024.0;

  printf(
      "memory          about %.1f MiB per process rank to decompose, besides the mapped weights\n",
      lrp_outlook_memory(o) / mib);
  printf("disk            %.1f MiB for factors.h5\n", lrp_outlook_disk(o) / mib);
}

static void show_evaluation(const lrp_outlook *o) {
  const lrp_job *job = &o->job;

  printf("evaluate        %d tasks", job->evaluate.n_tasks);
  for (int i = 0; i < job->evaluate.n_tasks; i++) {
    printf("%s%s", i == 0 ? ": " : ", ", job->evaluate.tasks[i]);
  }
  putchar('\n');
}

lrp_status lrp_show_plan(const lrp_options *options) {
  const int ranks = (int)options->ranks;
  lrp_outlook o;
  lrp_status st = lrp_outlook_open(options, options->operand, &ranks, 1, &o);

  if (st == LRP_OK) {
    show_model(&o);
    show_configurations(&o);
    st = show_partition(&o);
  }
  if (st == LRP_OK) {
    show_resources(&o);
    show_evaluation(&o);
  }
  lrp_outlook_close(&o);
  return st;
}
