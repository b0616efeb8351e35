/* The pre-tokenizer of a tokenizer.json. */
#include <string.h>

#include "io/tokenizer/json_step.h"
#include "io/tokenizer/json_steps.h"

static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static lrp_status add_split(lrp_rules *r, lrp_match_kind match, lrp_split_behavior behavior,
                            bool invert) {
  lrp_words_step s = {.kind = LRP_WORDS_SPLIT, .behavior = behavior, .invert = invert};

  s.matcher.kind = match;
  return lrp_pre_tokenizer_add(&r->pre_tokenizer, &s);
}

static lrp_status add_text_split(lrp_rules *r, const char *text, size_t length,
                                 lrp_split_behavior behavior) {
  lrp_words_step s = {.kind = LRP_WORDS_SPLIT, .behavior = behavior};
  const lrp_status st = lrp_matcher_text(&s.matcher, text, length);
  return st == LRP_OK ? lrp_pre_tokenizer_add(&r->pre_tokenizer, &s) : st;
}

static lrp_status add_gpt2_split(const lrp_json_file *file, lrp_rules *r) {
  lrp_words_step s = {.kind = LRP_WORDS_SPLIT, .behavior = LRP_SPLIT_ISOLATED};
  lrp_status st;

  s.matcher.kind = LRP_MATCH_REGEX;
  st = lrp_regex_create(gpt2_pattern, sizeof gpt2_pattern - 1, file->name, &s.matcher.regex);
  return st == LRP_OK ? lrp_pre_tokenizer_add(&r->pre_tokenizer, &s) : st;
}

static lrp_status read_behavior(const lrp_json_file *file, const char *type, const json_t *step,
                                lrp_split_behavior *behavior) {
  static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
                                      "Contiguous"}; /* in the order of their values */
  const json_t *value = json_object_get(step, "behavior");
  const char *name = json_string_value(value);

  if (!value) return LRP_OK;
  for (size_t i = 0; name && i < sizeof names / sizeof *names; i++) {
    if (strcmp(name, names[i]) != 0) continue;
    *behavior = (lrp_split_behavior)i;
    return LRP_OK;
  }
  return lrp_fail(LRP_ERR_DATA, "%s: the behavior %.100s of the pre_tokenizer %s is not known",
                  file->name, name ? name : "of no name", type);
}

static lrp_status read_byte_level(const lrp_json_file *file, const char *type, const json_t *step,
                                  lrp_rules *r) {
  lrp_words_step space = {.kind = LRP_WORDS_SPACE}, bytes = {.kind = LRP_WORDS_BYTES};
  bool add_prefix_space = true, use_regex = true;
  lrp_status st = lrp_json_step_flag(file, step, "add_prefix_space", &add_prefix_space);

  (void)type;
  if (st == LRP_OK) st = lrp_json_step_flag(file, step, "use_regex", &use_regex);
  if (st == LRP_OK && add_prefix_space) st = lrp_pre_tokenizer_add(&r->pre_tokenizer, &space);
  if (st == LRP_OK && use_regex) st = add_gpt2_split(file, r);
  return st == LRP_OK ? lrp_pre_tokenizer_add(&r->pre_tokenizer, &bytes) : st;
}

static lrp_status read_metaspace(const lrp_json_file *file, const char *type, const json_t *step,
                                 lrp_rules *r) {
  const char *mark = json_string_value(json_object_get(step, "replacement"));
  lrp_words_step marks = {.kind = LRP_WORDS_MARKS};
  bool split = true;
  lrp_status st = lrp_json_step_flag(file, step, "split", &split);

  (void)type;
  if (!mark || strcmp(mark, LRP_SPACE_MARK) != 0) {
    return lrp_json_step_expected(file, "Metaspace: replacement", "U+2581");
  }
  if (st == LRP_OK) st = lrp_json_step_prefix(file, step, &marks.prefix);
  if (st == LRP_OK) st = lrp_pre_tokenizer_add(&r->pre_tokenizer, &marks);
  if (st != LRP_OK || !split) return st;
  return add_text_split(r, mark, LRP_SPACE_MARK_LENGTH, LRP_SPLIT_MERGED_WITH_NEXT);
}

