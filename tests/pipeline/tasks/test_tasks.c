/* Documents and requests of tasks: texts, tokens, errors. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "byte_tokenizer.h"
#include "pipeline/python_text.h"
#include "task_file.h"

static int reset(void **state) {
  (void)state;
  fake_bos = bos;
  fake_eos = eos;
  fake_merge = NULL;
  lrp_failure_clear();
  return 0;
}

static lrp_status load(const char *name, const char *rows, int64_t limit, int64_t max_length,
                       lrp_task *task) {
  return load_task(put_rows(name, rows), limit, max_length, task);
}

static void load_ok(const char *name, const char *rows, lrp_task *task) {
  const lrp_status st = load(name, rows, -1, 4096, task);
  if (st != LRP_OK) print_message("%s\n", lrp_failure_message(st));
  assert_int_equal(st, LRP_OK);
}

/* rows fail with LRP_ERR_DATA and a message that has <file>:<line> and part. */
static void assert_bad(const char *name, const char *rows, int line, const char *part) {
  lrp_task task;
  char place[128];

  lrp_failure_clear();
  assert_int_equal(load(name, rows, -1, 64, &task), LRP_ERR_DATA);
  const char *message = lrp_failure_message(LRP_ERR_DATA);
  assert_non_null(message);
  snprintf(place, sizeof place, "%s/%s:%d: ", task_dir, lrp_task_find(name)->files[0], line);
  if (strncmp(message, place, strlen(place)) != 0 || !strstr(message, part)) {
    fail_msg("expected \"%s...%s...\", got \"%s\"", place, part, message);
  }
  assert_int_equal(task.n_docs, 0); /* nothing left to free */
  assert_null(task.docs);
  assert_null(task.requests);
}

static void assert_request(const lrp_task *task, int64_t i, const char *context,
                           const char *continuation) {
  assert_in_range(i, 0, task->n_requests - 1);
  assert_string_equal(task->requests[i].context, context);
  assert_string_equal(task->requests[i].continuation, continuation);
}

/* The tokens are prefix (if not 0) and the bytes of text, the last n_score of them scored. */
static void assert_tokens(const lrp_request *r, int32_t prefix, const char *text, int64_t n_score) {
  const int64_t shift = prefix != 0;
  assert_int_equal(r->n_tokens, shift + (int64_t)strlen(text));
  if (prefix) assert_int_equal(r->tokens[0], prefix);
  for (int64_t i = shift; i < r->n_tokens; i++) {
    assert_int_equal(r->tokens[i], (unsigned char)text[i - shift]);
  }
  assert_int_equal(r->n_score, n_score);
}

/* ---- what the documents say ---- */

static void test_arc(void **state) {
  lrp_task t;
  (void)state;
  load_ok("arc_easy",
          "{\"id\": \"MCAS_2000_4_6\", \"question\": \"Which technology was developed most "
          "recently?\", \"choices\": {\"text\": [\"cellular telephone\", \"television\", "
          "\"refrigerator\", \"airplane\"], \"label\": [\"A\", \"B\", \"C\", \"D\"]}, "
          "\"answerKey\": \"A\"}\n"
          "{\"question\": \"Caf\\u00e9? \", \"choices\": {\"text\": [\"\\u00e9t\\u00e9\", \"b \", "
          "\"c\"], \"label\": [\"1\", \"2\", \"3\"]}, \"answerKey\": \"3\"}",
          &t);
  const char *context = "Question: Which technology was developed most recently?\nAnswer:";
  assert_int_equal(t.n_docs, 2);
  assert_int_equal(t.n_requests, 7);
  assert_request(&t, 0, context, " cellular telephone");
  assert_request(&t, 1, context, " television");
  assert_request(&t, 2, context, " refrigerator");
  assert_request(&t, 3, context, " airplane");
  const lrp_doc *doc = &t.docs[0];
  assert_int_equal(doc->row, 0);
  assert_int_equal(doc->n, 4);
  assert_int_equal(doc->gold, 0);
  assert_string_equal(doc->target, "0");
  assert_int_equal(doc->chars[0], 18);
  assert_int_equal(doc->chars[1], 10);
  assert_int_equal(doc->chars[2], 12);
  assert_int_equal(doc->chars[3], 8);
  assert_ptr_equal(doc->shown, t.data->rows.rows[0]);

  doc = &t.docs[1];
  assert_int_equal(doc->first, 4);
  assert_int_equal(doc->gold, 2);
  assert_string_equal(doc->target, "2");
  assert_request(&t, 4, "Question: Caf\u00e9? \nAnswer:", " \u00e9t\u00e9");
  assert_request(&t, 5, "Question: Caf\u00e9? \nAnswer:", " b ");
  assert_int_equal(doc->chars[0], 3);
  assert_int_equal(doc->bytes[0], 5);
  assert_int_equal(doc->bytes[1], 2);
  lrp_task_free(&t);
}

