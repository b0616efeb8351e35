/* Axes, places and shapes of charts; text and numbers in markup. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/markup.h"
#include "pipeline/paper_points.h"
#include "pipeline/svg.h"

static lrp_svg_range range(double low, double high) {
  lrp_svg_range r = LRP_SVG_EMPTY;
  lrp_svg_range_add(&r, high);
  lrp_svg_range_add(&r, NAN);
  lrp_svg_range_add(&r, low);
  lrp_svg_range_add(&r, INFINITY);
  lrp_svg_range_add(&r, -1e300);
  return r;
}

/* "0 20 40", the text of the ticks */
static const char *ticks(const lrp_svg_axis *a) {
  static char all[400];
  char text[32];
  *all = '\0';
  for (int i = 0; i < a->n_ticks; i++) {
    strcat(all, i > 0 ? " " : "");
    strcat(all, lrp_svg_tick(a, a->tick[i], text));
  }
  return all;
}

static void test_linear(void **state) {
  (void)state;
  lrp_svg_axis a = lrp_svg_linear(range(0.0, 96.07), 5);
  assert_string_equal(ticks(&a), "0 20 40 60 80 100");
  assert_true(a.low == 0.0 && a.high == 100.0);
  a = lrp_svg_linear(range(0.251, 0.263), 5);
  assert_string_equal(ticks(&a), "0.250 0.255 0.260 0.265");
  a = lrp_svg_linear(range(-3.0, 7.0), 5);
  assert_string_equal(ticks(&a),
                      "\xe2\x88\x92"
                      "4 \xe2\x88\x92"
                      "2 0 2 4 6 8");
  a = lrp_svg_linear(range(3e9, 5e9), 4);
  assert_string_equal(ticks(&a), "3.0e+09 3.5e+09 4.0e+09 4.5e+09 5.0e+09");
}

/* A step that is hardly used is left out, but what lies in it still has a place. */
static void test_linear_trims(void **state) {
  (void)state;
  const lrp_svg_axis a = lrp_svg_linear(range(-0.4, 80.0), 5);
  assert_string_equal(ticks(&a), "0 20 40 60 80");
  assert_true(a.low <= -0.4 && a.low > -20.0);
}

static void test_linear_of_little(void **state) {
  (void)state;
  lrp_svg_axis a = lrp_svg_linear(LRP_SVG_EMPTY, 5);
  assert_true(a.low == 0.0 && a.high == 1.0);
  const double single[] = {0.0, 7.25, -3e-9, 1e99};
  for (int i = 0; i < 4; i++) {
    a = lrp_svg_linear(range(single[i], single[i]), 5);
    assert_true(a.low < single[i] && single[i] < a.high);
    assert_true(a.n_ticks >= 2 && a.n_ticks <= LRP_SVG_TICKS);
  }
}

/* Whatever the range: it is held, and the ticks are few, ascending and on the axis. */
static void test_axes_hold_their_range(void **state) {
  (void)state;
  srand(3);
  for (int repeat = 0; repeat < 20000; repeat++) {
    const double size = pow(10.0, rand() % 13 - 6);
    const double low = size * (rand() % 2001 - 1000) / 7.0, width = size * (rand() % 500 + 1) / 3.0;
    const bool log = repeat % 2 == 1;
    const double first = log ? fabs(low) + size : low;
    const lrp_svg_axis a = log ? lrp_svg_log(range(first, first + width * 100.0))
                               : lrp_svg_linear(range(first, first + width), 5);
    const double slack = 1e-8 * (fabs(a.low) + fabs(a.high));
    assert_true(a.low <= first + slack);
    assert_true(a.high >= first + (log ? 100.0 : 1.0) * width - slack);
    assert_in_range(a.n_ticks, 2, log ? LRP_SVG_TICKS : 8);
    for (int i = 0; i < a.n_ticks; i++) {
      assert_true(a.tick[i] >= a.low - slack && a.tick[i] <= a.high + slack);
      assert_true(i == 0 || a.tick[i] > a.tick[i - 1]);
    }
  }
}

static void test_log(void **state) {
  (void)state;
  lrp_svg_axis a = lrp_svg_log(range(1.0, 64.0));
  assert_string_equal(ticks(&a), "1 2 5 10 20 50 100");
  a = lrp_svg_log(range(3.0, 4096.0));
  assert_string_equal(ticks(&a), "10 100 1000");
  assert_true(a.low == 2.0 && a.high == 5000.0);
  a = lrp_svg_log(range(0.0, 5.0));
  assert_true(a.low == 1.0 && a.high == 10.0);
  a = lrp_svg_log(range(1e-30, 1e30));
  assert_in_range(a.n_ticks, 3, 8);
}

/* ---- drawing ---- */

typedef struct {
  char *text;
  size_t size;
  lrp_svg svg;
} drawing;

