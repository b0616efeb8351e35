#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "kernels/linalg/solver.h"
#include "pipeline/cost.h"
#include "pipeline/forecast.h"

static lrp_cost_task make_task(int64_t m, int64_t n, int rank) {
  return (lrp_cost_task){
      .m = m, .n = n, .rank = rank, .method = LRP_TUCKER, .weights = LRP_BF16, .factors = LRP_F32};
}

/* Speeds of one for everything: seconds are work. */
static lrp_cost make_unit_cost(void) {
  lrp_cost cost;
  for (int s = 0; s < LRP_COST_N_STAGES; s++) cost.speed[s][0] = cost.speed[s][1] = 1.0;
  return cost;
}

static void assert_near(double got, double expected) {
  if (fabs(got - expected) > 1e-12 * fabs(expected)) fail_msg("%.17g, not %.17g", got, expected);
}

/* Each method has stages of its own, and all of them files. */
static void test_stages_of_methods(void **state) {
  const lrp_cost_task exact = make_task(LRP_EXACT_SIDE, 2000, 16);
  const lrp_cost_task krylov = make_task(4096, 11008, 16);
  const lrp_cost_task gram = make_task(11008, 4096, 2048);
  (void)state;
  assert_true(lrp_cost_work(LRP_COST_GESDD, &exact) > 0.0);
  assert_true(lrp_cost_work(LRP_COST_KRYLOV, &exact) == 0.0);
  assert_true(lrp_cost_work(LRP_COST_EIGEN, &exact) == 0.0);
  assert_true(lrp_cost_work(LRP_COST_KRYLOV, &krylov) > 0.0);
  assert_true(lrp_cost_work(LRP_COST_GESDD, &krylov) == 0.0);
  assert_true(lrp_cost_work(LRP_COST_FINISH, &krylov) == 0.0);
  assert_true(lrp_cost_work(LRP_COST_KRYLOV, &gram) == 0.0);
  assert_true(lrp_cost_work(LRP_COST_FINISH, &gram) > 0.0);
  assert_near(lrp_cost_work(LRP_COST_GRAM_BF16, &gram), 11008.0 * 4096 * 4096);
  assert_near(lrp_cost_work(LRP_COST_BACK, &gram), 4.0 * 4096 * 4096 * 2048);
  assert_near(lrp_cost_work(LRP_COST_READ, &gram), 2.0 * 11008 * 4096);
  assert_near(lrp_cost_work(LRP_COST_COMMIT, &gram), 1.0);
}

/* The type of the weights chooses the product. */
static void test_types(void **state) {
  lrp_cost_task task = make_task(4096, 4096, 2048);
  (void)state;
  task.weights = LRP_F16;
  assert_true(lrp_cost_work(LRP_COST_GRAM_BF16, &task) == 0.0);
  assert_near(lrp_cost_work(LRP_COST_GRAM_F32, &task), 4096.0 * 4096 * 4096);
  assert_near(lrp_cost_work(LRP_COST_READ, &task), 2.0 * 4096 * 4096);
  task.weights = LRP_F32;
  assert_near(lrp_cost_work(LRP_COST_READ, &task), 4.0 * 4096 * 4096);
}

static void test_stored_bytes(void **state) {
  lrp_cost_task task = make_task(7, 5, 3);
  (void)state;
  assert_near(lrp_cost_stored_bytes(&task), 4.0 * 3 * 12 + 4.0 * 9 + 8.0 * 5);
  task.factors = LRP_BF16;
  task.method = LRP_SVD;
  assert_near(lrp_cost_stored_bytes(&task), 2.0 * 3 * 12 + 4.0 * 3 + 8.0 * 5);
}

/* Shares of W and 4 k^2 in float32, or double for small sides, or of W V where that is more; and the
 * triplets with 64 MiB to collect them. */
static void test_grid_bytes(void **state) {
  const lrp_cost_task square = make_task(4096, 4096, 2048), small = make_task(1024, 2000, 8);
  const lrp_cost_task tall = make_task(20000, 2000, 2000);
  const double panel = 67108864.0;
  (void)state;
  assert_near(lrp_cost_grid_bytes(&square, 2),
              4.0 * 5.0 * 4096 * 4096 / 2 + 4.0 * 8192 * 2048 + panel);
  assert_near(lrp_cost_grid_bytes(&small, 4),
              8.0 * (1024.0 * 2000 + 4.0 * 1024 * 1024) / 4 + 4.0 * 3024 * 8 + panel);
  assert_near(lrp_cost_grid_bytes(&tall, 4),
              4.0 * (2.0 * 20000 * 2000 + 2000.0 * 2000) / 4 + 4.0 * 22000 * 2000 + panel);
}