static void test_hellaswag(void **state) {
  lrp_task t;
  (void)state;
  load_ok("hellaswag",
          "{\"ind\": 1755, \"activity_label\": \"Mooping floor\", \"ctx_a\": \"A group of people "
          "are in a house.\", \"ctx_b\": \"a man\", \"endings\": [\"is holding cored soap.\", \"is "
          "mopping the floor with a mop.\", \"[substeps] Go. [step] On\", \"uses [a\\n] it.\"], "
          "\"label\": \"1\"}\n",
          &t);
  const char *query = "Mooping floor: A group of people are in a house. A man";
  assert_request(&t, 0, query, " is holding cored soap.");
  assert_request(&t, 1, query, " is mopping the floor with a mop.");
  assert_request(&t, 2, query, "  Go. On"); /* stripped before, not after the deletion */
  assert_request(&t, 3, query, " uses [a\n] it.");
  assert_int_equal(t.docs[0].gold, 1);
  assert_int_equal(t.docs[0].chars[1], 32);
  assert_string_equal(t.docs[0].target, "1");

  static const char *const keys[] = {"ind",   "activity_label", "ctx_a",   "ctx_b", "endings",
                                     "label", "query",          "choices", "gold"};
  const char *key;
  json_t *value;
  size_t k = 0;
  json_object_foreach(t.docs[0].shown, key, value) assert_string_equal(key, keys[k++]);
  assert_int_equal(k, 9);
  assert_string_equal(json_string_value(json_object_get(t.docs[0].shown, "query")), query);
  value = json_object_get(t.docs[0].shown, "choices");
  assert_string_equal(json_string_value(json_array_get(value, 2)), " Go. On");
  assert_int_equal(json_integer_value(json_object_get(t.docs[0].shown, "gold")), 1);
  assert_null(json_object_get(t.data->rows.rows[0], "query")); /* the row itself stays as read */
  lrp_task_free(&t);
}

static void assert_query(const char *label, const char *ctx_a, const char *ctx_b,
                         const char *query) {
  lrp_task t;
  json_t *row = json_pack("{s:s, s:s, s:s, s:[ss], s:s}", "activity_label", label, "ctx_a", ctx_a,
                          "ctx_b", ctx_b, "endings", "a", "b", "label", "0");
  char *text = json_dumps(row, 0);
  assert_non_null(text);
  load_ok("hellaswag", text, &t);
  assert_string_equal(t.requests[0].context, query);
  lrp_task_free(&t);
  free(text);
  json_decref(row);
}

static void test_hellaswag_cleaning(void **state) {
  (void)state;
  assert_query("Home and Garden",
               "[header] How to get rid of mold [title] Spray it. [step] Use vinegar .", "",
               "Home and Garden: How to get rid of mold. Spray it. Use vinegar .");
  assert_query("A", "b", "", "A: b");
  assert_query(" \u3000A", "b", "c \x1c\u00a0", "A: b C");
  assert_query("A", "b", "mR. SMITH \u00c9T\u00c9", "A: b Mr. smith \u00e9t\u00e9");
  assert_query("A", "b", "\u01c6 \u0130", "A: b \u01c5 i\u0307");
  assert_query("A", "b", "123 ABC", "A: b 123 abc");
  assert_query("A", "b   c    d", "", "A: b  c  d");                      /* 3 -> 2, 4 -> 2 */
  assert_query("A", "b [x [y] z] c", "", "A: b z] c");                    /* the shortest stretch */
  assert_query("A", "b [[x c", "", "A: b [[x c");                         /* unclosed */
  assert_query("A", "b [x\n[y] c]", "", "A: b [x\n c]");                  /* not across lines */
  assert_query("A", "b [title] [title]c [title", "", "A: b. . c [title"); /* all, then brackets */
  assert_query("A", "b[] c", "", "A: b c");
}

