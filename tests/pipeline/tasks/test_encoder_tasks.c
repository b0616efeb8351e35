/* Tasks of encoders: inputs, classes, windows, masked tokens; rows of the shared data. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>

#include "pipeline/metrics.h"
#include "pipeline/python_text.h"
#include "task_file.h"

/* Ids are line numbers from 0. */
static const char vocab[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\nsleeps\nin\na\nhouse\n.\nred\n##s\n\u00fc\n?\n";
enum { unk = 1, cls, sep, mask, the, cat, sleeps, in, a, house, dot, red, plural, ue, question };

static lrp_wordpiece *pieces;
static lrp_config config;

static int setup(void **state) {
  if (task_dir_create(state) != 0) return -1;
  char *path = lrp_path_join(task_dir, "vocab.txt");
  assert_non_null(path);
  assert_int_equal(lrp_file_write(path, vocab, sizeof vocab - 1), LRP_OK);
  free(path);
  return lrp_wordpiece_open(task_dir, &pieces) == LRP_OK ? 0 : -1;
}

static int teardown(void **state) {
  lrp_wordpiece_close(&pieces);
  return task_dir_remove(state);
}

static int reset(void **state) {
  (void)state;
  config = (lrp_config){.family = LRP_FAMILY_BERT};
  config.bert.max_position_embeddings = 512;
  config.bert.num_labels = 2;
  lrp_failure_clear();
  return 0;
}

static lrp_status load(const char *name, const char *rows, int64_t limit, int64_t max_length,
                       lrp_task *task) {
  const lrp_task_source source = {.dir = task_dir,
                                  .limit = limit,
                                  .max_length = max_length,
                                  .pieces = pieces,
                                  .config = &config};
  return lrp_task_load(put_rows(name, rows), &source, NULL, 0, task);
}

static void load_ok(const char *name, const char *rows, int64_t max_length, lrp_task *task) {
  const lrp_status st = load(name, rows, -1, max_length, task);
  if (st != LRP_OK) fail_msg("%s", lrp_failure_message(st));
}

static void assert_refused(const char *name, const char *rows, int64_t max_length, lrp_status st,
                           const char *part) {
  lrp_task task;
  lrp_failure_clear();
  assert_int_equal(load(name, rows, -1, max_length, &task), st);
  const char *message = lrp_failure_message(st);
  if (!message || !strstr(message, part)) fail_msg("no '%s' in '%s'", part, message);
  assert_null(task.docs);
}

static void assert_input(const lrp_request *r, const int32_t *tokens, int64_t n, int64_t second) {
  assert_int_equal(r->n_tokens, n);
  for (int64_t i = 0; i < n; i++) {
    assert_int_equal(r->tokens[i], tokens[i]);
    assert_int_equal(r->types[i], i >= second);
  }
}

#define IDS(...) (const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / 4

/* ---- classes ---- */

static void test_one_text(void **state) {
  lrp_task t;
  (void)state;
  load_ok("sst2",
          "{\"sentence\": \"The CATS sleep. \", \"label\": 1, \"idx\": 0}\n"
          "{\"sentence\": \"\", \"label\": 0, \"idx\": 1}\n",
          -1, &t);
  assert_int_equal(t.n_docs, 2);
  assert_int_equal(t.n_requests, 4);
  assert_int_equal(t.max_length, 128);
  assert_input(&t.requests[0], IDS(cls, the, cat, plural, unk, dot, sep), 99);
  assert_input(&t.requests[2], IDS(cls, sep), 99);
  for (int64_t r = 0; r < 4; r++) {
    assert_int_equal(t.requests[r].target, r % 2);
    assert_int_equal(t.requests[r].input, r - r % 2);
    assert_false(t.requests[r].truncated);
    assert_string_equal(t.requests[r].continuation, r % 2 ? "positive" : "negative");
  }
  assert_null(t.requests[1].tokens); /* computed once, and counted once */
  assert_int_equal(t.requests[1].n_tokens, 0);
  assert_string_equal(t.requests[1].context, "The CATS sleep. ");
  assert_int_equal(t.docs[0].gold, 1);
  assert_string_equal(t.docs[0].target, "1");
  assert_int_equal(t.docs[1].first, 2);
  lrp_task_free(&t);
}

static void test_two_texts(void **state) {
  static const char row[] =
      "{\"sentence1\": \"The cat sleeps.\", \"sentence2\": \"A red cat sleeps in the house.\", "
      "\"label\": 0, \"idx\": 9}\n";
  lrp_task t;
  (void)state;
  load_ok("mrpc", row, 64, &t);
  assert_int_equal(t.max_length, 64);
  assert_input(&t.requests[0],
               IDS(cls, the, cat, sleeps, dot, sep, a, red, cat, sleeps, in, the, house, dot, sep),
               6);
  assert_string_equal(t.requests[1].context,
                      "The cat sleeps. [SEP] A red cat sleeps in the house.");
  assert_string_equal(t.requests[1].continuation, "equivalent");
  lrp_task_free(&t);
  load_ok("rte", row, 10, &t); /* 5 too many: the longer text loses 4, then the first one 1 */
  assert_input(&t.requests[0], IDS(cls, the, cat, sleeps, sep, a, red, cat, sleeps, sep), 5);
  assert_true(t.requests[0].truncated);
  assert_string_equal(t.requests[0].continuation, "entailment");
  lrp_task_free(&t);
  load_ok("rte", row, 15, &t);
  assert_false(t.requests[0].truncated);
  lrp_task_free(&t);
  load_ok("rte", row, 14, &t);
  assert_true(t.requests[0].truncated);
  lrp_task_free(&t);
}

static void assert_classes(const char *label0, const char *label1, int class0, int class1) {
  lrp_task t;
  snprintf(config.labels[0], LRP_LABEL_SIZE, "%s", label0);
  snprintf(config.labels[1], LRP_LABEL_SIZE, "%s", label1);
  load_ok("sst2", "{\"sentence\": \"a\", \"label\": 0}\n", -1, &t);
  assert_int_equal(t.requests[0].target, class0);
  assert_int_equal(t.requests[1].target, class1);
  lrp_task_free(&t);
}

/* The checkpoint's own names decide, if they are the task's. */
static void test_order_of_labels(void **state) {
  (void)state;
  assert_classes("negative", "positive", 0, 1);
  assert_classes("POSITIVE", "Negative", 1, 0);
  assert_classes("LABEL_0", "LABEL_1", 0, 1);
  assert_classes("positive", "neutral", 0, 1);
  assert_classes("", "", 0, 1);
}

static void test_bad_rows(void **state) {
  (void)state;
  assert_refused("sst2",
                 "{\"sentence\": \"a\", \"label\": 1}\n{\"sentence\": \"a\", \"label\": 2}\n", -1,
                 LRP_ERR_DATA, "validation.jsonl:2: field label: expected 0 to 1, got 2");
  assert_refused("cola", "{\"sentence\": \"a\", \"label\": -1}\n", -1, LRP_ERR_DATA,
                 "test files have no labels");
  assert_refused("mrpc", "{\"sentence1\": \"a\", \"label\": 1}\n", -1, LRP_ERR_DATA,
                 "field sentence2");
  assert_refused("squad",
                 "{\"question\": \"a\", \"context\": \"a\", \"answers\": {\"text\": []}}\n", -1,
                 LRP_ERR_DATA, "field answers.text: no answer");
}

static void test_lengths(void **state) {
  lrp_task t;
  static const char row[] = "{\"sentence\": \"the cat\", \"label\": 1}\n";
  (void)state;
  config.bert.max_position_embeddings = 32;
  load_ok("sst2", row, -1, &t);
  assert_int_equal(t.max_length, 32); /* the model has no more */
  lrp_task_free(&t);
  load_ok("sst2", row, 32, &t);
  lrp_task_free(&t);
  assert_refused("sst2", row, 33, LRP_ERR_JOB, "evaluate.max_length: 33: task sst2 needs");
  assert_refused("sst2", row, 3, LRP_ERR_JOB, "evaluate.max_length: 3: task sst2 needs");
  load_ok("sst2", row, 4, &t);
  lrp_task_free(&t);
}

/* ---- answers ---- */

/* A context of n words, "\u00fc cat house ..." in turn, and a question of two tokens. */
static const char *squad_row(int n) {
  static char row[8192];
  int at = snprintf(row, sizeof row,
                    "{\"id\": \"1\", \"question\": \" cat?\", \"answers\": {\"text\": [\"house\"], "
                    "\"answer_start\": [6]}, \"context\": \"");
  for (int i = 0; i < n; i++) {
    static const char *const words[] = {"\u00dc", "cat", "house"}; /* in lower case in vocab */
    at += snprintf(row + at, sizeof row - (size_t)at, "%s ", words[i % 3]);
  }
  snprintf(row + at, sizeof row - (size_t)at, "\"}\n");
  return row;
}

static void test_window(void **state) {
  lrp_task t;
  (void)state;
  load_ok("squad", squad_row(3), -1, &t);
  assert_int_equal(t.n_docs, 1);
  assert_int_equal(t.docs[0].n, LRP_SPAN_VALUES);
  assert_int_equal(t.max_length, 384);
  assert_string_equal(t.docs[0].target, "house");
  const lrp_request *r = &t.requests[0];
  /* strip_accents follows lower case: u is not in the vocabulary */
  assert_input(r, IDS(cls, cat, question, sep, unk, cat, house, sep), 4);
  static const lrp_char_range expected[] = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1},
                                            {0, 1},   {2, 5},   {6, 11},  {-1, -1}};
  for (int i = 0; i < 8; i++) {
    assert_int_equal(r->ranges[i].first, expected[i].first);
    assert_int_equal(r->ranges[i].end, expected[i].end);
  }
  const double values[] = {1.0, (double)r->ranges[6].first, (double)r->ranges[6].end};
  char *answer = lrp_doc_answer(&t.docs[0], values);
  assert_string_equal(answer, "house");
  free(answer);
  lrp_task_free(&t);
}

