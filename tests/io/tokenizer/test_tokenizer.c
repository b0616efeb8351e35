/* A directory with a small tokenizer.model of known merges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/tokenizer/tokenizer.h"
#include "tests/io/tokenizer/model_writer.h"

#define MARK "\xe2\x96\x81"

/* Ids behind the three marks and the 256 byte pieces. */
enum {
  id_mark = 259,
  id_a,
  id_b,
  id_c,
  id_ab,
  id_bc,
  id_abc,
  id_mark_a,
  id_aa,
  id_mark_mark,
  id_e_acute,
  id_user,
  id_user_longer,
  id_unused,
  id_count
};

static void write_pieces(message *m) {
  put_piece(m, MARK, -10, 1);
  put_piece(m, "a", -11, 1);
  put_piece(m, "b", -12, 1);
  put_piece(m, "c", -13, 1);
  put_piece(m, "ab", -1, 1);
  put_piece(m, "bc", -0.5F, 1);
  put_piece(m, "abc", -2, 1);
  put_piece(m, MARK "a", -3, 1);
  put_piece(m, "aa", -4, 1);
  put_piece(m, MARK MARK, -5, 1);
  put_piece(m, "\xc3\xa9", -14, 1);
  put_piece(m, "[u]", 0, 4);
  put_piece(m, "[u][v]", 0, 4);
  put_piece(m, "cc", -0.1F, 5);
}

/* A temporary directory that holds what a test puts there. */
typedef struct {
  char dir[64];
  char path[96];
} folder;

static const char *path_of(folder *f, const char *name) {
  snprintf(f->path, sizeof f->path, "%s/%s", f->dir, name);
  return f->path;
}

static void make_folder(folder *f) {
  snprintf(f->dir, sizeof f->dir, "/tmp/lrp_test_tokenizer_XXXXXX");
  assert_non_null(mkdtemp(f->dir));
  lrp_failure_clear();
}

static void remove_folder(folder *f) {
  unlink(path_of(f, "tokenizer.model"));
  unlink(path_of(f, "tokenizer.json"));
  unlink(path_of(f, "tokenizer_config.json"));
  assert_int_equal(rmdir(f->dir), 0);
}

static void write_model(folder *f, const message *m) {
  assert_int_equal(lrp_file_write(path_of(f, "tokenizer.model"), m->data, m->size), LRP_OK);
}

static void write_config(folder *f, const char *text) {
  assert_int_equal(lrp_file_write(path_of(f, "tokenizer_config.json"), text, strlen(text)), LRP_OK);
}

static void write_usual_model(folder *f) {
  message m = {.size = 0};

  put_marks(&m);
  put_byte_pieces(&m);
  write_pieces(&m);
  put_trainer(&m, 2, 1, 2);
  write_model(f, &m);
}

static lrp_tokenizer *open_usual(const char *config) {
  lrp_tokenizer *tok = NULL;
  folder f;

  make_folder(&f);
  write_usual_model(&f);
  if (config) write_config(&f, config);
  assert_int_equal(lrp_tokenizer_open(f.dir, &tok), LRP_OK);
  remove_folder(&f); /* nothing is read later */
  return tok;
}

/* The ids of text, without or with special tokens, are exactly these. */
static void expect(const lrp_tokenizer *tok, bool special, const char *text, size_t length,
                   const int32_t *ids, int64_t count) {
  lrp_tokens t = {0};

  assert_int_equal(lrp_tokenizer_encode(tok, text, length, special, &t), LRP_OK);
  if (t.count != count) print_error("\"%s\": %lld ids\n", text, (long long)t.count);
  assert_int_equal(t.count, count);
  for (int64_t i = 0; i < count; i++) {
    if (t.ids[i] != ids[i]) print_error("\"%s\", token %lld\n", text, (long long)i);
    assert_int_equal(t.ids[i], ids[i]);
  }
  lrp_tokens_free(&t);
}

#define EXPECT(tok, special, text, ...)                                              \
  do {                                                                               \
    const int32_t ids_[] = {__VA_ARGS__};                                            \
    expect(tok, special, text, sizeof text - 1, ids_, sizeof ids_ / sizeof ids_[0]); \
  } while (0)

static int setup(void **state) {
  *state = open_usual(NULL);
  return 0;
}

static int teardown(void **state) {
  lrp_tokenizer *tok = *state;
  lrp_tokenizer_close(&tok);
  return tok ? 1 : 0;
}

