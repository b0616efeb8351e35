/* SQuAD: the choice of an answer, its scores, and the gold answers given back. */
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

#include "io/base/file.h"
#include "pipeline/metrics.h"
#include "pipeline/python_text.h"

/* ---- scores ---- */

static void assert_normalized(const char *text, const char *expected) {
  char *normal = lrp_squad_normalized(text);
  assert_non_null(normal);
  assert_string_equal(normal, expected);
  free(normal);
}

static void test_normalized(void **state) {
  (void)state;
  assert_normalized("the 308 points", "308 points");
  assert_normalized("  The\tQuick,  brown-fox's\n", "quick brownfoxs");
  assert_normalized("a an the", "");
  assert_normalized("", "");
  assert_normalized("Banana anthem then a-the", "banana anthem then athe");
  assert_normalized("U.S. (an_A) $1,000", "us ana 1000");
  /* an en dash is no ASCII punctuation, but no part of a word either */
  assert_normalized("24\u201310 a\u2013b", "24\u201310 \u2013b");
  assert_normalized("\u00c9T\u00c9 THE\u00a0\u00c0\u3000x", "\u00e9t\u00e9 \u00e0 x");
  assert_normalized("a\u00e9 \u00e9a a1 1a \uff41", "a\u00e9 \u00e9a a1 1a \uff41");
  assert_normalized("a\u0301", "\u0301"); /* a combining mark is not part of a word */
}

static void assert_scores(const char *prediction, const char *gold, double exact, double f1) {
  char *a = lrp_squad_normalized(prediction), *b = lrp_squad_normalized(gold);
  assert_non_null(a);
  assert_non_null(b);
  assert_true(lrp_squad_exact(a, b) == exact);
  if (!(fabs(lrp_squad_f1(a, b) - f1) < 1e-15)) fail_msg("%s / %s", prediction, gold);
  if (!(fabs(lrp_squad_f1(b, a) - f1) < 1e-15)) fail_msg("%s / %s", gold, prediction);
  free(b);
  free(a);
}

static void test_scores(void **state) {
  (void)state;
  assert_scores("the 308 points", "308", 0.0, 2.0 / 3.0); /* P 1/2, R 1 */
  assert_scores("The Denver Broncos!", "denver broncos", 1.0, 1.0);
  assert_scores("Carolina Panthers", "Denver Broncos", 0.0, 0.0);
  assert_scores("x x y", "x y y", 0.0, 2.0 / 3.0); /* one x and one y are common */
  assert_scores("x x x", "x", 0.0, 0.5);
  assert_scores("y x", "x y", 0.0, 1.0);
  assert_scores("ab", "a b", 0.0, 0.0);
  assert_scores("xy", "xyz", 0.0, 0.0); /* a part of a word is none */
  assert_scores("the", "a", 1.0, 0.0);  /* nothing is left: equal, but no word in common */
}

/* ---- the choice ---- */

enum { most_tokens = 64 };

static float logits[2 * most_tokens];
static lrp_char_range ranges[most_tokens];

/* All tokens have a range, [10 i, 10 i + 3), and small logits that fall. */
static void reset(int n) {
  for (int i = 0; i < n; i++) {
    logits[2 * i] = logits[2 * i + 1] = -1.0f - (float)i / 64.0f;
    ranges[i] = (lrp_char_range){10 * i, 10 * i + 3};
  }
}

static void assert_best(int n, int64_t first, int64_t end, double score) {
  double found;
  const lrp_char_range best = lrp_squad_best(logits, ranges, n, &found);
  assert_int_equal(best.first, first);
  assert_int_equal(best.end, end);
  assert_true(found == score);
}

static void test_best_pair(void **state) {
  (void)state;
  reset(8);
  logits[2 * 3] = 2.0f;
  logits[2 * 5 + 1] = 1.5f;
  assert_best(8, 30, 53, 3.5);
  ranges[5] = (lrp_char_range){-1, -1}; /* the question, or a special token */
  assert_best(8, 30, 33, 2.0f - 1.0f - 3.0f / 64.0f);
  reset(8);
  logits[2 * 5] = 2.0f; /* the end would come before the start */
  logits[2 * 3 + 1] = 1.5f;
  assert_best(8, 50, 53, 2.0f - 1.0f - 5.0f / 64.0f);
}

static void test_ties(void **state) {
  (void)state;
  reset(8);
  logits[2 * 2] = logits[2 * 4] = 1.0f; /* the first of equal starts */
  logits[2 * 6 + 1] = logits[2 * 5 + 1] = 1.0f;
  assert_best(8, 20, 53, 2.0);
}

static void test_longest_answer(void **state) {
  (void)state;
  reset(64);
  logits[2 * 1] = 5.0f;
  logits[2 * 30 + 1] = 5.0f; /* 30 tokens */
  assert_best(64, 10, 303, 10.0);
  logits[2 * 30 + 1] = -9.0f;
  logits[2 * 31 + 1] = 5.0f; /* 31: the start with another end is best */
  assert_best(64, 10, 13, 5.0f - 1.0f - 1.0f / 64.0f);
}

