#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "pipeline/slope.h"

enum { n_reductions = 10, n_benchmarks = 6 };

/* Figures that the paper's authors published (arXiv:2405.06626v2): percent of the parameters
 * removed from Llama-2-7b-chat; seconds per batch; percent saved, the mean of six benchmarks. */
static const double reduction[n_reductions] = {
    6.004292181671211, 9.006438272506823, 15.010730454178034, 21.015022635849245,
    33.02360699919167, 48.03433745336969, 60.042921816712116, 75.05365227089014,
    84.06009054339695, 96.06867490673937,
};
static const double winogrande_dense = 0.1816, truthfulqa_dense = 1.5252;
static const double winogrande[n_reductions] = {0.1779, 0.1748, 0.1691, 0.1632, 0.1506,
                                                0.1352, 0.1224, 0.1089, 0.1008, 0.0892};
static const double truthfulqa[n_reductions] = {1.4685, 1.4434, 1.3824, 1.3179, 1.2020,
                                                1.0481, 0.9291, 0.7882, 0.7037, 0.5884};
static const double latency[n_reductions] = {2.98,  4.17,  7.85,  11.83, 19.16,
                                             28.51, 36.00, 44.58, 49.70, 56.54};
static const double energy[n_reductions] = {3.11,  4.91,  8.90,  12.99, 21.32,
                                            30.78, 38.50, 47.44, 54.51, 61.80};
static const double memory[n_reductions] = {2.67,  3.78,  6.67,  9.52,  15.13,
                                            21.98, 27.46, 34.78, 38.63, 43.97};

static void assert_near(double got, double expected) {
  if (!(fabs(got - expected) <= 1e-12)) fail_msg("%.17g, not %.17g", got, expected);
}

static void assert_printed(double got, const char *expected) {
  char text[32];
  snprintf(text, sizeof text, "%.2f", got);
  assert_string_equal(text, expected);
}

/* "0.59 % of latency, 0.64 % of energy and 0.46 % of memory per 1 % of the parameters." */
static void test_slopes_of_the_paper(void **state) {
  (void)state;
  assert_printed(lrp_slope_of(reduction, latency, n_reductions).slope, "0.59");
  assert_printed(lrp_slope_of(reduction, energy, n_reductions).slope, "0.64");
  assert_printed(lrp_slope_of(reduction, memory, n_reductions).slope, "0.46");
  const lrp_slope s = lrp_slope_of(reduction, latency, n_reductions);
  assert_int_equal(s.n, n_reductions);
  assert_true(s.error > 0.0036 && s.error < 0.0037);
}

/* From seconds: the benchmark with the least and that with the largest slope. */
static void test_slopes_of_benchmarks(void **state) {
  double saved[n_reductions];
  (void)state;
  for (int i = 0; i < n_reductions; i++) {
    saved[i] = lrp_saving_percent(winogrande_dense, winogrande[i]);
  }
  assert_printed(lrp_slope_of(reduction, saved, n_reductions).slope, "0.53");
  for (int i = 0; i < n_reductions; i++) {
    saved[i] = lrp_saving_percent(truthfulqa_dense, truthfulqa[i]);
  }
  assert_printed(lrp_slope_of(reduction, saved, n_reductions).slope, "0.64");
}

/* At 9.01 %: seconds of arc_easy, arc_challenge, hellaswag, mmlu, truthfulqa, winogrande. */
static void test_mean_saving(void **state) {
  const double dense[] = {0.249608, 0.290423, 0.591834, 0.518298, 1.525222, 0.181649};
  const double r9[] = {0.239855, 0.276633, 0.561427, 0.507495, 1.443440, 0.174825};
  double sum = 0.0;
  (void)state;
  for (int i = 0; i < n_benchmarks; i++) sum += lrp_saving_percent(dense[i], r9[i]);
  assert_printed(sum / n_benchmarks, "4.17");
}

static void test_known_line(void **state) {
  const double x[] = {1.0, 2.0, 3.0}, exact[] = {0.5, 1.0, 1.5}, y[] = {1.0, 2.0, 6.0};
  (void)state;
  lrp_slope s = lrp_slope_of(x, exact, 3);
  assert_near(s.slope, 0.5);
  assert_near(s.error, 0.0);
  s = lrp_slope_of(x, y, 3); /* 23 / 14; residuals -9/14, -18/14, 15/14 */
  assert_near(s.slope, 23.0 / 14.0);
  assert_near(s.error, sqrt((81.0 + 324.0 + 225.0) / 196.0 / 2.0 / 14.0));
  assert_int_equal(s.n, 3);
}

/* The origin and what was not measured say nothing. */
static void test_points_that_do_not_count(void **state) {
  const double x[] = {0.0, 3.0, 2.0, NAN, 1.0}, y[] = {5.0, 0.7, NAN, 1.0, INFINITY};
  (void)state;
  lrp_slope s = lrp_slope_of(x, y, 5);
  assert_int_equal(s.n, 1);
  assert_near(s.slope, 0.7 / 3.0);
  assert_true(isnan(s.error)); /* although the residual is not quite 0 */
  s = lrp_slope_of(x, y, 1);
  assert_int_equal(s.n, 0);
  assert_true(isnan(s.slope) && isnan(s.error));
}

static void test_saving(void **state) {
  (void)state;
  assert_near(lrp_saving_percent(8.0, 2.0), 75.0);
  assert_near(lrp_saving_percent(2.0, 3.0), -50.0); /* more than before */
  assert_near(lrp_saving_percent(2.0, 0.0), 100.0);
  assert_true(isnan(lrp_saving_percent(0.0, 1.0)));
  assert_true(isnan(lrp_saving_percent(NAN, 1.0)));
  assert_true(isnan(lrp_saving_percent(1.0, NAN)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_slopes_of_the_paper),
      cmocka_unit_test(test_slopes_of_benchmarks),
      cmocka_unit_test(test_mean_saving),
      cmocka_unit_test(test_known_line),
      cmocka_unit_test(test_points_that_do_not_count),
      cmocka_unit_test(test_saving),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