/* 2 + 3 tokens are not of the context; a window starts 128 short of where the last one ended. */
static void test_windows(void **state) {
  lrp_task t;
  (void)state;
  const int room = 150 - 5;
  load_ok("squad", squad_row(room), 150, &t);
  assert_int_equal(t.n_requests, LRP_SPAN_VALUES);
  lrp_task_free(&t);
  load_ok("squad", squad_row(room + 18), 150, &t); /* steps of 17, the last one short */
  assert_int_equal(t.n_requests, 3 * LRP_SPAN_VALUES);
  assert_int_equal(t.docs[0].n, 3 * LRP_SPAN_VALUES);
  const lrp_request *first = &t.requests[0], *second = &t.requests[LRP_SPAN_VALUES],
                    *last = &t.requests[2 * LRP_SPAN_VALUES];
  assert_int_equal(first->n_tokens, 150);
  assert_int_equal(second->n_tokens, 150);
  assert_int_equal(last->n_tokens, 5 + room + 18 - 2 * 17);
  assert_int_equal(second->ranges[4].first, first->ranges[4 + 17].first);
  assert_int_equal(last->ranges[4].first, first->ranges[4 + 34].first);
  assert_int_equal(second->input, LRP_SPAN_VALUES);
  assert_null(t.requests[1].tokens);
  lrp_task_free(&t);
  assert_refused("squad", squad_row(129), 128 + 5, LRP_ERR_DATA, "the question has 2 tokens");
  assert_refused("squad", squad_row(3), 4, LRP_ERR_DATA, "the question has 2 tokens");
  load_ok("squad", squad_row(129), 128 + 6, &t);
  assert_int_equal(t.n_requests, LRP_SPAN_VALUES);
  lrp_task_free(&t);
  load_ok("squad", squad_row(3), 3 + 5, &t); /* one window shares nothing */
  assert_int_equal(t.n_requests, LRP_SPAN_VALUES);
  lrp_task_free(&t);
}

