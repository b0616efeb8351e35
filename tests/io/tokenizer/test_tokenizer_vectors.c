/* Real tokenizers: vectors that other programs computed. Needs the shared data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/base/file.h"
#include "io/base/jsonl.h"
#include "io/tokenizer/tokenizer.h"

enum { max_bytes = 1 << 26 };

static char *shared_path(const char *name) {
  char *path = lrp_path_join(getenv("LRP_SHARED"), name);
  assert_non_null(path);
  return path;
}

static char *read_shared(const char *name) {
  char *path = shared_path(name);
  char *data = NULL;
  size_t size;

  assert_int_equal(lrp_file_read(path, max_bytes, &data, &size), LRP_OK);
  free(path);
  return data;
}

static json_t *load_shared(const char *name) {
  char *path = shared_path(name);
  json_t *root = json_load_file(path, 0, NULL);

  assert_non_null(root);
  free(path);
  return root;
}

static lrp_tokenizer *open_shared(const char *name) {
  char *path = shared_path(name);
  lrp_tokenizer *tok = NULL;

  assert_int_equal(lrp_tokenizer_open(path, &tok), LRP_OK);
  free(path);
  return tok;
}

static lrp_tokens encode(const lrp_tokenizer *tok, const char *text, size_t length, bool special) {
  lrp_tokens t = {0};
  assert_int_equal(lrp_tokenizer_encode(tok, text, length, special, &t), LRP_OK);
  return t;
}

static void assert_ids(const lrp_tokens *t, const int32_t *ids, int64_t count) {
  assert_int_equal(t->count, count);
  for (int64_t i = 0; i < count; i++) assert_int_equal(t->ids[i], ids[i]);
}

#define ASSERT_ENCODES(tok, special, text, ...)                     \
  do {                                                              \
    const int32_t ids_[] = {__VA_ARGS__};                           \
    lrp_tokens t_ = encode(tok, text, sizeof text - 1, special);    \
    assert_ids(&t_, ids_, (int64_t)(sizeof ids_ / sizeof ids_[0])); \
    lrp_tokens_free(&t_);                                           \
  } while (0)

/* Numbers of one line, which ends at its newline or at the end of the text. */
static lrp_tokens parse_ids(const char *line) {
  const size_t length = strcspn(line, "\n");
  lrp_tokens t = {0};

  for (const char *p = line; p < line + length;) {
    char *end;
    const long id = strtol(p, &end, 10);
    if (end == p || end > line + length) break;
    assert_int_equal(lrp_tokens_push(&t, (int32_t)id), LRP_OK);
    p = end;
  }
  return t;
}

/* The text between two separators has no newline of its own at its end. */
static void check_vectors(const char *dir, const char *inputs, const char *outputs) {
  static const char separator[] = "\n__ggml_vocab_test__\n";
  lrp_tokenizer *tok = open_shared(dir);
  char *texts = read_shared(inputs);
  char *lines = read_shared(outputs);
  const char *text = texts;
  const char *line = lines;
  int done = 0;

  for (;;) {
    const char *end = strstr(text, separator);
    const size_t length = end ? (size_t)(end - text) : strlen(text);
    lrp_tokens expected = parse_ids(line);
    lrp_tokens t = encode(tok, text, length, false);
    assert_ids(&t, expected.ids, expected.count);
    lrp_tokens_free(&t);
    lrp_tokens_free(&expected);
    done++;
    if (!end) break;
    text = end + sizeof separator - 1;
    line += strcspn(line, "\n");
    if (*line == '\n') line++;
  }
  assert_int_equal(done, 47);
  assert_int_equal(*line, '\0');
  free(lines);
  free(texts);
  lrp_tokenizer_close(&tok);
}

static void test_llama2_vectors(void **state) {
  (void)state;
  check_vectors("data/tokenizers/llama2", "data/tokenizers/llama2/vectors.inp",
                "data/tokenizers/llama2/vectors.out");
}

static void test_gpt2_vectors(void **state) {
  (void)state;
  check_vectors("data/tokenizers/gpt2", "data/tokenizers/gpt2/vectors.inp",
                "data/tokenizers/gpt2/vectors.out");
}

static void test_llama2_pairs(void **state) {
  lrp_tokenizer *tok = open_shared("data/tokenizers/llama2");
  lrp_tokens context = encode(tok, "Question: x\nAnswer:", 19, true);
  lrp_tokens whole = encode(tok, "Question: x\nAnswer: yes", 23, true);
  (void)state;

  assert_int_equal(lrp_tokenizer_size(tok), 32000);
  assert_int_equal(context.ids[0], 1);
  assert_int_equal(whole.count, context.count + 1);
  for (int64_t i = 0; i < context.count; i++) assert_int_equal(whole.ids[i], context.ids[i]);
  lrp_tokens_free(&whole);
  lrp_tokens_free(&context);
  ASSERT_ENCODES(tok, false, " A", 29871, 319);
  ASSERT_ENCODES(tok, false, "A", 319); /* what " A" adds to a context */
  ASSERT_ENCODES(tok, false, " Hello", 29871, 15043);
  ASSERT_ENCODES(tok, true, "Hello", 1, 15043);
  ASSERT_ENCODES(tok, true, "<s>Hello</s>Hello", 1, 15043, 2, 15043);
  lrp_tokenizer_close(&tok);
}

