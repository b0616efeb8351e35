#include "pipeline/forecast.h"

#include <stdlib.h>

#include "kernels/log.h"

double lrp_forecast_balance(lrp_forecast f) {
  return f.mean > 0.0 ? f.longest / f.mean : 1.0;
}

double lrp_forecast_reading(const lrp_cost *cost, const lrp_config *config, lrp_dtype weights,
                            int ranks) {
  const double bytes = (double)lrp_config_parameters(config) * (double)lrp_dtype_size(weights);
  return bytes / ranks / cost->speed[LRP_COST_READ][0];
}

/* Every member of a group is busy as long as its units take. */
static void add_grid_units(const lrp_plan *plan, const lrp_partition *p, const bool *todo,
                           double *load) {
  for (int i = 0; i < plan->n_units; i++) {
    if (p->owner[i] < 0 || (todo && !todo[i])) continue;
    for (int k = 0; k < p->group_size; k++) {
      load[p->owner[i] * p->group_size + k] +=
          plan->units[i].seconds / lrp_partition_speedup(p->group_size);
    }
  }
}

/* The local units of a node, whose process ranks are load[0] .. load[ranks - 1]. */
static void add_local_units(const lrp_plan *plan, const lrp_partition *p, const bool *todo,
                            int node, int ranks, double *load) {
  for (int j = 0; j < plan->n_units; j++) {
    const int i = p->order[j];
    int least = 0;
    if (p->owner[i] != -1 - node || (todo && !todo[i])) continue;
    for (int k = 1; k < ranks; k++) {
      if (load[k] < load[least]) least = k;
    }
    load[least] += plan->units[i].seconds;
  }
}

lrp_status lrp_forecast_make(const lrp_plan *plan, const lrp_partition *part, const bool *todo,
                             double reading_s, const int *node_ranks, int n_nodes,
                             lrp_forecast *out) {
  int ranks = 0;

  for (int node = 0; node < n_nodes; node++) ranks += node_ranks[node];
  double *load = calloc((size_t)ranks, sizeof *load);
  *out = (lrp_forecast){0};
  if (!load) return lrp_fail_memory((size_t)ranks * sizeof *load, "the predicted load");
  add_grid_units(plan, part, todo, load);
  for (int node = 0, first = 0; node < n_nodes; first += node_ranks[node++]) {
    add_local_units(plan, part, todo, node, node_ranks[node], load + first);
  }
  for (int p = 0; p < ranks; p++) {
    out->mean += load[p] / ranks;
    if (load[p] > out->longest) out->longest = load[p];
  }
  free(load);
  out->wall = out->longest > reading_s ? out->longest : reading_s;
  return LRP_OK;
}

void lrp_forecast_compare(lrp_forecast predicted, int n_units, double wall_s, double busy_s,
                          const lrp_topology *topo) {
  lrp_forecast measured;

  MPI_Allreduce(&busy_s, &measured.longest, 1, MPI_DOUBLE, MPI_MAX, topo->comm);
  MPI_Allreduce(&busy_s, &measured.mean, 1, MPI_DOUBLE, MPI_SUM, topo->comm);
  measured.mean /= topo->size;
  lrp_log(
      "decompose: %d units in %.1f s, predicted %.1f s; slowest process rank %.1f s, mean "
      "%.1f s, balance %.3f",
      n_units, wall_s, predicted.wall, measured.longest, measured.mean,
      lrp_forecast_balance(measured));
}
