/* Small tokenizer.json files: what each member does, and what is refused. Expected ids are those of
 * Hugging Face's tokenizers 0.23 unless a line says otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/tokenizer/decode.h"
#include "io/tokenizer/encode.h"
#include "io/tokenizer/tokenizer.h"
#include "io/tokenizer/tokenizer_json.h"

#define MARK "\xe2\x96\x81"

/* Members of the file, as JSON; NULL: these. */
typedef struct {
  const char *vocab, *merges, *model; /* model: further members, each with a comma in front */
  const char *added, *normalizer, *pre_tokenizer, *post_processor, *decoder;
  const char *config; /* tokenizer_config.json; NULL: no such file */
} parts;

static const char usual_vocab[] =
    "{\"<unk>\":0, \"<s>\":1, \"</s>\":2, \"a\":3, \"b\":4, \"c\":5, \"ab\":6, \"bc\":7, "
    "\"abc\":8, "
    "\"" MARK "\":9, \"" MARK "a\":10, \"" MARK MARK "\":11, \"<0xC3>\":12, \"<0xA9>\":13}";
static const char usual_merges[] =
    "[\"b c\", \"a b\", \"a bc\", \"" MARK " a\", \"" MARK " " MARK "\"]";
static const char usual_added[] =
    "[{\"id\":0,\"content\":\"<unk>\",\"special\":true,\"normalized\":false},"
    "{\"id\":1,\"content\":\"<s>\",\"special\":true,\"normalized\":false},"
    "{\"id\":2,\"content\":\"</s>\",\"special\":true,\"normalized\":false}]";
static const char prepend_replace[] =
    "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"" MARK
    "\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" MARK "\"}]}";
static const char bos_template[] =
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}}"
    ","
    "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],"
    "\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[1],\"tokens\":[\"<s>\"]}}}";

#define METASPACE(rest) "{\"type\":\"Metaspace\",\"replacement\":\"" MARK "\"" rest "}"

static char *make_json(const parts *p) {
  char *text = NULL;
  const int n = asprintf(
      &text,
      "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":%s,"
      "\"normalizer\":%s,\"pre_tokenizer\":%s,\"post_processor\":%s,\"decoder\":%s,"
      "\"model\":{\"type\":\"BPE\"%s,\"vocab\":%s,\"merges\":%s}}",
      p->added ? p->added : usual_added, p->normalizer ? p->normalizer : "null",
      p->pre_tokenizer ? p->pre_tokenizer : "null", p->post_processor ? p->post_processor : "null",
      p->decoder ? p->decoder : "null", p->model ? p->model : ",\"unk_token\":\"<unk>\"",
      p->vocab ? p->vocab : usual_vocab, p->merges ? p->merges : usual_merges);
  assert_true(n > 0);
  return text;
}

/* A model directory with these files; NULL: none. */
static lrp_status open_files(const char *json, size_t size, const char *config,
                             lrp_tokenizer **tok) {
  char dir[] = "/tmp/lrp_test_tokenizer_json_XXXXXX";
  char path[sizeof dir + 32];
  lrp_status st;

  lrp_failure_clear();
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/tokenizer.json", dir);
  assert_int_equal(lrp_file_write(path, json, size), LRP_OK);
  if (config) {
    snprintf(path, sizeof path, "%s/tokenizer_config.json", dir);
    assert_int_equal(lrp_file_write(path, config, strlen(config)), LRP_OK);
  }
  st = lrp_tokenizer_open(dir, tok);
  unlink(path);
  snprintf(path, sizeof path, "%s/tokenizer.json", dir);
  unlink(path);
  assert_int_equal(rmdir(dir), 0);
  return st;
}

static lrp_tokenizer *open_parts(const parts *p) {
  char *json = make_json(p);
  lrp_tokenizer *tok = NULL;
  const lrp_status st = open_files(json, strlen(json), p->config, &tok);

  free(json);
  if (st != LRP_OK) fail_msg("%s", lrp_failure_message(st));
  return tok;
}