static void start(drawing *d) {
  FILE *f = open_memstream(&d->text, &d->size);
  assert_non_null(f);
  lrp_svg_open(&d->svg, f, 7, 300.0, 200.0, "a < b", "\"quoted\" & more");
  lrp_svg_axes(&d->svg, lrp_svg_linear(range(0.0, 100.0), 5), lrp_svg_linear(range(0.0, 10.0), 5),
               "x", "y");
  fflush(f);
}

/* What was drawn behind the first `from` characters. */
static const char *end(drawing *d, size_t from) {
  lrp_svg_close(&d->svg);
  fclose(d->svg.f);
  return d->text + from;
}

static int count(const char *text, const char *what) {
  int n = 0;
  for (const char *p = text; (p = strstr(p, what)); p += strlen(what)) n++;
  return n;
}

static void test_frame(void **state) {
  (void)state;
  drawing d;
  start(&d);
  assert_true(lrp_svg_x(&d.svg, 0.0) == d.svg.left && lrp_svg_x(&d.svg, 100.0) == d.svg.right);
  assert_true(lrp_svg_y(&d.svg, 0.0) == d.svg.bottom && lrp_svg_y(&d.svg, 10.0) == d.svg.top);
  assert_true(isnan(lrp_svg_x(&d.svg, 101.0)) && isnan(lrp_svg_y(&d.svg, NAN)));
  const char *text = end(&d, 0);
  assert_non_null(strstr(text, "role=\"img\" aria-labelledby=\"f7t\" aria-describedby=\"f7d\""));
  assert_non_null(strstr(text, "<title id=\"f7t\">a &lt; b</title>"));
  assert_non_null(strstr(text, "<desc id=\"f7d\">&quot;quoted&quot; &amp; more</desc>"));
  assert_int_equal(count(text, "<svg"), 1);
  assert_int_equal(count(text, "</svg>"), 1);
  free(d.text);
}

static void test_line_breaks_at_nan(void **state) {
  (void)state;
  const double x[] = {0.0, 10.0, 20.0, 30.0, 40.0}, y[] = {1.0, 2.0, NAN, 4.0, 5.0};
  drawing d;
  start(&d);
  const size_t from = d.size;
  lrp_svg_line(&d.svg, "you", 5, x, y);
  const char *path = strstr(end(&d, from), " d=");
  assert_int_equal(count(path, "M"), 2);
  assert_int_equal(count(path, "L"), 2);
  assert_int_equal(count(path, "nan"), 0);
  free(d.text);
}

static void test_nothing_of_nothing(void **state) {
  (void)state;
  const double none[] = {NAN, INFINITY};
  drawing d;
  start(&d);
  const size_t from = d.size;
  lrp_svg_line(&d.svg, "you", 2, none, none);
  lrp_svg_stairs(&d.svg, "you", 0, none, none);
  lrp_svg_dots(&d.svg, "you", 2, none, none);
  lrp_svg_mark(&d.svg, LRP_SVG_CIRCLE, "you", 1.0, NAN, "hint");
  lrp_svg_error(&d.svg, "you", 1.0, NAN, 2.0);
  assert_string_equal(end(&d, from), "</svg>\n");
  free(d.text);
}

/* Down at each point, then on: what is reached at that size at least. */
static void test_stairs(void **state) {
  (void)state;
  const double x[] = {0.0, 50.0, 100.0}, y[] = {10.0, 5.0, 0.0};
  char wanted[200];
  drawing d;
  start(&d);
  const size_t from = d.size;
  lrp_svg_stairs(&d.svg, "front", 3, x, y);
  const double middle_x = lrp_svg_x(&d.svg, 50.0), middle_y = lrp_svg_y(&d.svg, 5.0);
  snprintf(wanted, sizeof wanted, "d=\"M%.1f %.1fV%.1fH%.1fV%.1fH%.1f\"", d.svg.left, d.svg.top,
           middle_y, middle_x, d.svg.bottom, d.svg.right);
  assert_non_null(strstr(end(&d, from), wanted));
  free(d.text);
}

static void test_marks(void **state) {
  (void)state;
  drawing d;
  start(&d);
  const size_t from = d.size;
  lrp_svg_mark(&d.svg, LRP_SVG_CIRCLE, "you", 1.0, 1.0, "<name>");
  lrp_svg_mark(&d.svg, LRP_SVG_DIAMOND, "paper", 2.0, 2.0, NULL);
  lrp_svg_mark(&d.svg, LRP_SVG_SQUARE, "pick", 3.0, 3.0, "z");
  const char *text = end(&d, from);
  assert_non_null(strstr(text, "<title>&lt;name&gt;</title></circle>"));
  assert_int_equal(count(text, "<path"), 2);
  assert_int_equal(count(text, "</path>"), 1);
  free(d.text);
}

