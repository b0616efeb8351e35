#include "pipeline/knapsack.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* ---- dominated options ---- */

/* By saving, the largest first; then by cost; then by what the caller had first. */
static int compare_options(const void *a, const void *b) {
  const lrp_knapsack_option *x = a, *y = b;
  if (x->saving != y->saving) return x->saving > y->saving ? -1 : 1;
  if (x->cost != y->cost) return x->cost < y->cost ? -1 : 1;
  return (x->id > y->id) - (x->id < y->id);
}

int lrp_knapsack_prune(lrp_knapsack_option *options, int n) {
  double least = INFINITY;
  int kept = 0;

  qsort(options, (size_t)n, sizeof *options, compare_options);
  for (int i = 0; i < n && options[i].saving > 0; i++) {
    if (options[i].cost >= least) continue;
    least = options[i].cost;
    options[kept++] = options[i];
  }
  for (int i = 0; i < kept / 2; i++) { /* the smallest saving first */
    const lrp_knapsack_option other = options[i];
    options[i] = options[kept - 1 - i];
    options[kept - 1 - i] = other;
  }
  return kept;
}

/* ---- the grid ---- */

/* The cheapest partial solution of a cell. */
typedef struct {
  double cost; /* INFINITY: none */
  int64_t given_up;
} state;

/* How it was reached. */
typedef struct {
  int32_t cell;   /* of the groups before */
  int32_t option; /* index in its group; -1: none */
} step;

typedef struct {
  lrp_knapsack_group *groups; /* borrowed */
  int n_groups;
  int64_t slack; /* that may be given up */
  int64_t width; /* of a cell */
  size_t cells;
  state *now, *next; /* owned, cells */
  step *steps;       /* owned, n_groups x cells */
} grid;

static int64_t largest(const lrp_knapsack_group *group) {
  return group->n > 0 ? group->options[group->n - 1].saving : 0;
}

static lrp_status begin(grid *g) {
  const size_t n = (size_t)g->n_groups * g->cells;

  g->now = malloc(g->cells * sizeof *g->now);
  g->next = malloc(g->cells * sizeof *g->next);
  g->steps = malloc((n + 1) * sizeof *g->steps);
  if (!g->now || !g->next || !g->steps) {
    return lrp_fail_memory(n * sizeof *g->steps, "a choice among configurations");
  }
  for (size_t c = 0; c < g->cells; c++) g->now[c] = (state){INFINITY, 0};
  g->now[0].cost = 0.0;
  return LRP_OK;
}

static void end(grid *g) {
  free(g->now);
  free(g->next);
  free(g->steps);
}

/* The solution of cell `from`, with an option of the group (-1: none of them). */
static void extend(grid *g, const lrp_knapsack_group *group, size_t from, int option, step *steps) {
  const lrp_knapsack_option none = {0}, *o = option >= 0 ? &group->options[option] : &none;
  const double cost = g->now[from].cost + o->cost;
  const int64_t given_up = g->now[from].given_up + largest(group) - o->saving;

  if (given_up > g->slack) return;
  const size_t to = (size_t)(given_up / g->width);
  state *s = &g->next[to];
  if (cost > s->cost || (cost == s->cost && given_up >= s->given_up)) return;
  *s = (state){cost, given_up};
  steps[to] = (step){(int32_t)from, option};
}

static void add_group(grid *g, int index) {
  const lrp_knapsack_group *group = &g->groups[index];
  step *steps = g->steps + (size_t)index * g->cells;

  for (size_t c = 0; c < g->cells; c++) g->next[c] = (state){INFINITY, INT64_MAX};
  for (size_t c = 0; c < g->cells; c++) {
    if (isinf(g->now[c].cost)) continue;
    for (int o = -1; o < group->n; o++) extend(g, group, c, o, steps);
  }
  state *done = g->now;
  g->now = g->next;
  g->next = done;
}

/* The way back from the cheapest of the whole solutions. */
static void collect(const grid *g, int *taken, lrp_knapsack_result *result) {
  size_t best = 0;

  for (size_t c = 1; c < g->cells; c++) {
    if (g->now[c].cost < g->now[best].cost) best = c;
  }
  result->cost = g->now[best].cost;
  result->saving = result->most - g->now[best].given_up;
  for (int i = g->n_groups - 1; i >= 0; i--) {
    const step *s = &g->steps[(size_t)i * g->cells + best];
    taken[i] = s->option >= 0 ? g->groups[i].options[s->option].id : -1;
    best = (size_t)s->cell;
  }
}

lrp_status lrp_knapsack_solve(lrp_knapsack_group *groups, int n_groups, int64_t target, int *taken,
                              lrp_knapsack_result *result) {
  grid g = {.groups = groups, .n_groups = n_groups};
  lrp_status st;

  *result = (lrp_knapsack_result){0};
  for (int i = 0; i < n_groups; i++) {
    taken[i] = -1;
    groups[i].n = lrp_knapsack_prune(groups[i].options, groups[i].n);
    result->most += largest(&groups[i]);
  }
  if (target <= 0 || target > result->most) return LRP_OK;
  g.slack = result->most - target;
  g.width = result->step = g.slack / LRP_KNAPSACK_CELLS + 1;
  g.cells = (size_t)(g.slack / g.width) + 1;
  st = begin(&g);
  for (int i = 0; st == LRP_OK && i < n_groups; i++) add_group(&g, i);
  if (st == LRP_OK) collect(&g, taken, result);
  end(&g);
  return st;
}
