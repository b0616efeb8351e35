#include "io/tokenizer/wordpiece_json.h"

#include <stdlib.h>
#include <string.h>

#include "io/tokenizer/json_vocab.h"

static const int64_t most_characters = 1 << 20; /* of a word, whatever the file says */

/* Values of the file's members of these names. */
typedef struct {
  lrp_json_slice model, added_tokens, normalizer, pre_tokenizer, post_processor;
} file_members;

typedef struct {
  lrp_json_slice type, vocab, unk_token, continuing_subword_prefix, max_input_chars_per_word;
} model_members;

static lrp_status fail_expected(const lrp_json_file *file, const char *what, const char *expected) {
  return lrp_fail(LRP_ERR_DATA, "%s: %s: expected %s", file->name, what, expected);
}

/* ---- The model ------------------------------------------------------------------------------- */

/* Files of tokenizers before 0.9, bert-base-uncased's among them, do not name the type; only
 * WordPiece limits words. */
static lrp_status check_type(const lrp_json_file *file, const model_members *m) {
  lrp_json_slice name;
  if (lrp_json_is_null(m->type) && !lrp_json_is_null(m->max_input_chars_per_word)) return LRP_OK;
  const lrp_status st = lrp_json_string(file, m->type, "model.type", &name);
  if (st != LRP_OK || lrp_json_is(name, "WordPiece")) return st;
  return lrp_fail(LRP_ERR_DATA, "%s: the model %.*s is not BERT's: expected WordPiece", file->name,
                  (int)(name.length < 100 ? name.length : 100), name.text);
}

static lrp_status read_prefix(const lrp_json_file *file, lrp_json_slice value,
                              lrp_wordpiece_rules *r) {
  lrp_json_slice text;
  if (lrp_json_is_null(value)) return LRP_OK;
  const lrp_status st = lrp_json_string(file, value, "model.continuing_subword_prefix", &text);
  if (st != LRP_OK) return st;
  free(r->prefix);
  r->prefix = strndup(text.text, text.length);
  r->prefix_length = text.length;
  return r->prefix ? LRP_OK : lrp_fail_memory(text.length, "a prefix of pieces");
}

static lrp_status read_model(const lrp_json_file *file, lrp_json_slice object,
                             lrp_wordpiece_rules *r) {
  static const char max_name[] = "max_input_chars_per_word";
  model_members m;
  const lrp_json_member members[] = {{"type", &m.type},
                                     {"vocab", &m.vocab},
                                     {"unk_token", &m.unk_token},
                                     {"continuing_subword_prefix", &m.continuing_subword_prefix},
                                     {max_name, &m.max_input_chars_per_word}};
  memset(&m, 0, sizeof m);
  lrp_status st =
      lrp_json_collect(file, object, "model", members, sizeof members / sizeof *members);
  if (st == LRP_OK) st = check_type(file, &m);
  if (st == LRP_OK) st = read_prefix(file, m.continuing_subword_prefix, r);
  if (st == LRP_OK && !lrp_json_is_null(m.max_input_chars_per_word)) {
    st = lrp_json_integer(file, m.max_input_chars_per_word, max_name, &r->max_characters);
    if (st == LRP_OK && (r->max_characters < 0 || r->max_characters > most_characters)) {
      st = fail_expected(file, "model.max_input_chars_per_word", "a number in 0 .. 1048576");
    }
  }
  if (st == LRP_OK) st = lrp_json_vocab(file, m.vocab, &r->common);
  if (st == LRP_OK) st = lrp_json_unk(file, m.unk_token, &r->common);
  if (st == LRP_OK && r->common.vocab.unk < 0) {
    st = fail_expected(file, "model.unk_token", "the text of a piece");
  }
  return st;
}

/* ---- Normalizer and pre-tokenizer ------------------------------------------------------------ */

