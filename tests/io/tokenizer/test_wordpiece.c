#include "io/tokenizer/wordpiece.h"
#include "tests/io/base/temp_dir.h"

enum {
  PAD,
  UNK,
  CLS,
  SEP,
  MASK,
  THE,
  DOG,
  S,
  UN,
  AFF,
  ABLE,
  DOT,
  A_ACUTE,
  A,
  B,
  MIDDLE,
  CAPITAL,
  COUNT
};

/* Line number = id, as in the enumeration. */
static const char vocab[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ndog\n##s\nun\n##aff\n##able\n.\n\303\241\na\nb\n"
    "\344\270\255\nThe\n";

static const char template_steps[] =
    "\"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true, "
    "\"handle_chinese_chars\": true, \"strip_accents\": null, \"lowercase\": true}, "
    "\"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}, ";
static const char template_post[] =
    "\"post_processor\": {\"type\": \"TemplateProcessing\", "
    "\"single\": [{\"SpecialToken\": {\"id\": \"[CLS]\", \"type_id\": 0}}, "
    "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, "
    "{\"SpecialToken\": {\"id\": \"[SEP]\", \"type_id\": 0}}], "
    "\"pair\": [{\"SpecialToken\": {\"id\": \"[CLS]\", \"type_id\": 0}}, "
    "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, "
    "{\"SpecialToken\": {\"id\": \"[SEP]\", \"type_id\": 0}}, "
    "{\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}, "
    "{\"SpecialToken\": {\"id\": \"[SEP]\", \"type_id\": 1}}], "
    "\"special_tokens\": {\"[CLS]\": {\"id\": \"[CLS]\", \"ids\": [2], \"tokens\": [\"[CLS]\"]}, "
    "\"[SEP]\": {\"id\": \"[SEP]\", \"ids\": [3], \"tokens\": [\"[SEP]\"]}}}, ";
static const char bert_post[] =
    "\"post_processor\": {\"type\": \"BertProcessing\", \"sep\": [\"[SEP]\", 3], "
    "\"cls\": [\"[CLS]\", 2]}, ";
static const char model[] =
    "\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", "
    "\"continuing_subword_prefix\": \"##\", \"max_input_chars_per_word\": 8, "
    "\"vocab\": {\"[PAD]\": 0, \"[UNK]\": 1, \"[CLS]\": 2, \"[SEP]\": 3, \"[MASK]\": 4, "
    "\"the\": 5, \"dog\": 6, \"##s\": 7, \"un\": 8, \"##aff\": 9, \"##able\": 10}}";
static const char added[] =
    "\"added_tokens\": [{\"id\": 4, \"content\": \"[MASK]\", \"single_word\": false, "
    "\"lstrip\": true, \"rstrip\": false, \"normalized\": false, \"special\": true}], ";

/* A directory of its own for each tokenizer; NULL: no such file. */
static const char *make_dir(const char *vocab_txt, const char *json, const char *config) {
  static int number;
  static char name[64];
  char file[96];
  snprintf(name, sizeof name, "tok%d", number++);
  assert_int_equal(mkdir(temp_path(name), 0700), 0);
  if (vocab_txt) {
    snprintf(file, sizeof file, "%s/vocab.txt", name);
    temp_text(file, vocab_txt);
  }
  if (json) {
    snprintf(file, sizeof file, "%s/tokenizer.json", name);
    temp_text(file, json);
  }
  if (config) {
    snprintf(file, sizeof file, "%s/tokenizer_config.json", name);
    temp_text(file, config);
  }
  return temp_path(name);
}

static lrp_wordpiece *opened(const char *dir) {
  lrp_wordpiece *tok = NULL;
  check_ok(lrp_wordpiece_open(dir, &tok));
  return tok;
}

static lrp_wordpiece *by_config(const char *config) {
  return opened(make_dir(vocab, NULL, config));
}

static lrp_wordpieces encode(const lrp_wordpiece *tok, const char *text, size_t length) {
  lrp_wordpieces t = {0};
  check_ok(lrp_wordpiece_encode(tok, text, length, &t));
  return t;
}

/* Each token as {id, start, end}. */
static void check(const lrp_wordpiece *tok, const char *text, size_t length,
                  const int32_t expected[][3], int64_t count) {
  lrp_wordpieces t = encode(tok, text, length);
  assert_int_equal(t.count, count);
  for (int64_t i = 0; i < count; i++) {
    assert_int_equal(t.tokens[i].id, expected[i][0]);
    assert_int_equal(t.tokens[i].start, expected[i][1]);
    assert_int_equal(t.tokens[i].end, expected[i][2]);
    assert_int_equal(t.tokens[i].type, 0);
    assert_int_equal(t.tokens[i].text, 0);
  }
  lrp_wordpieces_free(&t);
}

#define CHECK(tok, text, ...)                                                 \
  do {                                                                        \
    const int32_t e_[][3] = {__VA_ARGS__};                                    \
    check(tok, text, sizeof text - 1, e_, (int64_t)(sizeof e_ / sizeof *e_)); \
  } while (0)

static void test_pieces(void **state) {
  lrp_wordpiece *tok = by_config(NULL);
  (void)state;
  assert_int_equal(lrp_wordpiece_cls(tok), CLS);
  assert_int_equal(lrp_wordpiece_sep(tok), SEP);
  assert_int_equal(lrp_wordpiece_mask(tok), MASK);
  assert_int_equal(lrp_wordpiece_size(tok), COUNT);
  CHECK(tok, "The dogs", {THE, 0, 3}, {DOG, 4, 7}, {S, 7, 8});
  CHECK(tok, "unaffable", {UN, 0, 2}, {AFF, 2, 5}, {ABLE, 5, 9});
  CHECK(tok, " unaffx the", {UNK, 1, 7}, {THE, 8, 11}); /* one part fails: the word does */
  CHECK(tok, "the.dog..", {THE, 0, 3}, {DOT, 3, 4}, {DOG, 4, 7}, {DOT, 7, 8}, {DOT, 8, 9});
  CHECK(tok, "s the", {UNK, 0, 1}, {THE, 2, 5}); /* "##s" does not start a word */
  check(tok, "", 0, NULL, 0);
  check(tok, " \t\n\r\302\240\343\200\200", 9, NULL, 0);
  lrp_wordpiece_close(&tok);
  lrp_wordpiece_close(&tok);
}

static void test_cleaning(void **state) {
  lrp_wordpiece *tok = by_config(NULL);
  (void)state;
  CHECK(tok, "d\0o\302\255g\357\277\275", {DOG, 0, 5});       /* NUL, soft hyphen, U+FFFD */
  CHECK(tok, "the\342\200\250dog", {THE, 0, 3}, {DOG, 4, 7}); /* line separator */
  CHECK(tok, "d\xffog\xc3", {DOG, 0, 4});                     /* broken UTF-8 */
  CHECK(tok, "a\344\270\255b", {A, 0, 1}, {MIDDLE, 1, 2}, {B, 2, 3});
  CHECK(tok, "\303\201 a\314\201", {A, 0, 1}, {A, 2, 3}); /* accents: composed and not */
  CHECK(tok, "DO\360\220\200\200G", {UNK, 0, 4});         /* U+10000 is of no piece */
  lrp_wordpiece_close(&tok);
}

static void test_flags(void **state) {
  lrp_wordpiece *tok = by_config("{\"do_lower_case\": false}");
  (void)state;
  CHECK(tok, "The the \303\241", {CAPITAL, 0, 3}, {THE, 4, 7}, {A_ACUTE, 8, 9});
  lrp_wordpiece_close(&tok);
  tok = by_config("{\"strip_accents\": false}");
  CHECK(tok, "The \303\201", {THE, 0, 3}, {A_ACUTE, 4, 5});
  lrp_wordpiece_close(&tok);
  tok = by_config("{\"do_lower_case\": false, \"strip_accents\": true}");
  CHECK(tok, "The \303\241", {CAPITAL, 0, 3}, {A, 4, 5});
  lrp_wordpiece_close(&tok);
  tok = by_config("{\"tokenize_chinese_chars\": false}");
  CHECK(tok, "a\344\270\255 \344\270\255", {UNK, 0, 2}, {MIDDLE, 3, 4});
  lrp_wordpiece_close(&tok);
}

static void test_special_tokens(void **state) {
  lrp_wordpiece *tok = by_config(
      "{\"mask_token\": {\"content\": \"dog\"}, \"model_max_length\": "
      "1000000000000000019884624838656}");
  (void)state;
  CHECK(tok, "\303\241[SEP]the[CLS]", {A, 0, 1}, {SEP, 1, 6}, {THE, 6, 9}, {CLS, 9, 14});
  CHECK(tok, "[sep]", {UNK, 0, 1}, {UNK, 1, 4}, {UNK, 4, 5}); /* not the token: in lower case */
  assert_int_equal(lrp_wordpiece_mask(tok), DOG);
  lrp_wordpiece_close(&tok);
}

static void test_long_words(void **state) {
  static char text[103] = "un";
  lrp_wordpiece *tok = by_config(NULL);
  (void)state;
  for (size_t i = 2; i < 102; i++) text[i] = 's'; /* un, then 100 times ##s */
  lrp_wordpieces t = encode(tok, text, 100);
  assert_int_equal(t.count, 99);
  lrp_wordpieces_free(&t);
  CHECK(tok, "the", {THE, 0, 3});
  t = encode(tok, text, 101);
  assert_int_equal(t.count, 1);
  assert_int_equal(t.tokens[0].id, UNK);
  assert_int_equal(t.tokens[0].end, 101);
  lrp_wordpieces_free(&t);
  lrp_wordpiece_close(&tok);
}

/* ---- Inputs ---- */

/* n tokens: the ids first, first + 1, ... */
static lrp_wordpieces numbered(int64_t n, int32_t first) {
  lrp_wordpieces t = {.tokens = calloc((size_t)n + 1, sizeof *t.tokens), .count = n, .capacity = n};
  assert_non_null(t.tokens);
  for (int64_t i = 0; i < n; i++) {
    t.tokens[i] = (lrp_wordpiece_token){.id = first + (int32_t)i, .start = (int32_t)(2 * i)};
  }
  return t;
}

/* [CLS] a [SEP] (b [SEP]) with na tokens of a, and nb of b from number `from` on. */
static void check_input(const lrp_wordpieces *t, int64_t na, int64_t from, int64_t nb, bool pair) {
  assert_int_equal(t->count, na + 2 + (pair ? nb + 1 : 0));
  for (int64_t i = 0; i < t->count; i++) {
    const lrp_wordpiece_token *k = &t->tokens[i];
    const bool second = i >= na + 2;
    assert_int_equal(k->type, second);
    if (i == 0 || i == na + 1 || (pair && i == t->count - 1)) {
      assert_int_equal(k->id, i == 0 ? CLS : SEP);
      assert_int_equal(k->text, -1);
    } else {
      const int64_t number = second ? i - na - 2 + from : i - 1;
      assert_int_equal(k->text, second);
      assert_int_equal(k->id, (second ? 1000 : 100) + number);
      assert_int_equal(k->start, 2 * number);
    }
  }
}

static void test_truncation(void **state) {
  static const struct {
    int64_t a, b, max_length, kept_a, kept_b; /* b = -1: there is none */
  } cases[] = {{5, -1, 0, 5, 0}, {5, -1, 7, 5, 0},     {5, -1, 6, 4, 0}, {5, -1, 2, 0, 0},
               {0, -1, 9, 0, 0}, {4, 6, 13, 4, 6},     {4, 6, 12, 4, 5}, {4, 6, 11, 4, 4},
               {4, 6, 10, 3, 4}, {6, 4, 10, 4, 3},     {5, 5, 10, 3, 4}, {20, 3, 10, 4, 3},
               {20, 3, 8, 3, 2}, {9, 9, 3, 0, 0},      {9, 9, 4, 0, 1},  {1, 9, 6, 1, 2},
               {9, 0, 6, 3, 0},  {500, 1, 128, 124, 1}};
  lrp_wordpiece *tok = by_config(NULL);
  lrp_wordpieces out = {0};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const bool pair = cases[i].b >= 0;
    lrp_wordpieces a = numbered(cases[i].a, 100), b = numbered(pair ? cases[i].b : 0, 1000);
    check_ok(lrp_wordpiece_input(tok, &a, pair ? &b : NULL, cases[i].max_length, &out));
    check_input(&out, cases[i].kept_a, 0, cases[i].kept_b, pair);
    assert_failure(lrp_wordpiece_input(tok, &a, pair ? &b : NULL, pair ? 2 : 1, &out), LRP_ERR_DATA,
                   "does not hold the special tokens");
    lrp_wordpieces_free(&a);
    lrp_wordpieces_free(&b);
  }
  assert_int_equal(lrp_wordpiece_specials(tok, false), 2);
  assert_int_equal(lrp_wordpiece_specials(tok, true), 3);
  lrp_wordpieces_free(&out);
  lrp_wordpiece_close(&tok);
}

