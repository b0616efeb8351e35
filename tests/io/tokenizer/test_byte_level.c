/* Byte-level BPE of small tokenizer.json files: text to ids. Expected ids are those of Hugging
 * Face's tokenizers 0.20.3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/io/tokenizer/byte_level_files.h"

typedef struct {
  const char *normalizer, *pre_tokenizer; /* NULL: null */
  bool ignore_merges;
  const char *text;
  size_t length; /* 0: that of the string */
  int64_t count;
  int32_t ids[12];
} fact;

static const fact splits[] = {
    {NULL, GPT2, false, "hello world", 0, 2, {259, 264}},
    {NULL, GPT2, false, "hello  world's", 0, 4, {259, 32, 264, 269}},
    {NULL, GPT2, false, "", 0, 0, {0}},
    {NULL, GPT2, false, "  \012\012 x", 0, 4, {267, 271, 32, 120}},
    {NULL, GPT2, false, "hello123", 0, 2, {259, 266}},
    {NULL, GPT2, false, "I'S\305\277", 0, 5, {73, 39, 83, 197, 191}},
    {NULL,
     GPT2,
     false,
     "\303\251\342\200\215\360\237\246\231",
     0,
     8,
     {270, 226, 128, 141, 240, 159, 166, 153}},
    {NULL, GPT2, false, "a<|end|>hello", 0, 3, {97, 300, 259}},
    {NULL, GPT2, false, "x\000\177\302\255", 5, 5, {120, 0, 127, 194, 173}},
    {NULL, GPT2_PREFIX, false, "hello", 0, 2, {32, 259}},
    {NULL, GPT2_PREFIX, false, " hello", 0, 2, {32, 259}},
    {NULL, GPT2_PREFIX, false, "hello<|end|>hello", 0, 5, {32, 259, 300, 32, 259}},
    {NULL, LIST(LLAMA3 "," BYTES), true, "hello123 12345", 0, 6, {259, 266, 32, 266, 52, 53}},
    {NULL, LIST(LLAMA3 "," BYTES), true, "'\305\277 'S", 0, 6, {39, 197, 191, 32, 39, 83}},
    {NULL, LIST(LLAMA3 "," BYTES), true, "!!\012\012 hello", 0, 4, {33, 33, 271, 274}},
    {NULL,
     LIST(LLAMA3 "," BYTES),
     true,
     "hello\015\012\015\012  x",
     0,
     8,
     {259, 13, 10, 13, 10, 32, 32, 120}},
    {NULL, LIST(LLAMA3 "," BYTES), true, "(hello", 0, 2, {40, 259}},
    {NULL, LIST(SPLIT("hello123", "Isolated") "," BYTES), true, "hello123", 0, 1, {275}},
    {NULL, LIST(SPLIT("hello123", "Isolated") "," BYTES), true, "hello1234", 0, 2, {275, 52}},
    {NULL, LIST(DIGITS("true") "," GPT2), false, "a123 12", 0, 7, {97, 49, 50, 51, 32, 49, 50}},
    {NULL,
     LIST(DIGITS("true") "," GPT2),
     false,
     "\302\275\302\262\342\205\2471",
     0,
     8,
     {194, 189, 194, 178, 226, 133, 167, 49}},
    {NULL, LIST(DIGITS("false") "," GPT2), false, "a123 12", 0, 4, {97, 266, 32, 265}},
    {NULL,
     LIST("{`type`:`Punctuation`,`behavior`:`Contiguous`}," GPT2
          "," DIGITS("false") "," SPLIT("[0-9][0-9][0-9]", "Isolated")),
     false,
     "hello!!123123 12",
     0,
     7,
     {259, 33, 33, 266, 266, 32, 265}},
    {NULL,
     LIST("{`type`:`Punctuation`,`behavior`:`Contiguous`}," GPT2
          "," DIGITS("false") "," SPLIT("[0-9][0-9][0-9]", "Isolated")),
     false,
     "\342\200\234hello\342\200\235$^\303\251",
     0,
     10,
     {226, 128, 156, 259, 226, 128, 157, 36, 94, 270}},
    {NULL, LIST(GPT2 "," GPT2_PREFIX), false, "h\303\251", 0, 6, {32, 104, 195, 131, 194, 169}},
    {NULL,
     LIST(SPLIT("\\\\s+", "Removed") "," BYTES),
     false,
     "hello  world",
     0,
     4,
     {259, 119, 261, 263}},
    {NULL,
     LIST(INVERTED("\\\\w+", "Removed") "," BYTES),
     false,
     "hello, world!",
     0,
     4,
     {259, 119, 261, 263}},
    {NULL,
     LIST(CUT("l", "MergedWithPrevious") "," BYTES),
     false,
     "hello",
     0,
     4,
     {256, 108, 108, 111}},
    {NULL,
     LIST(CUT("l", "MergedWithPrevious") "," BYTES),
     false,
     "llhel",
     0,
     4,
     {108, 108, 256, 108}},
    {NULL, LIST(CUT("l", "MergedWithNext") "," BYTES), false, "hello", 0, 4, {256, 108, 108, 111}},
    {NULL, LIST(CUT("l", "MergedWithNext") "," BYTES), false, "helll", 0, 4, {256, 108, 108, 108}},
    {NULL, LIST(CUT("l", "Contiguous") "," BYTES), false, "hello", 0, 3, {256, 257, 111}},
    {NULL,
     LIST(SPLIT("x*|(?=e)", "Isolated") "," BYTES),
     false,
     "hello",
     0,
     5,
     {104, 101, 108, 108, 111}},
    {NULL,
     LIST(TYPE("Whitespace") "," BYTES),
     false,
     "he-llo  world\302\240hello",
     0,
     8,
     {256, 45, 257, 111, 119, 261, 263, 259}},
    {NULL,
     LIST(TYPE("WhitespaceSplit") "," GPT2_PREFIX),
     false,
     "hello  world\343\200\200x",
     0,
     5,
     {32, 259, 264, 32, 120}},
    {NULL,
     LIST(TYPE("BertPreTokenizer") "," BYTES),
     false,
     "he.llo world",
     0,
     7,
     {256, 46, 257, 111, 119, 261, 263}},
    {NULL,
     LIST("{`type`:`CharDelimiterSplit`,`delimiter`:`l`}," BYTES),
     false,
     "hello",
     0,
     2,
     {256, 111}},
    {NULL, BYTES, false, "hello world hello", 0, 4, {259, 264, 32, 259}},
};