static void expect(const lrp_tokenizer *tok, bool special, const char *text, const int32_t *ids,
                   int64_t count) {
  lrp_tokens t = {0};
  bool same;

  assert_int_equal(lrp_tokenizer_encode(tok, text, strlen(text), special, &t), LRP_OK);
  same = t.count == count && (count == 0 || memcmp(t.ids, ids, (size_t)count * sizeof *ids) == 0);
  for (int64_t i = 0; !same && i < t.count; i++) print_error("%d ", (int)t.ids[i]);
  if (!same) fail_msg("are not the ids of \"%s\"", text);
  lrp_tokens_free(&t);
}

#define EXPECT(tok, special, text, ...)                             \
  do {                                                              \
    const int32_t ids_[] = {__VA_ARGS__};                           \
    expect(tok, special, text, ids_, sizeof ids_ / sizeof ids_[0]); \
  } while (0)

static void decodes(const lrp_tokenizer *tok, const int32_t *ids, int64_t count,
                    const char *expected) {
  char *text = NULL;

  assert_int_equal(lrp_tokenizer_decode(tok, ids, count, &text), LRP_OK);
  assert_string_equal(text, expected);
  free(text);
}

/* ---- What the members do --------------------------------------------------------------------- */

static void test_old_form(void **state) {
  static const int32_t around[] = {1, 10, 4, 2};
  lrp_tokenizer *tok =
      open_parts(&(parts){.normalizer = prepend_replace, .post_processor = bos_template});
  (void)state;

  assert_string_equal(lrp_tokenizer_file(tok), "tokenizer.json");
  assert_string_equal(lrp_tokenizer_bos_text(tok), "<s>");
  assert_int_equal(lrp_tokenizer_bos(tok), 1);
  assert_int_equal(lrp_tokenizer_eos(tok), 2);
  assert_int_equal(lrp_tokenizer_size(tok), 14);
  EXPECT(tok, false, "abc", 9, 8); /* bc, then abc; the rank of "_ a" is higher */
  EXPECT(tok, true, "abc", 1, 9, 8);
  EXPECT(tok, true, "", 1);
  expect(tok, false, "", NULL, 0);
  EXPECT(tok, false, " a", 9, 10);
  EXPECT(tok, false, "a  b", 10, 11, 4);
  EXPECT(tok, false, "a</s>a", 10, 2, 10); /* a prefix on both sides */
  EXPECT(tok, true, "<s>a", 1, 10);        /* its own BOS */
  EXPECT(tok, false, "xa", 9, 0, 3);
  EXPECT(tok, false, "xya", 9, 0, 0, 3); /* fuse_unk is false by default */
  decodes(tok, around, 4, MARK "a b");   /* no decoder: words */
  lrp_tokenizer_close(&tok);
}

static void test_metaspace(void **state) {
  lrp_tokenizer *tok = open_parts(
      &(parts){.pre_tokenizer = METASPACE(",\"prepend_scheme\":\"first\",\"split\":false")});
  (void)state;

  EXPECT(tok, false, "a</s>a", 10, 2, 3);
  EXPECT(tok, false, "</s>a", 2, 3); /* the text does not start with it */
  EXPECT(tok, false, " a", 10);      /* a mark is there */
  EXPECT(tok, false, MARK "a", 10);
  EXPECT(tok, false, "  a", 9, 10); /* the lower rank first */
  EXPECT(tok, false, "   ", 11, 9);
  lrp_tokenizer_close(&tok);

  tok = open_parts(&(parts){.pre_tokenizer = METASPACE(",\"prepend_scheme\":\"first\"")});
  EXPECT(tok, false, "   ", 9, 9, 9); /* split is true by default */
  lrp_tokenizer_close(&tok);

  tok = open_parts(&(parts){.pre_tokenizer = METASPACE("")});
  EXPECT(tok, false, "a</s>a", 10, 2, 10); /* always is the default */
  lrp_tokenizer_close(&tok);

  tok = open_parts(&(parts){.pre_tokenizer = METASPACE(",\"prepend_scheme\":\"never\"")});
  EXPECT(tok, false, "a a", 3, 10);
  lrp_tokenizer_close(&tok);

  /* files of before 2023 */
  tok = open_parts(&(parts){.pre_tokenizer = METASPACE(",\"add_prefix_space\":false")});
  EXPECT(tok, false, "a a", 3, 10);
  lrp_tokenizer_close(&tok);
  tok = open_parts(&(parts){.pre_tokenizer = "{\"type\":\"Sequence\",\"pretokenizers\":[" METASPACE(
                                ",\"add_prefix_space\":true,\"str_rep\":\"" MARK "\"") "]}"});
  EXPECT(tok, false, "a a", 10, 10);
  lrp_tokenizer_close(&tok);
}

