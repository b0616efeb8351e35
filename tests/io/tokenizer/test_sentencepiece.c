/* tokenizer.model as untrusted input: what is wrong is refused, and nothing reads past the end
 * (every case is a copy of exactly its size, for AddressSanitizer to watch). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/tokenizer/decode.h"
#include "io/tokenizer/encode.h"
#include "io/tokenizer/sentencepiece.h"
#include "tests/io/tokenizer/model_writer.h"

static lrp_status read_copy(const void *bytes, size_t size, lrp_rules *r) {
  char *data = malloc(size > 0 ? size : 1);

  assert_non_null(data);
  memcpy(data, bytes, size);
  lrp_failure_clear();
  return lrp_sentencepiece_read(data, size, "dir/tokenizer.model", r);
}

/* The model is refused as bad data, with this in the message. */
static void assert_refused(const message *m, const char *text) {
  lrp_rules r;

  assert_int_equal(read_copy(m->data, m->size, &r), LRP_ERR_DATA);
  assert_non_null(lrp_failure_message(LRP_ERR_DATA));
  if (!strstr(lrp_failure_message(LRP_ERR_DATA), text)) {
    fail_msg("\"%s\" lacks \"%s\"", lrp_failure_message(LRP_ERR_DATA), text);
  }
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_DATA), "dir/tokenizer.model"));
  lrp_rules_free(&r);
}

static void start(message *m) {
  m->size = 0;
  put_marks(m);
  put_piece(m, "a", -1, 1);
  put_piece(m, "b", -2, 1);
  put_piece(m, "ab", -0.5F, 1);
}

static void finish(message *m) {
  put_trainer(m, 2, 1, 2);
}

static void test_reads_what_is_there(void **state) {
  message m;
  lrp_rules r;
  (void)state;

  start(&m);
  put_piece(&m, "equal", -0.0F, 1);
  put_piece(&m, "to zero", 0.0F, 1);
  put_piece(&m, "high", 3.5F, 4);
  put_bytes(&m, 3, "normalizer", 10); /* not looked into */
  put_number(&m, 200, 7);             /* unknown fields of every wire type */
  put_float(&m, 201, 1);
  put_key(&m, 202, 1);
  m.size += 8;
  finish(&m);
  assert_int_equal(read_copy(m.data, m.size, &r), LRP_OK);
  assert_int_equal(r.vocab.count, 9);
  assert_int_equal(r.vocab.unk, 0);
  assert_int_equal(r.vocab.bos, 1);
  assert_int_equal(r.vocab.eos, 2);
  assert_int_equal(lrp_vocab_find(&r.vocab, "ab", 2), 5);
  assert_int_equal(lrp_vocab_find(&r.vocab, "ba", 2), -1);
  assert_int_equal(lrp_vocab_find_mergeable(&r.vocab, "ab", 2), 5);
  assert_int_equal(lrp_vocab_find_mergeable(&r.vocab, "<s>", 3), -1);
  assert_int_equal(lrp_text_set_prefix(&r.added.raw, "</s> and more", 13)->length, 4);
  assert_null(lrp_text_set_prefix(&r.added.raw, "</s", 3));
  /* 3.5 > 0 = -0 > -0.5 > -1 > -2 */
  assert_true(r.vocab.pieces[8].rank < r.vocab.pieces[6].rank);
  assert_int_equal(r.vocab.pieces[6].rank, r.vocab.pieces[7].rank);
  assert_true(r.vocab.pieces[6].rank < r.vocab.pieces[5].rank);
  assert_true(r.vocab.pieces[5].rank < r.vocab.pieces[3].rank);
  assert_true(r.vocab.pieces[3].rank < r.vocab.pieces[4].rank);
  lrp_rules_free(&r);
}