static const fact normals[] = {
    {TYPE("NFC"), GPT2, false, "e\314\201", 0, 1, {270}},
    {TYPE("NFC"), GPT2, false, "E\314\201te\314\201", 0, 1, {301}},
    {TYPE("NFC"), GPT2, false, "a\314\201\314\243e", 0, 6, {225, 186, 161, 204, 129, 101}},
    {TYPE("NFC"), GPT2, false, "\341\204\200\341\205\241\341\206\250", 0, 3, {234, 176, 129}},
    {TYPE("NFC"), GPT2, false, "\357\254\201\303\205", 0, 5, {239, 172, 129, 195, 133}},
    {TYPE("NFD"), GPT2, false, "\303\251", 0, 3, {101, 204, 129}},
    {TYPE("NFD"), GPT2, false, "\352\260\201", 0, 9, {225, 132, 128, 225, 133, 161, 225, 134, 168}},
    {TYPE("NFD"), GPT2, false, "\315\204", 0, 4, {204, 136, 204, 129}},
    {TYPE("NFKC"), GPT2, false, "\357\254\201\342\221\240", 0, 3, {102, 105, 49}},
    {TYPE("NFKC"), GPT2, false, "\357\275\210ello", 0, 1, {259}},
    {TYPE("NFKD"), GPT2, false, "\357\254\201\303\251", 0, 5, {102, 105, 101, 204, 129}},
    {TYPE("Lowercase"),
     GPT2,
     false,
     "HELLO \304\260\316\243",
     0,
     7,
     {259, 32, 105, 204, 135, 207, 131}},
    {"{`type`:`Strip`,`strip_left`:true,`strip_right`:false}",
     GPT2,
     false,
     " \343\200\200hello ",
     0,
     2,
     {259, 32}},
    {"{`type`:`Strip`,`strip_left`:true,`strip_right`:false}", GPT2, false, "  ", 0, 0, {0}},
    {STEPS(TYPE("NFD") "," TYPE("StripAccents")), GPT2, false, "h\303\251ll\303\263", 0, 1, {259}},
    {STEPS("{`type`:`Replace`,`pattern`:{`Regex`:`\\\\s+`},`content`:` "
           "`},{`type`:`Replace`,`pattern`:{`String`:`x`},`content`:`he`},{`type`:`Prepend`,`"
           "prepend`:`1`}"),
     GPT2,
     false,
     "xllo \012 world",
     0,
     3,
     {49, 259, 264}},
    {STEPS("{`type`:`Replace`,`pattern`:{`Regex`:`\\\\s+`},`content`:` "
           "`},{`type`:`Replace`,`pattern`:{`String`:`x`},`content`:`he`},{`type`:`Prepend`,`"
           "prepend`:`1`}"),
     GPT2,
     false,
     "23",
     0,
     1,
     {266}},
    /* characters that the library does not know as what they are */
    {TYPE("NFD"), GPT2, false, "\360\221\244\270", 0, 4, {240, 145, 164, 184}},
    {TYPE("NFKC"), GPT2, false, "\360\236\200\260", 0, 4, {240, 158, 128, 176}},
    {TYPE("NFD"),
     GPT2,
     false,
     "a\315\205\341\252\277\314\264",
     0,
     8,
     {97, 205, 133, 225, 170, 191, 204, 180}},
    {TYPE("StripAccents"),
     GPT2,
     false,
     "a\341\252\277\341\263\262\314\201",
     0,
     4,
     {97, 225, 170, 191}},
    {TYPE("ByteLevel"), "null", false, "hello \303\251", 0, 3, {259, 32, 270}},
};

