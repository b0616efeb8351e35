/* Documents of the question, text and window tasks; groups; data files that tasks share or lack. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "byte_tokenizer.h"
#include "pipeline/python_text.h"
#include "pipeline/suites.h"
#include "task_file.h"

#define WIKITEXT "wikitext/wikitext-2-raw-v1/test.jsonl"

static int reset(void **state) {
  char command[128];
  (void)state;
  fake_bos = bos;
  fake_eos = eos;
  fake_merge = NULL;
  lrp_failure_clear();
  snprintf(command, sizeof command, "rm -rf '%s'/*", task_dir);
  return system(command);
}

static void load_ok(const char *name, const char *rows, lrp_task *task) {
  const lrp_status st = load_task(put_rows(name, rows), -1, 4096, task);
  if (st != LRP_OK) print_message("%s\n", lrp_failure_message(st));
  assert_int_equal(st, LRP_OK);
}

static void assert_bad(const char *name, const char *rows, const char *part) {
  lrp_task task;
  lrp_failure_clear();
  assert_int_equal(load_task(put_rows(name, rows), -1, 64, &task), LRP_ERR_DATA);
  const char *message = lrp_failure_message(LRP_ERR_DATA);
  if (!strstr(message, part)) fail_msg("expected \"...%s...\", got \"%s\"", part, message);
  assert_null(task.docs);
}

static void assert_request(const lrp_task *task, int64_t i, const char *context,
                           const char *continuation) {
  assert_in_range(i, 0, task->n_requests - 1);
  assert_string_equal(task->requests[i].context, context);
  assert_string_equal(task->requests[i].continuation, continuation);
}

/* ---- questions ---- */

static void test_boolq(void **state) {
  lrp_task t;
  (void)state;
  load_ok("boolq", "{\"question\": \"is it\", \"passage\": \"It is.\", \"label\": 1}\n", &t);
  assert_int_equal(t.n_requests, 2);
  assert_request(&t, 0, "It is.\nQuestion: is it?\nAnswer:", " no");
  assert_request(&t, 1, "It is.\nQuestion: is it?\nAnswer:", " yes");
  assert_int_equal(t.docs[0].gold, 1);
  assert_string_equal(t.docs[0].target, "1");
  lrp_task_free(&t);
  assert_bad("boolq", "{\"question\": \"q\", \"passage\": \"p\", \"label\": 2}\n", "choice 2");
}

static void test_openbookqa(void **state) {
  lrp_task t;
  (void)state;
  load_ok("openbookqa",
          "{\"question_stem\": \"Gas can fill\", \"choices\": {\"text\": [\"a\", \"b c\"], "
          "\"label\": [\"A\", \"B\"]}, \"answerKey\": \" B\"}\n",
          &t);
  assert_request(&t, 0, "Gas can fill", " a");
  assert_request(&t, 1, "Gas can fill", " b c");
  assert_int_equal(t.docs[0].gold, 1);
  assert_int_equal(t.docs[0].chars[1], 3);
  lrp_task_free(&t);
}

static void test_sciq(void **state) {
  lrp_task t;
  (void)state;
  load_ok("sciq",
          "{\"question\": \"Who?\", \"distractor1\": \"a\", \"distractor2\": \"b\", "
          "\"distractor3\": \"c\", \"correct_answer\": \"d\", \"support\": \" \\u00a0Text. \"}\n"
          "{\"question\": \"Who?\", \"distractor1\": \"a\", \"distractor2\": \"b\", "
          "\"distractor3\": \"c\", \"correct_answer\": \"d\", \"support\": \"\"}\n",
          &t);
  assert_request(&t, 0, "Text. \nQuestion: Who?\nAnswer:", " a");
  assert_request(&t, 3, "Text. \nQuestion: Who?\nAnswer:", " d");
  assert_request(&t, 4, "\nQuestion: Who?\nAnswer:", " a");
  assert_int_equal(t.docs[1].gold, 3);
  assert_string_equal(t.docs[1].target, "3");
  lrp_task_free(&t);
}

#define TRUTH(field, choices, labels) \
  "\"" field "\": {\"choices\": " choices ", \"labels\": " labels "}"