/* ---- masked tokens ---- */

static void test_masked_tokens(void **state) {
  /* 11 tokens; windows of 4, as 2 of 6 are special */
  static const char rows[] =
      "{\"page\": \"the cat sleeps in a \"}\n{\"page\": \"red house. the cat sleeps\"}\n";
  lrp_task t;
  (void)state;
  load_ok("pseudo_perplexity", rows, 6, &t);
  assert_int_equal(t.available, 2);
  assert_int_equal(t.n_docs, 2);
  assert_int_equal(t.n_requests, 8);
  assert_input(&t.requests[0], IDS(cls, the, cat, sleeps, in, sep), 99);
  assert_input(&t.requests[4], IDS(cls, a, red, house, dot, sep), 99);
  for (int64_t r = 0; r < 8; r++) {
    assert_int_equal(t.requests[r].input, r - r % 4);
    assert_int_equal(t.requests[r].position, 1 + r % 4);
    assert_int_equal(t.requests[r].target, t.requests[r - r % 4].tokens[1 + r % 4]);
    assert_int_equal(t.requests[r].n_tokens, 6); /* each is a forward pass */
    assert_int_equal(t.requests[r].tokens != NULL, r % 4 == 0);
  }
  assert_int_equal(t.docs[1].scored_tokens, 4);
  lrp_task_free(&t);
  assert_int_equal(load("pseudo_perplexity", rows, 1, 6, &t), LRP_OK);
  assert_int_equal(t.available, 2);
  assert_int_equal(t.n_docs, 1);
  lrp_task_free(&t);
  assert_refused("pseudo_perplexity", rows, 14, LRP_ERR_DATA, "11 tokens in all");
}