static void test_normalizer_alone(void **state) {
  lrp_tokenizer *tok = open_parts(&(parts){
      .normalizer = "{\"type\":\"Replace\",\"pattern\":{\"String\":\"xx\"},\"content\":\"bc\"}"});
  (void)state;

  EXPECT(tok, false, "axxx", 8, 0);
  EXPECT(tok, false, "a a", 3, 0, 3); /* a space is no mark here */
  lrp_tokenizer_close(&tok);
}

static void test_merges(void **state) {
  lrp_tokenizer *tok =
      open_parts(&(parts){.merges = "[[\"b\",\"c\"], [\"a\", \"b\"], [\"a\",\"bc\"]]"});
  (void)state;

  EXPECT(tok, false, "abcab", 8, 6);
  lrp_tokenizer_close(&tok);

  tok = open_parts(&(parts){.merges = "[\"#version: 0.2\", \"a b\", \"b c\"]"});
  EXPECT(tok, false, "abc", 6, 5);
  lrp_tokenizer_close(&tok);

  tok = open_parts(&(parts){.merges = "[\"a b\", \"b c\", \"a b\"]"}); /* the last one counts */
  EXPECT(tok, false, "abc", 3, 7);
  lrp_tokenizer_close(&tok);

  tok = open_parts(&(parts){.merges = "[]"});
  EXPECT(tok, false, "abc", 3, 4, 5);
  lrp_tokenizer_close(&tok);
}

/* A merge goes by ids: what UNK and byte pieces become is merged, too. */
static void test_merges_of_bytes(void **state) {
  lrp_tokenizer *tok = open_parts(
      &(parts){.vocab = "{\"<unk>\":0,\"<s>\":1,\"</s>\":2,\"<0xC3>\":3,\"<0xA9>\":4,"
                        "\"<0xC3><0xA9>\":5,\"a\":6,\"<unk>a\":7}",
               .merges = "[\"<0xC3> <0xA9>\", \"<unk> a\"]",
               .model = ",\"unk_token\":\"<unk>\",\"byte_fallback\":true,\"fuse_unk\":true"});
  (void)state;

  EXPECT(tok, false, "\xc3\xa9", 5);
  EXPECT(tok, false, "xxa", 7);
  EXPECT(tok, false,
         "x\xc3\xa9"
         "a",
         5, 7); /* the library's order: an UNK waits to be joined */
  lrp_tokenizer_close(&tok);
}

static void test_unknown(void **state) {
  lrp_tokenizer *tok = open_parts(
      &(parts){.model = ",\"unk_token\":\"<unk>\",\"byte_fallback\":true,\"fuse_unk\":true"});
  (void)state;

  EXPECT(tok, false, "a\xc3\xa9", 3, 12, 13);
  EXPECT(tok, false, "axyb", 3, 0, 4);
  EXPECT(tok, false, "a\xc3\xa8", 3, 0); /* one byte piece is missing */
  lrp_tokenizer_close(&tok);

  tok = open_parts(&(parts){.model = ",\"unk_token\":null,\"fuse_unk\":false"});
  EXPECT(tok, false, "axb", 6); /* as if it were not there */
  EXPECT(tok, false, MARK "x" MARK, 11);
  lrp_tokenizer_close(&tok);
}

static void test_ignore_merges(void **state) {
  lrp_tokenizer *tok =
      open_parts(&(parts){.merges = "[]",
                          .pre_tokenizer = METASPACE(",\"prepend_scheme\":\"never\""),
                          .model = ",\"unk_token\":\"<unk>\",\"ignore_merges\":true"});
  (void)state;

  EXPECT(tok, false, "abc a abca", 8, 10, 9, 3, 4, 5, 3);
  lrp_tokenizer_close(&tok);
}

#define TOKEN(id, text, rest) "{\"id\":" #id ",\"content\":\"" text "\",\"special\":false" rest "}"

