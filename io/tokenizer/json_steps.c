#include "io/tokenizer/json_steps.h"

#include <string.h>

/* One step of the file: reads it into the rules. */
typedef lrp_status (*step_reader)(const lrp_json_file *file, const char *type, const json_t *step,
                                  lrp_rules *r);

/* A kind of steps, and the member of a Sequence that lists them. */
typedef struct {
  const char *name, *list;
  step_reader read;
} step_kind;

static lrp_status fail_unknown(const lrp_json_file *file, const char *kind, const char *type) {
  return lrp_fail(LRP_ERR_DATA, "%s: the %s %.100s is not read by this version", file->name, kind,
                  type);
}

static lrp_status fail_expected(const lrp_json_file *file, const char *what, const char *expected) {
  return lrp_fail(LRP_ERR_DATA, "%s: %s: expected %s", file->name, what, expected);
}

/* A Sequence is read step by step. */
static lrp_status read_step(const lrp_json_file *file, const step_kind *kind, const json_t *step,
                            lrp_rules *r) {
  const char *type = json_string_value(json_object_get(step, "type"));
  const json_t *list, *item;
  size_t i;
  lrp_status st = LRP_OK;

  if (!type) return fail_expected(file, kind->name, "an object with a type");
  if (strcmp(type, "ByteLevel") == 0) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: byte-level BPE is not read by this version (its %s is ByteLevel)",
                    file->name, kind->name);
  }
  if (strcmp(type, "Sequence") != 0) return kind->read(file, type, step, r);
  list = json_object_get(step, kind->list);
  if (!json_is_array(list)) return fail_expected(file, kind->name, "a Sequence with its list");
  json_array_foreach(list, i, item) {
    if (st == LRP_OK) st = read_step(file, kind, item, r);
  }
  return st;
}

static lrp_status read_kind(const lrp_json_file *file, const step_kind *kind, lrp_json_slice value,
                            lrp_rules *r) {
  json_t *tree;
  lrp_status st = lrp_json_tree(file, value, kind->name, &tree);

  if (st == LRP_OK && tree && !json_is_null(tree)) st = read_step(file, kind, tree, r);
  json_decref(tree);
  return st;
}

/* Whether a step somewhere in it makes the tokenizer a byte-level one. */
static bool is_byte_level(const json_t *step) {
  const char *type = json_string_value(json_object_get(step, "type"));
  const json_t *list = json_object_get(step, "pretokenizers"), *item;
  size_t i;

  if (type && strcmp(type, "ByteLevel") == 0) return true;
  json_array_foreach(list, i, item) {
    if (is_byte_level(item)) return true;
  }
  return false;
}

/* Said first: what else such a file has that is not known would lead astray. */
static lrp_status check_kind(const lrp_json_file *file, lrp_json_slice pre_tokenizer) {
  json_t *tree;
  lrp_status st = lrp_json_tree(file, pre_tokenizer, "pre_tokenizer", &tree);

  if (st == LRP_OK && is_byte_level(tree)) {
    st = lrp_fail(LRP_ERR_DATA,
                  "%s: byte-level BPE is not read by this version (its pre_tokenizer is ByteLevel)",
                  file->name);
  }
  json_decref(tree);
  return st;
}

static lrp_status read_normalizer(const lrp_json_file *file, const char *type, const json_t *step,
                                  lrp_rules *r) {
  const json_t *content, *pattern = NULL;

  if (strcmp(type, "Prepend") == 0) {
    content = json_object_get(step, "prepend");
  } else if (strcmp(type, "Replace") == 0) {
    content = json_object_get(step, "content");
    pattern = json_object_get(json_object_get(step, "pattern"), "String");
    if (json_string_length(pattern) == 0) {
      return fail_expected(file, "normalizer Replace", "a pattern String that is not empty");
    }
  } else {
    return fail_unknown(file, "normalizer", type);
  }
  if (!json_is_string(content)) return fail_expected(file, "normalizer", "a text to put");
  return lrp_normalizer_add(&r->normalizer, json_string_value(pattern), json_string_length(pattern),
                            json_string_value(content), json_string_length(content));
}

static lrp_status read_prefix(const lrp_json_file *file, const json_t *step, lrp_prefix *prefix) {
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
    return fail_expected(file, "Metaspace: prepend_scheme", "first, always or never");
  }
  if (*prefix != LRP_PREFIX_NEVER && json_is_false(add)) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: Metaspace: prepend_scheme is %s, but add_prefix_space is false",
                    file->name, name);
  }
  return LRP_OK;
}