/* An end that is not among the 20 largest is not looked at, even if no other fits. */
static void test_only_the_largest_are_paired(void **state) {
  (void)state;
  reset(64);
  for (int i = 0; i < 19; i++) logits[2 * i + 1] = 3.0f;
  logits[2 * 40] = 9.0f; /* all 19 ends come before it */
  logits[2 * 45 + 1] = 2.0f;
  assert_best(64, 400, 453, 11.0);
  logits[2 * 19 + 1] = 3.0f; /* now 20 ends are larger than that of token 45 */
  assert_best(64, 0, 3, 2.0);
}

static void test_no_pair(void **state) {
  (void)state;
  reset(8);
  for (int i = 0; i < 8; i++) ranges[i].first = -1;
  assert_best(8, -1, -1, 0.0);
  assert_best(0, -1, -1, 0.0);
}

/* ---- documents ---- */

/* Scores of lrp_answers for a question with that context, answers (JSON) and windows. */
static void assert_answer(const char *context, const char *answers, const double *values, int n,
                          const char *expected, double exact, double f1) {
  json_t *shown = json_pack("{s:s, s:{s:o}}", "context", context, "answers", "text",
                            json_loads(answers, 0, NULL));
  const lrp_doc doc = {.n = n, .shown = shown};
  assert_non_null(shown);
  char *answer = lrp_doc_answer(&doc, values);
  assert_non_null(answer);
  assert_string_equal(answer, expected);
  free(answer);
  assert_true(lrp_answers.metric[0].of(&doc, values, NULL).x == exact);
  assert_true(fabs(lrp_answers.metric[1].of(&doc, values, NULL).x - f1) < 1e-12);
  json_decref(shown);
}

static void test_answer_of_windows(void **state) {
  (void)state;
  /* The second window is better, the third as good; characters are code points. */
  const double values[] = {1.5, 0, 3, 2.5, 4, 7, 2.5, 0, 3, 0, -1, -1};
  assert_answer("\u00c9t\u00e9 308 pts", "[\"x\", \"308\"]", values, 12, "308", 100, 100);
  assert_answer("\u00c9t\u00e9 308 pts", "[\"x\", \"308 pts\"]", values, 9, "308", 0, 200.0 / 3);
  assert_answer("\u00c9t\u00e9 308 pts", "[\"\u00e9t\u00e9\"]", values, 3, "\u00c9t\u00e9", 100,
                100);
  const double negative[] = {-7.5, 4, 7, 0, -1, -1};
  assert_answer("\u00c9t\u00e9 308 pts", "[\"308\"]", negative, 6, "308", 100, 100);
  assert_answer("\u00c9t\u00e9 308 pts", "[\"empty\"]", values + 9, 3, "empty", 100, 100);
}

/* Each gold answer, at its place in the context, scores 100 and 100. */
static void test_gold_answers_given_back(void **state) {
  const char *shared = getenv("LRP_SHARED");
  char path[1024];
  lrp_jsonl data;
  (void)state;
  snprintf(path, sizeof path, "%s/data/bench/squad/validation.jsonl", shared ? shared : "");
  if (!shared || !lrp_file_exists(path)) skip();
  assert_int_equal(lrp_jsonl_read(path, &data), LRP_OK);
  assert_int_equal(data.count, 1000);
  for (int64_t i = 0; i < data.count; i++) {
    const lrp_doc doc = {.n = LRP_SPAN_VALUES, .shown = data.rows[i]};
    const json_t *answers = json_object_get(data.rows[i], "answers");
    size_t a;
    json_t *text;
    json_array_foreach(json_object_get(answers, "text"), a, text) {
      const double first =
          json_number_value(json_array_get(json_object_get(answers, "answer_start"), a));
      const double length = (double)lrp_text_code_points(json_string_value(text));
      const double values[] = {0.0, first, first + length};
      char *answer = lrp_doc_answer(&doc, values);
      assert_string_equal(answer, json_string_value(text));
      free(answer);
      assert_true(lrp_answers.metric[0].of(&doc, values, NULL).x == 100.0);
      assert_true(lrp_answers.metric[1].of(&doc, values, NULL).x == 100.0);
    }
    assert_true(a > 0);
  }
  lrp_jsonl_free(&data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_normalized),
      cmocka_unit_test(test_scores),
      cmocka_unit_test(test_best_pair),
      cmocka_unit_test(test_ties),
      cmocka_unit_test(test_longest_answer),
      cmocka_unit_test(test_only_the_largest_are_paired),
      cmocka_unit_test(test_no_pair),
      cmocka_unit_test(test_answer_of_windows),
      cmocka_unit_test(test_gold_answers_given_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