static void check_windows(const lrp_wordpiece *tok, int64_t n, int64_t stride,
                          const int64_t expected[][2], int64_t count) {
  lrp_wordpieces a = numbered(3, 100), b = numbered(n, 1000), out = {0};
  bool more = true;
  for (int64_t i = 0; i < count; i++) {
    assert_true(more);
    check_ok(lrp_wordpiece_window(tok, &a, &b, 16, stride, i, &out, &more));
    check_input(&out, 3, expected[i][0], expected[i][1], true);
  }
  assert_false(more);
  lrp_wordpieces_free(&out);
  lrp_wordpieces_free(&b);
  lrp_wordpieces_free(&a);
}

/* Room for 10 tokens of b. */
static void test_windows(void **state) {
  lrp_wordpiece *tok = by_config(NULL);
  lrp_wordpieces a = numbered(3, 100), b = numbered(11, 1000), out = {0};
  bool more;
  (void)state;
  check_windows(tok, 0, 4, (const int64_t[][2]){{0, 0}}, 1);
  check_windows(tok, 10, 4, (const int64_t[][2]){{0, 10}}, 1);
  check_windows(tok, 11, 4, (const int64_t[][2]){{0, 10}, {6, 5}}, 2);
  check_windows(tok, 16, 4, (const int64_t[][2]){{0, 10}, {6, 10}}, 2);
  check_windows(tok, 17, 4, (const int64_t[][2]){{0, 10}, {6, 10}, {12, 5}}, 3);
  check_windows(tok, 21, 0, (const int64_t[][2]){{0, 10}, {10, 10}, {20, 1}}, 3);
  check_windows(tok, 12, 9, (const int64_t[][2]){{0, 10}, {1, 10}, {2, 10}}, 3);
  assert_failure(lrp_wordpiece_window(tok, &a, &b, 16, 10, 0, &out, &more), LRP_ERR_DATA,
                 "leaves no room");
  assert_failure(lrp_wordpiece_window(tok, &a, &b, 5, 0, 0, &out, &more), LRP_ERR_DATA,
                 "a text of 3 tokens leaves no room for another one in windows of 5 tokens");
  lrp_wordpieces_free(&out);
  lrp_wordpieces_free(&b);
  lrp_wordpieces_free(&a);
  lrp_wordpiece_close(&tok);
}

