#include "pipeline/partition.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linalg/solver.h"

/* ---- longest processing time first ---- */

typedef struct {
  double cost;
  int64_t index;
} item;

/* By descending cost, then by index. */
static int compare_items(const void *a, const void *b) {
  const item *x = a, *y = b;
  if (x->cost != y->cost) return x->cost > y->cost ? -1 : 1;
  return (x->index > y->index) - (x->index < y->index);
}

static item *sorted_items(const double *cost, int64_t n) {
  const size_t bytes = ((size_t)n + 1) * sizeof(item);
  item *items = malloc(bytes);

  if (!items) {
    lrp_fail_memory(bytes, "a schedule");
    return NULL;
  }
  for (int64_t i = 0; i < n; i++) items[i] = (item){cost[i], i};
  qsort(items, (size_t)n, sizeof *items, compare_items);
  return items;
}

/* The bin that would be the least loaded with one more item of this cost. */
static int best_bin(const double *load, const int *capacity, int n_bins, double cost) {
  int best = -1;
  double best_load = 0.0;

  for (int b = 0; b < n_bins; b++) {
    if (capacity[b] < 1) continue;
    const double relative = (load[b] + cost) / capacity[b];
    if (best < 0 || relative < best_load) {
      best = b;
      best_load = relative;
    }
  }
  assert(best >= 0);
  return best;
}

lrp_status lrp_partition_lpt(const double *cost, int64_t n, const int *capacity, int n_bins,
                             int *bin) {
  item *items = sorted_items(cost, n);
  double *load = calloc((size_t)n_bins, sizeof *load);
  lrp_status st = items ? LRP_OK : LRP_ERR_MEM;

  if (!load) st = lrp_fail_memory((size_t)n_bins * sizeof *load, "a schedule");
  for (int64_t i = 0; st == LRP_OK && i < n; i++) {
    const int b = best_bin(load, capacity, n_bins, items[i].cost);
    bin[items[i].index] = b;
    load[b] += items[i].cost;
  }
  free(load);
  free(items);
  return st;
}

/* ---- who is shared ---- */

double lrp_partition_speedup(int process_ranks) {
  return process_ranks > 1 ? 0.5 * process_ranks : 1.0;
}

/* Sharing must bring the predicted end forward to this part. */
static const double worth = 0.9;

/* Work space of lrp_partition_create. */
typedef struct {
  const lrp_plan *plan;
  int64_t grid_elements;
  double rank_bytes;
  int size;
  int *order;    /* borrowed: units by descending seconds */
  bool *shared;  /* owned, n_units: solved by a group */
  double *cost;  /* owned, n_units: of those being dealt; 0 for the others */
  int *bin;      /* owned, n_units: where each went */
  int *capacity; /* owned, size: of groups, 1 each */
  double *busy;  /* owned, size: seconds of each group or process rank */
} schedule;

/* Process ranks that a unit needs: 1 if one is enough. */
static int needed(const schedule *s, const lrp_unit *u) {
  const lrp_cost_task task = {.m = u->m, .n = u->n, .rank = u->rank};
  const double by_elements = ceil((double)u->m * (double)u->n / (double)s->grid_elements);
  const double least = u->bytes > s->rank_bytes ? 2.0 : 1.0;
  int n = (int)fmin(fmax(by_elements, least), s->size);
  if (u->bytes > s->rank_bytes) {
    while (n < s->size && lrp_cost_grid_bytes(&task, n) > s->rank_bytes) n++;
  }
  return n;
}

/* Whether a group would be faster: other methods are for matrices, or ranks, too small for one. */
static bool can_share(const lrp_unit *u) {
  return lrp_solver_for(u->m, u->n, u->rank) == LRP_SOLVER_GRAM;
}

/* Seconds until the last of n_bins is done with the units that are shared, or with those that are
 * not, each going to whoever is free first. */
static double makespan(const schedule *s, bool shared, double speedup, int n_bins) {
  double longest = 0.0;

  for (int b = 0; b < n_bins; b++) s->busy[b] = 0.0;
  for (int j = 0; j < s->plan->n_units; j++) {
    const int i = s->order[j];
    int least = 0;
    if (s->shared[i] != shared) continue;
    for (int b = 1; b < n_bins; b++) {
      if (s->busy[b] < s->busy[least]) least = b;
    }
    s->busy[least] += s->plan->units[i].seconds / speedup;
    longest = fmax(longest, s->busy[least]);
  }
  return longest;
}

/* Share what has to be, and the largest extra ones of the others; how many were found. */
static int mark(const schedule *s, int extra) {
  int n_extra = 0;

  for (int j = 0; j < s->plan->n_units; j++) {
    const int i = s->order[j];
    const lrp_unit *u = &s->plan->units[i];
    s->shared[i] = needed(s, u) > 1;
    if (!s->shared[i] && n_extra < extra && can_share(u)) {
      s->shared[i] = true;
      n_extra++;
    }
  }
  return n_extra;
}

static double predict(const schedule *s, int group_size) {
  const double local = makespan(s, false, 1.0, s->size);
  if (group_size < 2) return local;
  return local + makespan(s, true, lrp_partition_speedup(group_size), s->size / group_size);
}

