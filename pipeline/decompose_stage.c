#include "pipeline/decompose_stage.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/linalg/decompose.h"
#include "kernels/log.h"
#include "pipeline/forecast.h"
#include "pipeline/memory.h"
#include "pipeline/partition.h"
#include "pipeline/pass.h"

/* A crash may lose what was finished in that time. A unit that takes longer does not begin before
 * everything is on disk. */
static const double flush_every_s = 1.0;

/* What a process rank works with. */
typedef struct {
  lrp_store *store;
  const lrp_topology *topo;
  lrp_control *control;
  lrp_partition part;
  bool *todo;          /* owned, a flag per unit */
  bool *said;          /* owned, likewise: its line is in the log; process rank 0 */
  int *position;       /* owned: of each unit in the order of reading */
  lrp_pass *pass;      /* owned */
  double busy_s;       /* that this process rank spent on units */
  lrp_scratch scratch; /* of the solvers, kept from unit to unit */
} stage;

static const lrp_unit *unit_of(const stage *s, int i) {
  return &s->store->study->plan.units[i];
}

/* The weight of unit i. */
static lrp_status weight(const stage *s, int i, lrp_matrix *w) {
  const lrp_unit *u = unit_of(s, i);
  return lrp_model_matrix(&s->store->study->model, u->name, u->m, u->n, w);
}

/* Whether unit i may begin here and now. What is finished is on disk before a long one. */
static lrp_status may_begin(stage *s, int i, double seconds) {
  lrp_status st = lrp_stop_check(s->control->stop, seconds);
  if (st == LRP_OK) st = lrp_pass_check(s->pass);
  if (st != LRP_OK) return st;
  lrp_pass_reached(s->pass, s->position[i]);
  const bool checkpoint = lrp_stop_checkpoint(s->control->stop);
  const bool is_long = lrp_stop_predict(s->control->stop, seconds) > flush_every_s;
  return checkpoint || is_long ? lrp_store_flush(s->store) : LRP_OK;
}

/* Predicted seconds of unit i by so many process ranks. */
static double cost(const stage *s, int i, int process_ranks) {
  return unit_of(s, i)->seconds / lrp_partition_speedup(process_ranks);
}

static void say_unit(stage *s, int i, int rank, double error, double seconds, lrp_solver solver) {
  lrp_progress_line(s->control->progress, i, "decomposed %s rank %d error %.6g in %.3f s (%s)",
                    unit_of(s, i)->name, rank, error, seconds, lrp_solver_name(solver));
}

static lrp_status put(stage *s, int i, const lrp_factors *f, double seconds, int process_ranks) {
  const lrp_status st = lrp_store_put(s->store, i, f, seconds, process_ranks);
  if (st != LRP_OK) return st;
  lrp_progress_advance(s->control->progress, 1, cost(s, i, process_ranks));
  say_unit(s, i, f->rank, f->certificate.relative_error, seconds, f->solver);
  return lrp_store_flush_after(s->store, flush_every_s);
}

/* ---- Units of one process rank --------------------------------------------------------------- */

static lrp_status do_local(stage *s, int i) {
  const lrp_study *study = s->store->study;
  lrp_factors f = {0};
  lrp_matrix w;
  const double start = MPI_Wtime();
  lrp_status st = weight(s, i, &w);
  if (st == LRP_OK) st = lrp_pass_scan(s->pass, unit_of(s, i)->name, &w);
  if (st == LRP_OK) {
    st = lrp_decompose(study->plan.units[i].name, &w, s->store->place[i].rank,
                       study->job.decompose.method, study->store_dtype, &s->scratch, &f);
  }
  if (st == LRP_OK) st = put(s, i, &f, MPI_Wtime() - start, 1);
  lrp_factors_free(&f);
  return st;
}

static lrp_status take_local_unit(stage *s, int i) {
  const lrp_unit *unit = unit_of(s, i);
  const double start = MPI_Wtime();
  lrp_status st = may_begin(s, i, unit->seconds);
  if (st != LRP_OK) return st;
  lrp_watch_phase(s->control->watch, "decompose %s", unit->name);
  lrp_progress_work(s->control->progress, "%s", unit->name);
  st = do_local(s, i);
  const double seconds = MPI_Wtime() - start;
  s->busy_s += seconds;
  lrp_stop_learn(s->control->stop, unit->seconds, seconds);
  return st;
}

/* One unit after the other, as the node's counter deals them; then the rest of the reading. */
static lrp_status take_units(stage *s, lrp_deal *deal) {
  lrp_status st = LRP_OK;
  int64_t i;
  while (st == LRP_OK && (i = lrp_deal_next(deal)) >= 0) st = take_local_unit(s, (int)i);
  const lrp_status flushed = lrp_store_flush(s->store); /* what is done stays done */
  if (flushed > st) st = flushed;
  if (st == LRP_OK) st = lrp_pass_finish(s->pass, s->control);
  /* A failure ends the node's work; out of time, others may still have room for smaller units. */
  if (st > LRP_STOPPED) {
    lrp_deal_stop(deal);
    lrp_stop_abandon(s->control->stop);
  }
  return st;
}