static void test_facts(void **state) {
  const lrp_tokenizer *tok = *state;

  assert_int_equal(lrp_tokenizer_bos(tok), 1);
  assert_int_equal(lrp_tokenizer_eos(tok), 2);
  assert_int_equal(lrp_tokenizer_size(tok), id_count);
  assert_string_equal(lrp_tokenizer_file(tok), "tokenizer.model");
}

static void test_merges(void **state) {
  const lrp_tokenizer *tok = *state;

  EXPECT(tok, false, "abc", id_mark, id_abc); /* bc (-0.5), then abc (-2), not _a (-3) */
  EXPECT(tok, false, "ab", id_mark, id_ab);
  EXPECT(tok, false, "ac", id_mark_a, id_c);
  EXPECT(tok, false, "baaa", id_mark, id_b, id_aa, id_a); /* the leftmost of equal ones */
  EXPECT(tok, false, "aaa", id_mark_a, id_aa);
  EXPECT(tok, false, "b a", id_mark, id_b, id_mark_a);
  EXPECT(tok, false, " a", id_mark, id_mark_a); /* the text's own space is kept */
  EXPECT(tok, false, "  ", id_mark_mark, id_mark);
  EXPECT(tok, false, MARK "a", id_mark, id_mark_a); /* as if it were a space */
}

static void test_bytes(void **state) {
  const lrp_tokenizer *tok = *state;

  EXPECT(tok, false, "\n", id_mark, 3 + 10);
  EXPECT(tok, false, "\xc3\xa9", id_mark, id_e_acute);
  EXPECT(tok, false, "\xc3\xa8", id_mark, 3 + 0xc3, 3 + 0xa8);
  EXPECT(tok, false, "a\0b", id_mark_a, 3, id_b);
  EXPECT(tok, false,
         "\xff"
         "ab",
         id_mark, 3 + 0xff, id_ab);                            /* never in UTF-8 */
  EXPECT(tok, false, "\xc3", id_mark, 3 + 0xc3);               /* cut off */
  EXPECT(tok, false, "\xc1\xa1", id_mark, 3 + 0xc1, 3 + 0xa1); /* overlong "a" */
  EXPECT(tok, false, "cc", id_mark, id_c, id_c);               /* UNUSED: as absent */
}

static void test_special_tokens(void **state) {
  const lrp_tokenizer *tok = *state;

  EXPECT(tok, true, "abc", 1, id_mark, id_abc);
  EXPECT(tok, true, "", 1);
  expect(tok, false, "", 0, NULL, 0);
  EXPECT(tok, true, "<s>abc", 1, id_mark, id_abc); /* its own BOS, no second one */
  EXPECT(tok, true, "abc<s>", 1, id_mark, id_abc, 1);
  EXPECT(tok, true, "<s", 1, id_mark, 3 + '<', 3 + 's');
  EXPECT(tok, false, "ab</s>a", id_mark, id_ab, 2, id_mark_a); /* a prefix on both sides */
  EXPECT(tok, false, "</s></s>", 2, 2);
  EXPECT(tok, false, "</s> a", 2, id_mark, id_mark_a);
  EXPECT(tok, false, "a<unk>", id_mark_a, 0);
  EXPECT(tok, false, "<0x61>", id_mark, 3 + '<', 3 + '0', 3 + 'x', 3 + '6', 3 + '1', 3 + '>');
  EXPECT(tok, false, "a[u]c", id_mark_a, id_user, id_mark, id_c);
  EXPECT(tok, false, "[u][v]", id_user_longer); /* the longest */
  EXPECT(tok, false, "[u][u][v]", id_user, id_user_longer);
}

static void test_appends(void **state) {
  const lrp_tokenizer *tok = *state;
  lrp_tokens t = {0};

  assert_int_equal(lrp_tokenizer_encode(tok, "ab", 2, true, &t), LRP_OK);
  assert_int_equal(lrp_tokenizer_encode(tok, "a", 1, false, &t), LRP_OK);
  assert_int_equal(t.count, 4);
  assert_int_equal(t.ids[0], 1);
  assert_int_equal(t.ids[2], id_ab);
  assert_int_equal(t.ids[3], id_mark_a);
  lrp_tokens_free(&t);
  assert_null(t.ids);
  assert_int_equal(t.count, 0);
}

