/* Grade-school arithmetic: contexts, their tokens, and what is written of generated texts. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>

#include "byte_tokenizer.h"
#include "pipeline/results.h"
#include "task_file.h"

static const char rows[] =
    "{\"question\": \"How  many?\", \"answer\": \"2+2=<<2+2=4>>4\\n#### 4\"}\n"
    "{\"question\": \"And \\u00e9?\", \"answer\": \"#### 1,000\"}\n";

static const char train[] =
    "{\"question\": \"t0\", \"answer\": \"a0\\n#### 0\"}\n"
    "{\"question\": \"t1\", \"answer\": \"a1\\n#### 1\"}\n"
    "{\"question\": \"t2\", \"answer\": \"a2\\n#### 2\"}\n";

static const lrp_task_kind *put_gsm8k(void) {
  put_file("gsm8k/main/train.jsonl", train);
  return put_rows("gsm8k", rows);
}

static void assert_bytes(const lrp_request *r, const char *text, bool whole) {
  const int64_t n = (int64_t)strlen(text);
  assert_int_equal(r->n_tokens, n + whole);
  if (whole) assert_int_equal(r->tokens[0], bos);
  for (int64_t i = 0; i < n; i++) {
    assert_int_equal(r->tokens[i + whole], (unsigned char)text[i]);
  }
  assert_int_equal(r->truncated, !whole);
  assert_int_equal(r->n_score, 0);
}

static void test_contexts(void **state) {
  lrp_task t;
  (void)state;
  assert_int_equal(load_task(put_gsm8k(), -1, 4096, &t), LRP_OK);
  assert_int_equal(t.n_docs, 2);
  assert_int_equal(t.n_requests, 2);
  assert_string_equal(t.requests[0].context, "Question: How  many?\nAnswer:");
  assert_null(t.requests[0].continuation);
  assert_string_equal(t.docs[0].target, "2+2=<<2+2=4>>4\n#### 4");
  assert_int_equal(t.docs[1].first, 1);
  assert_int_equal(t.docs[1].n, 1);
  assert_bytes(&t.requests[0], "Question: How  many?\nAnswer:", true);
  assert_bytes(&t.requests[1], "Question: And \xc3\xa9?\nAnswer:", true);
  lrp_task_free(&t);
}

/* random.Random(1234): sample(range(3), 2) twice. */
static void test_shots(void **state) {
  const lrp_task_source source = {
      .dir = task_dir, .limit = -1, .max_length = 4096, .num_fewshot = 2};
  const lrp_task_kind *kind = put_gsm8k();
  lrp_task t;
  (void)state;
  assert_int_equal(kind->num_fewshot, 5);
  assert_int_equal(lrp_task_load(kind, &source, NULL, 0, &t), LRP_OK);
  assert_string_equal(t.requests[0].context,
                      "Question: t1\nAnswer: a1\n#### 1\n\n"
                      "Question: t0\nAnswer: a0\n#### 0\n\n"
                      "Question: How  many?\nAnswer:");
  assert_string_equal(t.requests[1].context,
                      "Question: t0\nAnswer: a0\n#### 0\n\n"
                      "Question: t2\nAnswer: a2\n#### 2\n\n"
                      "Question: And \xc3\xa9?\nAnswer:");
  lrp_task_free(&t);
}

/* Room for 256 new tokens; what is in front of it loses tokens from the left. */
static void test_room_for_answers(void **state) {
  const lrp_task_kind *kind = put_gsm8k();
  lrp_task t;
  (void)state;
  assert_int_equal(load_task(kind, 1, 256 + 29, &t), LRP_OK);
  assert_bytes(&t.requests[0], "Question: How  many?\nAnswer:", true);
  lrp_task_free(&t);
  assert_int_equal(load_task(kind, 1, 256 + 28, &t), LRP_OK);
  assert_bytes(&t.requests[0], "Question: How  many?\nAnswer:", false);
  lrp_task_free(&t);
  assert_int_equal(load_task(kind, 1, 256 + 1, &t), LRP_OK);
  assert_bytes(&t.requests[0], ":", false);
  lrp_task_free(&t);
  lrp_failure_clear();
  assert_int_equal(load_task(kind, 1, 256, &t), LRP_ERR_JOB);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_JOB), "evaluate.max_length: 256"));
}

static void test_bad_rows(void **state) {
  lrp_task t;
  (void)state;
  lrp_failure_clear();
  const lrp_task_kind *kind = put_rows("gsm8k", "{\"question\": \"q\"}\n");
  assert_int_equal(load_task(kind, -1, 4096, &t), LRP_ERR_DATA);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_DATA), "field answer"));
  lrp_failure_clear();
}