static lrp_status local_units(stage *s) {
  const int n = s->store->study->plan.n_units;
  const lrp_topology *topo = s->topo;
  int *node = calloc((size_t)n + 1, sizeof *node);
  bool *local = calloc((size_t)n + 1, sizeof *local);
  lrp_deal *deal = NULL;
  lrp_status st = node && local ? LRP_OK : lrp_fail_memory((size_t)n * sizeof *node, "a schedule");

  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) {
    for (int i = 0; i < n; i++) {
      local[i] = s->todo[i] && s->part.owner[i] < 0;
      if (local[i]) node[i] = -1 - s->part.owner[i];
    }
    st = lrp_deal_create(topo, node, local, s->part.order, n, &deal);
  }
  if (st == LRP_OK) {
    st = take_units(s, deal);
    lrp_watch_wait(s->control->watch, "decompose: wait for the other process ranks");
    st = lrp_agree(st, topo->comm);
    lrp_deal_destroy(&deal);
  }
  free(local);
  free(node);
  return st;
}

/* ---- Units of several process ranks ---------------------------------------------------------- */

static bool is_leader(MPI_Comm group) {
  int me;
  MPI_Comm_rank(group, &me);
  return me == 0;
}

/* Each process rank of group looks at its part of the rows; where anything is found, the leader at
 * all of them, to say what. Collective over group. */
static lrp_status scan_together(stage *s, int i, const lrp_matrix *w, MPI_Comm group) {
  int me, size;
  int64_t row, col;
  MPI_Comm_rank(group, &me);
  MPI_Comm_size(group, &size);
  const int64_t first = w->rows * me / size, end = w->rows * (me + 1) / size;
  lrp_matrix part = *w;
  part.data = lrp_matrix_row(w, first);
  part.rows = end - first;
  const bool bad = lrp_matrix_count_nonfinite(&part, &row, &col) > 0;
  const lrp_status st = lrp_agree(bad ? LRP_ERR_DATA : LRP_OK, group);
  if (st != LRP_OK && me == 0) lrp_pass_scan(s->pass, unit_of(s, i)->name, w);
  return st;
}

/* Unit i by all process ranks of group. Collective over group. */
static lrp_status do_grid(stage *s, int i, MPI_Comm group) {
  const lrp_study *study = s->store->study;
  lrp_factors f = {0};
  lrp_matrix w;
  int size;
  const double start = MPI_Wtime();

  MPI_Comm_size(group, &size);
  lrp_status st = lrp_agree(weight(s, i, &w), group);
  if (st == LRP_OK) st = scan_together(s, i, &w, group);
  if (st == LRP_OK) {
    st =
        lrp_decompose_grid(study->plan.units[i].name, &w, s->store->place[i].rank,
                           study->job.decompose.method, study->store_dtype, group, &s->scratch, &f);
  }
  if (st == LRP_OK && is_leader(group)) {
    st = put(s, i, &f, MPI_Wtime() - start, size);
    if (st == LRP_OK) st = lrp_store_flush(s->store);
  }
  lrp_factors_free(&f);
  return lrp_agree(st, group);
}

/* Unit i by group, if there is time for it: process rank 0 of the group decides. Collective over
 * group. */
static lrp_status take_grid_unit(stage *s, int i, MPI_Comm group) {
  const double start = MPI_Wtime();
  lrp_control *control = s->control;
  int size;

  MPI_Comm_size(group, &size);
  const double seconds = cost(s, i, size);
  lrp_watch_phase(control->watch, "decompose %s over a grid", unit_of(s, i)->name);
  if (is_leader(group)) lrp_progress_work(control->progress, "%s", unit_of(s, i)->name);
  lrp_status st = lrp_pass_check(s->pass);
  if (st == LRP_OK && is_leader(group)) st = may_begin(s, i, seconds);
  st = lrp_agree(st, group);
  if (st != LRP_OK) return st;
  lrp_pass_reached(s->pass, s->position[i]);
  st = do_grid(s, i, group);
  const double measured = MPI_Wtime() - start;
  s->busy_s += measured;
  if (st != LRP_OK) return st;
  lrp_stop_learn(control->stop, seconds, measured);
  if (!is_leader(group)) lrp_progress_advance(control->progress, 0, 0.0);
  return LRP_OK;
}