/* ---- What the steps do ----------------------------------------------------------------------- */

/* Twice: the second time the ids come from the cache. */
static void check_fact(const fact *f) {
  lrp_tokenizer *tok =
      open_parts(&(parts){.normalizer = f->normalizer,
                          .pre_tokenizer = f->pre_tokenizer,
                          .model = f->ignore_merges ? ",`ignore_merges`:true" : NULL});

  for (int i = 0; i < 2; i++) {
    expect(tok, true, f->text, f->length > 0 ? f->length : strlen(f->text), f->ids, f->count);
  }
  lrp_tokenizer_close(&tok);
}

static void test_pre_tokenizers(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) check_fact(&splits[i]);
}

static void test_normalizers(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof normals / sizeof *normals; i++) check_fact(&normals[i]);
}

/* A row of marks in the wrong order, longer than any that is sorted in place. */
static void test_long_row_of_marks(void **state) {
  enum { n = 20000 };
  lrp_tokenizer *tok = open_parts(&(parts){.normalizer = TYPE("NFD"), .pre_tokenizer = BYTES});
  char *text = malloc(4 * n + 1);
  lrp_tokens t = {0};
  (void)state;

  assert_non_null(text);
  text[0] = 'a';
  for (size_t i = 0; i < n; i++) memcpy(text + 1 + 4 * i, "\xcc\x81\xcc\xa3", 4);
  assert_int_equal(lrp_tokenizer_encode(tok, text, 4 * n + 1, false, &t), LRP_OK);
  assert_int_equal(t.count, 4 * n + 1);
  for (int64_t i = 0; i < n; i++) {
    assert_int_equal(t.ids[2 + 2 * i], 0xa3); /* below (220) goes before above (230) */
    assert_int_equal(t.ids[2 + 2 * (n + i)], 0x81);
  }
  lrp_tokens_free(&t);
  free(text);
  lrp_tokenizer_close(&tok);
}

/* What is not UTF-8 is its bytes, and belongs to no match. */
static void test_broken_text(void **state) {
  lrp_tokenizer *tok = open_parts(&(parts){.normalizer = TYPE("NFC"), .pre_tokenizer = GPT2});
  (void)state;

  EXPECT(tok, false, "hello\xffhello", hello, 0xff, hello);
  EXPECT(tok, false, "\xe2\x80", 0xe2, 0x80);
  EXPECT(tok, false, "\xed\xa0\x80hello \xc3", 0xed, 0xa0, 0x80, hello, 32, 0xc3);
  EXPECT(tok, false, "e\xcc\x81\xcc", 270, 0xcc);
  lrp_tokenizer_close(&tok);
}