/* ---- scores ---- */

/* gold and prediction of documents with two classes */
static void estimates(const char *name, const char *golds, const char *predictions,
                      lrp_estimate out[LRP_METRICS]) {
  const int64_t n = (int64_t)strlen(golds);
  lrp_task task = {.kind = lrp_task_find(name), .n_docs = n, .n_requests = 2 * n};
  double ll[64];
  uint8_t greedy[64] = {0};
  lrp_doc docs[32];
  for (int64_t i = 0; i < n; i++) {
    docs[i] = (lrp_doc){.first = 2 * i, .n = 2, .gold = golds[i] - '0'};
    ll[2 * i] = 0.0;
    ll[2 * i + 1] = predictions[i] == '1' ? 1.0 : -1.0;
  }
  task.docs = docs;
  lrp_scores scores = {.task = &task, .ll = ll, .greedy = greedy};
  assert_int_equal(lrp_scores_estimate(&scores), LRP_OK);
  memcpy(out, scores.estimate, sizeof scores.estimate);
}

static void assert_near(double x, double y) {
  if (!(fabs(x - y) <= 1e-12 * fmax(1.0, fabs(y)))) fail_msg("%.17g is not %.17g", x, y);
}

static void test_f1_and_matthews(void **state) {
  lrp_estimate e[LRP_METRICS];
  (void)state;
  /* TP 3, FP 1, FN 2, TN 4 */
  estimates("mrpc", "1111100000", "1110010000", e);
  assert_near(e[0].value, 0.7);
  assert_near(e[1].value, 6.0 / 9.0);
  assert_near(e[2].value, (0.7 + 6.0 / 9.0) / 2.0);
  assert_near(e[0].stderr_, sqrt(0.7 * 0.3 / 9.0));
  /* the harness's bootstrap_stderr, 100000 iterations, of the same ten pairs */
  assert_near(e[1].stderr_, 0.20631659655168405);
  estimates("cola", "1111100000", "1110010000", e);
  assert_near(e[0].value, (3.0 * 4.0 - 1.0 * 2.0) / sqrt(4.0 * 5.0 * 5.0 * 6.0));
  assert_near(e[0].stderr_, 0.30098512679846307);
  estimates("cola", "1100", "1111", e); /* a root of 0 */
  assert_near(e[0].value, 0.0);
  estimates("mrpc", "000", "000", e); /* no positive at all */
  assert_near(e[0].value, 1.0);
  assert_near(e[1].value, 0.0);
  estimates("cola", "10", "01", e);
  assert_near(e[0].value, -1.0);
}

/* ---- the shared data ---- */

static const char *shared;

static void load_shared(const char *model, const char *name, int64_t limit, int64_t max_length,
                        lrp_wordpiece **tok, lrp_task *task) {
  char dir[1024], data[1024];
  snprintf(dir, sizeof dir, "%s/data/models/%s", shared, model);
  snprintf(data, sizeof data, "%s/data/bench", shared);
  assert_int_equal(lrp_config_read(dir, &config), LRP_OK);
  if (!*tok) assert_int_equal(lrp_wordpiece_open(dir, tok), LRP_OK);
  const lrp_task_source source = {
      .dir = data, .limit = limit, .max_length = max_length, .pieces = *tok, .config = &config};
  const lrp_status st = lrp_task_load(lrp_task_find(name), &source, NULL, 0, task);
  if (st != LRP_OK) fail_msg("%s", lrp_failure_message(st));
}