/* The geometric mean at the geometric middle; constant beyond the ends. */
static void test_speed_between_sizes(void **state) {
  const int small = lrp_cost_size(LRP_COST_EIGEN, 0), large = lrp_cost_size(LRP_COST_EIGEN, 1);
  const lrp_cost_task tasks[] = {make_task(small - 100, small, 500), make_task(small, small, 500),
                                 make_task(large, large, 500), make_task(2 * large, large, 500),
                                 make_task(3 * large, 3 * large, 2000)};
  const double speed[] = {1.0, 1.0, 4.0, 4.0, 4.0};
  lrp_cost cost = make_unit_cost();
  (void)state;
  cost.speed[LRP_COST_EIGEN][1] = 4.0;
  for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
    assert_near(lrp_cost_stage_seconds(&cost, LRP_COST_EIGEN, &tasks[i]),
                lrp_cost_work(LRP_COST_EIGEN, &tasks[i]) / speed[i]);
  }
  const int middle = (int)lround(sqrt((double)small * large));
  const lrp_cost_task task = make_task(middle, middle, 500);
  const double seconds = lrp_cost_stage_seconds(&cost, LRP_COST_EIGEN, &task);
  assert_true(fabs(lrp_cost_work(LRP_COST_EIGEN, &task) / seconds - 2.0) < 1e-3);
}

/* Krylov goes by the rank, not by the side. */
static void test_speed_of_krylov(void **state) {
  const lrp_cost_task few = make_task(4096, 4096, 16), many = make_task(4096, 4096, 128);
  lrp_cost cost = make_unit_cost();
  (void)state;
  cost.speed[LRP_COST_KRYLOV][1] = 10.0;
  assert_near(lrp_cost_stage_seconds(&cost, LRP_COST_KRYLOV, &few),
              lrp_cost_work(LRP_COST_KRYLOV, &few));
  assert_near(lrp_cost_stage_seconds(&cost, LRP_COST_KRYLOV, &many),
              lrp_cost_work(LRP_COST_KRYLOV, &many) / 10.0);
}

/* Reading overlaps with computing; writing does not: long units wait until the last is on disk. */
static void test_seconds(void **state) {
  const lrp_cost_task task = make_task(4096, 4096, 2048);
  lrp_cost cost = make_unit_cost();
  double sum = 0.0;
  (void)state;
  for (int s = 0; s < LRP_COST_N_STAGES; s++) {
    if (s != LRP_COST_READ) sum += lrp_cost_work((lrp_cost_stage)s, &task);
  }
  assert_near(lrp_cost_seconds(&cost, &task), sum);
  cost.speed[LRP_COST_READ][0] = cost.speed[LRP_COST_READ][1] = 1e-9;
  assert_near(lrp_cost_seconds(&cost, &task), 2.0 * 4096 * 4096 * 1e9);
}

static void test_guess(void **state) {
  const lrp_cost one = lrp_cost_guess(1), four = lrp_cost_guess(4);
  (void)state;
  for (int s = 0; s < LRP_COST_N_STAGES; s++) {
    const double factor = lrp_cost_is_file((lrp_cost_stage)s) ? 1.0 : 4.0;
    assert_true(one.speed[s][0] > 0.0 && one.speed[s][1] > 0.0);
    assert_near(four.speed[s][1], factor * one.speed[s][1]);
    assert_true(lrp_cost_size((lrp_cost_stage)s, 0) <= lrp_cost_size((lrp_cost_stage)s, 1));
  }
}

/* More of everything takes more time and memory. */
static void test_monotonic(void **state) {
  const lrp_cost cost = lrp_cost_guess(2);
  const int ranks[] = {1, 16, 100, 300, 1000, 4096};
  (void)state;
  for (size_t i = 0; i + 1 < sizeof ranks / sizeof ranks[0]; i++) {
    const lrp_cost_task a = make_task(11008, 4096, ranks[i]);
    const lrp_cost_task b = make_task(11008, 4096, ranks[i + 1]);
    assert_true(lrp_cost_seconds(&cost, &a) <= lrp_cost_seconds(&cost, &b));
    assert_true(lrp_cost_bytes(&a) < lrp_cost_bytes(&b));
  }
  const lrp_cost_task tall = make_task(11008, 4096, 64), wide = make_task(4096, 11008, 64);
  assert_near(lrp_cost_seconds(&cost, &tall), lrp_cost_seconds(&cost, &wide));
}

