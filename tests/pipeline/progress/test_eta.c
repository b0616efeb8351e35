#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/eta.h"
#include "pipeline/stop.h"

static double seconds(lrp_eta eta) {
  return lrp_eta_seconds(&eta);
}

static void assert_near(double a, double b) {
  if (!(fabs(a - b) <= 1e-9 * fmax(1.0, fabs(b)))) print_error("%.17g is not %.17g\n", a, b);
  assert_true(fabs(a - b) <= 1e-9 * fmax(1.0, fabs(b)));
}

/* Before anything is measured, the prediction alone. */
static void test_prediction(void **state) {
  (void)state;
  assert_near(
      seconds((lrp_eta){.cost = 12.0, .seconds_per_cost = 2.0, .workers = 4.0, .open = 100}), 6.0);
  /* Reading holds up the one worker: half of it works. */
  assert_near(
      seconds((lrp_eta){.cost = 12.0, .seconds_per_cost = 2.0, .workers = 0.5, .open = 100}), 48.0);
  assert_near(seconds((lrp_eta){.cost = 12.0, .seconds_per_cost = 2.0, .open = 100}), 24.0);
}

/* What was done counts at the speed that was measured, whatever had been predicted. */
static void test_measured(void **state) {
  (void)state;
  const lrp_eta eta = {.cost = 12.0,
                       .seconds_per_cost = 2.0,
                       .workers = 2.0,
                       .open = 10,
                       .done_cost = 4.0,
                       .done_seconds = 20.0};
  assert_near(lrp_eta_seconds(&eta), 8.0 * 5.0 / 2.0);
  lrp_eta unpredicted = eta;
  unpredicted.seconds_per_cost = 0.0;
  assert_near(lrp_eta_seconds(&unpredicted), 20.0);
  /* Seconds below the clock's resolution are no measurement. */
  lrp_eta instant = eta;
  instant.done_seconds = 0.0;
  assert_near(lrp_eta_seconds(&instant), 8.0 * 2.0 / 2.0);
}

/* Workers without an item do not help. */
static void test_last_items(void **state) {
  (void)state;
  lrp_eta eta = {.cost = 8.0, .seconds_per_cost = 1.0, .workers = 8.0, .open = 8};
  assert_near(lrp_eta_seconds(&eta), 1.0);
  eta.open = 2;
  assert_near(lrp_eta_seconds(&eta), 4.0);
  eta.open = 1;
  assert_near(lrp_eta_seconds(&eta), 8.0);
  eta.open = 0;
  assert_near(lrp_eta_seconds(&eta), 0.0);
}

/* Never negative, never NaN. */
static void test_strange(void **state) {
  (void)state;
  assert_near(seconds((lrp_eta){.open = 5}), -1.0);
  assert_near(seconds((lrp_eta){.cost = 5.0, .open = 5}), -1.0);
  assert_near(seconds((lrp_eta){.cost = NAN, .seconds_per_cost = NAN, .open = 5}), -1.0);
  assert_near(seconds((lrp_eta){.cost = INFINITY, .seconds_per_cost = 1.0, .open = 5}), -1.0);
  assert_near(seconds((lrp_eta){.cost = 5.0, .seconds_per_cost = 1.0, .workers = NAN, .open = 5}),
              5.0);
  /* More was done than had been expected of all. */
  assert_near(
      seconds((lrp_eta){
          .cost = 5.0, .seconds_per_cost = 1.0, .open = 5, .done_cost = 9.0, .done_seconds = 1.0}),
      0.0);
  assert_near(seconds((lrp_eta){.cost = 5.0, .seconds_per_cost = 1.0, .open = -3}), 0.0);
}

static void test_percent(void **state) {
  (void)state;
  assert_int_equal(lrp_percent(0, 40), 0);
  assert_int_equal(lrp_percent(12, 40), 30);
  assert_int_equal(lrp_percent(2, 3), 66);
  assert_int_equal(lrp_percent(39, 40), 97);
  assert_int_equal(lrp_percent(INT64_MAX - 1, INT64_MAX), 99);
  assert_int_equal(lrp_percent(40, 40), 100);
  assert_int_equal(lrp_percent(41, 40), 100);
  assert_int_equal(lrp_percent(-1, 40), 0);
  assert_int_equal(lrp_percent(0, 0), 100);
}

static void assert_text(double s, const char *expected) {
  char text[LRP_ETA_TEXT];
  assert_string_equal(lrp_eta_text(s, text), expected);
}

static void test_text(void **state) {
  double back;
  (void)state;
  assert_text(0.0, "0:00:00");
  assert_text(0.49, "0:00:00");
  assert_text(59.5, "0:01:00");
  assert_text(70.0, "0:01:10");
  assert_text(3599.0, "0:59:59");
  assert_text(360000.0 + 61.0, "100:01:01");
  assert_text(1e300, "9999:59:59");
  assert_text(INFINITY, "9999:59:59");
  assert_text(-1.0, "?");
  assert_text(NAN, "?");
  assert_true(lrp_parse_duration("100:01:01", &back)); /* as --max-time takes it */
  assert_near(back, 360061.0);
}

static void assert_line(int64_t done, int64_t total, double s, const char *expected) {
  char text[LRP_ETA_LINE];
  assert_string_equal(lrp_eta_line(done, total, "blocks", s, text), expected);
}

static void test_line(void **state) {
  (void)state;
  assert_line(12, 40, 70.0, "12 of 40 blocks (30 %), about 0:01:10 to go");
  assert_line(12, 40, -1.0, "12 of 40 blocks (30 %)");
  assert_line(12, 40, NAN, "12 of 40 blocks (30 %)");
  assert_line(40, 40, 0.0, "40 of 40 blocks (100 %)");
  assert_line(40, 40, 0.49, "40 of 40 blocks (100 %)");
  assert_line(39, 40, 0.5, "39 of 40 blocks (97 %), about 0:00:01 to go");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_prediction), cmocka_unit_test(test_measured),
      cmocka_unit_test(test_last_items), cmocka_unit_test(test_strange),
      cmocka_unit_test(test_percent),    cmocka_unit_test(test_text),
      cmocka_unit_test(test_line),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
