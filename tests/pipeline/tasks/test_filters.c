/* Answers in generated texts, and how they are compared. Right sides: CPython 3.11's re. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>

#include "pipeline/filters.h"

static void assert_found(const lrp_filter *filter, const char *text, const char *expected) {
  char *answer = lrp_filter_apply(filter, text);
  assert_non_null(answer);
  assert_string_equal(answer, expected);
  free(answer);
}

static void assert_both(const char *text, const char *strict, const char *flexible) {
  assert_found(&lrp_strict_match, text, strict);
  assert_found(&lrp_flexible_extract, text, flexible);
}

static void test_answers_are_found(void **state) {
  (void)state;
  assert_both(" Natalia sold 24.\n#### 72", "72", "72");
  assert_both("", "[invalid]", "[invalid]");
  assert_both("no number", "[invalid]", "[invalid]");
  assert_both("It is 5", "[invalid]", "5");
  assert_both("#### -1,234.50 and 7", "-1,234.50", "7");
  assert_both("#### 1\n#### 2", "1", "2");
  assert_both("####72", "[invalid]", "72");
  assert_both("####  72", "[invalid]", "72");
  assert_both("##### 72", "72", "72");
  assert_both("#### $72", "[invalid]", "$72");
  assert_both("#### .", ".", "[invalid]");
  assert_both("#### ,,", ",,", ",,");
  assert_both("#### --3", "[invalid]", "-3");
  assert_both("#### -", "[invalid]", "[invalid]");
  assert_both("#### 72.", "72.", "72.");
  assert_both("#### 7\nQuestion", "7", "7");
}

static void test_numbers_are_found(void **state) {
  (void)state;
  assert_found(&lrp_flexible_extract, "a -5 b --12 $ x, 3. 4 -$5.00 1", "1");
  assert_found(&lrp_flexible_extract, "a -5 b --12 $ x, 3. 4 -$5.00", "-$5.00");
  assert_found(&lrp_flexible_extract, "a -5 b --12 $ x, 3.", "3.");
  assert_found(&lrp_flexible_extract, "a -5 b --12 $ x,", "-12");
  assert_found(&lrp_flexible_extract, "a -5 $ x,", "-5");
  assert_found(&lrp_flexible_extract, "5 apples ... so", "...");
  assert_found(&lrp_flexible_extract, "5-6", "-6");
  assert_found(&lrp_flexible_extract, "3/4", "4");
  assert_found(&lrp_flexible_extract, "1,2-3,4", "-3,4");
  assert_found(&lrp_flexible_extract, "1e5", "5");
  assert_found(&lrp_flexible_extract, "\xc3\xa9 7\xe2\x82\xac \xf0\x9f\x98\x80", "7");
  assert_found(&lrp_flexible_extract, "\xd9\xa1\xd9\xa2", "[invalid]"); /* Arabic digits */
  assert_found(&lrp_flexible_extract,
               "\xef\xbf\xbd"
               "12"
               "\xef\xbf\xbd",
               "12");
}

static void assert_normal(const char *text, const char *expected) {
  char *normal = lrp_answer_normalized(text);
  assert_non_null(normal);
  assert_string_equal(normal, expected);
  free(normal);
}

static void test_normalisation(void **state) {
  (void)state;
  assert_normal("", "");
  assert_normal("72", "72");
  assert_normal("$1,234.50", "1234.50");
  assert_normal("72.", "72");
  assert_normal("72..", "72.");
  assert_normal(".", "");
  assert_normal("72.\n", "72\n");
  assert_normal("72.\n\n", "72.\n\n");
  assert_normal("\n.", "\n");
  assert_normal("7.2", "7.2");
  assert_normal("Janet <<16-3-4=9>>9\nShe #### 18\n#### 1,8", "18");
  assert_normal("a######## 5", "5");
  assert_normal("#####  ##### 5 #### ", "");
  assert_normal("####5", "####5");
  assert_normal("##,#$# 5", "5"); /* the marks are deleted before it is looked for */
  assert_normal("[INVALID] \xc3\x84", "[invalid] \xc3\xa4");
  assert_normal(" 72 ", " 72 ");
}

static void test_matches(void **state) {
  static const char gold[] = "He has 48/2 = <<48/2=24>>24 clips.\n#### 1,072";
  (void)state;
  assert_true(lrp_answer_match("1072", gold) == 1.0);
  assert_true(lrp_answer_match("$1,072.", gold) == 1.0);
  assert_true(lrp_answer_match("1072.0", gold) == 0.0);
  assert_true(lrp_answer_match("01072", gold) == 0.0);
  assert_true(lrp_answer_match("", gold) == 0.0);
  assert_true(lrp_answer_match("[invalid]", gold) == 0.0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_answers_are_found),
      cmocka_unit_test(test_numbers_are_found),
      cmocka_unit_test(test_normalisation),
      cmocka_unit_test(test_matches),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
