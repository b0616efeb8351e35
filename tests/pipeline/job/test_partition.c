#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/partition.h"

enum { max_units = 16 };

/* A plan of n units m x 1 with the given costs. */
static lrp_plan make_plan(lrp_unit *units, const int64_t *m, const double *cost, int n) {
  for (int i = 0; i < n; i++) units[i] = (lrp_unit){.m = m[i], .n = 1, .seconds = cost[i]};
  return (lrp_plan){.units = units, .n_units = n};
}

static void assert_bins(const double *cost, int64_t n, const int *capacity, int n_bins,
                        const int *expected) {
  int bin[max_units];
  assert_int_equal(lrp_partition_lpt(cost, n, capacity, n_bins, bin), LRP_OK);
  for (int64_t i = 0; i < n; i++) assert_int_equal(bin[i], expected[i]);
}

static void test_lpt(void **state) {
  (void)state;
  /* Graham's bound is met: 7+4+3 and 6+5, ties to the first bin. */
  assert_bins((double[]){7, 6, 5, 4, 3}, 5, (int[]){1, 1}, 2, (int[]){0, 1, 1, 0, 0});
  assert_bins((double[]){3, 4, 5, 6, 7}, 5, (int[]){1, 1}, 2, (int[]){0, 0, 1, 1, 0});
  assert_bins((double[]){1, 1, 1, 1}, 4, (int[]){1, 1, 1}, 3, (int[]){0, 1, 2, 0});
  assert_bins((double[]){2, 1}, 2, (int[]){1}, 1, (int[]){0, 0});
}

static void test_lpt_capacity(void **state) {
  (void)state;
  assert_bins((double[]){1, 1, 1, 1}, 4, (int[]){1, 3}, 2, (int[]){1, 1, 0, 1});
  assert_bins((double[]){5, 1, 1}, 3, (int[]){0, 2, -1}, 3, (int[]){1, 1, 1});
}

static void test_lpt_nothing(void **state) {
  (void)state;
  assert_bins((double[]){0}, 0, (int[]){1, 1}, 2, (int[]){0});
}

static void test_one_process_rank(void **state) {
  lrp_unit units[max_units];
  const lrp_plan plan = make_plan(units, (int64_t[]){100, 5, 50}, (double[]){9, 1, 9}, 3);
  lrp_partition p;
  (void)state;
  assert_int_equal(lrp_partition_create(&plan, NULL, 10, INFINITY, 1, (int[]){1}, 1, &p), LRP_OK);
  assert_int_equal(p.group_size, 0); /* too large for one, but there is only one */
  assert_int_equal(p.n_groups, 0);
  for (int i = 0; i < 3; i++) assert_int_equal(p.owner[i], -1);
  assert_memory_equal(p.order, ((int[]){0, 2, 1}), 3 * sizeof(int));
  assert_true(p.load[0] == 19.0);
  lrp_partition_free(&p);
}

/* Both sides of grid_elements = 10 on two process ranks. */
static void test_two_process_ranks(void **state) {
  lrp_unit units[max_units];
  const lrp_plan plan = make_plan(units, (int64_t[]){10, 11}, (double[]){1, 2}, 2);
  lrp_partition p;
  (void)state;
  assert_int_equal(lrp_partition_create(&plan, NULL, 10, INFINITY, 2, (int[]){1, 1}, 2, &p),
                   LRP_OK);
  assert_int_equal(p.group_size, 2);
  assert_int_equal(p.n_groups, 1);
  assert_int_equal(p.owner[0], -1);
  assert_int_equal(p.owner[1], 0);
  assert_true(p.load[0] == 1.0 && p.load[1] == 0.0);
  lrp_partition_free(&p);
}