/* One word, merged in O(n log n): a thousand times as many steps would not end here. */
static void test_long_word(void **state) {
  enum { n = 200000 };
  lrp_tokenizer *tok = open_parts(&(parts){.pre_tokenizer = BYTES});
  char *text = malloc(5 * n);
  lrp_tokens t = {0};
  (void)state;

  assert_non_null(text);
  for (size_t i = 0; i < n; i++) memcpy(text + 5 * i, "hello", 5);
  assert_int_equal(lrp_tokenizer_encode(tok, text, 5 * n, false, &t), LRP_OK);
  assert_int_equal(t.count, n);
  for (int64_t i = 0; i < n; i++) assert_int_equal(t.ids[i], hello);
  lrp_tokens_free(&t);
  free(text);
  lrp_tokenizer_close(&tok);
}

/* One tokenizer and its cache, several threads: words of different lengths, each many times. */
typedef struct {
  const lrp_tokenizer *tok;
  bool same;
} worker;

static void *encode_often(void *data) {
  worker *w = data;

  w->same = true;
  for (int i = 0; i < 20000; i++) {
    char text[16];
    lrp_tokens t = {0};
    const int n = snprintf(text, sizeof text, "%d", i % 50 * 7777);
    for (int j = 0; j < n; j++) text[j] = (char)(text[j] + 'p' - '0'); /* digits would merge */
    w->same = w->same && lrp_tokenizer_encode(w->tok, text, (size_t)n, false, &t) == LRP_OK &&
              t.count == n;
    for (int64_t j = 0; w->same && j < n; j++) w->same = t.ids[j] == text[j];
    lrp_tokens_free(&t);
  }
  return NULL;
}

static void test_threads(void **state) {
  enum { n = 4 };
  lrp_tokenizer *tok = open_parts(&(parts){.pre_tokenizer = BYTES});
  pthread_t threads[n];
  worker workers[n];
  (void)state;

  for (int i = 0; i < n; i++) {
    workers[i] = (worker){.tok = tok};
    assert_int_equal(pthread_create(&threads[i], NULL, encode_often, &workers[i]), 0);
  }
  for (int i = 0; i < n; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(workers[i].same);
  }
  lrp_tokenizer_close(&tok);
}

static void test_marks(void **state) {
  lrp_tokenizer *tok = open_parts(
      &(parts){.pre_tokenizer = GPT2,
               .post_processor = "{`type`:`RobertaProcessing`,`sep`:[`b`,98],`cls`:[`a`,97]}"});
  (void)state;

  EXPECT(tok, true, "hello", 97, hello, 98);
  EXPECT(tok, false, "hello", hello);
  lrp_tokenizer_close(&tok);

  tok = open_parts(&(parts){.pre_tokenizer = GPT2,
                            .post_processor = "{`type`:`ByteLevel`,`trim_offsets`:false}",
                            .config = "{`bos_token`:`<|end|>`,`eos_token`:`a`}"});
  EXPECT(tok, true, "hello", hello);
  assert_int_equal(lrp_tokenizer_bos(tok), 300);
  assert_int_equal(lrp_tokenizer_eos(tok), 97);
  lrp_tokenizer_close(&tok);
}

/* CLIP's "</w>", and "##" as in WordPiece: characters that lack them are other pieces. */
static void test_affixes(void **state) {
  lrp_tokenizer *tok = open_parts(
      &(parts){.pre_tokenizer = TYPE("Whitespace"), .model = ",`end_of_word_suffix`:`o`"});
  (void)state;

  EXPECT(tok, false, "ell o", 'e', 'l'); /* "lo" and "oo" are no pieces */
  lrp_tokenizer_close(&tok);
  tok = open_parts(
      &(parts){.pre_tokenizer = TYPE("Whitespace"), .model = ",`end_of_word_suffix`:`\xc4\x8a`"});
  EXPECT(tok, false, "h\xc4\x8a", 'h', 271); /* LF LF is a piece */
  EXPECT(tok, false, "\xc4\x8a", 271);
  lrp_tokenizer_close(&tok);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pre_tokenizers),    cmocka_unit_test(test_normalizers),
      cmocka_unit_test(test_long_row_of_marks), cmocka_unit_test(test_broken_text),
      cmocka_unit_test(test_long_word),         cmocka_unit_test(test_marks),
      cmocka_unit_test(test_affixes),           cmocka_unit_test(test_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