static void test_added_tokens(void **state) {
  lrp_tokenizer *tok = open_parts(&(parts){
      .normalizer = prepend_replace,
      .added = "[" TOKEN(14, "[L]", ",\"normalized\":false,\"lstrip\":true") "," TOKEN(
          15, "[R]",
          ",\"normalized\":false,\"rstrip\":true") "," TOKEN(16, "word",
                                                             ",\"normalized\":false,\"single_"
                                                             "word\":true") "," TOKEN(17, "[N]",
                                                                                      ",\"normalize"
                                                                                      "d\":true") "," TOKEN(18,
                                                                                                            "[NN]",
                                                                                                            "") "," TOKEN(19,
                                                                                                                          "[R][R]",
                                                                                                                          ",\"normalized\":false") "," TOKEN(30,
                                                                                                                                                             "",
                                                                                                                                                             "") "," TOKEN(40,
                                                                                                                                                                           "far",
                                                                                                                                                                           ",\"normalized\":false") "]"});
  (void)state;

  assert_int_equal(lrp_tokenizer_size(tok), 41);
  EXPECT(tok, false, "a \t[L] a", 10, 14, 9, 10);
  EXPECT(tok, false, "a [R]\xe3\x80\x80 a", 10, 9, 15, 10);
  EXPECT(tok, false, "word words word's", 16, 11, 0, 0, 0, 0, 0, 9, 16, 9, 0, 0);
  EXPECT(tok, false, "\xc3\xa9word", 9, 0, 0, 0, 0, 0);      /* a letter in front */
  EXPECT(tok, false, "[N]a [N]a[N]", 17, 3, 17, 3, 0, 0, 0); /* found as "_[N]" only */
  EXPECT(tok, false, "[NN]", 18); /* normalized where nothing is said and it is not special */
  EXPECT(tok, false, "[R][R]", 19);
  EXPECT(tok, false, "far", 40); /* the file's id; the library would count on: 20 */
  lrp_tokenizer_close(&tok);
}

static void test_template(void **state) {
  lrp_tokenizer *tok = open_parts(&(parts){
      .post_processor =
          "{\"type\":\"Sequence\",\"processors\":[{\"type\":\"TemplateProcessing\",\"single\":["
          "{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\"}},"
          "{\"SpecialToken\":{\"id\":\"</s>\",\"type_id\":0}}],\"special_tokens\":{\"x\":{\"ids\":"
          "[1,3]},\"</s>\":{\"ids\":[2]}}}]}"});
  (void)state;

  EXPECT(tok, true, "b", 1, 3, 4, 2);
  EXPECT(tok, true, "", 1, 3, 2);
  EXPECT(tok, false, "b", 4);
  lrp_tokenizer_close(&tok);

  /* No template: nothing, or what tokenizer_config.json says. */
  tok = open_parts(&(parts){0});
  EXPECT(tok, true, "b", 4);
  assert_int_equal(lrp_tokenizer_bos(tok), 1);
  lrp_tokenizer_close(&tok);
  tok = open_parts(&(parts){.config = "{\"add_bos_token\":true,\"add_eos_token\":true}"});
  EXPECT(tok, true, "b", 1, 4, 2);
  lrp_tokenizer_close(&tok);

  /* The template decides. */
  tok = open_parts(&(parts){.post_processor = bos_template,
                            .config = "{\"add_bos_token\":false,\"add_eos_token\":true}"});
  EXPECT(tok, true, "b", 1, 4);
  lrp_tokenizer_close(&tok);
}

static void test_names_of_marks(void **state) {
  lrp_tokenizer *tok = open_parts(&(parts){
      .config =
          "{\"bos_token\":\"a\",\"eos_token\":{\"content\":\"<s>\"},\"add_bos_token\":true}"});
  (void)state;

  assert_int_equal(lrp_tokenizer_bos(tok), 3);
  assert_int_equal(lrp_tokenizer_eos(tok), 1);
  assert_string_equal(lrp_tokenizer_bos_text(tok), "a");
  EXPECT(tok, true, "b", 3, 4);
  lrp_tokenizer_close(&tok);

  tok = open_parts(&(parts){.config = "{\"bos_token\":null}"});
  assert_int_equal(lrp_tokenizer_bos(tok), -1);
  assert_null(lrp_tokenizer_bos_text(tok));
  assert_int_equal(lrp_tokenizer_eos(tok), 2);
  lrp_tokenizer_close(&tok);
}