/* ---- Files ---- */

static const char *json_text(const char *steps, const char *post, const char *tokens,
                             const char *body) {
  static char text[4096];
  snprintf(text, sizeof text, "{\"version\": \"1.0\", \"truncation\": {\"x\": 1}, %s%s%s%s}",
           tokens, steps, post, body);
  return text;
}

static void check_json(const char *json) {
  lrp_wordpiece *tok = opened(make_dir(vocab, json, NULL));
  lrp_wordpieces a = encode(tok, "The dogs", 8), out = {0};
  assert_string_equal(lrp_wordpiece_file(tok), "tokenizer.json");
  assert_int_equal(lrp_wordpiece_size(tok), 11);
  assert_int_equal(lrp_wordpiece_mask(tok), MASK);
  CHECK(tok, "The d\303\266gs [MASK]", {THE, 0, 3}, {DOG, 4, 7}, {S, 7, 8}, {MASK, 8, 15});
  CHECK(tok, "unsssssss", {UNK, 0, 9}); /* 9 characters: too long a word here */
  CHECK(tok, "unssssss", {UN, 0, 2}, {S, 2, 3}, {S, 3, 4}, {S, 4, 5}, {S, 5, 6}, {S, 6, 7},
        {S, 7, 8});
  check_ok(lrp_wordpiece_input(tok, &a, &a, 0, &out));
  assert_int_equal(out.count, 9);
  assert_int_equal(out.tokens[0].id, CLS);
  assert_int_equal(out.tokens[8].id, SEP);
  lrp_wordpieces_free(&out);
  lrp_wordpieces_free(&a);
  lrp_wordpiece_close(&tok);
}