static lrp_status grid_units(stage *s) {
  const int mine = s->topo->me / s->part.group_size;
  const bool member = mine < s->part.n_groups;
  lrp_status st = LRP_OK;
  MPI_Comm group;

  MPI_Comm_split(s->topo->comm, member ? mine : MPI_UNDEFINED, 0, &group);
  for (int j = 0; member && st == LRP_OK && j < s->store->study->plan.n_units; j++) {
    const int i = s->part.order[j];
    if (s->part.owner[i] == mine && s->todo[i]) st = take_grid_unit(s, i, group);
  }
  if (st > LRP_STOPPED) lrp_stop_abandon(s->control->stop);
  if (member) MPI_Comm_free(&group);
  lrp_watch_wait(s->control->watch, "decompose: wait for the other grids");
  return lrp_agree(st, s->topo->comm);
}

/* ---- What is to do --------------------------------------------------------------------------- */

/* Append the units that are for a grid, or those that are not, to the order of reading. The process
 * ranks that share the units of a node, or of a group, read them in turn. */
static void add_to_order(stage *s, bool grid, lrp_pass_unit *units, int *n) {
  const int group_size = grid ? s->part.group_size : s->topo->node_ranks[s->topo->node_index];
  const int owner = grid ? s->topo->me / s->part.group_size : -1 - s->topo->node_index;
  int me, turn = 0;
  MPI_Comm_rank(s->topo->node, &me);
  if (grid) me = s->topo->me % group_size;
  for (int j = 0; j < s->store->study->plan.n_units; j++) {
    const int i = s->part.order[j];
    if (!s->todo[i] || (s->part.owner[i] >= 0) != grid) continue;
    const bool here = s->part.owner[i] == owner;
    s->position[i] = *n;
    units[(*n)++] =
        (lrp_pass_unit){.name = unit_of(s, i)->name, .mine = here && turn % group_size == me};
    turn += here;
  }
}

/* Reading begins with what will be decomposed first. Collective. */
static lrp_status start_reading(stage *s, const lrp_identity *identity) {
  const int n = s->store->study->plan.n_units;
  lrp_pass_unit *units = calloc((size_t)n + 1, sizeof *units);
  int n_todo = 0;
  s->position = calloc((size_t)n + 1, sizeof *s->position);
  lrp_status st =
      units && s->position ? LRP_OK : lrp_fail_memory((size_t)n * sizeof *units, "a schedule");

  st = lrp_agree(st, s->topo->comm);
  if (st == LRP_OK) {
    if (s->part.group_size > 0) add_to_order(s, true, units, &n_todo);
    add_to_order(s, false, units, &n_todo);
    st = lrp_pass_start(&s->store->study->model, s->topo, identity->xxh3, units, n_todo, &s->pass);
  }
  free(units);
  return st;
}

/* End reading, and keep what is known of the weights by now. Collective. */
static lrp_status stop_reading(stage *s, lrp_status st, lrp_identity *identity) {
  const bool complete = lrp_identity_complete(identity);
  lrp_watch_phase(s->control->watch, "end reading ahead");
  const lrp_status ended = lrp_pass_end(&s->pass, identity->xxh3);
  if (ended > st) st = ended;
  if (complete || st > LRP_STOPPED) return st;
  const lrp_status saved = lrp_identity_save(identity);
  return saved > st ? saved : st;
}

/* Times are predicted; those of what is stored already correct the first predictions of a run that
 * goes on. */
static void learn(const lrp_store *store, lrp_stop *stop) {
  const lrp_plan *plan = &store->study->plan;
  lrp_stop_stage(stop, 1.0);
  for (int i = 0; i < plan->n_units; i++) {
    lrp_unit_record record;
    if (!lrp_store_done(store, i, &record)) continue;
    lrp_stop_learn(stop, plan->units[i].seconds / lrp_partition_speedup(record.process_ranks),
                   record.seconds);
  }
}

/* What is to do, predicted; a first run reads all weights. */
static lrp_status predict(const stage *s, const lrp_identity *identity, lrp_forecast *predicted) {
  const lrp_study *study = s->store->study;
  const lrp_topology *topo = s->topo;
  const double reading_s =
      lrp_identity_complete(identity)
          ? 0.0
          : lrp_forecast_reading(&study->calibration.cost, &study->model.config,
                                 lrp_model_dtype(&study->model), topo->size);
  return lrp_forecast_make(&study->plan, &s->part, s->todo, reading_s, topo->node_ranks,
                           topo->n_nodes, predicted);
}

/* Bytes that a process rank may use, on the host where they are fewest. Collective. */
static double memory_share(const lrp_topology *topo) {
  const double here = lrp_memory_available();
  double share = here < 0.0 ? INFINITY : here / topo->node_ranks[topo->node_index];
  MPI_Allreduce(MPI_IN_PLACE, &share, 1, MPI_DOUBLE, MPI_MIN, topo->comm);
  return share;
}