/* The type of a step is the one that is read. */
static lrp_status check_step(const lrp_json_file *file, const char *kind, const json_t *step,
                             const char *wanted) {
  const char *type = json_string_value(json_object_get(step, "type"));
  if (type && strcmp(type, wanted) == 0) return LRP_OK;
  return lrp_fail(LRP_ERR_DATA,
                  "%s: the %s %.100s is not read with WordPiece by this version, only %s",
                  file->name, kind, type ? type : "null", wanted);
}

static lrp_status step_flag(const lrp_json_file *file, const json_t *step, const char *key,
                            bool *flag) {
  const json_t *value = json_object_get(step, key);
  if (!json_is_boolean(value)) return fail_expected(file, key, "true or false");
  *flag = json_is_true(value);
  return LRP_OK;
}

static lrp_status read_normalizer(const lrp_json_file *file, lrp_json_slice value,
                                  lrp_wordpiece_rules *r) {
  json_t *tree = NULL;
  bool strip = false;
  if (lrp_json_is_null(value)) {
    r->glyphs = (lrp_glyph_rules){0};
    return LRP_OK;
  }
  lrp_status st = lrp_json_tree(file, value, "normalizer", &tree);
  if (st == LRP_OK) st = check_step(file, "normalizer", tree, "BertNormalizer");
  if (st == LRP_OK) st = step_flag(file, tree, "clean_text", &r->glyphs.clean);
  if (st == LRP_OK) st = step_flag(file, tree, "handle_chinese_chars", &r->glyphs.chinese);
  if (st == LRP_OK) st = step_flag(file, tree, "lowercase", &r->glyphs.lower);
  if (st == LRP_OK && json_is_boolean(json_object_get(tree, "strip_accents"))) {
    st = step_flag(file, tree, "strip_accents", &strip);
    r->strip = strip ? LRP_STRIP_YES : LRP_STRIP_NO;
  }
  json_decref(tree);
  return st;
}

static lrp_status check_pre_tokenizer(const lrp_json_file *file, lrp_json_slice value) {
  json_t *tree = NULL;
  lrp_status st = lrp_json_tree(file, value, "pre_tokenizer", &tree);
  if (st == LRP_OK) st = check_step(file, "pre_tokenizer", tree, "BertPreTokenizer");
  json_decref(tree);
  return st;
}

/* ---- Special tokens -------------------------------------------------------------------------- */

static lrp_status read_id(const lrp_json_file *file, const json_t *value, const lrp_vocab *v,
                          int32_t *id) {
  const json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
  if (number < 0 || number >= v->count) {
    return fail_expected(file, "post_processor", "ids of special tokens in the vocabulary");
  }
  *id = (int32_t)number;
  return LRP_OK;
}

/* {"sep": ["[SEP]", 102], "cls": ["[CLS]", 101]} */
static lrp_status read_bert_processing(const lrp_json_file *file, const json_t *step,
                                       lrp_wordpiece_rules *r) {
  const lrp_vocab *v = &r->common.vocab;
  lrp_status st = read_id(file, json_array_get(json_object_get(step, "cls"), 1), v, &r->cls);
  return st == LRP_OK ? read_id(file, json_array_get(json_object_get(step, "sep"), 1), v, &r->sep)
                      : st;
}

/* The name in one element of a template: a letter for a text, or a special token's; NULL if its
 * type is not the wanted one. */
static const char *element(const json_t *list, size_t i, const char *kind, json_int_t type) {
  const json_t *item = json_object_get(json_array_get(list, i), kind);
  const json_t *number = json_object_get(item, "type_id");
  const bool right = json_is_integer(number) && json_integer_value(number) == type;
  return right ? json_string_value(json_object_get(item, "id")) : NULL;
}

static bool same(const char *a, const char *b) {
  return a && b && strcmp(a, b) == 0;
}

/* [CLS] A [SEP], and [CLS] A [SEP] B [SEP] with B and what follows of type 1 */
static bool is_bert_template(const json_t *single, const json_t *pair) {
  const char *cls = element(single, 0, "SpecialToken", 0);
  const char *sep = element(single, 2, "SpecialToken", 0);
  return cls && sep && json_array_size(single) == 3 && json_array_size(pair) == 5 &&
         same(element(single, 1, "Sequence", 0), "A") &&
         same(element(pair, 0, "SpecialToken", 0), cls) &&
         same(element(pair, 1, "Sequence", 0), "A") &&
         same(element(pair, 2, "SpecialToken", 0), sep) &&
         same(element(pair, 3, "Sequence", 1), "B") &&
         same(element(pair, 4, "SpecialToken", 1), sep);
}

