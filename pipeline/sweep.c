#include "pipeline/sweep.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- variants ---- */

/* A configuration's ranks in one layer. */
typedef struct {
  const int *rank; /* borrowed: of each tensor */
  int tensors, configuration;
} entry;

static int by_ranks(const void *a, const void *b) {
  const entry *x = a, *y = b;
  for (int t = 0; t < x->tensors; t++) {
    if (x->rank[t] != y->rank[t]) return x->rank[t] < y->rank[t] ? -1 : 1;
  }
  return 0;
}

/* Number the different layers l; the numbers go on over all layers. */
static void number_layer(const lrp_plan *plan, int l, entry *entries, lrp_sweep *out) {
  const int n = out->n_configurations;
  for (int c = 0; c < n; c++) {
    entries[c] = (entry){.rank = plan->configurations[c].rank + (ptrdiff_t)l * plan->tensors,
                         .tensors = plan->tensors,
                         .configuration = c};
  }
  qsort(entries, (size_t)n, sizeof *entries, by_ranks);
  for (int i = 0; i < n; i++) {
    if (i == 0 || by_ranks(&entries[i - 1], &entries[i]) != 0) out->n_variants++;
    out->variant[(ptrdiff_t)entries[i].configuration * out->layers + l] = out->n_variants - 1;
  }
}

/* A configuration's variants, to be sorted. */
typedef struct {
  const int *variant;
  int layers, configuration;
} row;

static int by_variants(const void *a, const void *b) {
  const row *x = a, *y = b;
  for (int l = 0; l < x->layers; l++) {
    if (x->variant[l] != y->variant[l]) return x->variant[l] < y->variant[l] ? -1 : 1;
  }
  return x->configuration < y->configuration ? -1 : 1;
}

static void sort_configurations(lrp_sweep *s, row *rows) {
  for (int c = 0; c < s->n_configurations; c++) {
    rows[c] = (row){
        .variant = s->variant + (ptrdiff_t)c * s->layers, .layers = s->layers, .configuration = c};
  }
  qsort(rows, (size_t)s->n_configurations, sizeof *rows, by_variants);
  for (int i = 0; i < s->n_configurations; i++) s->order[i] = rows[i].configuration;
}

lrp_status lrp_sweep_create(const lrp_plan *plan, lrp_sweep *out) {
  const size_t n = (size_t)plan->n_configurations, layers = (size_t)plan->layers;
  entry *entries = calloc(n + 1, sizeof *entries);
  row *rows = calloc(n + 1, sizeof *rows);
  lrp_status st = LRP_OK;

  *out = (lrp_sweep){.layers = plan->layers, .n_configurations = plan->n_configurations};
  out->variant = calloc(n * layers + 1, sizeof *out->variant);
  out->order = calloc(n + 1, sizeof *out->order);
  if (entries && rows && out->variant && out->order) {
    for (int l = 0; l < out->layers; l++) number_layer(plan, l, entries, out);
    sort_configurations(out, rows);
  } else {
    st = lrp_fail_memory(n * layers * sizeof *out->variant, "the tree of configurations");
    lrp_sweep_free(out);
  }
  free(rows);
  free(entries);
  return st;
}

void lrp_sweep_free(lrp_sweep *sweep) {
  free(sweep->variant);
  free(sweep->order);
  *sweep = (lrp_sweep){0};
}

/* ---- walks ---- */

typedef struct {
  const lrp_sweep *sweep;
  const lrp_sweep_steps *steps;
  int from, to, buffers;
  int *starts; /* owned: memory for the parts of sets, a stack */
} walk;

static int variant(const walk *w, int configuration, int layer) {
  return w->sweep->variant[(ptrdiff_t)configuration * w->sweep->layers + layer];
}

/* Cut the set, sorted by variants, into parts of the same layer; starts[0 .. parts] */
static int part(const walk *w, const int *set, int n, int layer, int *starts) {
  int parts = 0;
  for (int i = 0; i < n; i++) {
    if (i == 0 || variant(w, set[i], layer) != variant(w, set[i - 1], layer)) starts[parts++] = i;
  }
  starts[parts] = n;
  return parts;
}

static int largest(const int *starts, int parts) {
  int best = 0;
  for (int p = 1; p < parts; p++) {
    if (starts[p + 1] - starts[p] > starts[best + 1] - starts[best]) best = p;
  }
  return best;
}