static void test_winogrande(void **state) {
  lrp_task t;
  (void)state;
  load_ok("winogrande",
          "{\"sentence\": \"Sarah was a much better surgeon than Maria so _ always got the easier "
          "cases.\", \"option1\": \"Sarah\", \"option2\": \"Maria\", \"answer\": \"2\"}\n"
          "{\"sentence\": \"_\\u00a0is_ \", \"option1\": \"x\", \"option2\": \"y\", \"answer\": 1}",
          &t);
  assert_request(&t, 0, "Sarah was a much better surgeon than Maria so Sarah",
                 " always got the easier cases.");
  assert_request(&t, 1, "Sarah was a much better surgeon than Maria so Maria",
                 " always got the easier cases.");
  assert_int_equal(t.docs[0].n, 2);
  assert_int_equal(t.docs[0].gold, 1);
  assert_string_equal(t.docs[0].target, "always got the easier cases.");
  assert_int_equal(t.docs[0].chars[0], 28);
  assert_request(&t, 2, "x", " is_");
  assert_request(&t, 3, "y", " is_");
  assert_int_equal(t.docs[1].gold, 0);
  lrp_task_free(&t);
}

static void test_piqa(void **state) {
  lrp_task t;
  (void)state;
  load_ok("piqa",
          "{\"goal\": \"dresser\", \"sol1\": \"replace drawer with bobby pin \", \"sol2\": "
          "\"finish, woodgrain with  bobby pin \", \"label\": 1}\n",
          &t);
  assert_request(&t, 0, "Question: dresser\nAnswer:", " replace drawer with bobby pin ");
  assert_request(&t, 1, "Question: dresser\nAnswer:", " finish, woodgrain with  bobby pin ");
  assert_int_equal(t.docs[0].gold, 1);
  assert_string_equal(t.docs[0].target, "1");
  lrp_task_free(&t);
}

#define ARC(texts, labels, key)                                                 \
  "{\"question\": \"q\", \"choices\": {\"text\": " texts ", \"label\": " labels \
  "}, \"answerKey\": " key "}\n"
#define PIQA(label) "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"b\", \"label\": " label "}\n"
#define WINO(sentence, answer)                                                                   \
  "{\"sentence\": \"" sentence "\", \"option1\": \"a\", \"option2\": \"b\", \"answer\": " answer \
  "}\n"
#define HELLA(endings, label)                                                             \
  "{\"activity_label\": \"a\", \"ctx_a\": \"b\", \"ctx_b\": \"c\", \"endings\": " endings \
  ", "                                                                                    \
  "\"label\": " label "}\n"

static void test_bad_rows(void **state) {
  (void)state;
  assert_bad("arc_easy", PIQA("0"), 1, "field question");
  assert_bad("arc_easy", ARC("[\"a\"]", "[\"A\"]", "\"A\"") ARC("[\"a\"]", "[\"A\"]", "\"B\""), 2,
             "answerKey");
  assert_bad("arc_easy", "\n" ARC("[\"a\", \"b\"]", "[\"A\"]", "\"A\""), 2, "2 texts but 1 labels");
  assert_bad("arc_challenge", ARC("[\"a\", 7]", "[\"A\", \"B\"]", "\"A\""), 1,
             "choices.text: item 1");
  assert_bad("arc_challenge", ARC("[\"a\"]", "[null]", "\"A\""), 1, "choices.label: item 0");
  assert_bad("arc_challenge", ARC("[]", "[]", "\"A\""), 1, "answerKey");
  assert_bad("arc_challenge", ARC("\"a\"", "[\"A\"]", "\"A\""), 1, "choices.text");
  assert_bad("piqa", PIQA("2"), 1, "choice 2, expected 0 to 1");
  assert_bad("piqa", PIQA("-1"), 1, "choice -1");
  assert_bad("piqa", PIQA("true"), 1, "field label");
  assert_bad("winogrande", WINO("no blank", "\"1\""), 1, "field sentence");
  assert_bad("winogrande", WINO("a _ b", "\"1\"") WINO("a _ b", "3"), 2, "field answer");
  assert_bad("winogrande", WINO("a _ b", "\"\""), 1, "field answer");
  assert_bad("winogrande", WINO("a _ b", "0"), 1, "expected 1 or 2, got 0");
  assert_bad("hellaswag", HELLA("[\"a\"]", "\"1\""), 1, "choice 1, expected 0 to 0");
  assert_bad("hellaswag", HELLA("[]", "0"), 1, "0 choices");
  assert_bad("hellaswag", HELLA("[\"a\", []]", "0"), 1, "endings: item 1");
}

static void test_absent_file(void **state) {
  lrp_task t;
  (void)state;
  const lrp_task_source nowhere = {.dir = "/nowhere/at/all", .limit = -1, .max_length = 64};
  assert_int_equal(lrp_task_load(lrp_task_find("piqa"), &nowhere, NULL, 0, &t), LRP_ERR_ABSENT);
  assert_string_equal(lrp_failure_message(LRP_ERR_ABSENT),
                      "evaluate.data: task piqa expects /nowhere/at/all/piqa/validation.jsonl");
  assert_null(t.docs);
}