static void test_json(void **state) {
  (void)state;
  check_json(json_text(template_steps, template_post, added, model));
  check_json(json_text(template_steps, bert_post, added, model));
}

/* What stands beside tokenizer.json decides. */
static void test_json_and_config(void **state) {
  const char *json = json_text(template_steps, bert_post, "", model);
  lrp_wordpiece *tok = opened(make_dir(NULL, json, "{\"do_lower_case\": false}"));
  (void)state;
  CHECK(tok, "The the [MASK]", {UNK, 0, 3}, {THE, 4, 7}, {UNK, 8, 9}, {UNK, 9, 13}, {UNK, 13, 14});
  lrp_wordpiece_close(&tok);
}

static void assert_refused(const char *dir, lrp_status st, const char *part) {
  lrp_wordpiece *tok = NULL;
  assert_failure(lrp_wordpiece_open(dir, &tok), st, part);
  assert_null(tok);
}

/* Old files do not name the type of the model. */
static void test_json_without_type(void **state) {
  static const char untyped[] =
      "\"model\": {\"unk_token\": \"[UNK]\", \"continuing_subword_prefix\": \"##\", "
      "\"max_input_chars_per_word\": 8, \"vocab\": {\"[UNK]\": 0, \"the\": 1, "
      "\"[CLS]\": 2, \"[SEP]\": 3}}";
  static const char unlimited[] =
      "\"model\": {\"unk_token\": \"[UNK]\", \"vocab\": {\"[UNK]\": 0}, \"merges\": []}";
  lrp_wordpiece *tok =
      opened(make_dir(NULL, json_text(template_steps, bert_post, "", untyped), NULL));
  (void)state;
  CHECK(tok, "The x", {1, 0, 3}, {0, 4, 5});
  lrp_wordpiece_close(&tok);
  assert_refused(make_dir(NULL, json_text(template_steps, bert_post, "", unlimited), NULL),
                 LRP_ERR_DATA, "model.type: expected a string");
}