/* Thousands of points that fall together need no more than one each. */
static void test_dots_once(void **state) {
  enum { n = 5000 };
  (void)state;
  static double x[n], y[n];
  drawing d;
  for (int i = 0; i < n; i++) {
    x[i] = i % 2 == 0 ? 20.0 : 80.0;
    y[i] = 5.3 + 1e-7 * i;
  }
  start(&d);
  const size_t from = d.size;
  lrp_svg_dots(&d.svg, "you", n, x, y);
  const char *text = end(&d, from);
  assert_int_equal(count(text, "<path"), 1);
  assert_int_equal(count(text, "h0"), 2);
  free(d.text);
}

/* ---- markup ---- */

static void test_escape(void **state) {
  (void)state;
  char *text = NULL;
  size_t size;
  FILE *f = open_memstream(&text, &size);
  assert_non_null(f);
  lrp_markup_text(f, "<a href=\"x\">&'\x01\x1b\x7f\n\t\xc3\xa9");
  lrp_markup_text(f, NULL);
  fclose(f);
  assert_string_equal(text,
                      "&lt;a href=&quot;x&quot;&gt;&amp;'\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                      "\n\t\xc3\xa9");
  free(text);
}

static void test_numbers(void **state) {
  (void)state;
  char t[LRP_MARKUP_NUMBER];
  assert_string_equal(lrp_markup_digits(t, 0.0123456, 3), "0.0123");
  assert_string_equal(lrp_markup_digits(t, -12.5, 4),
                      "\xe2\x88\x92"
                      "12.5");
  assert_string_equal(lrp_markup_digits(t, 100.0, 3), "100");
  assert_string_equal(lrp_markup_digits(t, 0.5, 3), "0.5");
  assert_string_equal(lrp_markup_digits(t, 0.0, 3), "0");
  assert_string_equal(lrp_markup_digits(t, 123456.0, 3), "123456");
  assert_string_equal(lrp_markup_digits(t, 1.2e-7, 2), "1.2e-07");
  assert_string_equal(lrp_markup_digits(t, NAN, 3), "");
  assert_string_equal(lrp_markup_fixed(t, -0.04, 1), "0.0");
  assert_string_equal(lrp_markup_fixed(t, 9.0064, 2), "9.01");
  assert_string_equal(lrp_markup_count(t, 6738415616), "6,738,415,616");
  assert_string_equal(lrp_markup_count(t, -1000), "-1,000");
  assert_string_equal(lrp_markup_count(t, 999), "999");
  assert_string_equal(lrp_markup_unit(t, 0.0123, "s"), "12.3 ms");
  assert_string_equal(lrp_markup_unit(t, 0.9999, "s"), "1 s");
  assert_string_equal(lrp_markup_unit(t, 13476831232.0, "B"), "13.5 GB");
  assert_string_equal(lrp_markup_unit(t, 0.0, "J"), "0 J");
  assert_string_equal(lrp_markup_unit(t, NAN, "J"), "");
}

/* ---- the paper's points ---- */

static void test_paper(void **state) {
  (void)state;
  const double means[][2] = {{4.17, 56.54}, {4.91, 61.80}, {3.78, 43.97}}; /* at 9 and 96 % */
  for (int q = 0; q < 3; q++) {
    const lrp_paper_savings s = lrp_paper_savings_of((lrp_paper_quantity)q);
    double xy = 0.0, xx = 0.0;
    for (int i = 0; i < LRP_PAPER_SIZES; i++) {
      xy += lrp_paper_reduction[i] * s.mean[i];
      xx += lrp_paper_reduction[i] * lrp_paper_reduction[i];
      assert_true(s.low[i] < s.mean[i] && s.mean[i] < s.high[i]);
    }
    assert_true(fabs(xy / xx - s.slope) < 0.005);
    assert_true(fabs(s.mean[1] - means[q][0]) < 0.05 && fabs(s.mean[9] - means[q][1]) < 0.05);
  }
  assert_true(lrp_paper_accuracy_find("arc_easy", "acc")->percent[1] == 66.20);
  assert_null(lrp_paper_accuracy_find("arc_easy", "acc_norm"));
  assert_non_null(lrp_paper_accuracy_find("gsm8k", "exact_match/strict-match"));
  assert_null(lrp_paper_accuracy_find("piqa", "acc"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_linear),
      cmocka_unit_test(test_linear_trims),
      cmocka_unit_test(test_linear_of_little),
      cmocka_unit_test(test_axes_hold_their_range),
      cmocka_unit_test(test_log),
      cmocka_unit_test(test_frame),
      cmocka_unit_test(test_line_breaks_at_nan),
      cmocka_unit_test(test_nothing_of_nothing),
      cmocka_unit_test(test_stairs),
      cmocka_unit_test(test_marks),
      cmocka_unit_test(test_dots_once),
      cmocka_unit_test(test_escape),
      cmocka_unit_test(test_numbers),
      cmocka_unit_test(test_paper),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