static void test_truthfulqa(void **state) {
  static const char row[] =
      "{\"question\": \"What?\", " TRUTH("mc1_targets", "[\"x\", \"y\"]", "[1, 0]") ", " TRUTH(
          "mc2_targets", "[\"x\", \"y\", \"z\"]", "[1, 0, 1]") "}\n";
  lrp_task t;
  (void)state;
  load_ok("truthfulqa_mc1", row, &t);
  const char *context = t.requests[0].context;
  const char *start = "Q: What is human life expectancy in the United States?\nA: Human life";
  const char *end = "\nA: The 1992 Olympics were held in Barcelona, Spain.\n\nQ: What?\nA:";
  assert_int_equal(strncmp(context, start, strlen(start)), 0);
  assert_string_equal(context + strlen(context) - strlen(end), end);
  assert_int_equal(t.n_requests, 2);
  assert_int_equal(t.docs[0].gold, 0);
  assert_null(t.docs[0].truth);
  lrp_task_free(&t);

  load_ok("truthfulqa_mc2", row, &t);
  assert_int_equal(t.n_requests, 3);
  assert_string_equal(t.requests[2].continuation, " z");
  assert_true(t.docs[0].truth[0] && !t.docs[0].truth[1] && t.docs[0].truth[2]);
  lrp_task_free(&t);

  assert_bad("truthfulqa_mc2",
             "{\"question\": \"q\", " TRUTH("mc2_targets", "[\"x\"]", "[1, 0]") "}\n",
             "1 choices but 2 labels");
  assert_bad("truthfulqa_mc2", "{\"question\": \"q\", " TRUTH("mc2_targets", "[\"x\"]", "[2]") "}",
             "labels: item 0: expected 0 or 1");
  assert_bad("truthfulqa_mc2",
             "{\"question\": \"q\", " TRUTH("mc2_targets", "[\"x\"]", "[\"1\"]") "}",
             "labels: item 0: expected 0 or 1");
  assert_bad("truthfulqa_mc1", "{\"question\": \"q\", " TRUTH("mc1_targets", "[]", "[]") "}",
             "0 choices");
}

/* ---- mmlu ---- */

#define MMLU(subject, question, answer)         \
  "{\"question\": \"" question "\", " subject   \
  "\"choices\": [\"0\", \"1\", \"2\", \"3\"], " \
  "\"answer\": " answer "}\n"
#define SUBJECT(name) "\"subject\": \"" name "\", "

static void test_mmlu(void **state) {
  lrp_task t;
  (void)state;
  load_ok("mmlu_abstract_algebra", MMLU(SUBJECT("abstract_algebra"), " Find all c. \\n", "1"), &t);
  assert_request(&t, 0,
                 "The following are multiple choice questions (with answers) about abstract "
                 "algebra.\n\nFind all c.\nA. 0\nB. 1\nC. 2\nD. 3\nAnswer:",
                 " A");
  assert_int_equal(t.n_requests, 4);
  assert_string_equal(t.requests[3].continuation, " D");
  assert_int_equal(t.docs[0].gold, 1);
  assert_string_equal(t.docs[0].target, "1");
  lrp_task_free(&t);
  assert_bad("mmlu_anatomy",
             "{\"question\": \"q\", \"choices\": [\"a\", \"b\", \"c\"], \"answer\": 0}\n",
             "expected 4, got 3");
}

/* One file for all subjects: a limit counts a subject's rows. */
static void test_mmlu_in_one_file(void **state) {
  const lrp_task_source source = {.dir = task_dir, .limit = 2, .max_length = 4096};
  lrp_task t[2];
  (void)state;
  put_file("mmlu/test.jsonl",
           MMLU(SUBJECT("virology"), "v0", "0") MMLU(SUBJECT("anatomy"), "a0", "1")
               MMLU(SUBJECT("anatomy"), "a1", "2") MMLU(SUBJECT("virology"), "v1", "3")
                   MMLU(SUBJECT("anatomy"), "a2", "0"));
  assert_int_equal(lrp_task_load(lrp_task_find("mmlu_anatomy"), &source, NULL, 0, &t[0]), LRP_OK);
  assert_int_equal(lrp_task_load(lrp_task_find("mmlu_virology"), &source, t, 1, &t[1]), LRP_OK);
  assert_ptr_equal(t[0].data, t[1].data); /* read once */
  assert_int_equal(t[0].n_docs, 2);
  assert_int_equal(t[0].available, 3);
  assert_int_equal(t[0].docs[1].row, 2);
  assert_int_equal(t[0].docs[1].gold, 2);
  assert_int_equal(t[1].n_docs, 2);
  assert_int_equal(t[1].docs[1].gold, 3);
  lrp_task_free(&t[0]);
  assert_int_equal(t[1].data->rows.count, 5); /* still there */
  lrp_task_free(&t[1]);
}

