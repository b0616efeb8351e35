/* The choice of options against brute force, at limits, and on a grid that is too coarse. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/knapsack.h"

enum { max_groups = 6, max_options = 5 };

typedef struct {
  lrp_knapsack_option options[max_groups][max_options];
  int n[max_groups], n_groups;
} problem;

static uint64_t seed;

static int64_t draw(int64_t below) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (int64_t)((seed >> 33) % (uint64_t)below);
}

/* Costs are sixteenths: sums of them are exact. */
static problem random_problem(int64_t unit) {
  problem p = {.n_groups = 1 + (int)draw(max_groups)};
  for (int g = 0; g < p.n_groups; g++) {
    p.n[g] = (int)draw(max_options + 1);
    for (int o = 0; o < p.n[g]; o++) {
      p.options[g][o] = (lrp_knapsack_option){draw(40) * unit + draw(unit) - 2,
                                              (double)draw(200) / 16.0, 100 * g + o};
    }
  }
  return p;
}

static lrp_knapsack_result solve(const problem *p, int64_t target, int *taken) {
  problem copy = *p;
  lrp_knapsack_group groups[max_groups];
  lrp_knapsack_result result;
  for (int g = 0; g < p->n_groups; g++) {
    groups[g] = (lrp_knapsack_group){copy.options[g], copy.n[g]};
  }
  assert_int_equal(lrp_knapsack_solve(groups, p->n_groups, target, taken, &result), LRP_OK);
  return result;
}

/* Least cost of groups from g on that save at least target; INFINITY if they cannot. */
static double least_cost(const problem *p, int g, int64_t target) {
  if (g == p->n_groups) return target <= 0 ? 0.0 : INFINITY;
  double least = least_cost(p, g + 1, target);
  for (int o = 0; o < p->n[g]; o++) {
    const lrp_knapsack_option *option = &p->options[g][o];
    least = fmin(least, option->cost + least_cost(p, g + 1, target - option->saving));
  }
  return least;
}

/* That taken is what result says. */
static void check_sums(const problem *p, const int *taken, const lrp_knapsack_result *result) {
  int64_t saving = 0;
  double cost = 0.0;
  for (int g = 0; g < p->n_groups; g++) {
    if (taken[g] < 0) continue;
    assert_int_equal(taken[g] / 100, g);
    const lrp_knapsack_option *option = &p->options[g][taken[g] % 100];
    saving += option->saving;
    cost += option->cost;
  }
  assert_int_equal(saving, result->saving);
  assert_true(cost == result->cost);
}

static void test_against_brute_force(void **state) {
  (void)state;
  seed = 1;
  for (int i = 0; i < 400; i++) {
    const problem p = random_problem(1 + draw(50));
    const int64_t target = 1 + draw(3000);
    int taken[max_groups];
    const lrp_knapsack_result result = solve(&p, target, taken);
    const double least = least_cost(&p, 0, target);
    assert_int_equal(isinf(least) != 0, target > result.most);
    if (target > result.most) continue;
    assert_int_equal(result.step, 1);
    assert_true(result.saving >= target);
    assert_true(result.cost == least);
    check_sums(&p, taken, &result);
  }
}

/* Savings far above the number of cells: true to the target, and as cheap as is promised. */
static void test_coarse_grid(void **state) {
  int coarse = 0;
  (void)state;
  seed = 2;
  for (int i = 0; i < 40; i++) {
    const problem p = random_problem(100000000);
    const int64_t target = 1 + draw(1000000000) * 4;
    int taken[max_groups];
    const lrp_knapsack_result result = solve(&p, target, taken);
    if (target > result.most) continue;
    coarse += result.step > 1;
    assert_true(result.saving >= target);
    assert_true(result.cost >= least_cost(&p, 0, target));
    assert_true(result.cost <= least_cost(&p, 0, target + p.n_groups * (result.step - 1)));
    check_sums(&p, taken, &result);
  }
  assert_true(coarse > 10);
}

static void test_limits(void **state) {
  const problem p = {
      .options = {{{5, 1.0, 0}, {8, 3.0, 1}}, {{7, 2.0, 100}}}, .n = {2, 1}, .n_groups = 2};
  int taken[max_groups];
  (void)state;
  lrp_knapsack_result result = solve(&p, 15, taken); /* everything */
  assert_true(result.saving == 15 && result.cost == 5.0 && result.most == 15);
  assert_true(taken[0] == 1 && taken[1] == 100);
  result = solve(&p, 16, taken); /* more than there is */
  assert_true(result.saving == 0 && result.most == 15 && taken[0] == -1 && taken[1] == -1);
  result = solve(&p, 6, taken);
  assert_true(result.saving == 7 && taken[0] == -1 && taken[1] == 100);
  result = solve(&p, 0, taken);
  assert_true(result.saving == 0 && result.cost == 0.0 && taken[0] == -1 && taken[1] == -1);
  const problem none = {.n_groups = 1};
  assert_int_equal(solve(&none, 1, taken).most, 0);
}

static void test_prune(void **state) {
  lrp_knapsack_option o[] = {{4, 2.0, 0}, {4, 1.0, 1}, {-1, 0.0, 2}, {9, 1.0, 3},
                             {0, 0.0, 4}, {2, 0.5, 5}, {1, 0.5, 6},  {9, 1.0, 7}};
  (void)state;
  assert_int_equal(lrp_knapsack_prune(o, 8), 2);
  assert_true(o[0].id == 5 && o[1].id == 3);
  assert_int_equal(lrp_knapsack_prune(o, 0), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_against_brute_force),
      cmocka_unit_test(test_coarse_grid),
      cmocka_unit_test(test_limits),
      cmocka_unit_test(test_prune),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