/* Activations of configuration in front of layer, from the start. */
static lrp_status replay(const walk *w, int configuration, int layer, int x) {
  lrp_status st = w->steps->start(w->steps->context, x);
  for (int l = w->from; st == LRP_OK && l < layer; l++) {
    st = w->steps->apply(w->steps->context, configuration, l, x);
  }
  return st;
}

static lrp_status visit(const walk *w, const int *set, int n, int layer, int x, int *starts);

/* All parts but the one that goes on in x: in a copy, or in x itself, which is made anew. */
static lrp_status visit_others(const walk *w, const int *set, int layer, int x, const int *starts,
                               int parts, int last, int *stack) {
  const lrp_sweep_steps *s = w->steps;
  const bool room = x + 1 < w->buffers;
  lrp_status st = LRP_OK;
  for (int p = 0; st == LRP_OK && p < parts; p++) {
    const int *of = set + starts[p];
    if (p == last) continue;
    if (room) st = s->copy(s->context, x, x + 1);
    if (st == LRP_OK) {
      st = visit(w, of, starts[p + 1] - starts[p], layer, room ? x + 1 : x, stack);
    }
    if (st == LRP_OK) st = s->go_on(s->context, w->to - layer);
    if (st == LRP_OK && !room) st = replay(w, set[0], layer, x);
  }
  return st;
}

/* Carry x, in front of layer, to the end for all of the set. */
static lrp_status visit(const walk *w, const int *set, int n, int layer, int x, int *starts) {
  const lrp_sweep_steps *s = w->steps;
  lrp_status st = LRP_OK;
  for (; st == LRP_OK && layer < w->to; layer++) {
    const int parts = part(w, set, n, layer, starts);
    if (parts > 1) {
      const int last = largest(starts, parts);
      st = visit_others(w, set, layer, x, starts, parts, last, starts + parts + 1);
      set += starts[last];
      n = starts[last + 1] - starts[last];
    }
    if (st == LRP_OK) st = s->apply(s->context, set[0], layer, x);
  }
  return st == LRP_OK ? s->finish(s->context, set, n, x) : st;
}

lrp_status lrp_sweep_walk(const lrp_sweep *sweep, const int *configurations, int n, int from,
                          int to, int buffers, const lrp_sweep_steps *steps) {
  walk w = {.sweep = sweep, .steps = steps, .from = from, .to = to, .buffers = buffers};
  /* p parts of n members take p + 1 numbers of the stack, and a part that is visited meanwhile has
   * n - p + 1 members at most: less than 3 n numbers in all. */
  w.starts = malloc((3 * (size_t)n + 3) * sizeof *w.starts);
  if (!w.starts) return lrp_fail_memory(3 * (size_t)n * sizeof *w.starts, "a walk over layers");
  lrp_status st = steps->start(steps->context, 0);
  if (st == LRP_OK) st = visit(&w, configurations, n, from, 0, w.starts);
  free(w.starts);
  return st;
}

/* ---- cost ---- */

static lrp_status count_nothing(void *context, int x) {
  (void)context;
  (void)x;
  return LRP_OK;
}

static lrp_status count_layer(void *context, int configuration, int layer, int x) {
  int64_t *layers = context;
  (void)configuration;
  (void)layer;
  (void)x;
  ++*layers;
  return LRP_OK;
}

static lrp_status count_copy(void *context, int from, int to) {
  (void)context;
  (void)from;
  (void)to;
  return LRP_OK;
}

static lrp_status count_end(void *context, const int *configurations, int n, int x) {
  (void)context;
  (void)configurations;
  (void)n;
  (void)x;
  return LRP_OK;
}

int64_t lrp_sweep_cost(const lrp_sweep *sweep, const int *configurations, int n, int from, int to,
                       int buffers) {
  int64_t layers = 0;
  const lrp_sweep_steps steps = {.context = &layers,
                                 .start = count_nothing,
                                 .apply = count_layer,
                                 .copy = count_copy,
                                 .finish = count_end,
                                 .go_on = count_nothing};
  if (n <= 0) return 0;
  const lrp_status st = lrp_sweep_walk(sweep, configurations, n, from, to, buffers, &steps);
  return st == LRP_OK ? layers : -1;
}