/* The folder of a subject goes before the file of all; its rows may lack the column. */
static void test_mmlu_in_folders(void **state) {
  lrp_task t;
  (void)state;
  put_file("mmlu/test.jsonl", MMLU(SUBJECT("anatomy"), "a0", "1"));
  put_file("mmlu/anatomy/test.jsonl", MMLU("", "b0", "2") MMLU(SUBJECT("anatomy"), "b1", "3"));
  assert_int_equal(load_task(lrp_task_find("mmlu_anatomy"), -1, 4096, &t), LRP_OK);
  assert_int_equal(t.n_docs, 2);
  assert_int_equal(t.docs[0].gold, 2);
  assert_string_equal(t.data->file, "mmlu/anatomy/test.jsonl");
  lrp_task_free(&t);
}

static void assert_message(lrp_status st, lrp_status expected, const char *message) {
  char text[512];
  assert_int_equal(st, expected);
  snprintf(text, sizeof text, message, task_dir, task_dir);
  assert_string_equal(lrp_failure_message(st), text);
  lrp_failure_clear();
}

static void test_missing_data(void **state) {
  lrp_task t;
  (void)state;
  assert_message(load_task(lrp_task_find("mmlu_anatomy"), -1, 64, &t), LRP_ERR_ABSENT,
                 "evaluate.data: task mmlu_anatomy expects %s/mmlu/anatomy/test.jsonl or "
                 "%s/mmlu/test.jsonl");
  assert_message(load_task(lrp_task_find("wikitext"), -1, 64, &t), LRP_ERR_ABSENT,
                 "evaluate.data: task wikitext expects %s/" WIKITEXT);
  put_file("mmlu/test.jsonl", MMLU(SUBJECT("virology"), "q", "0"));
  assert_message(load_task(lrp_task_find("mmlu_anatomy"), -1, 64, &t), LRP_ERR_DATA,
                 "%s/mmlu/test.jsonl: no row has the subject anatomy, which task mmlu_anatomy "
                 "expects; add its rows, or the file mmlu/anatomy/test.jsonl beside it");
  put_file("mmlu/test.jsonl", MMLU("", "q", "0"));
  assert_int_equal(load_task(lrp_task_find("mmlu_anatomy"), -1, 64, &t), LRP_ERR_DATA);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_DATA), "test.jsonl:1: field subject"));
  put_file("mmlu/anatomy/test.jsonl", MMLU(SUBJECT("virology"), "q", "0"));
  lrp_failure_clear();
  assert_int_equal(load_task(lrp_task_find("mmlu_anatomy"), -1, 64, &t), LRP_ERR_DATA);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_DATA), "no row has the subject anatomy"));
}

/* A second split stands in for an absent one. */
static void test_second_split(void **state) {
  static const char row[] =
      "{\"question_stem\": \"q\", \"choices\": {\"text\": [\"a\"], \"label\": [\"A\"]}, "
      "\"answerKey\": \"A\"}\n";
  lrp_task t;
  (void)state;
  put_file("openbookqa/main/validation.jsonl", row);
  assert_int_equal(load_task(lrp_task_find("openbookqa"), -1, 64, &t), LRP_OK);
  assert_string_equal(t.data->file, "openbookqa/main/validation.jsonl");
  lrp_task_free(&t);
  put_file("openbookqa/main/test.jsonl", row);
  assert_int_equal(load_task(lrp_task_find("openbookqa"), -1, 64, &t), LRP_OK);
  assert_string_equal(t.data->file, "openbookqa/main/test.jsonl");
  lrp_task_free(&t);
}

static void test_groups(void **state) {
  static const int expected[] = {57, 19, 13, 12, 13, 2};
  int n_groups, n_kinds, n_suites, n_names;
  const lrp_task_group *groups = lrp_task_groups(&n_groups);
  const lrp_task_kind *kinds = lrp_task_kinds(&n_kinds);
  const char *const *names = lrp_task_names(&n_names);
  lrp_suites(&n_suites);
  (void)state;

  assert_int_equal(n_groups, 6);
  assert_int_equal(n_kinds, 14 + 6 + 57);
  assert_int_equal(n_suites, 2);
  assert_int_equal(n_names, n_groups + n_kinds + n_suites);
  for (int g = 0; g < n_groups; g++) {
    int members = 0;
    for (int k = 0; k < n_kinds; k++) members += lrp_task_group_within(kinds[k].group, &groups[g]);
    assert_int_equal(members, expected[g]);
  }
  for (int i = 0; i < n_names; i++) {
    const lrp_task_kind *kind = lrp_task_find(names[i]);
    const lrp_task_group *group = lrp_task_group_find(names[i]);
    const lrp_task_suite *suite = lrp_suite_find(names[i]);
    assert_int_equal((kind != NULL) + (group != NULL) + (suite != NULL), 1);
    assert_string_equal(kind ? kind->name : group ? group->name : suite->name, names[i]);
    for (int j = 0; j < i; j++) assert_string_not_equal(names[i], names[j]);
  }
  assert_null(lrp_task_find("arc"));
  assert_null(lrp_task_find(""));
  assert_null(lrp_task_group_find("piqa"));
  assert_false(lrp_task_group_within(&groups[0], &groups[1]));
  assert_false(lrp_task_group_within(NULL, &groups[0]));
}