/* ---- results ---- */

static char *read_text(const char *name) {
  size_t size;
  char *path = lrp_path_join(task_dir, name), *text = NULL;
  assert_int_equal(lrp_file_read(path, 1 << 20, &text, &size), LRP_OK);
  free(path);
  return text;
}

static void assert_contains(const char *text, const char *part) {
  if (!strstr(text, part)) fail_msg("no %s in %s", part, text);
}

static lrp_scores scores_of(const lrp_task *t, char *const *texts) {
  lrp_scores scores = {.task = t, .texts = texts};
  assert_int_equal(lrp_scores_estimate(&scores), LRP_OK);
  return scores;
}

static void test_results(void **state) {
  char first[] = " So 5.\n#### 4.", second[] = "It costs $1,000 or 999";
  char *const texts[] = {first, second};
  const lrp_results_info info = {.configuration = "dense", .model = "m", .dtype = "float32"};
  lrp_task t;
  (void)state;
  assert_int_equal(load_task(put_gsm8k(), -1, 4096, &t), LRP_OK);
  const lrp_scores scores = scores_of(&t, texts);
  assert_true(scores.estimate[0].value == 0.5 && scores.estimate[0].stderr_ == 0.5);
  assert_true(scores.estimate[1].value == 0.5);
  assert_int_equal(lrp_results_write(task_dir, &info, &scores, 1), LRP_OK);
  char *text = read_text("results.json");
  assert_contains(text,
                  "\"exact_match,strict-match\": 0.5,\n      "
                  "\"exact_match_stderr,strict-match\": 0.5,\n      "
                  "\"exact_match,flexible-extract\": 0.5,\n      "
                  "\"exact_match_stderr,flexible-extract\": 0.5\n");
  assert_contains(text, "\"output_type\": \"generate_until\"");
  assert_contains(text, "\"regex_pattern\": \"#### (\\\\-?[0-9\\\\.\\\\,]+)\"");
  assert_contains(text, "\"higher_is_better\": {\n    \"gsm8k\": {\n      \"exact_match\": true\n");
  free(text);
  lrp_task_free(&t);
}

/* All documents through the first filter, then all through the second one. */
static void test_samples(void **state) {
  char first[] = " So 5.\n#### 4.", second[] = "It costs $1,000";
  char *const texts[] = {first, second};
  static const char *const parts[][3] = {
      {"{\"doc_id\": 0,", "\"filtered_resps\": [\"4.\"], \"filter\": \"strict-match\"",
       "\"metrics\": [\"exact_match\"], \"exact_match\": 1.0,"},
      {"{\"doc_id\": 1,", "\"filtered_resps\": [\"[invalid]\"], \"filter\": \"strict-match\"",
       "\"exact_match\": 0.0,"},
      {"{\"doc_id\": 0,", "\"filtered_resps\": [\"4.\"], \"filter\": \"flexible-extract\"",
       "\"resps\": [[\" So 5.\\n#### 4.\"]]"},
      {"{\"doc_id\": 1,", "\"filtered_resps\": [\"$1,000\"], \"filter\": \"flexible-extract\"",
       "\"metrics\": [\"exact_match\"], \"exact_match\": 1.0,"},
  };
  lrp_task t;
  (void)state;
  assert_int_equal(load_task(put_gsm8k(), -1, 4096, &t), LRP_OK);
  const lrp_scores scores = scores_of(&t, texts);
  assert_int_equal(lrp_samples_write(task_dir, &scores), LRP_OK);
  char *text = read_text("samples_gsm8k.jsonl"), *rest = text, *line;
  for (int i = 0; i < 4; i++) {
    line = strsep(&rest, "\n");
    for (int p = 0; p < 3; p++) assert_contains(line, parts[i][p]);
    assert_contains(line,
                    "\"arg_1\": {\"until\": [\"Question:\", \"</s>\", \"<|im_end|>\"], "
                    "\"do_sample\": false, \"temperature\": 0.0}}}");
  }
  assert_string_equal(rest, "");
  free(text);
  lrp_task_free(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_contexts),         cmocka_unit_test(test_shots),
      cmocka_unit_test(test_room_for_answers), cmocka_unit_test(test_bad_rows),
      cmocka_unit_test(test_results),          cmocka_unit_test(test_samples),
  };
  return cmocka_run_group_tests(tests, task_dir_create, task_dir_remove);
}
