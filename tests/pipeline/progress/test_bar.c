#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <utf8proc.h>

#include "pipeline/bar.h"

enum { widest = 300 };

static const char *text_of(lrp_bar bar, int width) {
  static char text[5 * widest];
  memset(text, 'x', sizeof text);
  return lrp_bar_text(&bar, width, text, sizeof text);
}

/* Columns of text, which is UTF-8; -1: it is not. */
static int columns(const char *text) {
  int n = 0;
  while (*text) {
    utf8proc_int32_t c;
    const utf8proc_ssize_t length =
        utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)strlen(text), &c);
    if (length < 1 || c < 0x20) return -1;
    n += utf8proc_charwidth(c);
    text += length;
  }
  return n;
}

static const lrp_bar half = {
    .stage = "evaluate", .done = 12, .total = 40, .seconds = 70.0, .what = "block 3 of arc_easy"};

static void test_known(void **state) {
  (void)state;
  assert_string_equal(text_of(half, 80),
                      "evaluate [####..........] 12/40  30 %  0:01:10  block 3 of arc_easy");
  lrp_bar bar = half;
  bar.what = NULL;
  assert_string_equal(text_of(bar, 80),
                      "evaluate [###########...........................] 12/40  30 %  0:01:10");
  bar.seconds = -1.0;
  assert_string_equal(text_of(bar, 40), "evaluate [###..........] 12/40  30 %  ?");
}

/* What is left out first as it becomes narrow. */
static void test_narrow(void **state) {
  (void)state;
  assert_string_equal(text_of(half, 42), "evaluate [##......] 12/40  30 %  0:01:10");
  assert_string_equal(text_of(half, 31), "evaluate 12/40  30 %  0:01:10");
  assert_string_equal(text_of(half, 29), "12/40  30 %  0:01:10");
  assert_string_equal(text_of(half, 20), "12/40  30 %");
  assert_string_equal(text_of(half, 12), "12/40  30 %");
  assert_string_equal(text_of(half, 10), "30 %");
  assert_string_equal(text_of(half, 5), "30 %");
  assert_string_equal(text_of(half, 4), "");
  assert_string_equal(text_of(half, 0), "");
  assert_string_equal(text_of(half, -7), "");
}

static void test_ends(void **state) {
  (void)state;
  const lrp_bar none = {.stage = "decompose", .done = 0, .total = 9, .seconds = 1e9, .what = ""};
  const lrp_bar most = {.stage = "decompose", .done = 8999, .total = 9000};
  const lrp_bar all = {.stage = "decompose", .done = 9000, .total = 9000};
  const lrp_bar empty = {.stage = "report"};
  assert_null(strchr(text_of(none, 100), '#'));
  assert_non_null(strchr(text_of(most, 100), '.'));
  assert_null(strchr(text_of(all, 100), '.'));
  assert_non_null(strstr(text_of(all, 100), "9000/9000 100 %"));
  assert_non_null(strstr(text_of(empty, 100), "0/0 100 %"));
}

/* Whole characters in columns; a hostile name does not reach the terminal. */
static void test_any_text(void **state) {
  static const char *const whats[] = {
      "modell.Schicht.äöü.größe.gewicht",
      "层.重み.レイヤー.重み.重み.重み",
      "e\xcc\x81t\xc3\xa9 \xff\xfe bad",
      "\033[2J\rclear\n",
      "ends in a part \xe5\xb1",
      "\xc2\x9b"
      "31m",
  };
  (void)state;
  for (size_t i = 0; i < sizeof whats / sizeof *whats; i++) {
    lrp_bar bar = half;
    bar.what = whats[i];
    for (int width = 0; width < widest; width++) {
      const int n = columns(text_of(bar, width));
      assert_in_range(n + 1, 1, width > 1 ? width : 1); /* n >= 0 and n < width */
    }
  }
  lrp_bar bar = half;
  bar.what = "\033[2J";
  assert_non_null(strstr(text_of(bar, 100), "  ?[2J"));
  bar.what = "a very long name that does not fit into what is left of the line";
  assert_non_null(strstr(text_of(bar, 80), "..."));
}

/* A small buffer is never overrun. */
static void test_small_buffer(void **state) {
  char text[24];
  (void)state;
  memset(text, 'x', sizeof text);
  lrp_bar_text(&half, 200, text, 16);
  assert_true(memchr(text, '\0', 16) != NULL);
  for (int i = 16; i < 24; i++) assert_int_equal(text[i], 'x');
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known),        cmocka_unit_test(test_narrow),
      cmocka_unit_test(test_ends),         cmocka_unit_test(test_any_text),
      cmocka_unit_test(test_small_buffer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