/* ---- texts ---- */

static void test_lambada(void **state) {
  lrp_task t;
  (void)state;
  load_ok("lambada_openai", "{\"text\": \"I don't care\\nabout signs\"}\n{\"text\": \"signs\"}\n",
          &t);
  assert_request(&t, 0, "I don't care\nabout", " signs");
  assert_request(&t, 1, "", " signs");
  assert_string_equal(t.docs[0].target, " signs");
  assert_int_equal(t.requests[1].n_score, 6);
  assert_int_equal(t.requests[1].tokens[0], bos);
  lrp_task_free(&t);
}

static void assert_page(const char *page, const char *text, int64_t words) {
  lrp_task t;
  json_t *row = json_pack("{s:s}", "page", page);
  char *line = json_dumps(row, 0);
  assert_non_null(line);
  load_ok("wikitext", line, &t);
  assert_string_equal(t.docs[0].target, text);
  assert_int_equal(t.docs[0].words, words);
  assert_int_equal(t.docs[0].text_bytes, strlen(page));
  lrp_task_free(&t);
  free(line);
  json_decref(row);
}

/* Right sides: the same replacements with CPython's str.replace, re.sub and re.split. */
static void test_wikitext_pages(void **state) {
  (void)state;
  assert_page(" = Title = \n The dogs ' house : 1 @,@ 000 @.@ 5 @-@ kg ; no . \n",
              " = Title =\nThe dogs' house: 1,000.5-kg; no.\n", 20);
  assert_page(" = = = = Deep = = = = \n = = = Less = = = \n = = Two = = \n",
              " ==== Deep ====\n=== Less ===\n== Two ==\n", 23);
  assert_page("a ( b ( c ) d ) e ( \n f \u3000) ( ) (", "a (b ( c) d ) e (f) () (", 15);
  assert_page("x [ y ] { z } \" q \" ' r ' it 's 20 \u00b0 C N x",
              "x [y] {z} \"q\" 'r' it's 20\u00b0C 1 x", 20);
  assert_page("one \" two three", "one \" two three", 4);
  assert_page(" : : a , , b ? ! . ", ": : a, , b? !. ", 11);
  assert_page("don 't say ' hi ' or ' ho", "don 't say' hi 'or' ho", 9);
  assert_page("( a\n\n b ) ]  [ c", "(a\n\nb) ]  [ c", 7);
  assert_page(" \t\n x \u00a0y\u2028", " \t\nx \u00a0y\u2028", 4);
  assert_bad("wikitext", "{\"text\": \"a line\"}\n", "a whole article per row");
  assert_bad("wikitext", "{\"title\": \"a line\"}\n", "field page");
}

/* A window: the bytes of text, the last n_score of them scored; prefix in front if not 0. */
static void assert_window(const lrp_task *t, int64_t i, int32_t prefix, const char *text,
                          int64_t n_score) {
  const lrp_request *r = &t->requests[i];
  const int64_t shift = prefix != 0;
  assert_int_equal(r->n_tokens, shift + (int64_t)strlen(text));
  if (prefix) assert_int_equal(r->tokens[0], prefix);
  for (int64_t j = shift; j < r->n_tokens; j++) {
    assert_int_equal(r->tokens[j], text[j - shift]);
  }
  assert_int_equal(r->n_score, n_score);
  assert_false(r->truncated);
}