/* 64 process ranks: the largest unit wants ceil(41 / 10) = 5; 12 groups, 4 ranks are left. */
static void test_many_process_ranks(void **state) {
  lrp_unit units[max_units];
  int64_t m[max_units];
  double cost[max_units];
  int nodes[4] = {16, 16, 16, 16};
  lrp_partition p;
  (void)state;
  for (int i = 0; i < max_units; i++) {
    m[i] = i < 14 ? 15 : 3;
    cost[i] = 100 - i;
  }
  m[3] = 41;
  const lrp_plan plan = make_plan(units, m, cost, max_units);
  assert_int_equal(lrp_partition_create(&plan, NULL, 10, INFINITY, 64, nodes, 4, &p), LRP_OK);
  assert_int_equal(p.group_size, 5);
  assert_int_equal(p.n_groups, 12);
  for (int i = 0; i < 12; i++) assert_int_equal(p.owner[i], i);
  assert_int_equal(p.owner[12], 11); /* the group whose load is least */
  assert_int_equal(p.owner[13], 10);
  assert_int_equal(p.owner[14], -1 - 0);
  assert_int_equal(p.owner[15], -1 - 1);
  assert_true(p.load[0] == 86.0 && p.load[1] == 85.0 && p.load[2] == 0.0);
  lrp_partition_free(&p);
}

static void test_grid_is_at_most_all(void **state) {
  lrp_unit units[max_units];
  const lrp_plan plan = make_plan(units, (int64_t[]){INT64_MAX}, (double[]){1}, 1);
  lrp_partition p;
  (void)state;
  assert_int_equal(lrp_partition_create(&plan, NULL, 1, INFINITY, 3, (int[]){3}, 1, &p), LRP_OK);
  assert_int_equal(p.group_size, 3);
  assert_int_equal(p.n_groups, 1);
  lrp_partition_free(&p);
}

/* What is done is not dealt, but the grid stays what it was. */
static void test_todo(void **state) {
  lrp_unit units[max_units];
  const lrp_plan plan =
      make_plan(units, (int64_t[]){35, 15, 15, 5, 5}, (double[]){9, 5, 4, 3, 2}, 5);
  const bool todo[] = {false, true, true, false, true};
  lrp_partition p;
  (void)state;
  assert_int_equal(lrp_partition_create(&plan, todo, 10, INFINITY, 8, (int[]){4, 4}, 2, &p),
                   LRP_OK);
  assert_int_equal(p.group_size, 4);
  assert_int_equal(p.n_groups, 2);
  assert_memory_equal(p.owner, ((int[]){LRP_PARTITION_NONE, 0, 1, LRP_PARTITION_NONE, -1}),
                      5 * sizeof(int));
  assert_memory_equal(p.order, ((int[]){0, 1, 2, 3, 4}), 5 * sizeof(int));
  assert_true(p.load[0] == 2.0 && p.load[1] == 0.0);
  lrp_partition_free(&p);
}

/* n units of 4096 x 4096 that each take 10 s, at a rank for which the method is gram. */
static lrp_plan large_plan(lrp_unit *units, int n) {
  for (int i = 0; i < n; i++) {
    units[i] = (lrp_unit){.m = 4096, .n = 4096, .rank = 2048, .seconds = 10, .bytes = 1e9};
  }
  return (lrp_plan){.units = units, .n_units = n};
}

static int n_shared(const lrp_partition *p, int n) {
  int count = 0;
  for (int i = 0; i < n; i++) count += p->owner[i] >= 0;
  return count;
}

/* Fewer units than process ranks: each gets its share of these; two of them are no faster. */
static void test_tail_of_few(void **state) {
  lrp_unit units[7];
  const lrp_plan plan = large_plan(units, 7);
  lrp_partition p;
  (void)state;
  assert_int_equal(lrp_partition_create(&plan, NULL, 1 << 30, INFINITY, 64, (int[]){64}, 1, &p), 0);
  assert_int_equal(p.group_size, 9);
  assert_int_equal(p.n_groups, 7);
  for (int i = 0; i < 7; i++) assert_int_equal(p.owner[i], i);
  lrp_partition_free(&p);
  assert_int_equal(lrp_partition_create(&plan, NULL, 1 << 30, INFINITY, 14, (int[]){14}, 1, &p), 0);
  assert_int_equal(p.group_size, 0);
  lrp_partition_free(&p);
  assert_int_equal(lrp_partition_create(&plan, NULL, 1 << 30, INFINITY, 7, (int[]){7}, 1, &p), 0);
  assert_int_equal(p.group_size, 0);
  lrp_partition_free(&p);
}

/* 18 units on 16 process ranks: 16 of them fill a round, the two that are left get 8 ranks each.
 * The choice is the same when most are done, and where the method is another one there is none. */