static void test_decoders(void **state) {
  static const int32_t ids[] = {10, 12, 13, 9, 4};
  lrp_tokenizer *tok = open_parts(&(parts){
      .model = ",\"unk_token\":\"<unk>\",\"byte_fallback\":true",
      .decoder = "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{"
                 "\"String\":\"" MARK "\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},"
                 "{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}"
                 "]}"});
  (void)state;

  decodes(tok, ids, 5, "a\xc3\xa9 b");
  lrp_tokenizer_close(&tok);
  tok = open_parts(&(parts){.decoder = "{\"type\":\"Fuse\"}"});
  decodes(tok, ids + 3, 2, MARK "b");
  lrp_tokenizer_close(&tok);
}

static void test_escapes(void **state) {
  lrp_tokenizer *tok = open_parts(&(parts){
      .vocab = "{\"<unk>\":0,\"<s>\":1,\"</s>\":2,\"\\ud83e\\uDD99\":3,\"\\u00e9\":4,\"\\\"\":5,"
               "\"\\\\\":6,\"\\n\":7,\"\\/\":8,\"\\u0061\":9,\"a\\\"\":10,\"\":11}",
      .merges = "[\"\\u0061 \\\"\"]"});
  (void)state;

  EXPECT(tok, false, "\xf0\x9f\xa6\x99\xc3\xa9\"\\\n/a\"", 3, 4, 5, 6, 7, 8, 10);
  assert_int_equal(lrp_tokenizer_size(tok), 12);
  lrp_tokenizer_close(&tok);
}

static void test_holes(void **state) {
  static const int32_t ids[] = {100, 7, 200};
  lrp_tokenizer *tok = open_parts(&(parts){.vocab = "{\"a\":200,\"b\":100,\"<unk>\":5,\"ab\":150}",
                                           .merges = "[\"a b\"]",
                                           .added = "[]"});
  (void)state;

  assert_int_equal(lrp_tokenizer_size(tok), 201);
  EXPECT(tok, false, "abbx", 150, 100, 5);
  decodes(tok, ids, 3, "b a");
  lrp_tokenizer_close(&tok);
}

/* ---- What is refused ------------------------------------------------------------------------- */

static void refuses_bytes(const char *json, size_t size, const char *config, const char *text) {
  lrp_tokenizer *tok = NULL;

  assert_int_equal(open_files(json, size, config, &tok), LRP_ERR_DATA);
  assert_null(tok);
  if (!strstr(lrp_failure_message(LRP_ERR_DATA), text)) {
    fail_msg("\"%s\" lacks \"%s\"", lrp_failure_message(LRP_ERR_DATA), text);
  }
  lrp_failure_clear();
}

static void refuses(const char *text, const parts *p) {
  char *json = make_json(p);
  refuses_bytes(json, strlen(json), p->config, text);
  free(json);
}

