#include "pipeline/decompose_stage.h"

#include <stdlib.h>

#include "kernels/linalg/decompose.h"
#include "kernels/log.h"
#include "pipeline/partition.h"

/* The weight of unit i. */
static lrp_status weight(const lrp_store *store, int i, lrp_matrix *w) {
  const lrp_unit *u = &store->study->plan.units[i];
  return lrp_model_matrix(&store->study->model, u->name, u->m, u->n, w);
}

static lrp_status put(lrp_store *store, int i, const lrp_factors *f, double seconds,
                      int process_ranks) {
  const lrp_status st = lrp_store_put(store, i, f, seconds, process_ranks);
  if (st == LRP_OK) {
    lrp_log_local("decomposed %s rank %d error %.6g in %.3f s (%s)",
                  store->study->plan.units[i].name, f->rank, f->certificate.relative_error, seconds,
                  lrp_solver_name(f->solver));
  }
  return st;
}

/* Unit i by this process rank alone. */
static lrp_status do_local(lrp_store *store, int i) {
  const lrp_study *study = store->study;
  lrp_factors f = {0};
  lrp_matrix w;
  const double start = MPI_Wtime();
  lrp_status st = weight(store, i, &w);
  if (st == LRP_OK) {
    st = lrp_decompose(study->plan.units[i].name, &w, store->place[i].rank,
                       study->job.decompose.method, study->store_dtype, &f);
  }
  if (st == LRP_OK) st = put(store, i, &f, MPI_Wtime() - start, 1);
  lrp_factors_free(&f);
  return st;
}

static bool is_leader(MPI_Comm group) {
  int me;
  MPI_Comm_rank(group, &me);
  return me == 0;
}

/* Unit i by all process ranks of group. Collective over group. */
static lrp_status do_grid(lrp_store *store, int i, MPI_Comm group) {
  const lrp_study *study = store->study;
  lrp_factors f = {0};
  lrp_matrix w;
  int size;
  const double start = MPI_Wtime();

  MPI_Comm_size(group, &size);
  lrp_status st = lrp_agree(weight(store, i, &w), group);
  if (st == LRP_OK) {
    st = lrp_decompose_grid(study->plan.units[i].name, &w, store->place[i].rank,
                            study->job.decompose.method, study->store_dtype, group, &f);
  }
  if (st == LRP_OK && is_leader(group)) st = put(store, i, &f, MPI_Wtime() - start, size);
  lrp_factors_free(&f);
  return lrp_agree(st, group);
}

/* Unit i by group, if there is time for it: process rank 0 of the group decides. Collective over
 * group. */
static lrp_status take_grid_unit(lrp_store *store, int i, MPI_Comm group, lrp_control *control) {
  const lrp_unit *unit = &store->study->plan.units[i];
  const double start = MPI_Wtime();
  lrp_status st = LRP_OK;
  int size;

  MPI_Comm_size(group, &size);
  const double cost = unit->cost / size; /* predictions are of one process rank's time */
  lrp_watch_phase(control->watch, "decompose %s over a grid", unit->name);
  if (is_leader(group)) st = lrp_stop_check(control->stop, cost);
  st = lrp_agree(st, group);
  if (st == LRP_OK) st = do_grid(store, i, group);
  if (st != LRP_OK) return st;
  lrp_stop_learn(control->stop, cost, MPI_Wtime() - start);
  if (is_leader(group)) lrp_progress_advance(control->progress, 1);
  return LRP_OK;
}

static lrp_status grid_units(lrp_store *store, const lrp_topology *topo, const lrp_partition *part,
                             lrp_control *control) {
  const int mine = topo->me / part->group_size;
  const bool member = mine < part->n_groups;
  lrp_status st = LRP_OK;
  MPI_Comm group;

  MPI_Comm_split(topo->comm, member ? mine : MPI_UNDEFINED, 0, &group);
  for (int j = 0; member && st == LRP_OK && j < store->study->plan.n_units; j++) {
    const int i = part->order[j];
    if (part->owner[i] != mine || lrp_store_done(store, i, NULL)) continue;
    st = take_grid_unit(store, i, group, control);
  }
  if (st > LRP_STOPPED) lrp_stop_abandon(control->stop);
  if (member) MPI_Comm_free(&group);
  lrp_watch_wait(control->watch, "decompose: wait for the other grids");
  return lrp_agree(st, topo->comm);
}

