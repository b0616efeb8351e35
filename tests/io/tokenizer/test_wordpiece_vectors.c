/* The vocabulary of bert-base-uncased: vectors that other programs computed. Needs the shared data.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "io/tokenizer/wordpiece.h"

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

static lrp_wordpiece *open_shared(const char *name) {
  char *path = shared_path(name);
  lrp_wordpiece *tok = NULL;

  assert_int_equal(lrp_wordpiece_open(path, &tok), LRP_OK);
  free(path);
  return tok;
}

/* The numbers of one line are the ids. */
static void assert_line(const lrp_wordpieces *t, const char *line) {
  int64_t count = 0;
  for (const char *p = line; *p != '\0' && *p != '\n'; count++) {
    char *end;
    const long id = strtol(p, &end, 10);
    if (end == p) break;
    assert_true(count < t->count);
    assert_int_equal(t->tokens[count].id, id);
    p = end;
  }
  assert_int_equal(t->count, count);
}

static void test_vectors(void **state) {
  static const char separator[] = "\n__ggml_vocab_test__\n";
  lrp_wordpiece *tok = open_shared("data/tokenizers/bert-base-uncased");
  char *texts = read_shared("data/tokenizers/bert-base-uncased/vectors.inp");
  char *lines = read_shared("data/tokenizers/bert-base-uncased/vectors.out");
  lrp_wordpieces t = {0};
  const char *text = texts, *line = lines;
  int done = 0;
  (void)state;

  assert_int_equal(lrp_wordpiece_size(tok), 30522);
  assert_string_equal(lrp_wordpiece_file(tok), "vocab.txt");
  for (;;) {
    const char *end = strstr(text, separator);
    const size_t length = end ? (size_t)(end - text) : strlen(text);
    assert_int_equal(lrp_wordpiece_encode(tok, text, length, &t), LRP_OK);
    assert_line(&t, line);
    done++;
    if (!end) break;
    text = end + sizeof separator - 1;
    line += strcspn(line, "\n");
    if (*line == '\n') line++;
  }
  assert_int_equal(done, 47);
  lrp_wordpieces_free(&t);
  free(lines);
  free(texts);
  lrp_wordpiece_close(&tok);
}

/* Ids and places in the text, by Hugging Face's tokenizers 0.20.3. */
static void test_places(void **state) {
  static const struct {
    const char *text;
    size_t length;
    int count;
    int tokens[12][3];
  } cases[] = {
#define TEXT(t) t, sizeof t - 1
      {TEXT("Caf\303\251 na\303\257ve \303\205NGSTR\303\226M"),
       4,
       {{7668, 0, 4}, {15743, 5, 10}, {17076, 11, 14}, {15687, 14, 19}}},
      {TEXT("e\314\201te\314\201 \341\271\251\314\243"),
       3,
       {{3802, 0, 3}, {2063, 3, 4}, {1055, 6, 7}}},
      {TEXT("\346\235\261\344\272\254 tower \343\202\253\343\202\277\343\202\253\343\203\212 "
            "\352\260\200"),
       9,
       {{1879, 0, 1},
        {1755, 1, 2},
        {3578, 3, 8},
        {1700, 9, 10},
        {30235, 10, 11},
        {30226, 11, 12},
        {30241, 12, 13},
        {1455, 14, 15},
        {30006, 14, 15}}},
      {TEXT("a\342\200\213b\011c\000d\302\240e\342\200\250f\357\277\275g"),
       5,
       {{11113, 0, 3}, {3729, 4, 7}, {1041, 8, 9}, {1042, 10, 11}, {2290, 12, 13}}},
      {TEXT("\360\237\221\250\342\200\215\360\237\221\251 hi \360\237\230\200!"),
       4,
       {{100, 0, 3}, {7632, 4, 6}, {100, 7, 8}, {999, 8, 9}}},
      {TEXT("unaffable $5.50 (re-do)"),
       12,
       {{14477, 0, 3},
        {20961, 3, 6},
        {3468, 6, 9},
        {1002, 10, 11},
        {1019, 11, 12},
        {1012, 12, 13},
        {2753, 13, 15},
        {1006, 16, 17},
        {2128, 17, 19},
        {1011, 19, 20},
        {2079, 20, 22},
        {1007, 22, 23}}},
      {TEXT("[MASK]s and [mask] [CLS]"),
       7,
       {{103, 0, 6},
        {1055, 6, 7},
        {1998, 8, 11},
        {1031, 12, 13},
        {7308, 13, 17},
        {1033, 17, 18},
        {101, 19, 24}}},
      {TEXT("\304\260stanbul \303\237 \316\243\317\202"),
       4,
       {{9960, 0, 8}, {1096, 9, 10}, {1173, 11, 12}, {19579, 12, 13}}},
#undef TEXT
  };
  lrp_wordpiece *tok = open_shared("data/tokenizers/bert-base-uncased");
  lrp_wordpieces t = {0};
  (void)state;

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(lrp_wordpiece_encode(tok, cases[i].text, cases[i].length, &t), LRP_OK);
    assert_int_equal(t.count, cases[i].count);
    for (int k = 0; k < cases[i].count; k++) {
      assert_int_equal(t.tokens[k].id, cases[i].tokens[k][0]);
      assert_int_equal(t.tokens[k].start, cases[i].tokens[k][1]);
      assert_int_equal(t.tokens[k].end, cases[i].tokens[k][2]);
    }
  }
  lrp_wordpieces_free(&t);
  lrp_wordpiece_close(&tok);
}

/* Inputs of a model's own check. */
static void test_golden_inputs(void **state) {
  lrp_wordpiece *tok = open_shared("data/models/bert-tiny-sst2");
  char *path = shared_path("data/models/bert-tiny-sst2/golden.json");
  json_t *root = json_load_file(path, 0, NULL), *sample, *id;
  lrp_wordpieces t = {0}, input = {0};
  size_t i, k;
  (void)state;

  assert_int_equal(json_array_size(json_object_get(root, "first20")), 20);
  json_array_foreach(json_object_get(root, "first20"), i, sample) {
    const json_t *text = json_object_get(sample, "sentence");
    const json_t *ids = json_object_get(sample, "ids");
    assert_int_equal(
        lrp_wordpiece_encode(tok, json_string_value(text), json_string_length(text), &t), LRP_OK);
    assert_int_equal(lrp_wordpiece_input(tok, &t, NULL, 64, &input), LRP_OK);
    assert_int_equal(input.count, json_array_size(ids));
    json_array_foreach(ids, k, id) {
      assert_int_equal(input.tokens[k].id, json_integer_value(id));
      assert_int_equal(input.tokens[k].type, 0);
    }
  }
  lrp_wordpieces_free(&input);
  lrp_wordpieces_free(&t);
  json_decref(root);
  free(path);
  lrp_wordpiece_close(&tok);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vectors),
      cmocka_unit_test(test_places),
      cmocka_unit_test(test_golden_inputs),
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