static void decodes(const lrp_tokenizer *tok, const int32_t *ids, int64_t count,
                    const char *expected) {
  char *text = NULL;

  assert_int_equal(lrp_tokenizer_decode(tok, ids, count, &text), LRP_OK);
  assert_string_equal(text, expected);
  free(text);
}

#define DECODES(tok, expected, ...)                             \
  do {                                                          \
    const int32_t ids_[] = {__VA_ARGS__};                       \
    decodes(tok, ids_, sizeof ids_ / sizeof ids_[0], expected); \
  } while (0)

static void test_decode(void **state) {
  const lrp_tokenizer *tok = *state;

  decodes(tok, NULL, 0, "");
  DECODES(tok, "abc", 1, id_mark, id_abc, 2);
  DECODES(tok, "a a", id_mark_a, id_mark_a);
  DECODES(tok, " a", id_mark, id_mark_a); /* one space only */
  DECODES(tok, " ", id_mark_mark);
  DECODES(tok, "a", 0, id_a, id_count, -1, 1 << 30); /* UNK and numbers that are no ids */
  DECODES(tok, "[u][u][v]", id_user, id_user_longer);
  DECODES(tok, "\xc3\xa8", 3 + 0xc3, 3 + 0xa8);
  DECODES(tok, "\xc3\xa8", 3 + 0xc3, 1, 3 + 0xa8); /* a skipped token is not there */
  DECODES(tok,
          "\xef\xbf\xbd"
          "a\xef\xbf\xbd",
          3 + 0xc3, id_a, 3 + 0xa8);
  DECODES(tok,
          "\xef\xbf\xbd\xef\xbf\xbd"
          "b",
          3 + 'a', 3 + 0xff, id_b); /* one bad: all */
  DECODES(tok,
          "a\xef\xbf\xbd"
          "b",
          3 + 'a', 3, 3 + 'b'); /* NUL */
  DECODES(tok, "a", 3 + ' ', 3 + 'a');
}

static void test_round_trip(void **state) {
  static const char text[] = " a b\n\nc  caf\xc3\xa9 \xf0\x9f\xa6\x99 \t aab ";
  const lrp_tokenizer *tok = *state;
  lrp_tokens t = {0};

  assert_int_equal(lrp_tokenizer_encode(tok, text, sizeof text - 1, true, &t), LRP_OK);
  decodes(tok, t.ids, t.count, text);
  lrp_tokens_free(&t);
}

/* Words are merged one by one where no piece crosses them; here one does. */
static void test_piece_across_words(void **state) {
  message m = {.size = 0};
  lrp_tokenizer *tok = NULL;
  folder f;
  (void)state;

  put_marks(&m);
  put_byte_pieces(&m);
  write_pieces(&m);
  put_piece(&m, "c" MARK "a", -0.2F, 1);
  put_trainer(&m, 2, 1, 2);
  make_folder(&f);
  write_model(&f, &m);
  assert_int_equal(lrp_tokenizer_open(f.dir, &tok), LRP_OK);
  EXPECT(tok, false, "c a", id_mark, id_count); /* c, _a: merged after _a */
  lrp_tokenizer_close(&tok);
  remove_folder(&f);
}

static void test_without_byte_pieces(void **state) {
  enum { mark = 3, a = 4, byte_x = 5 };
  message m = {.size = 0};
  lrp_tokenizer *tok = NULL;
  folder f;
  (void)state;

  put_marks(&m);
  put_piece(&m, MARK, -1, 1);
  put_piece(&m, "a", -2, 1);
  put_piece(&m, "<0x78>", 0, 6);
  put_trainer(&m, 2, -1, -1);
  make_folder(&f);
  write_model(&f, &m);
  assert_int_equal(lrp_tokenizer_open(f.dir, &tok), LRP_OK);
  assert_int_equal(lrp_tokenizer_bos(tok), -1);
  assert_int_equal(lrp_tokenizer_eos(tok), -1);
  EXPECT(tok, true, "a", mark, a); /* no BOS to add */
  EXPECT(tok, false, "aqqa", mark, a, 0, a);
  EXPECT(tok, false, "\xc3\xa9\xf0\x9f\xa6\x99\xff", mark, 0);
  EXPECT(tok, false, "qxq q", mark, 0, byte_x, 0, mark, 0);
  EXPECT(tok, false, "q</s>q", mark, 0, 2, mark, 0);
  lrp_tokenizer_close(&tok);
  remove_folder(&f);
}