/* One unit after the other, as the node's counter deals them. */
static lrp_status take_units(lrp_store *store, lrp_deal *deal, lrp_control *control) {
  lrp_status st = LRP_OK;
  int64_t i;
  while (st == LRP_OK && (i = lrp_deal_next(deal)) >= 0) {
    const lrp_unit *unit = &store->study->plan.units[i];
    const double start = MPI_Wtime();
    st = lrp_stop_check(control->stop, unit->cost);
    if (st != LRP_OK) break;
    lrp_watch_phase(control->watch, "decompose %s", unit->name);
    st = do_local(store, (int)i);
    lrp_stop_learn(control->stop, unit->cost, MPI_Wtime() - start);
    if (st == LRP_OK) lrp_progress_advance(control->progress, 1);
  }
  /* A failure ends the node's work; out of time, others may still have room for smaller units. */
  if (st > LRP_STOPPED) {
    lrp_deal_stop(deal);
    lrp_stop_abandon(control->stop);
  }
  return st;
}

static lrp_status local_units(lrp_store *store, const lrp_topology *topo, const lrp_partition *part,
                              const bool *todo, lrp_control *control) {
  const lrp_plan *plan = &store->study->plan;
  int *node = calloc((size_t)plan->n_units + 1, sizeof *node);
  bool *local = calloc((size_t)plan->n_units + 1, sizeof *local);
  lrp_deal *deal = NULL;
  lrp_status st =
      node && local ? LRP_OK : lrp_fail_memory((size_t)plan->n_units * sizeof *node, "a schedule");

  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) {
    for (int i = 0; i < plan->n_units; i++) {
      local[i] = todo[i] && part->owner[i] < 0;
      if (local[i]) node[i] = -1 - part->owner[i];
    }
    st = lrp_deal_create(topo, node, local, part->order, plan->n_units, &deal);
  }
  if (st == LRP_OK) {
    st = take_units(store, deal, control);
    lrp_watch_wait(control->watch, "decompose: wait for the other process ranks");
    st = lrp_agree(st, topo->comm);
    lrp_deal_destroy(&deal);
  }
  free(local);
  free(node);
  return st;
}

/* Measured times of what is stored already: the first prediction of a run that goes on. */
static void learn(const lrp_store *store, lrp_stop *stop, int threads) {
  const double flops_per_thread = 1e10; /* a cautious guess where nothing was measured */
  const lrp_plan *plan = &store->study->plan;
  lrp_stop_stage(stop, 1.0 / (flops_per_thread * threads));
  for (int i = 0; i < plan->n_units; i++) {
    lrp_unit_record record;
    if (!lrp_store_done(store, i, &record)) continue;
    lrp_stop_learn(stop, plan->units[i].cost / record.process_ranks, record.seconds);
  }
}

lrp_status lrp_decompose_stage(lrp_store *store, const lrp_topology *topo, lrp_control *control) {
  const lrp_study *study = store->study;
  const int n = study->plan.n_units;
  bool *todo = calloc((size_t)n + 1, sizeof *todo);
  lrp_partition part = {0};
  int n_todo = 0;
  lrp_status st = todo ? LRP_OK : lrp_fail_memory((size_t)n, "a schedule");

  if (st == LRP_OK) {
    for (int i = 0; i < n; i++) {
      todo[i] = !lrp_store_done(store, i, NULL);
      n_todo += todo[i];
    }
    st = lrp_partition_create(&study->plan, todo, study->job.decompose.grid_elements, topo->size,
                              topo->node_ranks, topo->n_nodes, &part);
  }
  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) {
    lrp_log("decompose: %d of %d units to do", n_todo, n);
    lrp_progress_begin(control->progress, "decompose", n, n - n_todo);
    learn(store, control->stop, topo->threads);
    if (part.group_size > 0) st = grid_units(store, topo, &part, control);
    if (st == LRP_OK) st = local_units(store, topo, &part, todo, control);
    if (st == LRP_OK) st = lrp_store_refresh(store);
  }
  lrp_partition_free(&part);
  free(todo);
  return st;
}