static lrp_status read_template(const lrp_json_file *file, const json_t *step,
                                lrp_wordpiece_rules *r) {
  const json_t *single = json_object_get(step, "single"), *pair = json_object_get(step, "pair");
  const json_t *tokens = json_object_get(step, "special_tokens");
  int32_t *const ids[] = {&r->cls, NULL, &r->sep};
  lrp_status st = LRP_OK;

  if (!is_bert_template(single, pair)) {
    return fail_expected(file, "post_processor",
                         "[CLS] A [SEP] with the types 0, and [CLS] A [SEP] B [SEP] with 0 and 1");
  }
  for (size_t i = 0; i < 3 && st == LRP_OK; i += 2) {
    const json_t *token = json_object_get(tokens, element(single, i, "SpecialToken", 0));
    const json_t *list = json_object_get(token, "ids");
    if (json_array_size(list) != 1) return fail_expected(file, "special_tokens", "one id of each");
    st = read_id(file, json_array_get(list, 0), &r->common.vocab, ids[i]);
  }
  return st;
}

static lrp_status read_post_processor(const lrp_json_file *file, lrp_json_slice value,
                                      lrp_wordpiece_rules *r) {
  json_t *tree = NULL;
  lrp_status st = lrp_json_tree(file, value, "post_processor", &tree);
  if (st == LRP_OK) {
    const char *type = json_string_value(json_object_get(tree, "type"));
    if (same(type, "BertProcessing")) {
      st = read_bert_processing(file, tree, r);
    } else {
      st = check_step(file, "post_processor", tree, "TemplateProcessing");
      if (st == LRP_OK) st = read_template(file, tree, r);
    }
  }
  json_decref(tree);
  return st;
}

/* Added tokens that are looked for in the normalized text would need one that this is not. */
static lrp_status check_added(const lrp_json_file *file, const lrp_added *added) {
  for (int32_t i = 0; i < added->count; i++) {
    const lrp_added_token *t = &added->tokens[i];
    if (!t->normalized) continue;
    return lrp_fail(LRP_ERR_DATA,
                    "%s: added_tokens: '%.*s' is normalized, which is not read with WordPiece",
                    file->name, (int)(t->length < 100 ? t->length : 100), t->text);
  }
  return LRP_OK;
}

lrp_status lrp_wordpiece_json_read(char *data, size_t size, const char *name,
                                   lrp_wordpiece_rules *r) {
  const lrp_json_file file = {.name = name, .data = data};
  lrp_json_slice whole = {0};
  file_members m;
  const lrp_json_member members[] = {{"model", &m.model},
                                     {"added_tokens", &m.added_tokens},
                                     {"normalizer", &m.normalizer},
                                     {"pre_tokenizer", &m.pre_tokenizer},
                                     {"post_processor", &m.post_processor}};
  memset(&m, 0, sizeof m);
  r->common.vocab.data = data;
  lrp_status st = lrp_json_whole(&file, data, size, &whole);
  if (st == LRP_OK) {
    st = lrp_json_collect(&file, whole, "the file", members, sizeof members / sizeof *members);
  }
  if (st == LRP_OK) st = read_model(&file, m.model, r);
  if (st == LRP_OK) st = read_normalizer(&file, m.normalizer, r);
  if (st == LRP_OK) st = check_pre_tokenizer(&file, m.pre_tokenizer);
  if (st == LRP_OK) st = lrp_json_added(&file, m.added_tokens, &r->common);
  if (st == LRP_OK) st = check_added(&file, &r->common.added);
  if (st == LRP_OK) st = read_post_processor(&file, m.post_processor, r);
  return st;
}
