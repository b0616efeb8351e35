#include "pipeline/show_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernels/linalg/solver.h"
#include "pipeline/outlook.h"

static const char *plural(int n) {
  return n == 1 ? "" : "s";
}

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
  printf("  %-12s  %s, %" PRId64 " x %" PRId64 ", rank %d, by %s, about %.3g s\n", what, u->name,
         u->m, u->n, u->rank, lrp_solver_name(lrp_solver_for(u->m, u->n, u->rank)), u->seconds);
}

static void show_partition(const lrp_outlook *o) {
  const lrp_partition *p = &o->partition;
  int n_grid = 0;

  for (int i = 0; i < o->plan.n_units; i++) n_grid += p->owner[i] >= 0;
  printf("units           %d\n", o->plan.n_units);
  show_unit("largest local", largest_unit(&o->plan, p, false));
  show_unit("largest grid", largest_unit(&o->plan, p, true));
  printf("partition       %d process rank%s on %d node%s, %d thread%s each\n", o->ranks,
         plural(o->ranks), o->n_nodes, plural(o->n_nodes), o->calibration.wanted.threads,
         plural(o->calibration.wanted.threads));
  printf("  grid units    %d", n_grid);
  if (n_grid > 0) printf(", by %d groups of %d process ranks", p->n_groups, p->group_size);
  printf("\n  local units   %d, one process rank each\n", o->plan.n_units - n_grid);
}

static void show_time(const lrp_outlook *o) {
  char text[LRP_CALIBRATION_TEXT];

  printf("decompose       about %.1f s; %.1f s per process rank on average\n", o->forecast.wall,
         o->forecast.mean);
  printf("  balance       %.3f (slowest / mean)\n", lrp_forecast_balance(o->forecast));
  printf("  speeds        %s\n", lrp_calibration_text(&o->calibration, text));
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

static void show_measuring(const lrp_outlook *o) {
  const lrp_job *job = &o->job;
  const int configurations = o->plan.n_configurations;
  const int cases = job->measure.batch_size.n * job->measure.sequence_length.n;
  const bool decodes = o->config.family != LRP_FAMILY_BERT && job->measure.new_tokens > 0;

  if (!job->measure.given) return;
  printf("measure         %d configuration%s, %d case%s, %" PRId64 " sample%s each of prefill%s\n",
         configurations, plural(configurations), cases, plural(cases), job->measure.repeats,
         job->measure.repeats == 1 ? "" : "s", decodes ? " and decoding" : "");
}

/* Threads of each process rank: as given, as OMP_NUM_THREADS says, or its share of the cores. */
static int threads_of(const lrp_options *options, int node_ranks) {
  const char *omp = getenv("OMP_NUM_THREADS");
  const long set = omp ? strtol(omp, NULL, 10) : 0;
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);

  if (options->threads > 0) return (int)options->threads;
  if (set > 0) return (int)(set < LRP_MAX_THREADS ? set : LRP_MAX_THREADS);
  return cores > node_ranks ? (int)(cores / node_ranks) : 1;
}

/* The first nodes have one process rank more where they do not divide evenly. */
static lrp_status spread(const lrp_options *options, int **node_ranks, int *n_nodes) {
  const int ranks = (int)options->ranks;
  const int nodes = options->nodes < ranks ? (int)options->nodes : ranks;

  *n_nodes = nodes;
  *node_ranks = malloc((size_t)nodes * sizeof **node_ranks);
  if (!*node_ranks) return lrp_fail_memory((size_t)nodes * sizeof **node_ranks, "the nodes");
  for (int n = 0; n < nodes; n++) (*node_ranks)[n] = ranks / nodes + (n < ranks % nodes);
  return LRP_OK;
}

lrp_status lrp_show_plan(const lrp_options *options) {
  int *node_ranks, n_nodes;
  lrp_outlook o = {.ranks = 0};
  lrp_status st = spread(options, &node_ranks, &n_nodes);

  if (st == LRP_OK) {
    st = lrp_outlook_open(options, options->operand, node_ranks, n_nodes,
                          threads_of(options, node_ranks[0]), &o);
  }
  if (st == LRP_OK) {
    show_model(&o);
    show_configurations(&o);
    show_partition(&o);
    show_time(&o);
    show_resources(&o);
    show_evaluation(&o);
    show_measuring(&o);
  }
  lrp_outlook_close(&o);
  free(node_ranks);
  return st;
}