static void test_refused_json(void **state) {
  static const char other_normalizer[] =
      "\"normalizer\": {\"type\": \"NFC\"}, \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}, ";
  static const char other_split[] =
      "\"normalizer\": null, \"pre_tokenizer\": {\"type\": \"Whitespace\"}, ";
  static const char lacks_flag[] =
      "\"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true}, ";
  static const char normalized[] =
      "\"added_tokens\": [{\"id\": 6, \"content\": \"dog\", \"normalized\": true, "
      "\"special\": false}], ";
  static const struct {
    const char *steps, *post, *tokens, *body, *part;
  } cases[] = {
      {other_normalizer, bert_post, "", model, "the normalizer NFC is not read with WordPiece"},
      {other_split, bert_post, "", model, "the pre_tokenizer Whitespace is not read"},
      {lacks_flag, bert_post, "", model, "handle_chinese_chars: expected true or false"},
      {"", bert_post, "", model, "the pre_tokenizer null is not read"},
      {template_steps, "", "", model, "the post_processor null is not read"},
      {template_steps, "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": []}, ",
       "", model, "post_processor: expected [CLS] A [SEP]"},
      {template_steps,
       "\"post_processor\": {\"type\": \"BertProcessing\", \"sep\": [\"[SEP]\", 3], "
       "\"cls\": [\"[CLS]\", 11]}, ",
       "", model, "ids of special tokens in the vocabulary"},
      {template_steps, bert_post, normalized, model, "'dog' is normalized"},
      {template_steps, bert_post, "", "\"model\": {\"type\": \"BPE\", \"vocab\": {}}",
       "the model BPE is not BERT's"},
      {template_steps, bert_post, "", "\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 0}}",
       "model.unk_token: expected"},
      {template_steps, bert_post, "",
       "\"model\": {\"type\": \"WordPiece\", \"unk_token\": \"x\", \"vocab\": {\"a\": 0}}",
       "'x' is not in the vocabulary"},
      {template_steps, bert_post, "", "\"model\": {\"type\": \"WordPiece\", \"vocab\": {}}",
       "holds no pieces"},
      {template_steps, bert_post, "",
       "\"model\": {\"type\": \"WordPiece\", \"max_input_chars_per_word\": -1, \"vocab\": {}}",
       "max_input_chars_per_word"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *json = json_text(cases[i].steps, cases[i].post, cases[i].tokens, cases[i].body);
    assert_refused(make_dir(vocab, json, NULL), LRP_ERR_DATA, cases[i].part);
  }
  assert_refused(make_dir(NULL, "{", NULL), LRP_ERR_DATA, "tokenizer.json");
}