static lrp_status read_split(const lrp_json_file *file, const char *type, const json_t *step,
                             lrp_rules *r) {
  lrp_words_step s = {.kind = LRP_WORDS_SPLIT};
  lrp_status st;

  if (!json_object_get(step, "behavior")) {
    return lrp_json_step_expected(file, "pre_tokenizer Split", "a behavior");
  }
  st = read_behavior(file, type, step, &s.behavior);
  if (st == LRP_OK) st = lrp_json_step_flag(file, step, "invert", &s.invert);
  if (st == LRP_OK) st = lrp_json_step_pattern(file, step, "pre_tokenizer Split", &s.matcher);
  return st == LRP_OK ? lrp_pre_tokenizer_add(&r->pre_tokenizer, &s) : st;
}

static lrp_status read_digits(const lrp_json_file *file, const char *type, const json_t *step,
                              lrp_rules *r) {
  bool individual = false;
  const lrp_status st = lrp_json_step_flag(file, step, "individual_digits", &individual);

  (void)type;
  if (st != LRP_OK) return st;
  return add_split(r, LRP_MATCH_NUMBER, individual ? LRP_SPLIT_ISOLATED : LRP_SPLIT_CONTIGUOUS,
                   false);
}

static lrp_status read_punctuation(const lrp_json_file *file, const char *type, const json_t *step,
                                   lrp_rules *r) {
  lrp_split_behavior behavior = LRP_SPLIT_ISOLATED;
  const lrp_status st = read_behavior(file, type, step, &behavior);
  return st == LRP_OK ? add_split(r, LRP_MATCH_PUNCTUATION, behavior, false) : st;
}

static lrp_status read_spaces(const lrp_json_file *file, const char *type, const json_t *step,
                              lrp_rules *r) {
  lrp_status st;

  (void)file;
  (void)step;
  if (strcmp(type, "Whitespace") == 0) {
    return add_split(r, LRP_MATCH_WORD, LRP_SPLIT_REMOVED, true);
  }
  st = add_split(r, LRP_MATCH_SPACE, LRP_SPLIT_REMOVED, false);
  if (st != LRP_OK || strcmp(type, "BertPreTokenizer") != 0) return st;
  return add_split(r, LRP_MATCH_PUNCTUATION, LRP_SPLIT_ISOLATED, false);
}

static lrp_status read_delimiter(const lrp_json_file *file, const char *type, const json_t *step,
                                 lrp_rules *r) {
  const json_t *text = json_object_get(step, "delimiter");

  (void)type;
  if (json_string_length(text) == 0) {
    return lrp_json_step_expected(file, "pre_tokenizer CharDelimiterSplit", "a delimiter");
  }
  return add_text_split(r, json_string_value(text), json_string_length(text), LRP_SPLIT_REMOVED);
}

static lrp_status read_pre_tokenizer(const lrp_json_file *file, const char *type,
                                     const json_t *step, lrp_rules *r) {
  static const struct {
    const char *type;
    lrp_json_step_reader read;
  } readers[] = {{"ByteLevel", read_byte_level},
                 {"Split", read_split},
                 {"Digits", read_digits},
                 {"Punctuation", read_punctuation},
                 {"Metaspace", read_metaspace},
                 {"Whitespace", read_spaces},
                 {"WhitespaceSplit", read_spaces},
                 {"BertPreTokenizer", read_spaces},
                 {"CharDelimiterSplit", read_delimiter}};

  for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
    if (strcmp(type, readers[i].type) == 0) return readers[i].read(file, type, step, r);
  }
  return lrp_json_step_unknown(file, "pre_tokenizer", type);
}

lrp_status lrp_json_pre_tokenizer_read(const lrp_json_file *file, lrp_json_slice value,
                                       lrp_rules *r) {
  static const lrp_json_step_kind kind = {"pre_tokenizer", "pretokenizers", read_pre_tokenizer};
  return lrp_json_step_walk(file, &kind, value, r);
}
