#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "pipeline/words.h"

static const char *const known[] = {"model", "output", "configurations", "evaluate", "svd"};
enum { n_known = 5 };

static void assert_suggestion(const char *text, const char *expected) {
  const char *got = lrp_did_you_mean(text, known, n_known);
  if (expected) {
    assert_non_null(got);
    assert_string_equal(got, expected);
  } else {
    assert_null(got);
  }
}

static void test_did_you_mean(void **state) {
  (void)state;
  assert_suggestion("modle", "model");
  assert_suggestion("mode", "model");
  assert_suggestion("Model", "model");
  assert_suggestion("ouptut", "output");
  assert_suggestion("configuration", "configurations");
  assert_suggestion("evalute", "evaluate");
  assert_suggestion("sdv", "svd");
  assert_suggestion("model", "model");
}

static void test_distance_limit(void **state) {
  (void)state;
  assert_suggestion("mxxel", "model"); /* 2 of 5: a third, rounded up */
  assert_suggestion("xxxel", NULL);    /* 3 of 5 */
  assert_suggestion("svx", "svd");
  assert_suggestion("sxx", NULL);
  assert_suggestion("banana", NULL);
  assert_suggestion("", NULL);
  assert_null(lrp_did_you_mean("model", known, 0));
}

static void test_long_words(void **state) {
  char text[200];
  (void)state;
  memset(text, 'x', sizeof text);
  text[64] = '\0';
  assert_suggestion(text, NULL);
  text[64] = 'x';
  text[199] = '\0';
  assert_suggestion(text, NULL);
}

static void test_first_of_equals_wins(void **state) {
  const char *const words[] = {"bat", "cat"};
  (void)state;
  assert_string_equal(lrp_did_you_mean("rat", words, 2), "bat");
}

static void test_format_double(void **state) {
  char text[LRP_DOUBLE_TEXT];
  (void)state;
  assert_string_equal(lrp_format_double(0.1, text), "0.1");
  assert_string_equal(lrp_format_double(1.0, text), "1");
  assert_string_equal(lrp_format_double(9.006438272506823, text), "9.006438272506823");
  assert_string_equal(lrp_format_double(0.1 + 0.2, text), "0.30000000000000004");
  assert_string_equal(lrp_format_double(-1.7976931348623157e308, text), "-1.7976931348623157e+308");
  assert_string_equal(lrp_format_double((double)NAN, text), "nan");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_did_you_mean),  cmocka_unit_test(test_distance_limit),
      cmocka_unit_test(test_long_words),    cmocka_unit_test(test_first_of_equals_wins),
      cmocka_unit_test(test_format_double),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