static void test_llama2_decode(void **state) {
  static const int32_t ids[] = {1, 15043, 29871, 243, 162, 169, 156, 2};
  lrp_tokenizer *tok = open_shared("data/tokenizers/llama2");
  char *text = NULL;
  (void)state;

  assert_int_equal(lrp_tokenizer_decode(tok, ids, 8, &text), LRP_OK);
  assert_string_equal(text, "Hello \xf0\x9f\xa6\x99");
  free(text);
  /* cut in the middle of the character */
  assert_int_equal(lrp_tokenizer_decode(tok, ids, 5, &text), LRP_OK);
  assert_string_equal(text, "Hello \xef\xbf\xbd\xef\xbf\xbd");
  free(text);
  lrp_tokenizer_close(&tok);
}

static lrp_tokens ids_of_json(const json_t *array) {
  lrp_tokens t = {0};

  assert_true(json_is_array(array));
  for (size_t i = 0; i < json_array_size(array); i++) {
    const json_int_t id = json_integer_value(json_array_get(array, i));
    assert_int_equal(lrp_tokens_push(&t, (int32_t)id), LRP_OK);
  }
  return t;
}

/* greedy_text keeps the space in front that decoding removes. */
static void test_stories_golden(void **state) {
  lrp_tokenizer *tok = open_shared("data/models/stories260K");
  json_t *golden = load_shared("data/models/stories260K/golden.json");
  const char *greedy = json_string_value(json_object_get(golden, "greedy_text"));
  lrp_tokens ids = ids_of_json(json_object_get(golden, "greedy_ids"));
  char *text = NULL;
  (void)state;

  ASSERT_ENCODES(tok, true, "Once upon a time", 1, 403, 407, 261, 378);
  assert_true(ids.count > 90);
  assert_int_equal(lrp_tokenizer_decode(tok, ids.ids, ids.count, &text), LRP_OK);
  assert_int_equal(greedy[0], ' ');
  assert_string_equal(text, greedy + 1);
  free(text);
  lrp_tokens_free(&ids);
  json_decref(golden);
  lrp_tokenizer_close(&tok);
}

/* Context and continuation ids of one document of ARC, as the harness cuts them. */
static void check_arc_sample(const lrp_tokenizer *tok, const lrp_jsonl *rows,
                             const json_t *sample) {
  const json_int_t row = json_integer_value(json_object_get(sample, "doc_id"));
  const json_t *requests = json_object_get(sample, "requests");
  lrp_tokens context = ids_of_json(json_object_get(json_array_get(requests, 0), "ctx_ids"));
  const char *question;
  json_t *choices;
  char text[8192];

  assert_int_equal(lrp_jsonl_text(rows, row, "question", &question), LRP_OK);
  assert_int_equal(lrp_jsonl_array(rows, row, "choices.text", &choices), LRP_OK);
  assert_int_equal(json_array_size(choices), json_array_size(requests));
  for (size_t i = 0; i < json_array_size(requests); i++) {
    const char *choice = json_string_value(json_array_get(choices, i));
    lrp_tokens rest = ids_of_json(json_object_get(json_array_get(requests, i), "cont_ids"));
    int n = snprintf(text, sizeof text, "Question: %s\nAnswer:", question);
    lrp_tokens t = encode(tok, text, (size_t)n, true);
    assert_ids(&t, context.ids, context.count);
    lrp_tokens_free(&t);
    n = snprintf(text, sizeof text, "Question: %s\nAnswer: %s", question, choice);
    assert_true(n > 0 && (size_t)n < sizeof text);
    t = encode(tok, text, (size_t)n, true);
    assert_int_equal(t.count, context.count + rest.count);
    for (int64_t j = 0; j < rest.count; j++) {
      assert_int_equal(t.ids[context.count + j], rest.ids[j]);
    }
    lrp_tokens_free(&t);
    lrp_tokens_free(&rest);
  }
  lrp_tokens_free(&context);
}

static void test_stories_arc(void **state) {
  lrp_tokenizer *tok = open_shared("data/models/stories260K");
  json_t *golden = load_shared("data/golden/stories260K.arc_easy.0shot.dense.json");
  const json_t *samples = json_object_get(golden, "samples");
  char *path = shared_path("data/bench/ai2_arc/ARC-Easy/test.jsonl");
  lrp_jsonl rows = {0};
  (void)state;

  assert_int_equal(lrp_jsonl_read(path, &rows), LRP_OK);
  assert_int_equal(json_array_size(samples), 40);
  for (size_t i = 0; i < 40; i++) check_arc_sample(tok, &rows, json_array_get(samples, i));
  lrp_jsonl_free(&rows);
  free(path);
  json_decref(golden);
  lrp_tokenizer_close(&tok);
}

