/* The normalizer of a tokenizer.json. */
#include <string.h>

#include "io/tokenizer/json_step.h"
#include "io/tokenizer/json_steps.h"

/* Types that need nothing but their name. */
static const struct {
  const char *type;
  lrp_normalizer_step step;
} plain[] = {{"NFC", {.kind = LRP_NORMALIZE_FORM, .form = LRP_NFC}},
             {"NFD", {.kind = LRP_NORMALIZE_FORM, .form = LRP_NFD}},
             {"NFKC", {.kind = LRP_NORMALIZE_FORM, .form = LRP_NFKC}},
             {"NFKD", {.kind = LRP_NORMALIZE_FORM, .form = LRP_NFKD}},
             {"Lowercase", {.kind = LRP_NORMALIZE_LOWERCASE}},
             {"StripAccents", {.kind = LRP_NORMALIZE_ACCENTS}},
             {"ByteLevel", {.kind = LRP_NORMALIZE_BYTES}}};

static lrp_status read_strip(const lrp_json_file *file, const json_t *step, lrp_rules *r) {
  lrp_normalizer_step s = {.kind = LRP_NORMALIZE_STRIP};
  lrp_status st = lrp_json_step_flag(file, step, "strip_left", &s.left);

  if (st == LRP_OK) st = lrp_json_step_flag(file, step, "strip_right", &s.right);
  return st == LRP_OK ? lrp_normalizer_add(&r->normalizer, &s, NULL, 0) : st;
}

static lrp_status read_content(const lrp_json_file *file, const json_t *step, const char *key,
                               lrp_normalizer_kind kind, lrp_rules *r) {
  const json_t *content = json_object_get(step, key);
  lrp_normalizer_step s = {.kind = kind};
  lrp_status st = LRP_OK;

  if (!json_is_string(content)) {
    return lrp_json_step_expected(file, "normalizer", "a text to put");
  }
  if (kind == LRP_NORMALIZE_REPLACE) {
    st = lrp_json_step_pattern(file, step, "normalizer Replace", &s.matcher);
  }
  if (st != LRP_OK) return st;
  return lrp_normalizer_add(&r->normalizer, &s, json_string_value(content),
                            json_string_length(content));
}

static lrp_status read_normalizer(const lrp_json_file *file, const char *type, const json_t *step,
                                  lrp_rules *r) {
  if (strcmp(type, "Prepend") == 0) {
    return read_content(file, step, "prepend", LRP_NORMALIZE_PREPEND, r);
  }
  if (strcmp(type, "Replace") == 0) {
    return read_content(file, step, "content", LRP_NORMALIZE_REPLACE, r);
  }
  if (strcmp(type, "Strip") == 0) return read_strip(file, step, r);
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
    if (strcmp(type, plain[i].type) != 0) continue;
    return lrp_normalizer_add(&r->normalizer, &plain[i].step, NULL, 0);
  }
  return lrp_json_step_unknown(file, "normalizer", type);
}

lrp_status lrp_json_normalizer_read(const lrp_json_file *file, lrp_json_slice value, lrp_rules *r) {
  static const lrp_json_step_kind kind = {"normalizer", "normalizers", read_normalizer};
  return lrp_json_step_walk(file, &kind, value, r);
}