/* Fill s->shared: of the group sizes that are enough, and numbers of units that get a group each,
 * the fastest. Returns the size, 0 for no groups. */
static int choose_groups(const schedule *s) {
  int least = 1, n_must = 0, n_can = 0; /* process ranks and units that must, and could, share */

  for (int i = 0; i < s->plan->n_units; i++) {
    const int n = needed(s, &s->plan->units[i]);
    least = n > least ? n : least;
    n_must += n > 1;
    n_can += n == 1 && can_share(&s->plan->units[i]);
  }
  mark(s, 0);
  int best = least > 1 ? least : 0, best_extra = 0;
  double best_s = worth * predict(s, best);
  const int most = s->size < LRP_PARTITION_GROUP_MAX ? s->size : LRP_PARTITION_GROUP_MAX;
  for (int g = least > 1 ? least : 2; g <= most; g++) {
    const int groups = s->size / g - n_must; /* for extra units */
    const int fit = groups < n_can ? groups : n_can;
    const int rest = n_can % s->size; /* what is left of full rounds */
    for (int pass = 0; pass < 2 && fit >= 0; pass++) {
      const int extra = pass == 0 || rest > fit ? fit : rest;
      if (extra + n_must == 0) continue;
      mark(s, extra);
      const double seconds = predict(s, g);
      if (seconds >= best_s) continue;
      best = g, best_extra = extra, best_s = seconds;
    }
  }
  mark(s, best_extra);
  return best;
}

/* ---- who does what ---- */

/* Deal the shared units, or the local ones, over n_bins; owner[i] = bin, or -1 - bin. */
static lrp_status deal(const schedule *s, const bool *todo, bool shared, const int *capacity,
                       int n_bins, lrp_partition *out) {
  lrp_status st;

  for (int i = 0; i < s->plan->n_units; i++) {
    const bool mine = (!todo || todo[i]) && s->shared[i] == shared;
    s->cost[i] = mine ? s->plan->units[i].seconds : 0.0;
  }
  st = lrp_partition_lpt(s->cost, s->plan->n_units, capacity, n_bins, s->bin);
  for (int i = 0; st == LRP_OK && i < s->plan->n_units; i++) {
    if ((todo && !todo[i]) || s->shared[i] != shared) continue;
    out->owner[i] = shared ? s->bin[i] : -1 - s->bin[i];
    if (!shared) out->load[s->bin[i]] += s->cost[i];
  }
  return st;
}

static lrp_status fill_order(const schedule *s) {
  const int n = s->plan->n_units;
  item *items;

  for (int i = 0; i < n; i++) s->cost[i] = s->plan->units[i].seconds;
  items = sorted_items(s->cost, n);
  if (!items) return LRP_ERR_MEM;
  for (int i = 0; i < n; i++) s->order[i] = (int)items[i].index;
  free(items);
  return LRP_OK;
}

static lrp_status init(schedule *s, lrp_partition *out, int n_nodes) {
  const size_t n = (size_t)s->plan->n_units + 1; /* never 0 bytes */
  const size_t size = (size_t)s->size;

  out->owner = malloc(n * sizeof *out->owner);
  out->order = s->order = malloc(n * sizeof *out->order);
  out->load = calloc((size_t)n_nodes, sizeof *out->load);
  s->shared = calloc(n, sizeof *s->shared);
  s->cost = malloc(n * sizeof *s->cost);
  s->bin = malloc(n * sizeof *s->bin);
  s->capacity = malloc(size * sizeof *s->capacity);
  s->busy = malloc(size * sizeof *s->busy);
  if (!out->owner || !out->order || !out->load || !s->shared || !s->cost || !s->bin ||
      !s->capacity || !s->busy) {
    return lrp_fail_memory(n * sizeof *s->cost + size * sizeof *s->busy, "a partition");
  }
  for (int i = 0; i < s->plan->n_units; i++) out->owner[i] = LRP_PARTITION_NONE;
  for (int p = 0; p < s->size; p++) s->capacity[p] = 1;
  return fill_order(s);
}

lrp_status lrp_partition_create(const lrp_plan *plan, const bool *todo, int64_t grid_elements,
                                double rank_bytes, int size, const int *node_ranks, int n_nodes,
                                lrp_partition *out) {
  schedule s = {
      .plan = plan, .grid_elements = grid_elements, .rank_bytes = rank_bytes, .size = size};

  memset(out, 0, sizeof *out);
  lrp_status st = init(&s, out, n_nodes);
  if (st == LRP_OK) {
    out->group_size = choose_groups(&s);
    out->n_groups = out->group_size > 0 ? size / out->group_size : 0;
  }
  if (st == LRP_OK && out->n_groups > 0) {
    st = deal(&s, todo, true, s.capacity, out->n_groups, out);
  }
  if (st == LRP_OK) st = deal(&s, todo, false, node_ranks, n_nodes, out);
  free(s.shared);
  free(s.cost);
  free(s.bin);
  free(s.capacity);
  free(s.busy);
  if (st != LRP_OK) lrp_partition_free(out);
  return st;
}

void lrp_partition_free(lrp_partition *p) {
  free(p->owner);
  free(p->order);
  free(p->load);
  memset(p, 0, sizeof *p);
}
