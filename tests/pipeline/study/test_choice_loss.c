/* The loss of choices against sums in long double, and where likelihoods leave a double. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdlib.h>

#include "pipeline/choice_loss.h"

static double by_sums(const double *ll, int n, int gold, const bool *truth) {
  long double all = 0.0L, right = 0.0L;
  for (int c = 0; c < n; c++) {
    all += expl((long double)ll[c]);
    if (truth ? truth[c] : c == gold) right += expl((long double)ll[c]);
  }
  return (double)-logl(right / all);
}

static double random_in(double low, double high) {
  return low + (high - low) * ((double)rand() / RAND_MAX);
}

static void test_any_choices(void **state) {
  (void)state;
  srand(1);
  for (int repeat = 0; repeat < 2000; repeat++) {
    double ll[6];
    bool truth[6];
    const int n = 2 + rand() % 5, gold = rand() % n;
    for (int c = 0; c < n; c++) {
      ll[c] = random_in(-40.0, 0.0);
      truth[c] = c == gold || rand() % 2;
    }
    const double loss = by_sums(ll, n, gold, NULL), mass = by_sums(ll, n, gold, truth);
    assert_true(fabs(lrp_choice_loss(ll, n, gold, NULL) - loss) <= 1e-12 * (1.0 + loss));
    assert_true(fabs(lrp_choice_loss(ll, n, 0, truth) - mass) <= 1e-12 * (1.0 + mass));
  }
}

static void test_known_losses(void **state) {
  (void)state;
  assert_true(fabs(lrp_choice_loss((double[]){-7, -7}, 2, 1, NULL) - log(2.0)) < 1e-15);
  assert_true(fabs(lrp_choice_loss((double[]){-7, -7, -7, -7}, 4, 3, NULL) - log(4.0)) < 1e-15);
  assert_true(lrp_choice_loss((double[]){-7}, 1, 0, NULL) == 0.0);
}

static void test_likelihoods_below_the_smallest_double(void **state) {
  (void)state;
  const double ll[] = {-2000.0, -2000.0 - log(2.0), -2000.0 - log(4.0)}; /* 4 : 2 : 1 */
  const bool truth[] = {true, false, true};
  assert_true(fabs(lrp_choice_loss(ll, 3, 1, NULL) - log(7.0 / 2.0)) < 1e-12);
  assert_true(fabs(lrp_choice_loss(ll, 3, 0, truth) - log(7.0 / 5.0)) < 1e-12);
}

/* Neither cut off at ln of the smallest double, nor rounded to 0 next to 1. */
static void test_sure_choices(void **state) {
  (void)state;
  const double ll[] = {-10.0, -5000.0, -110.0};
  assert_true(fabs(lrp_choice_loss(ll, 3, 1, NULL) - 4990.0) < 1e-9);
  const double sure = lrp_choice_loss(ll, 3, 0, NULL);
  assert_true(fabs(sure / exp(-100.0) - 1.0) < 1e-12);
}

static void test_what_is_no_number(void **state) {
  const bool none[] = {false, false}, all[] = {true, true};
  (void)state;
  assert_true(isnan(lrp_choice_loss((double[]){NAN, -1}, 2, 1, NULL)));
  assert_true(isnan(lrp_choice_loss((double[]){-1, NAN}, 2, 0, NULL)));
  assert_true(isnan(lrp_choice_loss((double[]){-INFINITY, -INFINITY}, 2, 0, NULL)));
  assert_true(isinf(lrp_choice_loss((double[]){-1, -INFINITY}, 2, 1, NULL)));
  assert_true(lrp_choice_loss((double[]){-1, -INFINITY}, 2, 0, NULL) == 0.0);
  assert_true(isinf(lrp_choice_loss((double[]){-1, -2}, 2, 0, none)));
  assert_true(lrp_choice_loss((double[]){-1, -2}, 2, 0, all) == 0.0);
}

static void test_which_documents(void **state) {
  bool none[] = {false, false}, one[] = {false, true};
  const lrp_task_kind question = {.output = LRP_MULTIPLE_CHOICE};
  (void)state;
  assert_true(lrp_doc_has_choice_loss(&question, &(lrp_doc){.n = 2}));
  assert_true(lrp_doc_has_choice_loss(&question, &(lrp_doc){.n = 2, .truth = one}));
  assert_false(lrp_doc_has_choice_loss(&question, &(lrp_doc){.n = 2, .truth = none}));
  for (int output = LRP_LOGLIKELIHOOD; output <= LRP_BLANKS; output++) {
    const lrp_task_kind kind = {.output = (lrp_output)output};
    assert_false(lrp_doc_has_choice_loss(&kind, &(lrp_doc){.n = 2}));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_any_choices),
      cmocka_unit_test(test_known_losses),
      cmocka_unit_test(test_likelihoods_below_the_smallest_double),
      cmocka_unit_test(test_sure_choices),
      cmocka_unit_test(test_what_is_no_number),
      cmocka_unit_test(test_which_documents),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