static void test_ids_of_bos_and_eos(void **state) {
  message m;
  lrp_rules r;
  (void)state;

  start(&m);
  put_trainer(&m, 2, -1, 4); /* no BOS; EOS is said to be "b", a NORMAL piece */
  assert_int_equal(read_copy(m.data, m.size, &r), LRP_OK);
  assert_int_equal(r.vocab.bos, -1);
  assert_int_equal(r.vocab.eos, -1);
  lrp_rules_free(&r);

  start(&m);
  put_trainer(&m, 2, 2, 1);
  assert_int_equal(read_copy(m.data, m.size, &r), LRP_OK);
  assert_int_equal(r.vocab.bos, 2);
  assert_int_equal(r.vocab.eos, 1);
  lrp_rules_free(&r);

  start(&m); /* the defaults of the format: 1 and 2 */
  put_bytes(&m, 2, "\x18\x02", 2);
  assert_int_equal(read_copy(m.data, m.size, &r), LRP_OK);
  assert_int_equal(r.vocab.bos, 1);
  assert_int_equal(r.vocab.eos, 2);
  lrp_rules_free(&r);

  start(&m);
  put_trainer(&m, 2, 6, 2);
  assert_refused(&m, "trainer_spec.bos_id is 6, but the file has 6 pieces");
  start(&m);
  put_trainer(&m, 2, 1, -2);
  assert_refused(&m, "trainer_spec.eos_id is -2");
}

static void test_refuses_other_models(void **state) {
  message m;
  (void)state;

  start(&m);
  put_trainer(&m, 1, 1, 2);
  assert_refused(&m, "is a SentencePiece unigram model; only BPE is supported");
  start(&m); /* no trainer_spec: unigram is the default of the format */
  assert_refused(&m, "is a SentencePiece unigram model; only BPE is supported");
  start(&m);
  put_trainer(&m, 3, 1, 2);
  assert_refused(&m, "is a SentencePiece word model");
  start(&m);
  put_trainer(&m, 4, 1, 2);
  assert_refused(&m, "is a SentencePiece char model");
  start(&m);
  put_trainer(&m, 77, 1, 2);
  assert_refused(&m, "only BPE is supported");
}

static void test_refuses_bad_pieces(void **state) {
  message m;
  (void)state;

  m.size = 0;
  assert_refused(&m, "holds no pieces");
  finish(&m);
  assert_refused(&m, "holds no pieces");
  start(&m);
  put_piece(&m, "ab", -9, 1);
  finish(&m);
  assert_refused(&m, "pieces 5 and 6 are the same");
  start(&m);
  put_piece(&m, "", -9, 1);
  finish(&m);
  assert_refused(&m, "piece 6 is empty");
  start(&m);
  put_bytes(&m, 1, "", 0);
  finish(&m);
  assert_refused(&m, "piece 6 is empty");
  start(&m);
  put_piece(&m, "\xc3", -9, 1);
  finish(&m);
  assert_refused(&m, "piece 6 is not UTF-8");
  start(&m);
  put_bytes(&m, 1, "\x0a\x03x\0y", 5);
  finish(&m);
  assert_refused(&m, "piece 6 holds a NUL");
  start(&m);
  put_piece(&m, "c", NAN, 1);
  finish(&m);
  assert_refused(&m, "a score is NaN");
}

static void test_refuses_bad_types(void **state) {
  static const char *const no_bytes[] = {"<0x0a>", "<0x0>",  "<0x000>",
                                         "x0x00>", "<0x00)", "<0xG0>"};
  message m;
  (void)state;

  for (int type = 7; type < 9; type++) {
    start(&m);
    put_piece(&m, "c", 0, type);
    finish(&m);
    assert_refused(&m, "a piece has an unknown type");
  }
  start(&m);
  put_piece(&m, "c", 0, 0);
  finish(&m);
  assert_refused(&m, "a piece has an unknown type");
  for (size_t i = 0; i < sizeof no_bytes / sizeof *no_bytes; i++) {
    start(&m);
    put_piece(&m, no_bytes[i], 0, 6);
    finish(&m);
    assert_refused(&m, "piece 6 has the type BYTE");
  }
  start(&m);
  put_piece(&m, "<unk2>", 0, 2);
  finish(&m);
  assert_refused(&m, "piece 6 is a second one of type UNKNOWN");
  m.size = 0;
  put_piece(&m, "a", 0, 1);
  put_piece(&m, "<s>", 0, 3);
  put_piece(&m, "</s>", 0, 3);
  finish(&m);
  assert_refused(&m, "no piece has the type UNKNOWN");
}

