#include "io/tokenizer/json_step.h"

#include <string.h>

lrp_status lrp_json_step_unknown(const lrp_json_file *file, const char *kind, const char *type) {
  return lrp_fail(LRP_ERR_DATA, "%s: the %s %.100s is not read by this version", file->name, kind,
                  type);
}

lrp_status lrp_json_step_expected(const lrp_json_file *file, const char *what,
                                  const char *expected) {
  return lrp_fail(LRP_ERR_DATA, "%s: %s: expected %s", file->name, what, expected);
}

lrp_status lrp_json_step_flag(const lrp_json_file *file, const json_t *step, const char *key,
                              bool *flag) {
  const json_t *value = json_object_get(step, key);

  if (!value || json_is_null(value)) return LRP_OK;
  if (!json_is_boolean(value)) return lrp_json_step_expected(file, key, "true or false");
  *flag = json_is_true(value);
  return LRP_OK;
}

lrp_status lrp_json_step_pattern(const lrp_json_file *file, const json_t *step, const char *what,
                                 lrp_matcher *m) {
  const json_t *pattern = json_object_get(step, "pattern");
  const json_t *text = json_object_get(pattern, "String");
  const json_t *regex = json_object_get(pattern, "Regex");
  const char *characters = json_string_value(regex ? regex : text);
  const size_t length = json_string_length(regex ? regex : text);

  if (!characters) return lrp_json_step_expected(file, what, "a pattern String or Regex");
  if (!regex && length > 0) return lrp_matcher_text(m, characters, length);
  m->kind = LRP_MATCH_REGEX; /* an empty String matches wherever an empty Regex does */
  return lrp_regex_create(characters, length, file->name, &m->regex);
}

lrp_status lrp_json_step_prefix(const lrp_json_file *file, const json_t *step, lrp_prefix *prefix) {
  const json_t *scheme = json_object_get(step, "prepend_scheme");
  const json_t *add = json_object_get(step, "add_prefix_space");
  const char *name = json_string_value(scheme);

  *prefix = json_is_false(add) ? LRP_PREFIX_NEVER : LRP_PREFIX_ALWAYS;
  if (!scheme || json_is_null(scheme)) return LRP_OK;
  if (name && strcmp(name, "never") == 0) {
    *prefix = LRP_PREFIX_NEVER;
  } else if (name && strcmp(name, "first") == 0) {
    *prefix = LRP_PREFIX_FIRST;
  } else if (name && strcmp(name, "always") == 0) {
    *prefix = LRP_PREFIX_ALWAYS;
  } else {
    return lrp_json_step_expected(file, "Metaspace: prepend_scheme", "first, always or never");
  }
  if (*prefix != LRP_PREFIX_NEVER && json_is_false(add)) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: Metaspace: prepend_scheme is %s, but add_prefix_space is false",
                    file->name, name);
  }
  return LRP_OK;
}

/* A Sequence is read step by step. */
static lrp_status read_step(const lrp_json_file *file, const lrp_json_step_kind *kind,
                            const json_t *step, lrp_rules *r) {
  const char *type = json_string_value(json_object_get(step, "type"));
  const json_t *list, *item;
  size_t i;
  lrp_status st = LRP_OK;

  if (!type) return lrp_json_step_expected(file, kind->name, "an object with a type");
  if (strcmp(type, "Sequence") != 0) return kind->read(file, type, step, r);
  list = json_object_get(step, kind->list);
  if (!json_is_array(list)) {
    return lrp_json_step_expected(file, kind->name, "a Sequence with its list");
  }
  json_array_foreach(list, i, item) {
    if (st == LRP_OK) st = read_step(file, kind, item, r);
  }
  return st;
}

lrp_status lrp_json_step_walk(const lrp_json_file *file, const lrp_json_step_kind *kind,
                              lrp_json_slice value, lrp_rules *r) {
  json_t *tree;
  lrp_status st = lrp_json_tree(file, value, kind->name, &tree);

  if (st == LRP_OK && tree && !json_is_null(tree)) st = read_step(file, kind, tree, r);
  json_decref(tree);
  return st;
}
