#include "pipeline/partition.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- units ---- */

static int group_size_for(const lrp_unit *u, int64_t grid_elements, int size) {
  const int64_t elements = u->m * u->n;
  if (elements <= grid_elements) return 0;
  const int64_t wanted = (elements - 1) / grid_elements + 1;
  return wanted < size ? (int)wanted : size;
}

static int largest_group(const lrp_plan *plan, int64_t grid_elements, int size) {
  int group = 0;

  for (int i = 0; i < plan->n_units; i++) {
    const int wanted = group_size_for(&plan->units[i], grid_elements, size);
    if (wanted > group) group = wanted;
  }
  return group > 1 ? group : 0; /* a grid of one process rank is none */
}

static bool is_grid_unit(const lrp_partition *p, const lrp_unit *u, int64_t grid_elements) {
  return p->group_size > 0 && u->m * u->n > grid_elements;
}

/* Work space of lrp_partition_create. */
typedef struct {
  double *cost;  /* of the units being dealt; 0 for the others */
  int *bin;      /* where each went */
  int *capacity; /* of groups: 1 each */
} scratch;

/* Deal the grid units, or the local ones, over n_bins; owner[i] = bin, or -1 - bin. */
static lrp_status deal(const lrp_plan *plan, const bool *todo, int64_t grid_elements, bool grid,
                       const int *capacity, int n_bins, scratch *s, lrp_partition *out) {
  lrp_status st;

  for (int i = 0; i < plan->n_units; i++) {
    const lrp_unit *u = &plan->units[i];
    const bool mine = (!todo || todo[i]) && is_grid_unit(out, u, grid_elements) == grid;
    s->cost[i] = mine ? u->cost : 0.0;
  }
  st = lrp_partition_lpt(s->cost, plan->n_units, capacity, n_bins, s->bin);
  for (int i = 0; st == LRP_OK && i < plan->n_units; i++) {
    const bool mine =
        (!todo || todo[i]) && is_grid_unit(out, &plan->units[i], grid_elements) == grid;
    if (!mine) continue;
    out->owner[i] = grid ? s->bin[i] : -1 - s->bin[i];
    if (!grid) out->load[s->bin[i]] += s->cost[i];
  }
  return st;
}

static lrp_status fill_order(const lrp_plan *plan, scratch *s, int *order) {
  item *items;

  for (int i = 0; i < plan->n_units; i++) s->cost[i] = plan->units[i].cost;
  items = sorted_items(s->cost, plan->n_units);
  if (!items) return LRP_ERR_MEM;
  for (int i = 0; i < plan->n_units; i++) order[i] = (int)items[i].index;
  free(items);
  return LRP_OK;
}

lrp_status lrp_partition_create(const lrp_plan *plan, const bool *todo, int64_t grid_elements,
                                int size, const int *node_ranks, int n_nodes, lrp_partition *out) {
  const size_t n = (size_t)plan->n_units + 1; /* never 0 bytes */
  scratch s = {.cost = malloc(n * sizeof *s.cost),
               .bin = malloc(n * sizeof *s.bin),
               .capacity = malloc((size_t)size * sizeof *s.capacity)};
  lrp_status st = LRP_OK;

  memset(out, 0, sizeof *out);
  out->group_size = largest_group(plan, grid_elements, size);
  out->n_groups = out->group_size > 0 ? size / out->group_size : 0;
  out->owner = malloc(n * sizeof *out->owner);
  out->order = malloc(n * sizeof *out->order);
  out->load = calloc((size_t)n_nodes, sizeof *out->load);
  if (!s.cost || !s.bin || !s.capacity || !out->owner || !out->order || !out->load) {
    st = lrp_fail_memory(n * sizeof *out->owner, "a partition");
  }
  if (st == LRP_OK) {
    for (int i = 0; i < plan->n_units; i++) out->owner[i] = LRP_PARTITION_NONE;
    for (int p = 0; p < size; p++) s.capacity[p] = 1;
    st = fill_order(plan, &s, out->order);
  }
  if (st == LRP_OK && out->n_groups > 0) {
    st = deal(plan, todo, grid_elements, true, s.capacity, out->n_groups, &s, out);
  }
  if (st == LRP_OK) st = deal(plan, todo, grid_elements, false, node_ranks, n_nodes, &s, out);
  free(s.cost);
  free(s.bin);
  free(s.capacity);
  if (st != LRP_OK) lrp_partition_free(out);
  return st;
}

void lrp_partition_free(lrp_partition *p) {
  free(p->owner);
  free(p->order);
  free(p->load);
  memset(p, 0, sizeof *p);
}