static void test_tail_of_a_round(void **state) {
  lrp_unit units[18];
  const lrp_plan plan = large_plan(units, 18);
  bool todo[18] = {[1] = true, [17] = true};
  lrp_partition p;
  (void)state;
  assert_int_equal(lrp_partition_create(&plan, NULL, 1 << 30, INFINITY, 16, (int[]){16}, 1, &p), 0);
  assert_int_equal(p.group_size, 8);
  assert_int_equal(n_shared(&p, 18), 2);
  lrp_partition_free(&p);
  assert_int_equal(lrp_partition_create(&plan, todo, 1 << 30, INFINITY, 16, (int[]){16}, 1, &p), 0);
  assert_int_equal(p.group_size, 8);
  assert_true(p.owner[0] == LRP_PARTITION_NONE && p.owner[1] >= 0 && p.owner[17] == -1);
  lrp_partition_free(&p);
  for (int i = 0; i < 18; i++) units[i].rank = 16;
  assert_int_equal(lrp_partition_create(&plan, NULL, 1 << 30, INFINITY, 16, (int[]){16}, 1, &p), 0);
  assert_int_equal(p.group_size, 0);
  lrp_partition_free(&p);
}

/* No tail where every process rank has plenty to do. */
static void test_full_rounds(void **state) {
  lrp_unit units[160];
  const lrp_plan plan = large_plan(units, 160);
  lrp_partition p;
  (void)state;
  assert_int_equal(lrp_partition_create(&plan, NULL, 1 << 30, INFINITY, 16, (int[]){16}, 1, &p), 0);
  assert_int_equal(p.group_size, 0);
  assert_int_equal(n_shared(&p, 160), 0);
  lrp_partition_free(&p);
}

/* Memory: both sides of what a process rank has. */
static void test_memory(void **state) {
  lrp_unit units[16];
  const lrp_plan plan = large_plan(units, 16);
  lrp_partition p;
  (void)state;
  units[5].bytes = 2e9;
  assert_int_equal(lrp_partition_create(&plan, NULL, 1 << 30, 2e9, 4, (int[]){4}, 1, &p), 0);
  assert_int_equal(p.group_size, 0);
  lrp_partition_free(&p);
  assert_int_equal(lrp_partition_create(&plan, NULL, 1 << 30, 1.9e9, 4, (int[]){4}, 1, &p), 0);
  assert_true(p.group_size >= 2 && p.owner[5] >= 0 && n_shared(&p, 16) == 1);
  lrp_partition_free(&p);
  const lrp_cost_task task = {.m = 4096, .n = 4096, .rank = 2048};
  const double enough = lrp_cost_grid_bytes(&task, 3);
  assert_int_equal(lrp_partition_create(&plan, NULL, 1 << 30, enough, 4, (int[]){4}, 1, &p), 0);
  assert_int_equal(p.group_size, 3);
  assert_int_equal(n_shared(&p, 16), 16);
  lrp_partition_free(&p);
  /* The result alone is too much: all that there are. */
  assert_int_equal(lrp_partition_create(&plan, NULL, 1 << 30, 1e8, 4, (int[]){4}, 1, &p), 0);
  assert_int_equal(p.group_size, 4);
  assert_int_equal(n_shared(&p, 16), 16);
  lrp_partition_free(&p);
}

static void test_no_units(void **state) {
  const lrp_plan plan = {0};
  lrp_partition p;
  (void)state;
  assert_int_equal(lrp_partition_create(&plan, NULL, 10, INFINITY, 64, (int[]){64}, 1, &p), LRP_OK);
  assert_int_equal(p.group_size, 0);
  assert_true(p.load[0] == 0.0);
  lrp_partition_free(&p);
  assert_null(p.owner);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lpt),
      cmocka_unit_test(test_lpt_capacity),
      cmocka_unit_test(test_lpt_nothing),
      cmocka_unit_test(test_one_process_rank),
      cmocka_unit_test(test_two_process_ranks),
      cmocka_unit_test(test_many_process_ranks),
      cmocka_unit_test(test_grid_is_at_most_all),
      cmocka_unit_test(test_todo),
      cmocka_unit_test(test_tail_of_few),
      cmocka_unit_test(test_tail_of_a_round),
      cmocka_unit_test(test_full_rounds),
      cmocka_unit_test(test_memory),
      cmocka_unit_test(test_no_units),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