static lrp_status read_pre_tokenizer(const lrp_json_file *file, const char *type,
                                     const json_t *step, lrp_rules *r) {
  const char *mark = json_string_value(json_object_get(step, "replacement"));
  const json_t *split = json_object_get(step, "split");

  if (strcmp(type, "Metaspace") != 0) return fail_unknown(file, "pre_tokenizer", type);
  if (r->metaspace) return fail_unknown(file, "pre_tokenizer", "Metaspace twice");
  if (!mark || strcmp(mark, LRP_SPACE_MARK) != 0) {
    return fail_expected(file, "Metaspace: replacement", "U+2581");
  }
  r->metaspace = true;
  r->split = !json_is_false(split); /* true if it is not said */
  return read_prefix(file, step, &r->prefix);
}

/* Decoders do not change ids: what they do is done anyway, but for the first space. */
static lrp_status read_decoder(const lrp_json_file *file, const char *type, const json_t *step,
                               lrp_rules *r) {
  lrp_prefix prefix;

  if (strcmp(type, "Strip") == 0) {
    const char *content = json_string_value(json_object_get(step, "content"));
    const json_int_t start = json_integer_value(json_object_get(step, "start"));
    if (content && strcmp(content, " ") == 0 && start > 0) r->strip_space = true;
    return LRP_OK;
  }
  if (strcmp(type, "Metaspace") == 0) {
    const lrp_status st = read_prefix(file, step, &prefix);
    if (st == LRP_OK && prefix != LRP_PREFIX_NEVER) r->strip_space = true;
    return st;
  }
  if (strcmp(type, "Replace") == 0 || strcmp(type, "ByteFallback") == 0 ||
      strcmp(type, "Fuse") == 0) {
    return LRP_OK;
  }
  return fail_unknown(file, "decoder", type);
}

lrp_status lrp_json_steps_read(const lrp_json_file *file, const lrp_json_steps *steps,
                               lrp_rules *r) {
  static const step_kind normalizer = {"normalizer", "normalizers", read_normalizer};
  static const step_kind pre_tokenizer = {"pre_tokenizer", "pretokenizers", read_pre_tokenizer};
  static const step_kind decoder = {"decoder", "decoders", read_decoder};
  lrp_status st = check_kind(file, steps->pre_tokenizer);

  if (st == LRP_OK) st = read_kind(file, &normalizer, steps->normalizer, r);
  if (st == LRP_OK) st = read_kind(file, &pre_tokenizer, steps->pre_tokenizer, r);
  return st == LRP_OK ? read_kind(file, &decoder, steps->decoder, r) : st;
}

/* ---- The post-processor ---------------------------------------------------------------------- */

/* The ids that stand for a special token of the template. */
static lrp_status push_special(const lrp_json_file *file, const json_t *tokens, const char *name,
                               const lrp_rules *r, lrp_id_list *list) {
  const json_t *ids = json_object_get(json_object_get(tokens, name), "ids"), *id;
  size_t i;
  lrp_status st = LRP_OK;

  if (!json_is_array(ids)) {
    return lrp_fail(LRP_ERR_DATA, "%s: post_processor: special_tokens lacks the ids of '%.100s'",
                    file->name, name);
  }
  json_array_foreach(ids, i, id) {
    const json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
    if (st != LRP_OK) break;
    if (value < 0 || value >= r->vocab.count) {
      return lrp_fail(LRP_ERR_DATA, "%s: post_processor: '%.100s' stands for an id that is none",
                      file->name, name);
    }
    st = lrp_id_list_push(list, (int32_t)value);
  }
  return st;
}

static lrp_status read_template(const lrp_json_file *file, const char *type, const json_t *step,
                                lrp_rules *r) {
  const json_t *single = json_object_get(step, "single"), *piece;
  lrp_id_list *list = &r->front;
  size_t i;
  lrp_status st = LRP_OK;

  if (strcmp(type, "TemplateProcessing") != 0 || r->marks_given) {
    return fail_unknown(file, "post_processor", r->marks_given ? "of several templates" : type);
  }
  r->marks_given = true;
  json_array_foreach(single, i, piece) {
    const json_t *text = json_object_get(json_object_get(piece, "Sequence"), "id");
    const json_t *special = json_object_get(json_object_get(piece, "SpecialToken"), "id");
    if (st != LRP_OK) break;
    if (json_is_string(special)) {
      st = push_special(file, json_object_get(step, "special_tokens"), json_string_value(special),
                        r, list);
    } else if (json_is_string(text) && strcmp(json_string_value(text), "A") == 0 &&
               list == &r->front) {
      list = &r->behind;
    } else {
      return fail_expected(file, "post_processor: single", "special tokens and the text A, once");
    }
  }
  if (st == LRP_OK && list == &r->front) {
    return fail_expected(file, "post_processor: single", "the text A");
  }
  return st;
}

lrp_status lrp_json_template_read(const lrp_json_file *file, const lrp_json_steps *steps,
                                  lrp_rules *r) {
  static const step_kind kind = {"post_processor", "processors", read_template};
  return read_kind(file, &kind, steps->post_processor, r);
}