static void test_limit(void **state) {
  static const char rows[] = PIQA("0") PIQA("1") PIQA("0");
  static const int64_t limits[][2] = {{-1, 3}, {0, 0}, {1, 1}, {3, 3}, {4, 3}};
  (void)state;
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    lrp_task t;
    assert_int_equal(load("piqa", rows, limits[i][0], 64, &t), LRP_OK);
    assert_int_equal(t.n_docs, limits[i][1]);
    assert_int_equal(t.n_requests, 2 * limits[i][1]);
    assert_int_equal(t.available, 3);
    lrp_task_free(&t);
  }
  lrp_task t;
  assert_int_equal(load("piqa", PIQA("0") PIQA("7"), 1, 64, &t), LRP_OK); /* row 2 is not used */
  lrp_task_free(&t);
}

static void test_many_documents(void **state) {
  enum { n = 1000 };
  static const char row[] = WINO("a _ b", "1");
  char *rows = malloc(n * (sizeof row - 1) + 1);
  lrp_task t;
  (void)state;

  assert_non_null(rows);
  for (size_t i = 0; i < n; i++) memcpy(rows + i * (sizeof row - 1), row, sizeof row);
  load_ok("winogrande", rows, &t);
  assert_int_equal(t.n_docs, n);
  assert_int_equal(t.n_requests, 2 * n);
  assert_int_equal(t.docs[n - 1].first, 2 * n - 2);
  assert_request(&t, 2 * n - 1, "a b", " b");
  lrp_task_free(&t);
  free(rows);
}

/* ---- tokens ---- */

/* One document whose first request has this context and " " + after. */
static lrp_status load_pair(const char *context, const char *after, int64_t max_length,
                            lrp_task *task) {
  char sentence[256];
  snprintf(sentence, sizeof sentence, "_%s", after);
  json_t *row = json_pack("{s:s, s:s, s:s, s:i}", "sentence", sentence, "option1", context,
                          "option2", "zz", "answer", 1);
  char *text = json_dumps(row, 0);
  assert_non_null(text);
  const lrp_status st = load("winogrande", text, -1, max_length, task);
  free(text);
  json_decref(row);
  return st;
}

static void assert_pair(const char *context, const char *after, int32_t prefix, const char *text,
                        int64_t n_score) {
  lrp_task t;
  assert_int_equal(load_pair(context, after, 100, &t), LRP_OK);
  assert_tokens(&t.requests[0], prefix, text, n_score);
  assert_false(t.requests[0].truncated);
  assert_tokens(&t.requests[1], fake_bos < 0 ? 0 : fake_bos, "zz c", 2);
  lrp_task_free(&t);
}

static void test_tokens(void **state) {
  (void)state;
  assert_pair("ab", "c", bos, "ab c", 2);
  fake_bos = -1;
  assert_pair("ab", "c", 0, "ab c", 2);
}

static void test_white_space_moves(void **state) {
  (void)state;
  assert_pair("ab ", "c", bos, "ab  c", 3);
  assert_pair("ab \n\t", "c", bos, "ab \n\t c", 5);
  assert_pair("ab\u3000\u00a0", "c", bos, "ab\u3000\u00a0 c", 7); /* 3 + 2 bytes */
  assert_pair("ab\u200b", "c", bos, "ab\u200b c", 2);             /* no White_Space */
  assert_pair("  ", "c", bos, "   c", 4);                         /* BOS alone is the context */

  lrp_task t;
  assert_int_equal(load_pair("ab ", "c", 100, &t), LRP_OK);
  assert_request(&t, 0, "ab ", " c"); /* the texts are shown as they were */
  lrp_task_free(&t);

  fake_bos = -1;
  assert_int_equal(load_pair("  ", "c", 100, &t), LRP_ERR_DATA);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_DATA), "context has no tokens"));
}

static void test_empty_context(void **state) {
  lrp_task t;
  (void)state;
  assert_pair("", "c", bos, " c", 2);
  fake_bos = -1;
  assert_int_equal(load_pair("", "c", 100, &t), LRP_OK);
  assert_tokens(&t.requests[0], eos, " c", 2);
  lrp_task_free(&t);

  fake_eos = ' '; /* the continuation begins with the prefix token, which becomes the context */
  assert_int_equal(load_pair("", "c", 100, &t), LRP_OK);
  assert_tokens(&t.requests[0], 0, " c", 1);
  lrp_task_free(&t);

  fake_eos = -1;
  assert_int_equal(load_pair("", "c", 100, &t), LRP_ERR_DATA);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_DATA), "neither BOS nor EOS"));
}

