/* pipeline/sweep.h: every configuration gets its own layers, in order, and common ones are shared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/sweep.h"

enum { max_layers = 40, max_configurations = 200, max_buffers = 16 };

/* Activations are the list of variants that made them. */
typedef struct {
  int n, variant[max_layers];
} activations;

typedef struct {
  const lrp_sweep *sweep;
  activations x[max_buffers];
  int buffers, highest, stop_after;
  int64_t applied;
  int finished[max_configurations];
} trace;

static lrp_status start(void *context, int x) {
  trace *t = context;
  assert_in_range(x, 0, t->buffers - 1);
  t->x[x].n = 0;
  return LRP_OK;
}

static lrp_status apply(void *context, int c, int layer, int x) {
  trace *t = context;
  assert_in_range(x, 0, t->buffers - 1);
  assert_int_equal(t->x[x].n, layer);
  t->x[x].variant[t->x[x].n++] = t->sweep->variant[c * t->sweep->layers + layer];
  t->applied++;
  return LRP_OK;
}

static lrp_status copy(void *context, int from, int to) {
  trace *t = context;
  assert_in_range(to, 0, t->buffers - 1);
  t->x[to] = t->x[from];
  if (to > t->highest) t->highest = to;
  return LRP_OK;
}

static lrp_status finish(void *context, const int *configurations, int n, int x) {
  trace *t = context;
  assert_int_equal(t->x[x].n, t->sweep->layers);
  for (int i = 0; i < n; i++) {
    t->finished[configurations[i]]++;
    for (int l = 0; l < t->sweep->layers; l++) {
      assert_int_equal(t->x[x].variant[l],
                       t->sweep->variant[configurations[i] * t->sweep->layers + l]);
    }
  }
  return LRP_OK;
}

static lrp_status go_on(void *context, int layers) {
  trace *t = context;
  assert_in_range(layers, 1, t->sweep->layers);
  return t->stop_after-- == 0 ? LRP_STOPPED : LRP_OK;
}

static lrp_sweep_steps steps_of(trace *t) {
  return (lrp_sweep_steps){
      .context = t, .start = start, .apply = apply, .copy = copy, .finish = finish, .go_on = go_on};
}

/* A plan of n configurations over layers, of two tensors each, with the ranks of rank(). */
static lrp_plan plan_of(int n, int layers, int (*rank)(int c, int layer, int tensor)) {
  lrp_plan plan = {.layers = layers, .tensors = 2, .n_configurations = n};
  plan.configurations = calloc((size_t)n, sizeof *plan.configurations);
  assert_non_null(plan.configurations);
  for (int c = 0; c < n; c++) {
    plan.configurations[c].rank = calloc((size_t)layers * 2, sizeof(int));
    assert_non_null(plan.configurations[c].rank);
    for (int i = 0; i < 2 * layers; i++) {
      plan.configurations[c].rank[i] = rank(c, i / 2, i % 2);
    }
  }
  return plan;
}

static void free_plan(lrp_plan *plan) {
  for (int c = 0; c < plan->n_configurations; c++) free(plan->configurations[c].rank);
  free(plan->configurations);
}

static int one_layer(int c, int layer, int tensor) {
  (void)tensor;
  return layer == c ? 1 : 0;
}

static int all_different(int c, int layer, int tensor) {
  (void)tensor;
  return layer == 0 ? c + 1 : 0;
}

static int scattered(int c, int layer, int tensor) {
  const unsigned hash = (unsigned)(c * 7919 + (layer / 3) * 104729 + tensor * 31) * 2654435761u;
  return (int)(hash >> 28) % 3;
}

static int same(int c, int layer, int tensor) {
  (void)c;
  return layer + tensor;
}

static int64_t walk_all(const lrp_sweep *sweep, int buffers, int *highest) {
  trace t = {.sweep = sweep, .buffers = buffers, .stop_after = -1};
  const lrp_sweep_steps steps = steps_of(&t);
  assert_int_equal(lrp_sweep_walk(sweep, sweep->order, sweep->n_configurations, 0, sweep->layers,
                                  buffers, &steps),
                   LRP_OK);
  for (int c = 0; c < sweep->n_configurations; c++) assert_int_equal(t.finished[c], 1);
  assert_int_equal(
      lrp_sweep_cost(sweep, sweep->order, sweep->n_configurations, 0, sweep->layers, buffers),
      t.applied);
  *highest = t.highest;
  return t.applied;
}

static void check(int n, int layers, int (*rank)(int, int, int), int64_t expected, int depth) {
  lrp_plan plan = plan_of(n, layers, rank);
  lrp_sweep sweep;
  int highest;
  assert_int_equal(lrp_sweep_create(&plan, &sweep), LRP_OK);
  const int64_t applied = walk_all(&sweep, max_buffers, &highest);
  if (expected >= 0) assert_int_equal(applied, expected);
  assert_in_range(highest, 0, depth);
  assert_true(walk_all(&sweep, 1, &highest) >= applied);
  assert_int_equal(highest, 0);
  assert_true(walk_all(&sweep, 2, &highest) >= applied);
  lrp_sweep_free(&sweep);
  free_plan(&plan);
}

static void test_walks(void **state) {
  (void)state;
  /* The dense way once, 32 layers, and from layer c on each configuration by itself; the last one
   * takes over the dense way where there is no dense configuration. */
  check(32, 32, one_layer, 31 + 32 * 33 / 2, 1);
  check(33, 32, one_layer, 32 + 32 * 33 / 2, 1);
  check(5, 4, all_different, 20, 1);
  check(7, 9, same, 9, 0);
  check(1, 3, one_layer, 3, 0);
  check(200, 12, scattered, -1, 7);
}

static void test_stops(void **state) {
  lrp_plan plan = plan_of(8, 8, one_layer);
  lrp_sweep sweep;
  (void)state;
  assert_int_equal(lrp_sweep_create(&plan, &sweep), LRP_OK);
  trace t = {.sweep = &sweep, .buffers = 3, .stop_after = 3};
  const lrp_sweep_steps steps = steps_of(&t);
  int done = 0;
  assert_int_equal(lrp_sweep_walk(&sweep, sweep.order, 8, 0, 8, 3, &steps), LRP_STOPPED);
  for (int c = 0; c < 8; c++) done += t.finished[c];
  assert_int_equal(done, 4);
  lrp_sweep_free(&sweep);
  free_plan(&plan);
}

/* Configurations that are equal in a layer are neighbours as far as they agree below it. */
static void test_order(void **state) {
  lrp_plan plan = plan_of(60, 9, scattered);
  lrp_sweep sweep;
  (void)state;
  assert_int_equal(lrp_sweep_create(&plan, &sweep), LRP_OK);
  for (int i = 0; i < 60; i++) {
    for (int l = 0; l < 9; l++) {
      for (int j = 0; j < 60; j++) {
        const bool equal =
            plan.configurations[i].rank[2 * l] == plan.configurations[j].rank[2 * l] &&
            plan.configurations[i].rank[2 * l + 1] == plan.configurations[j].rank[2 * l + 1];
        assert_int_equal(sweep.variant[i * 9 + l] == sweep.variant[j * 9 + l], equal);
      }
    }
  }
  lrp_sweep_free(&sweep);
  free_plan(&plan);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_walks),
      cmocka_unit_test(test_stops),
      cmocka_unit_test(test_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