static void test_refuses_other_kinds(void **state) {
  (void)state;

  refuses("normalizer Precompiled", &(parts){.normalizer = "{\"type\":\"Precompiled\"}"});
  refuses("normalizer Nmt",
          &(parts){.normalizer = "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Nmt\"}]}"});
  refuses("pattern String or Regex",
          &(parts){.normalizer = "{\"type\":\"Replace\",\"pattern\":\"a\",\"content\":\"a\"}"});
  refuses("strip_left: expected true or false",
          &(parts){.normalizer = "{\"type\":\"Strip\",\"strip_left\":1}"});
  refuses("pre_tokenizer UnicodeScripts",
          &(parts){.pre_tokenizer = "{\"type\":\"UnicodeScripts\"}"});
  refuses("end pattern with unmatched parenthesis",
          &(parts){.pre_tokenizer = "{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{"
                                    "\"Regex\":\"(a\"}}"});
  refuses("behavior Joined",
          &(parts){.pre_tokenizer = "{\"type\":\"Split\",\"behavior\":\"Joined\",\"pattern\":{"
                                    "\"Regex\":\"a\"}}"});
  refuses("Split: expected a behavior",
          &(parts){.pre_tokenizer = "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"}}"});
  refuses("replacement",
          &(parts){.pre_tokenizer = "{\"type\":\"Metaspace\",\"replacement\":\"_\"}"});
  refuses("prepend_scheme", &(parts){.pre_tokenizer = METASPACE(",\"prepend_scheme\":\"last\"")});
  refuses("add_prefix_space is false",
          &(parts){.pre_tokenizer =
                       METASPACE(",\"prepend_scheme\":\"first\",\"add_prefix_space\":false")});
  refuses("decoder CTC", &(parts){.decoder = "{\"type\":\"CTC\"}"});
  refuses("decoder WordPiece", &(parts){.decoder = "{\"type\":\"WordPiece\"}"});
  refuses("post_processor: cls: expected a token and its id",
          &(parts){.post_processor = "{\"type\":\"BertProcessing\"}"});
  refuses("post_processor PairProcessing",
          &(parts){.post_processor = "{\"type\":\"PairProcessing\"}"});
  refuses("model.dropout", &(parts){.model = ",\"dropout\":0.1"});
  refuses("end_of_word_suffix has 65 bytes",
          &(parts){.model = ",\"end_of_word_suffix\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                            "aaaaaaaaaaaaaaaaaaaaa\""});
  refuses_bytes("{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", 41, NULL, "model WordPiece");
  refuses_bytes("{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", 39, NULL, "model Unigram");
}

static void test_refuses_contradictions(void **state) {
  (void)state;

  refuses("merge 1: 'x' is not in the vocabulary", &(parts){.merges = "[\"a b\",\"a x\"]"});
  refuses("merge 0: 'ca' is not in the vocabulary", &(parts){.merges = "[\"c a\"]"});
  refuses("merge 0: 'b c' is not in the vocabulary", &(parts){.merges = "[\"a b c\"]"});
  refuses("without a space", &(parts){.merges = "[\"ab\"]"});
  refuses("more than two parts", &(parts){.merges = "[[\"a\",\"b\",\"c\"]]"});
  refuses("less than two parts", &(parts){.merges = "[[\"a\"]]"});
  refuses("less than two parts", &(parts){.merges = "[[]]"});
  refuses("model.merges: expected a string", &(parts){.merges = "[[1,2]]"});
  refuses("model.merges: a merge: expected an array", &(parts){.merges = "[7]"});
  refuses("model.merges: expected an array", &(parts){.merges = "{}"});
  refuses("unk_token 'no' is not in", &(parts){.model = ",\"unk_token\":\"no\""});
  refuses("byte_fallback: expected true or false", &(parts){.model = ",\"byte_fallback\":1"});
  refuses("pieces 3 and 4 are the same", &(parts){.vocab = "{\"a\":3,\"\\u0061\":4}"});
  refuses("piece 3 is there twice", &(parts){.vocab = "{\"a\":3,\"b\":3}"});
  refuses("holds no pieces", &(parts){.vocab = "{}"});
  refuses("'a' has the id -1", &(parts){.vocab = "{\"a\":-1}"});
  refuses("'a' has the id 1048576", &(parts){.vocab = "{\"a\":1048576}"});
  refuses("an id: expected an integer", &(parts){.vocab = "{\"a\":99999999999999999999}"});
  refuses("an id: expected an integer", &(parts){.vocab = "{\"a\":1.5}"});
  refuses("an id: expected an integer", &(parts){.vocab = "{\"a\":\"1\"}"});
  refuses("holds a NUL", &(parts){.vocab = "{\"a\\u0000\":1}"});
  refuses("'b' has the id 3, but 4", &(parts){.added = "[" TOKEN(3, "b", "") "]"});
  refuses("piece 3 is there twice", &(parts){.added = "[" TOKEN(3, "new", "") "]"});
  refuses("an id: expected an integer", &(parts){.added = "[{\"content\":\"x\"}]"});
  refuses("content is there twice",
          &(parts){.added = "[{\"id\":20,\"content\":\"x\",\"content\":\"y\"}]"});
  refuses("is no token of tokenizer.json", &(parts){.config = "{\"bos_token\":\"<bos>\"}"});
}