/* The example of ten tokens 0..9 and T = 4. Without BOS in front of texts; EOS is the prefix. */
static void test_windows(void **state) {
  lrp_task t;
  (void)state;
  fake_bos = -1;
  const lrp_task_kind *kind =
      put_rows("wikitext", "{\"page\": \"0123456789\"}\n{\"page\": \"ab\"}");
  assert_int_equal(load_task(kind, -1, 4, &t), LRP_OK);
  assert_int_equal(t.n_requests, 4);
  assert_int_equal(t.docs[0].n, 3);
  assert_int_equal(t.docs[0].scored_tokens, 10);
  assert_window(&t, 0, eos, "0123", 4);
  assert_window(&t, 1, 0, "34567", 4);
  assert_window(&t, 2, 0, "56789", 2);
  assert_int_equal(t.docs[1].first, 3);
  assert_window(&t, 3, eos, "ab", 2); /* shorter than T */
  lrp_task_free(&t);

  assert_int_equal(load_task(kind, 1, 10, &t), LRP_OK); /* as long as T */
  assert_int_equal(t.n_requests, 1);
  assert_window(&t, 0, eos, "0123456789", 10);
  lrp_task_free(&t);

  assert_int_equal(load_task(kind, 1, 9, &t), LRP_OK); /* one more than T */
  assert_int_equal(t.n_requests, 2);
  assert_window(&t, 1, 0, "0123456789", 1);
  lrp_task_free(&t);

  put_rows("wikitext", "{\"page\": \"\"}\n");
  assert_int_equal(load_task(kind, -1, 4, &t), LRP_ERR_DATA);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_DATA), "test.jsonl:1: an empty text"));
  lrp_failure_clear();
  fake_eos = -1;
  assert_int_equal(load_task(kind, -1, 4, &t), LRP_ERR_DATA);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_DATA), "neither BOS nor EOS"));
}

/* A BOS in front of the text is predicted, too. */
static void test_windows_with_bos(void **state) {
  lrp_task t;
  (void)state;
  const lrp_task_kind *kind = put_rows("wikitext", "{\"page\": \"abc\"}\n");
  assert_int_equal(load_task(kind, -1, 3, &t), LRP_OK);
  assert_int_equal(t.n_requests, 2);
  assert_int_equal(t.requests[0].tokens[0], bos);
  assert_int_equal(t.requests[0].tokens[1], bos);
  assert_int_equal(t.requests[0].n_tokens, 4);
  assert_int_equal(t.requests[0].n_score, 3);
  assert_int_equal(t.requests[1].tokens[0], bos); /* B B a b, then B a b c */
  assert_int_equal(t.requests[1].tokens[3], 'c');
  assert_int_equal(t.requests[1].n_score, 1);
  lrp_task_free(&t);
}

static void test_token_windows(void **state) {
  lrp_task t;
  (void)state;
  const lrp_task_kind *kind =
      put_rows("token_perplexity", "{\"page\": \"ab @-@\"}\n{\"page\": \" c\"}\n"); /* BOS + 8 */
  assert_int_equal(load_task(kind, -1, 4, &t), LRP_OK);
  assert_int_equal(t.n_docs, 2);
  assert_int_equal(t.available, 2);
  assert_window(&t, 0, bos, "ab ", 3);
  assert_window(&t, 1, 0, "@-@ ", 3);
  assert_int_equal(t.docs[1].first, 1);
  assert_int_equal(t.docs[1].scored_tokens, 3);
  assert_int_equal(json_integer_value(json_object_get(t.docs[1].shown, "first_token")), 4);
  lrp_task_free(&t);

  assert_int_equal(load_task(kind, 1, 3, &t), LRP_OK); /* a limit counts windows */
  assert_int_equal(t.n_docs, 1);
  assert_int_equal(t.available, 3);
  lrp_task_free(&t);

  assert_int_equal(load_task(kind, -1, 10, &t), LRP_ERR_DATA);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_DATA), "9 tokens in all, but a window"));
  lrp_failure_clear();
  assert_int_equal(load_task(kind, -1, 1, &t), LRP_ERR_DATA);
}

static void test_python_text(void **state) {
  char text[32] = "aXXbXXX";
  (void)state;
  lrp_text_replace(text, "XX", "y");
  assert_string_equal(text, "aybyX");
  lrp_text_replace(text, "y", "");
  assert_string_equal(text, "abX");
  assert_int_equal(lrp_text_lstrip(" \u3000\n x", 8), 6);
  assert_int_equal(lrp_text_lstrip("", 0), 0);
  assert_int_equal(lrp_text_pieces(""), 1);
  assert_int_equal(lrp_text_pieces(" "), 2);
  assert_int_equal(lrp_text_pieces("a\u00e9 \n b"), 2);
}

#define TEST(f) cmocka_unit_test_setup(f, reset)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_boolq),
      TEST(test_openbookqa),
      TEST(test_sciq),
      TEST(test_truthfulqa),
      TEST(test_mmlu),
      TEST(test_mmlu_in_one_file),
      TEST(test_mmlu_in_folders),
      TEST(test_missing_data),
      TEST(test_second_split),
      TEST(test_groups),
      TEST(test_lambada),
      TEST(test_wikitext_pages),
      TEST(test_windows),
      TEST(test_windows_with_bos),
      TEST(test_token_windows),
      TEST(test_python_text),
  };
  return cmocka_run_group_tests(tests, task_dir_create, task_dir_remove);
}