static void test_golden_ids(void **state) {
  char path[1024];
  lrp_wordpiece *tok = NULL;
  lrp_task t;
  (void)state;
  if (!shared) skip();
  load_shared("bert-tiny-sst2", "sst2", 100, 64, &tok, &t);
  snprintf(path, sizeof path, "%s/data/golden/bert-tiny-sst2-fhe-hybrid.sst2.0shot.dense.json",
           shared);
  json_t *file = json_load_file(path, 0, NULL);
  assert_int_equal(json_array_size(json_object_get(file, "samples")), t.n_docs);
  for (int64_t i = 0; i < t.n_docs; i++) {
    const json_t *sample = json_array_get(json_object_get(file, "samples"), (size_t)i);
    const json_t *ids = json_object_get(sample, "ids");
    const lrp_request *r = &t.requests[t.docs[i].first];
    assert_int_equal(r->n_tokens, json_array_size(ids));
    for (size_t k = 0; k < json_array_size(ids); k++) {
      assert_int_equal(r->tokens[k], json_integer_value(json_array_get(ids, k)));
      assert_int_equal(r->types[k], 0);
    }
    const json_t *metrics = json_object_get(sample, "metrics");
    assert_int_equal(t.docs[i].gold, json_integer_value(json_object_get(metrics, "gold")));
  }
  json_decref(file);
  lrp_task_free(&t);
  lrp_wordpiece_close(&tok);
}

/* Every row of every file: what the tokens of a context cover, they are. */
static void test_all_rows(void **state) {
  static const char *const names[] = {"sst2", "mrpc", "cola", "rte", "squad"};
  lrp_wordpiece *tok = NULL;
  (void)state;
  if (!shared) skip();
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    lrp_task t;
    load_shared("bert-tiny-sst2", names[i], -1, -1, &tok, &t);
    assert_true(t.n_docs > 100);
    for (int64_t r = 0; r < t.n_requests; r++) {
      const lrp_request *q = &t.requests[r];
      assert_in_range(q->n_tokens, q->tokens ? 2 : 0, q->tokens ? t.max_length : 0);
      assert_true(q->tokens || t.requests[q->input].tokens);
    }
    lrp_task_free(&t);
  }
  lrp_wordpiece_close(&tok);
}

/* Each gold answer's characters are those of some token's begin and some token's end. */
static void test_gold_answers_can_be_found(void **state) {
  lrp_wordpiece *tok = NULL;
  lrp_task t;
  int64_t found = 0;
  (void)state;
  if (!shared) skip();
  load_shared("bert-tiny-sst2", "squad", -1, -1, &tok, &t);
  for (int64_t i = 0; i < t.n_docs; i++) {
    const json_t *answers = json_object_get(t.docs[i].shown, "answers");
    const json_int_t start =
        json_integer_value(json_array_get(json_object_get(answers, "answer_start"), 0));
    const char *text = json_string_value(json_array_get(json_object_get(answers, "text"), 0));
    const int64_t end = start + lrp_text_code_points(text);
    bool begins = false, ends = false;
    for (int r = 0; r < t.docs[i].n; r += LRP_SPAN_VALUES) {
      const lrp_request *q = &t.requests[t.docs[i].first + r];
      for (int64_t k = 0; k < q->n_tokens; k++) {
        begins |= q->ranges[k].first == start;
        ends |= q->ranges[k].first >= 0 && q->ranges[k].end == end;
      }
    }
    found += begins && ends;
  }
  assert_in_range(found, 980, 1000); /* a few answers begin or end within a token */
  lrp_task_free(&t);
  lrp_wordpiece_close(&tok);
}

int main(void) {
  char model[1024];
  shared = getenv("LRP_SHARED");
  snprintf(model, sizeof model, "%s/data/models/bert-tiny-sst2", shared ? shared : "");
  if (!shared || !lrp_file_exists(model)) shared = NULL;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_one_text, reset),
      cmocka_unit_test_setup(test_two_texts, reset),
      cmocka_unit_test_setup(test_order_of_labels, reset),
      cmocka_unit_test_setup(test_bad_rows, reset),
      cmocka_unit_test_setup(test_lengths, reset),
      cmocka_unit_test_setup(test_window, reset),
      cmocka_unit_test_setup(test_windows, reset),
      cmocka_unit_test_setup(test_masked_tokens, reset),
      cmocka_unit_test_setup(test_f1_and_matthews, reset),
      cmocka_unit_test(test_golden_ids),
      cmocka_unit_test(test_all_rows),
      cmocka_unit_test(test_gold_answers_can_be_found),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