static void test_refuses_bad_templates(void **state) {
#define TEMPLATE(single, tokens) \
  "{\"type\":\"TemplateProcessing\",\"single\":[" single "],\"special_tokens\":{" tokens "}}"
  (void)state;

  refuses("single", &(parts){.post_processor = TEMPLATE("", "")});
  refuses("single", &(parts){.post_processor = TEMPLATE("{\"Sequence\":{\"id\":\"B\"}}", "")});
  refuses("single", &(parts){.post_processor = TEMPLATE("{\"Sequence\":{\"id\":\"A\"}},"
                                                        "{\"Sequence\":{\"id\":\"A\"}}",
                                                        "")});
  refuses("lacks the ids of 'q'",
          &(parts){.post_processor = TEMPLATE("{\"SpecialToken\":{\"id\":\"q\"}}", "")});
  refuses("an id that is none",
          &(parts){.post_processor =
                       TEMPLATE("{\"SpecialToken\":{\"id\":\"q\"}}", "\"q\":{\"ids\":[14]}")});
}

static void test_refuses_broken_text(void **state) {
  static const struct {
    const char *vocab, *message;
  } cases[] = {{"{\"\\ud83e\":1}", "a bad escape"},    {"{\"\\ud83ea\":1}", "a bad escape"},
               {"{\"\\udd99\":1}", "a bad escape"},    {"{\"\\ud83e\\u0061\":1}", "a bad escape"},
               {"{\"\\x41\":1}", "a bad escape"},      {"{\"\\u12g4\":1}", "a bad escape"},
               {"{\"\xff\":1}", "not UTF-8"},          {"{\"\xed\xa0\x80\":1}", "not UTF-8"},
               {"{\"a\n\":1}", "control character"},   {"{\"a\":1,}", "expected a name"},
               {"{\"a\" 1}", "expected ':'"},          {"{\"a\":1 \"b\":2}", "expected ','"},
               {"{\"a\":}", "a value is missing"},     {"{\"a\":;}", "no JSON value"},
               {"{\"a\":01}", "expected an integer"},  {"{\"a\":-}", "expected an integer"},
               {"{\"a\":[}", "brackets do not match"}, {"[]", "model.vocab: expected an object"}};
  (void)state;

  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    refuses(cases[i].message, &(parts){.vocab = cases[i].vocab});
  }
  refuses_bytes("", 0, NULL, "a value is missing");
  refuses_bytes("[]", 2, NULL, "the file: expected an object");
  refuses_bytes("{} x", 4, NULL, "something follows");
  refuses_bytes("{}", 2, NULL, "model: expected an object");
  refuses_bytes("{\"model\":{},\"model\":{}}", 23, NULL, "model is there twice");
  refuses_bytes("version https://git-lfs.github.com", 34, NULL, "something follows");
}

/* Nesting, in a value that is skipped and in one that is read. */
static void test_refuses_deep_nesting(void **state) {
  enum { depth = 1000000 };
  char *text = malloc(depth + 16);
  (void)state;

  assert_non_null(text);
  memcpy(text, "{\"x\":", 5);
  memset(text + 5, '[', depth);
  refuses_bytes(text, depth + 5, NULL, "nested too deep");
  free(text);
}

static void test_refuses_every_truncation(void **state) {
  char *json = make_json(&(parts){.normalizer = prepend_replace, .post_processor = bos_template});
  const size_t size = strlen(json);
  (void)state;

  for (size_t n = 0; n < size; n++) {
    lrp_rules r;
    char *copy = malloc(n + 1); /* of exactly that size, for AddressSanitizer to watch */
    assert_non_null(copy);
    memcpy(copy, json, n);
    lrp_failure_clear();
    assert_int_equal(lrp_tokenizer_json_read(realloc(copy, n > 0 ? n : 1), n, "f", &r),
                     LRP_ERR_DATA);
    lrp_rules_free(&r);
  }
  free(json);
}

static void use(const lrp_rules *r) {
  static const char text[] = "ab <s>a\xff  \xc3\xa9</s> abc";
  lrp_tokens t = {0};
  char *back = NULL;

  assert_int_equal(lrp_rules_encode(r, text, sizeof text - 1, &t), LRP_OK);
  for (int64_t i = 0; i < t.count; i++) assert_true(t.ids[i] >= 0 && t.ids[i] < r->vocab.count);
  assert_int_equal(lrp_rules_decode(r, t.ids, t.count, &back), LRP_OK);
  free(back);
  lrp_tokens_free(&t);
}