/* Which units are to be done, and by whom. */
static lrp_status make_schedule(stage *s, double rank_bytes, int *n_todo) {
  const lrp_study *study = s->store->study;
  const int n = study->plan.n_units;
  *n_todo = 0;
  s->todo = calloc((size_t)n + 1, sizeof *s->todo);
  s->said = calloc((size_t)n + 1, sizeof *s->said);
  if (!s->todo || !s->said) return lrp_fail_memory((size_t)n, "a schedule");
  for (int i = 0; i < n; i++) {
    s->todo[i] = !lrp_store_done(s->store, i, NULL);
    *n_todo += s->todo[i];
  }
  return lrp_partition_create(&study->plan, s->todo, study->job.decompose.grid_elements, rank_bytes,
                              s->topo->size, s->topo->node_ranks, s->topo->n_nodes, &s->part);
}

/* ---- How far it is --------------------------------------------------------------------------- */

/* Whether unit i counts for this process rank, in a sum over the node: one that its group leads, or
 * that is dealt to its node, by the first process rank of it. */
static bool counts_here(const stage *s, int i, int node_rank) {
  const int owner = s->part.owner[i], size = s->part.group_size;
  if (!s->todo[i]) return false;
  if (owner >= 0) return s->topo->me % size == 0 && s->topo->me / size == owner;
  return node_rank == 0 && owner == -1 - s->topo->node_index;
}

/* What the node has to do takes wall_s, as far as is known. Collective over the node. */
static void begin_progress(stage *s, int n_todo, double wall_s) {
  const int n = s->store->study->plan.n_units;
  double work = 0.0;
  int node_rank;
  MPI_Comm_rank(s->topo->node, &node_rank);
  for (int i = 0; i < n; i++) {
    if (counts_here(s, i, node_rank))
      work += cost(s, i, s->part.owner[i] >= 0 ? s->part.group_size : 1);
  }
  MPI_Allreduce(MPI_IN_PLACE, &work, 1, MPI_DOUBLE, MPI_SUM, s->topo->node);
  lrp_progress_begin(
      s->control->progress,
      &(lrp_progress_stage){.name = "decompose",
                            .items = "units",
                            .total = n,
                            .done = n - n_todo,
                            .cost = work,
                            .seconds_per_cost = lrp_stop_predict(s->control->stop, 1.0),
                            .workers = wall_s > 0.0 ? work / wall_s : 1.0,
                            .said = s->said});
}

/* The lines of units that other nodes have done, which process rank 0 finds in the journal. */
static void end_progress(stage *s) {
  const int n = s->store->study->plan.n_units;
  lrp_unit_record r;
  int64_t done = 0;
  for (int i = 0; i < n; i++) done += lrp_store_done(s->store, i, NULL);
  lrp_progress_settle(s->control->progress, done);
  for (int i = 0; s->topo->me == 0 && i < n; i++) {
    if (!s->todo[i] || s->said[i] || !lrp_store_done(s->store, i, &r)) continue;
    say_unit(s, i, r.rank, r.relative_error, r.seconds, (lrp_solver)r.solver);
  }
  lrp_progress_end(s->control->progress);
}

/* ---- The stage ------------------------------------------------------------------------------- */

static lrp_status all_units(stage *s) {
  lrp_status st = LRP_OK;
  if (s->part.group_size > 0) st = grid_units(s);
  return st == LRP_OK ? local_units(s) : st;
}

lrp_status lrp_decompose_stage(lrp_store *store, lrp_identity *identity, const lrp_topology *topo,
                               lrp_control *control) {
  const int n = store->study->plan.n_units;
  stage s = {.store = store, .topo = topo, .control = control};
  lrp_forecast predicted = {0};
  const double start = MPI_Wtime();
  int n_todo;
  lrp_status st = make_schedule(&s, memory_share(topo), &n_todo);

  if (st == LRP_OK) st = predict(&s, identity, &predicted);
  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) st = start_reading(&s, identity);
  if (st == LRP_OK) {
    lrp_log("decompose: %d of %d units to do, in about %.1f s", n_todo, n, predicted.wall);
    learn(store, control->stop);
    begin_progress(&s, n_todo, predicted.wall);
    st = stop_reading(&s, all_units(&s), identity);
    if (st <= LRP_STOPPED) {
      const lrp_status read = lrp_store_refresh(store);
      st = read > st ? read : st;
    }
    end_progress(&s);
    if (st == LRP_OK) {
      lrp_forecast_compare(predicted, n_todo, MPI_Wtime() - start, s.busy_s, topo);
    }
  }
  lrp_scratch_free(&s.scratch);
  lrp_partition_free(&s.part);
  free(s.position);
  free(s.said);
  free(s.todo);
  return st;
}
