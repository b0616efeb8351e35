#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "pipeline/interval.h"

enum { most = 2000 };

static lrp_interval interval_of(const double *samples, int64_t n) {
  lrp_interval out;
  assert_int_equal(lrp_interval_of(samples, n, &out), LRP_OK);
  return out;
}

/* Of the samples 1 .. n, not in this order (2003 is prime): low is k. */
static lrp_interval interval_of_numbers(int64_t n) {
  static double samples[most];
  for (int64_t i = 0; i < n; i++) samples[i] = (double)((i * 2003 + 3) % n + 1);
  return interval_of(samples, n);
}

static void assert_near(double got, double expected) {
  if (!(fabs(got - expected) <= 1e-12)) fail_msg("%.17g, not %.17g", got, expected);
}

static void test_known_answers(void **state) {
  static const struct {
    int64_t n;
    double median, k, coverage;
  } rows[] = {
      {1, 1.0, 1, 0.0},
      {2, 1.5, 1, 0.5},
      {3, 2.0, 1, 0.75},
      {4, 2.5, 1, 0.875},
      {5, 3.0, 1, 0.9375},
      {6, 3.5, 1, 1.0 - 2.0 / 64},    /* the first that covers 0.95 */
      {8, 4.5, 1, 1.0 - 2.0 / 256},   /* k = 2: 1 - 18 / 256 = 0.93 */
      {9, 5.0, 2, 1.0 - 20.0 / 512},  /* 0.961 */
      {10, 5.5, 2, 1.0 - 22.0 / 1024} /* 0.979 */
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const lrp_interval out = interval_of_numbers(rows[i].n);
    assert_near(out.median, rows[i].median);
    assert_near(out.low, rows[i].k);
    assert_near(out.high, (double)rows[i].n + 1.0 - rows[i].k);
    assert_near(out.coverage, rows[i].coverage);
  }
}

/* Tables of the sign test: 20 samples, the 6th and the 15th; 100 samples, the 40th and the 61st. */
static void test_tables(void **state) {
  (void)state;
  lrp_interval out = interval_of_numbers(20);
  assert_near(out.low, 6.0);
  assert_near(out.high, 15.0);
  assert_near(out.coverage, 1.0 - 2.0 * (1 + 20 + 190 + 1140 + 4845 + 15504) / 1048576.0);
  out = interval_of_numbers(100);
  assert_near(out.low, 40.0);
  assert_near(out.high, 61.0);
  assert_true(out.coverage > 0.9647 && out.coverage < 0.9649);
}

/* Of all ways for n samples to lie below or above the median, those with at least k on each side.
 */
static double share_of_ways(int n, int k) {
  int covered = 0;
  for (unsigned way = 0; way < 1u << n; way++) {
    const int below = __builtin_popcount(way);
    if (below >= k && n - below >= k) covered++;
  }
  return covered / (double)(1u << n);
}

static void test_every_way(void **state) {
  (void)state;
  for (int n = 1; n <= 16; n++) {
    const lrp_interval out = interval_of_numbers(n);
    int k = (n + 1) / 2;
    while (k > 1 && share_of_ways(n, k) < 0.95) k--;
    assert_near(out.low, k);
    assert_near(out.high, n + 1 - k);
    assert_near(out.coverage, share_of_ways(n, k));
  }
}

/* 2^-2000 is no number: the interval has the width of the normal approximation all the same. */
static void test_many_samples(void **state) {
  const lrp_interval out = interval_of_numbers(most - 1);
  (void)state;
  assert_near(out.median, most / 2);
  assert_true(fabs(out.low - (most / 2 - 1.96 * sqrt(most) / 2)) < 1.5);
  assert_near(out.low + out.high, most);
  assert_true(out.coverage >= 0.95 && out.coverage < 0.955);
}

static void test_no_answer(void **state) {
  const double broken[] = {1.0, 2.0, NAN};
  (void)state;
  for (int64_t n = 0; n <= 3; n += 3) {
    const lrp_interval out = interval_of(broken, n);
    assert_true(isnan(out.median) && isnan(out.low) && isnan(out.high));
    assert_near(out.coverage, 0.0);
  }
  assert_near(interval_of(broken, 2).median, 1.5);
}

/* The caller's samples stay as they are; equal ones are no trouble, nor is a great outlier. */
static void test_samples(void **state) {
  const double samples[] = {3.0, 1e300, 3.0, 1.0, 3.0, 3.0, 2.0};
  (void)state;
  const lrp_interval out = interval_of(samples, 7);
  assert_near(out.median, 3.0);
  assert_near(out.low, 1.0);
  assert_true(out.high > 1e299);
  assert_near(samples[0], 3.0);
  assert_near(samples[6], 2.0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_answers), cmocka_unit_test(test_tables),
      cmocka_unit_test(test_every_way),     cmocka_unit_test(test_many_samples),
      cmocka_unit_test(test_no_answer),     cmocka_unit_test(test_samples),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