static void test_config(void **state) {
  lrp_tokenizer *tok;
  (void)state;

  tok = open_usual("{\"add_bos_token\": false, \"add_eos_token\": true}");
  EXPECT(tok, true, "ab", id_mark, id_ab, 2);
  EXPECT(tok, true, "", 2);
  EXPECT(tok, true, "<s>ab", 1, id_mark, id_ab); /* starts with BOS: nothing is added */
  EXPECT(tok, false, "ab", id_mark, id_ab);
  lrp_tokenizer_close(&tok);

  tok = open_usual(
      "{\"model_max_length\": 1000000000000000019884624838656, \"add_bos_token\": null}");
  EXPECT(tok, true, "ab", 1, id_mark, id_ab);
  lrp_tokenizer_close(&tok);
}

static void refuses(folder *f, lrp_status expected, const char *text) {
  lrp_tokenizer *tok = (lrp_tokenizer *)f; /* something that is not NULL */
  const char *said;

  lrp_failure_clear();
  assert_int_equal(lrp_tokenizer_open(f->dir, &tok), expected);
  assert_null(tok);
  said = lrp_failure_message(expected);
  assert_non_null(said);
  if (!strstr(said, text)) fail_msg("\"%s\" lacks \"%s\"", said, text);
  lrp_failure_clear();
}

static void test_refuses(void **state) {
  folder f;
  folder nowhere = {.dir = "/tmp/lrp_test_tokenizer/nowhere"};
  (void)state;

  refuses(&nowhere, LRP_ERR_ABSENT, "tokenizer.model");
  make_folder(&f);
  refuses(&f, LRP_ERR_ABSENT, "tokenizer.model");
  assert_int_equal(lrp_file_write(path_of(&f, "tokenizer.json"), "{}", 2), LRP_OK);
  refuses(&f, LRP_ERR_DATA, "model: expected an object");
  unlink(path_of(&f, "tokenizer.json"));
  assert_int_equal(lrp_file_write(path_of(&f, "tokenizer.model"), "", 0), LRP_OK);
  refuses(&f, LRP_ERR_DATA, "holds no pieces");
  assert_int_equal(lrp_file_write(path_of(&f, "tokenizer.model"), "version https://git-lfs", 23),
                   LRP_OK);
  refuses(&f, LRP_ERR_DATA, "not a SentencePiece model");
  write_usual_model(&f);
  write_config(&f, "{\"add_bos_token\": \"yes\"}");
  refuses(&f, LRP_ERR_DATA, "add_bos_token: expected true or false");
  write_config(&f, "{\"add_eos_token\": 1}");
  refuses(&f, LRP_ERR_DATA, "add_eos_token: expected true or false");
  write_config(&f, "[]");
  refuses(&f, LRP_ERR_DATA, "tokenizer_config.json: expected a JSON object");
  write_config(&f, "{\n\"add_bos_token\" true}");
  refuses(&f, LRP_ERR_DATA, "tokenizer_config.json:2:");
  remove_folder(&f);
}

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* 5 MB of one character is one word: a quadratic loop would take hours. */
static void test_long_word(void **state) {
  enum { n = 5000001 };
  const lrp_tokenizer *tok = *state;
  const double start_s = now_s();
  lrp_tokens t = {0};
  char *text = malloc(n);

  assert_non_null(text);
  memset(text, 'a', n);
  assert_int_equal(lrp_tokenizer_encode(tok, text, n, false, &t), LRP_OK);
  assert_int_equal(t.count, 1 + (n - 1) / 2);
  assert_int_equal(t.ids[0], id_mark_a);
  for (int64_t i = 1; i < t.count; i++) assert_true(t.ids[i] == id_aa);
  print_message("5 MB of one character: %.2f s\n", now_s() - start_s);
  assert_true(now_s() - start_s < 60.0);
  lrp_tokens_free(&t);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_facts),
      cmocka_unit_test(test_merges),
      cmocka_unit_test(test_bytes),
      cmocka_unit_test(test_special_tokens),
      cmocka_unit_test(test_appends),
      cmocka_unit_test(test_decode),
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_piece_across_words),
      cmocka_unit_test(test_without_byte_pieces),
      cmocka_unit_test(test_config),
      cmocka_unit_test(test_refuses),
      cmocka_unit_test(test_long_word),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