/* Whatever a damaged file reads as, using it is safe. */
static void test_survives_flipped_bytes(void **state) {
  char *json = make_json(
      &(parts){.normalizer = prepend_replace,
               .post_processor = bos_template,
               .pre_tokenizer = METASPACE(",\"prepend_scheme\":\"first\""),
               .model = ",\"unk_token\":\"<unk>\",\"byte_fallback\":true,\"fuse_unk\":true"});
  const size_t size = strlen(json);
  uint32_t random = 7;
  int read = 0;
  (void)state;

  for (int trial = 0; trial < 20000; trial++) {
    lrp_rules r;
    char *copy = strdup(json);
    assert_non_null(copy);
    for (int flips = 1 + trial % 3; flips > 0; flips--) {
      random = random * 1664525U + 1013904223U;
      copy[(random >> 8) % size] = (char)(trial % 2 ? random >> 24 : ' ' + (random >> 24) % 95);
    }
    lrp_failure_clear();
    if (lrp_tokenizer_json_read(copy, size, "f", &r) == LRP_OK) {
      use(&r);
      read++;
    }
    lrp_rules_free(&r);
  }
  free(json);
  assert_true(read > 1000); /* the loop above was entered */
}

/* A file that is small in bytes and large as a tree: memory stays near its size. */
static void test_needs_little_memory(void **state) {
  enum { n = 24 << 20 };
  static const char head[] = "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":";
  char *text = malloc(n);
  struct rusage before, after;
  lrp_rules r;
  (void)state;

  assert_non_null(text);
  memcpy(text, head, sizeof head - 1);
  for (size_t i = sizeof head - 1; i < n; i++) text[i] = (i & 1) ? ',' : '0';
  text[sizeof head - 1] = '[';
  memcpy(text + n - 4, "0]}}", 4);
  text[n - 1] = '}';
  getrusage(RUSAGE_SELF, &before);
  lrp_failure_clear();
  assert_int_equal(lrp_tokenizer_json_read(text, n, "f", &r), LRP_ERR_DATA);
  getrusage(RUSAGE_SELF, &after);
  lrp_rules_free(&r);
  assert_true(after.ru_maxrss - before.ru_maxrss < 2 * (n >> 10)); /* KiB */
}

static void test_refuses_a_huge_file(void **state) {
  char dir[] = "/tmp/lrp_test_tokenizer_json_XXXXXX";
  char path[sizeof dir + 32];
  lrp_tokenizer *tok;
  FILE *f;
  (void)state;

  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/tokenizer.json", dir);
  f = fopen(path, "w");
  assert_non_null(f);
  assert_int_equal(fclose(f), 0);
  assert_int_equal(truncate(path, 1 << 30), 0); /* a hole: it takes no space */
  lrp_failure_clear();
  assert_int_equal(lrp_tokenizer_open(dir, &tok), LRP_ERR_DATA);
  unlink(path);
  assert_int_equal(rmdir(dir), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_old_form),
      cmocka_unit_test(test_metaspace),
      cmocka_unit_test(test_normalizer_alone),
      cmocka_unit_test(test_merges),
      cmocka_unit_test(test_merges_of_bytes),
      cmocka_unit_test(test_unknown),
      cmocka_unit_test(test_ignore_merges),
      cmocka_unit_test(test_added_tokens),
      cmocka_unit_test(test_template),
      cmocka_unit_test(test_names_of_marks),
      cmocka_unit_test(test_decoders),
      cmocka_unit_test(test_escapes),
      cmocka_unit_test(test_holes),
      cmocka_unit_test(test_refuses_other_kinds),
      cmocka_unit_test(test_refuses_contradictions),
      cmocka_unit_test(test_refuses_bad_templates),
      cmocka_unit_test(test_refuses_broken_text),
      cmocka_unit_test(test_refuses_deep_nesting),
      cmocka_unit_test(test_refuses_every_truncation),
      cmocka_unit_test(test_survives_flipped_bytes),
      cmocka_unit_test(test_needs_little_memory),
      cmocka_unit_test(test_refuses_a_huge_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