/* Broken encodings, each put behind good pieces. */
static void test_refuses_bad_encodings(void **state) {
  static const struct {
    const char *bytes;
    size_t size;
    const char *message;
  } cases[] = {
      {"\x0a", 1, "cut off"},     /* key, no length */
      {"\x0a\xff", 2, "cut off"}, /* half a length */
      {"\x0a\x05"
       "abc",
       5, "longer than what is left"},
      {"\x0a\x80\xad\xe2\x04", 5, "longer than what is left"},             /* 10,000,000 */
      {"\x0a\xff\xff\xff\xff\x0f", 6, "longer than what is left"},         /* 2^32 - 1 */
      {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "longer than"}, /* 2^64 - 1 */
      {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, "64 bits"},     /* more than that */
      {"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 12, "64 bits"}, /* 11 bytes of zero */
      {"\x02\x00", 2, "field number"},                                     /* field 0 */
      {"\x82\x80\x80\x80\x10\x00", 6, "field number"},                     /* field 2^29 */
      {"\x08\x01", 2, "wrong wire type"},                                  /* pieces: a number */
      {"\x0d\x00\x00\x00\x00", 5, "wrong wire type"},
      {"\x12\x02\x1a\x00", 4, "wrong wire type"}, /* model_type: a string */
      {"\x0b\x0c", 2, "wire type"},               /* groups */
      {"\x0e", 1, "wire type"},
      {"\x0f", 1, "wire type"},
      {"\x0a\x03\x0a\x05"
       "a",
       5, "longer than what is left"},                        /* past its own piece */
      {"\x0a\x02\x08\x01", 4, "wrong wire type"},             /* piece: a number */
      {"\x0a\x03\x12\x01\x00", 5, "wrong wire type"},         /* score: a string */
      {"\x0a\x04\x15\x00\x00\x00", 6, "cut off"},             /* 3 bytes of a float */
      {"\x0a\x05\x1d\x00\x00\x00\x00", 7, "wrong wire type"}, /* type: a float */
      {"\x99\x06\x00\x00\x00\x00\x00\x00\x00", 9, "cut off"}, /* 7 bytes of 8 */
  };
  message m;
  (void)state;

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    start(&m);
    finish(&m);
    memcpy(m.data + m.size, cases[i].bytes, cases[i].size);
    m.size += cases[i].size;
    assert_refused(&m, cases[i].message);
  }
}

static void test_refuses_every_truncation(void **state) {
  message m;
  (void)state;

  start(&m);
  finish(&m); /* last, so that no proper prefix is complete */
  for (size_t size = 0; size < m.size; size++) {
    message part = m;
    part.size = size;
    assert_refused(&part, "");
  }
}

/* Whatever a damaged file reads as, using it is safe. */
static void use(const lrp_rules *r) {
  static const char text[] = "ab <s>a\xff\xe2\x96\x81 caf\xc3\xa9 </s> bab<unk>";
  lrp_tokens tokens = {0};
  char *back = NULL;

  assert_int_equal(lrp_rules_encode(r, text, sizeof text - 1, &tokens), LRP_OK);
  for (int64_t i = 0; i < tokens.count; i++) {
    assert_true(tokens.ids[i] >= 0 && tokens.ids[i] < r->vocab.count);
  }
  assert_int_equal(lrp_rules_decode(r, tokens.ids, tokens.count, &back), LRP_OK);
  assert_true(lrp_utf8_valid(back, strlen(back)));
  free(back);
  lrp_tokens_free(&tokens);
}

static void test_survives_flipped_bytes(void **state) {
  message m;
  uint32_t random = 7;
  int read = 0;
  (void)state;

  start(&m);
  put_piece(&m, "<0x61>", 0, 6);
  put_piece(&m, "<0xFF>", 0, 6);
  put_piece(&m, "<user>", 0, 4);
  put_piece(&m,
            "\xe2\x96\x81"
            "a",
            0.5F, 1);
  finish(&m);
  for (int trial = 0; trial < 20000; trial++) {
    message copy = m;
    lrp_rules r;
    for (int flips = 1 + trial % 4; flips > 0; flips--) {
      random = random * 1664525U + 1013904223U;
      copy.data[(random >> 8) % copy.size] = (unsigned char)(random >> 24);
    }
    if (read_copy(copy.data, copy.size, &r) == LRP_OK) {
      use(&r);
      read++;
    }
    lrp_rules_free(&r);
  }
  assert_true(read > 1000); /* texts and scores may change: the loop above was entered */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reads_what_is_there),
      cmocka_unit_test(test_ids_of_bos_and_eos),
      cmocka_unit_test(test_refuses_other_models),
      cmocka_unit_test(test_refuses_bad_pieces),
      cmocka_unit_test(test_refuses_bad_types),
      cmocka_unit_test(test_refuses_bad_encodings),
      cmocka_unit_test(test_refuses_every_truncation),
      cmocka_unit_test(test_survives_flipped_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
