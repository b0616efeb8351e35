/* The Pareto front against its definition. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdlib.h>

#include "pipeline/pareto.h"

enum { points_max = 12 };

static bool is_beaten(const int64_t *size, const double *score, int n, int i) {
  for (int j = 0; j < n; j++) {
    if (j == i || isnan(score[j])) continue;
    if (size[j] <= size[i] && score[j] > score[i]) return true;
    if (size[j] < size[i] && score[j] >= score[i]) return true;
  }
  return isnan(score[i]);
}

/* Few different sizes and scores: ties of every kind. */
static void test_definition(void **state) {
  (void)state;
  srand(7);
  for (int repeat = 0; repeat < 3000; repeat++) {
    int64_t size[points_max];
    double score[points_max];
    bool front[points_max];
    const int n = rand() % (points_max + 1);
    for (int i = 0; i < n; i++) {
      const int s = rand() % 6;
      size[i] = 1 + rand() % 5;
      score[i] = s == 5 ? NAN : 0.25 * s;
    }
    assert_int_equal(lrp_pareto(size, score, n, front), LRP_OK);
    for (int i = 0; i < n; i++) assert_int_equal(front[i], !is_beaten(size, score, n, i));
  }
}

static void test_known_front(void **state) {
  bool front[5];
  (void)state;
  const int64_t size[] = {100, 90, 90, 50, (int64_t)1 << 62};
  const double score[] = {0.9, 0.9, 0.8, 0.0, 0.95};
  assert_int_equal(lrp_pareto(size, score, 5, front), LRP_OK);
  assert_false(front[0]); /* as good as a smaller one */
  assert_true(front[1]);
  assert_false(front[2]);
  assert_true(front[3]); /* nothing is as small */
  assert_true(front[4]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_definition),
      cmocka_unit_test(test_known_front),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
