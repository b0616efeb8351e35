/* tokenizer.json made from Llama 2's tokenizer.model, with the merges that Hugging Face's converter
 * lists, in the old form and in the new one: the same vectors. Needs the shared data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/tokenizer/sentencepiece.h"
#include "io/tokenizer/tokenizer.h"

#define MARK "\xe2\x96\x81"

enum { max_bytes = 1 << 26 };

static char *read_shared(const char *name, size_t *size) {
  char *path = lrp_path_join(getenv("LRP_SHARED"), name);
  char *data = NULL;

  assert_non_null(path);
  assert_int_equal(lrp_file_read(path, max_bytes, &data, size), LRP_OK);
  free(path);
  return data;
}

typedef struct {
  uint32_t rank;
  int32_t left, right;
} merge;

static int by_rank(const void *a, const void *b) {
  const merge *x = a;
  const merge *y = b;
  if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
  if (x->left != y->left) return x->left < y->left ? -1 : 1;
  return (x->right > y->right) - (x->right < y->right);
}

/* Each piece that is two pieces in a row, in every way that it is. */
static merge *find_merges(const lrp_vocab *v, size_t *count) {
  size_t n = 0, capacity = 1 << 20;
  merge *all = malloc(capacity * sizeof *all);

  assert_non_null(all);
  for (int32_t id = 0; id < v->count; id++) {
    const lrp_piece *p = &v->pieces[id];
    for (uint32_t cut = 1; cut < p->length && p->mergeable; cut++) {
      const int32_t left = lrp_vocab_find_mergeable(v, p->text, cut);
      const int32_t right = lrp_vocab_find_mergeable(v, p->text + cut, p->length - cut);
      if (left < 0 || right < 0) continue;
      assert_true(n < capacity);
      all[n++] = (merge){.rank = p->rank, .left = left, .right = right};
    }
  }
  qsort(all, n, sizeof *all, by_rank);
  *count = n;
  return all;
}

static json_t *text_of(const lrp_vocab *v, int32_t id) {
  return json_stringn(v->pieces[id].text, v->pieces[id].length);
}

static json_t *make_merges(const lrp_vocab *v, bool lists) {
  size_t n;
  merge *all = find_merges(v, &n);
  json_t *array = json_array();

  assert_true(n > 50000);
  for (size_t i = 0; i < n; i++) {
    json_t *left = text_of(v, all[i].left);
    json_t *right = text_of(v, all[i].right);
    json_t *both = lists ? json_pack("[O, O]", left, right)
                         : json_sprintf("%s %s", json_string_value(left), json_string_value(right));
    assert_int_equal(json_array_append_new(array, both), 0);
    json_decref(left);
    json_decref(right);
  }
  free(all);
  return array;
}

static json_t *make_tokenizer(const lrp_vocab *v, bool metaspace) {
  json_t *vocab = json_object(), *added = json_array();

  for (int32_t id = 0; id < v->count; id++) {
    json_t *text = text_of(v, id);
    json_object_set_new(vocab, json_string_value(text), json_integer(id));
    if (id < 3) {
      json_array_append_new(added, json_pack("{s:i, s:O, s:b, s:b}", "id", id, "content", text,
                                             "special", 1, "normalized", 0));
    }
    json_decref(text);
  }
  return json_pack(
      "{s:o, s:{s:s, s:[{s:s, s:s}, {s:s, s:{s:s}, s:s}]}, s:o, s:{s:s, s:s, s:b, s:b, s:o, s:o}}",
      "added_tokens", added, "normalizer", "type", "Sequence", "normalizers", "type", "Prepend",
      "prepend", metaspace ? "" : MARK, "type", "Replace", "pattern", "String", " ", "content",
      MARK, "pre_tokenizer",
      metaspace ? json_pack("{s:s, s:s, s:s, s:b}", "type", "Metaspace", "replacement", MARK,
                            "prepend_scheme", "always", "split", 0)
                : json_null(),
      "model", "type", "BPE", "unk_token", "<unk>", "byte_fallback", 1, "fuse_unk", 1, "vocab",
      vocab, "merges", make_merges(v, metaspace));
}

static lrp_tokenizer *derive(bool metaspace) {
  char dir[] = "/tmp/lrp_test_tokenizer_derived_XXXXXX";
  char path[sizeof dir + 32];
  size_t size;
  char *data = read_shared("data/tokenizers/llama2/tokenizer.model", &size);
  lrp_tokenizer *tok = NULL;
  lrp_rules model;
  json_t *json;

  assert_int_equal(lrp_sentencepiece_read(data, size, "tokenizer.model", &model), LRP_OK);
  json = make_tokenizer(&model.vocab, metaspace);
  assert_non_null(json);
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/tokenizer.json", dir);
  assert_int_equal(json_dump_file(json, path, metaspace ? JSON_ENSURE_ASCII : 0), 0);
  json_decref(json);
  lrp_rules_free(&model);
  assert_int_equal(lrp_tokenizer_open(dir, &tok), LRP_OK);
  unlink(path);
  assert_int_equal(rmdir(dir), 0);
  return tok;
}

static void check_ids(const lrp_tokenizer *tok, const char *text, size_t length, const char *line) {
  lrp_tokens t = {0};

  assert_int_equal(lrp_tokenizer_encode(tok, text, length, false, &t), LRP_OK);
  for (int64_t i = 0; i < t.count; i++) {
    char *end;
    assert_int_equal(strtol(line, &end, 10), t.ids[i]);
    line = end;
  }
  assert_int_equal(*(line + strspn(line, " ")), '\n');
  lrp_tokens_free(&t);
}

/* Metaspace puts no mark in front of a space: such vectors are for the old form. */
static void check_vectors(bool metaspace, int expected) {
  static const char separator[] = "\n__ggml_vocab_test__\n";
  size_t size;
  char *texts = read_shared("data/tokenizers/llama2/vectors.inp", &size);
  char *lines = read_shared("data/tokenizers/llama2/vectors.out", &size);
  lrp_tokenizer *tok = derive(metaspace);
  const char *text = texts, *line = lines;
  int done = 0;

  assert_int_equal(lrp_tokenizer_size(tok), 32000);
  for (;;) {
    const char *end = strstr(text, separator);
    const size_t length = end ? (size_t)(end - text) : strlen(text);
    if (!metaspace || text[0] != ' ') {
      check_ids(tok, text, length, *line ? line : "\n");
      done++;
    }
    if (!end) break;
    text = end + sizeof separator - 1;
    line += strcspn(line, "\n");
    if (*line) line++;
  }
  assert_int_equal(done, expected);
  lrp_tokenizer_close(&tok);
  free(lines);
  free(texts);
}

static void test_old_form(void **state) {
  (void)state;
  check_vectors(false, 47);
}

static void test_new_form(void **state) {
  (void)state;
  check_vectors(true, 32);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_old_form),
                                     cmocka_unit_test(test_new_form)};
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