/* prepend() must grow an exactly full array: 7 tokens fit into the first capacity of 8. */
static void test_empty_context_lengths(void **state) {
  char after[40] = "";
  (void)state;
  for (int64_t n = 1; n < 36; n++) {
    lrp_task t;
    strcat(after, "c");
    assert_int_equal(load_pair("", after, 100, &t), LRP_OK);
    assert_int_equal(t.requests[0].n_tokens, n + 2);
    assert_int_equal(t.requests[0].tokens[0], bos);
    assert_int_equal(t.requests[0].tokens[n + 1], 'c');
    assert_int_equal(t.requests[0].n_score, n + 1);
    lrp_task_free(&t);
  }
}

/* "b c" is one token: whole = BOS a X d, context = BOS a b. The split is by count, and the context
 * keeps its own tokens. */
static void test_merge_across_the_boundary(void **state) {
  lrp_task t;
  (void)state;
  fake_merge = "b c";
  assert_int_equal(load_pair("ab", "cd", 100, &t), LRP_OK);
  assert_tokens(&t.requests[0], bos, "abd", 1);
  lrp_task_free(&t);

  assert_int_equal(load_pair("ab", "c", 100, &t), LRP_ERR_DATA);
  const char *message = lrp_failure_message(LRP_ERR_DATA);
  assert_non_null(strstr(message, "validation.jsonl:1: the continuation \" c\" has no tokens"));
}

static void test_truncation(void **state) {
  lrp_task t;
  (void)state;
  /* BOS a b c d, " ef": 8 tokens, so that T = 7 just holds them: the last one is no input */
  assert_int_equal(load_pair("abcd", "ef", 7, &t), LRP_OK);
  assert_tokens(&t.requests[0], bos, "abcd ef", 3);
  assert_false(t.requests[0].truncated);
  lrp_task_free(&t);

  assert_int_equal(load_pair("abcd", "ef", 6, &t), LRP_OK);
  assert_tokens(&t.requests[0], 0, "abcd ef", 3); /* BOS goes first */
  assert_true(t.requests[0].truncated);
  lrp_task_free(&t);

  assert_int_equal(load_pair("abcd", "ef", 3, &t), LRP_OK);
  assert_tokens(&t.requests[0], 0, "d ef", 3); /* as long as the input: one token of context */
  lrp_task_free(&t);

  assert_int_equal(load_pair("abcd", "ef", 2, &t), LRP_ERR_DATA);
  const char *message = lrp_failure_message(LRP_ERR_DATA);
  assert_non_null(strstr(message, "validation.jsonl:1: the continuation has 3 tokens"));
  assert_non_null(strstr(message, "at most 2; raise evaluate.max_length"));
}

/* ---- text ---- */

static void test_text(void **state) {
  static const char *const spaces[] = {
      "\t",     "\n",     "\x0b",   "\f",     "\r",     "\x1c",   "\x1f",   " ",      "\xc2\x85",
      "\u00a0", "\u1680", "\u2000", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};
  static const char *const others[] = {"\x08", "\x1b", "!", "\u200b", "\ufeff", "\u180e", "\u2060"};
  (void)state;
  for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) {
    char text[32];
    snprintf(text, sizeof text, "%s%sx y%s", spaces[i], spaces[i], spaces[i]);
    assert_string_equal(lrp_text_strip(text), "x y");
    assert_int_equal(lrp_text_rstrip(spaces[i], strlen(spaces[i])), 0);
  }
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    assert_int_equal(lrp_text_rstrip(others[i], strlen(others[i])), strlen(others[i]));
  }
  assert_int_equal(lrp_text_code_points(""), 0);
  assert_int_equal(lrp_text_code_points("a\u00e9\u20ac\U0001F600e\u0301"), 6);
}

#define TEST(f) cmocka_unit_test_setup(f, reset)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_arc),
      TEST(test_hellaswag),
      TEST(test_hellaswag_cleaning),
      TEST(test_winogrande),
      TEST(test_piqa),
      TEST(test_bad_rows),
      TEST(test_absent_file),
      TEST(test_limit),
      TEST(test_many_documents),
      TEST(test_tokens),
      TEST(test_white_space_moves),
      TEST(test_empty_context),
      TEST(test_empty_context_lengths),
      TEST(test_merge_across_the_boundary),
      TEST(test_truncation),
      TEST(test_text),
  };
  return cmocka_run_group_tests(tests, task_dir_create, task_dir_remove);
}