static void test_refused_vocab(void **state) {
  lrp_wordpiece *tok;
  (void)state;
  assert_refused(make_dir(NULL, NULL, NULL), LRP_ERR_ABSENT,
                 "no tokenizer: tokenizer.json or vocab.txt (WordPiece) is expected there");
  assert_refused(make_dir("", NULL, NULL), LRP_ERR_DATA, "holds no pieces");
  assert_refused(make_dir("[UNK]\n[CLS]\nx\n", NULL, NULL), LRP_ERR_DATA,
                 "the sep_token '[SEP]' is not in it");
  assert_refused(make_dir("[UNK]\n[CLS]\n[SEP]\nx\nx\n", NULL, NULL), LRP_ERR_DATA,
                 "pieces 3 and 4 are the same");
  assert_refused(make_dir("[UNK]\n\xff\n", NULL, NULL), LRP_ERR_DATA, "not UTF-8");
  assert_refused(make_dir(vocab, NULL, "[]"), LRP_ERR_DATA, "expected a JSON object");
  assert_refused(make_dir(vocab, NULL, "{\"do_lower_case\": 1}"), LRP_ERR_DATA,
                 "do_lower_case: expected true or false");
  assert_refused(make_dir(vocab, NULL, "{\"tokenizer_class\": \"BertJapaneseTokenizer\"}"),
                 LRP_ERR_DATA, "tokenizer_class BertJapaneseTokenizer is not supported");
  /* lines may end like this, and the last one not at all; a mask is not needed */
  tok = opened(make_dir("[UNK]\r\n[CLS]\r\n\r\n[SEP]\r\nx", NULL, NULL));
  assert_int_equal(lrp_wordpiece_size(tok), 5);
  assert_int_equal(lrp_wordpiece_sep(tok), 3);
  assert_int_equal(lrp_wordpiece_mask(tok), -1);
  CHECK(tok, "x", {4, 0, 1});
  lrp_wordpiece_close(&tok);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pieces),          cmocka_unit_test(test_cleaning),
      cmocka_unit_test(test_flags),           cmocka_unit_test(test_special_tokens),
      cmocka_unit_test(test_long_words),      cmocka_unit_test(test_truncation),
      cmocka_unit_test(test_windows),         cmocka_unit_test(test_json),
      cmocka_unit_test(test_json_and_config), cmocka_unit_test(test_json_without_type),
      cmocka_unit_test(test_refused_json),    cmocka_unit_test(test_refused_vocab),
  };
  return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