/* All pages in one text, freed by the caller. */
static char *join_pages(const lrp_jsonl *rows) {
  size_t size = 1;
  char *text, *to;

  for (int64_t i = 0; i < rows->count; i++) {
    const char *page;
    assert_int_equal(lrp_jsonl_text(rows, i, "page", &page), LRP_OK);
    size += strlen(page);
  }
  text = to = malloc(size);
  assert_non_null(text);
  for (int64_t i = 0; i < rows->count; i++) {
    const char *page;
    assert_int_equal(lrp_jsonl_text(rows, i, "page", &page), LRP_OK);
    to = stpcpy(to, page);
  }
  return text;
}

/* The windows, one behind the other, are the first ids of the text: 40 times 512. */
static void test_stories_wikitext(void **state) {
  lrp_tokenizer *tok = open_shared("data/models/stories260K");
  json_t *golden = load_shared("data/golden/stories260K.token_perplexity.0shot.dense.json");
  const json_t *samples = json_object_get(golden, "samples");
  char *path = shared_path("data/bench/wikitext/wikitext-2-raw-v1/test.jsonl");
  lrp_jsonl rows = {0};
  lrp_tokens t;
  char *text;
  int64_t at = 0;
  (void)state;

  assert_int_equal(lrp_jsonl_read(path, &rows), LRP_OK);
  text = join_pages(&rows);
  t = encode(tok, text, strlen(text), true);
  assert_true(t.count > 40 * 512);
  for (size_t i = 0; i < json_array_size(samples); i++) {
    const json_t *requests = json_object_get(json_array_get(samples, i), "requests");
    const json_t *request = json_array_get(requests, 0);
    lrp_tokens first = ids_of_json(json_object_get(request, "ctx_ids"));
    lrp_tokens rest = ids_of_json(json_object_get(request, "cont_ids"));
    assert_int_equal(first.count, 1);
    assert_int_equal(t.ids[at++], first.ids[0]);
    for (int64_t j = 0; j < rest.count; j++) assert_int_equal(t.ids[at++], rest.ids[j]);
    lrp_tokens_free(&rest);
    lrp_tokens_free(&first);
  }
  assert_int_equal(at, 40 * 512);
  lrp_tokens_free(&t);
  free(text);
  lrp_jsonl_free(&rows);
  free(path);
  json_decref(golden);
  lrp_tokenizer_close(&tok);
}

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A megabyte: each copy has the ids of the first one, and all of it decodes to the text. */
static void test_long_text(void **state) {
  enum { wanted = 1 << 20 };
  lrp_tokenizer *tok = open_shared("data/tokenizers/llama2");
  char *once = read_shared("data/bench/piqa/validation.jsonl");
  const size_t length = strlen(once);
  const size_t copies = wanted / (length + 1) + 1;
  char *text = malloc(copies * (length + 1));
  lrp_tokens one = encode(tok, once, length, false);
  lrp_tokens all;
  char *back = NULL;
  double start_s;
  (void)state;

  assert_non_null(text);
  for (size_t i = 0; i < copies; i++) {
    memcpy(text + i * (length + 1), once, length);
    text[i * (length + 1) + length] = ' ';
  }
  start_s = now_s();
  all = encode(tok, text, copies * (length + 1) - 1, false);
  print_message("%zu bytes: %.3f s\n", copies * (length + 1) - 1, now_s() - start_s);
  assert_int_equal(all.count, (int64_t)copies * one.count);
  for (int64_t i = 0; i < all.count; i++) assert_true(all.ids[i] == one.ids[i % one.count]);
  text[copies * (length + 1) - 1] = '\0';
  assert_int_equal(lrp_tokenizer_decode(tok, all.ids, all.count, &back), LRP_OK);
  assert_string_equal(back, text);
  free(back);
  lrp_tokens_free(&all);
  lrp_tokens_free(&one);
  free(text);
  free(once);
  lrp_tokenizer_close(&tok);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_llama2_vectors), cmocka_unit_test(test_llama2_pairs),
      cmocka_unit_test(test_llama2_decode),  cmocka_unit_test(test_stories_golden),
      cmocka_unit_test(test_stories_arc),    cmocka_unit_test(test_stories_wikitext),
      cmocka_unit_test(test_long_text),      cmocka_unit_test(test_gpt2_vectors),
  };
  const char *shared = getenv("LRP_SHARED");
  char *data = shared ? lrp_path_join(shared, "data") : NULL;
  const bool there = data && lrp_file_exists(data);

  free(data);
  if (!there) {
    printf("skipped: LRP_SHARED does not name the shared data\n");
    return 77;
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