/* Sizes of matrices of 2^40 bytes and more do not overflow. */
static void test_huge(void **state) {
  const lrp_cost cost = lrp_cost_guess(1);
  const lrp_cost_task task = make_task(INT64_C(1) << 24, INT64_C(1) << 22, 1 << 20);
  (void)state;
  assert_near(lrp_cost_work(LRP_COST_READ, &task), 0x1p47);
  assert_true(isfinite(lrp_cost_seconds(&cost, &task)) && lrp_cost_bytes(&task) > 0x1p45);
}

/* ---- forecast ---- */

enum { n_units = 5 };

static lrp_plan make_plan(lrp_unit units[n_units], const double *seconds) {
  for (int i = 0; i < n_units; i++) {
    units[i] = (lrp_unit){.m = 10, .n = 10, .rank = 1, .seconds = seconds[i]};
  }
  return (lrp_plan){.units = units, .n_units = n_units};
}

static lrp_forecast forecast(const double *seconds, const int *owner, const int *order,
                             int group_size, const bool *todo, const int *node_ranks, int nodes) {
  lrp_unit units[n_units];
  int owners[n_units], orders[n_units];
  for (int i = 0; i < n_units; i++) owners[i] = owner[i];
  for (int i = 0; i < n_units; i++) orders[i] = order[i];
  const lrp_plan plan = make_plan(units, seconds);
  const lrp_partition part = {.group_size = group_size, .owner = owners, .order = orders};
  lrp_forecast f;
  assert_int_equal(lrp_forecast_make(&plan, &part, todo, 13.0, node_ranks, nodes, &f), LRP_OK);
  return f;
}

/* One node: the counter deals 7, 6, 5, 4, 3 to two process ranks: 7 + 4 + 3 and 6 + 5. */
static void test_forecast_of_one_node(void **state) {
  const double seconds[] = {3, 4, 5, 6, 7};
  const int owner[] = {-1, -1, -1, -1, -1}, order[] = {4, 3, 2, 1, 0};
  const lrp_forecast f = forecast(seconds, owner, order, 0, NULL, (int[]){2}, 1);
  (void)state;
  assert_near(f.longest, 14.0);
  assert_near(f.wall, 14.0);
  assert_near(f.mean, 12.5);
  assert_near(lrp_forecast_balance(f), 14.0 / 12.5);
}

/* What is done counts no more; a node without work is idle. */
static void test_forecast_of_what_is_left(void **state) {
  const double seconds[] = {3, 4, 5, 6, 7};
  const int owner[] = {-1, -2, -1, -1, -1}, order[] = {4, 3, 2, 1, 0};
  const bool todo[] = {true, false, true, false, false};
  const lrp_forecast f = forecast(seconds, owner, order, 0, todo, (int[]){1, 3}, 2);
  (void)state;
  assert_near(f.longest, 8.0);
  assert_near(f.wall, 13.0); /* reading takes longer */
  assert_near(f.mean, 2.0);
}

/* Both members of the first group work on a shared unit; then the local ones follow. */
static void test_forecast_of_groups(void **state) {
  const double seconds[] = {3, 4, 5, 6, 7}, speedup = lrp_partition_speedup(2);
  const int owner[] = {-1, -1, -1, 1, 0}, order[] = {4, 3, 2, 1, 0};
  const lrp_forecast f = forecast(seconds, owner, order, 2, NULL, (int[]){4}, 1);
  const double first = 7.0 / speedup, second = 6.0 / speedup;
  (void)state;
  assert_near(f.mean, (2.0 * first + 2.0 * second + 12.0) / 4.0);
  /* 5 and 4 to the second group, which is free first; 3 to the first. */
  assert_near(f.longest, second + 5.0 > first + 3.0 ? second + 5.0 : first + 3.0);
}

static void test_forecast_of_nothing(void **state) {
  const double seconds[] = {0, 0, 0, 0, 0};
  const int owner[] = {-1, -1, -1, -1, -1}, order[] = {0, 1, 2, 3, 4};
  const lrp_forecast f = forecast(seconds, owner, order, 0, NULL, (int[]){4}, 1);
  (void)state;
  assert_near(lrp_forecast_balance(f), 1.0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_stages_of_methods),
      cmocka_unit_test(test_types),
      cmocka_unit_test(test_stored_bytes),
      cmocka_unit_test(test_grid_bytes),
      cmocka_unit_test(test_speed_between_sizes),
      cmocka_unit_test(test_speed_of_krylov),
      cmocka_unit_test(test_seconds),
      cmocka_unit_test(test_guess),
      cmocka_unit_test(test_monotonic),
      cmocka_unit_test(test_huge),
      cmocka_unit_test(test_forecast_of_one_node),
      cmocka_unit_test(test_forecast_of_what_is_left),
      cmocka_unit_test(test_forecast_of_groups),
      cmocka_unit_test(test_forecast_of_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
