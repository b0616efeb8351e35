/* The post-processor of a tokenizer.json. */
#include <string.h>

#include "io/tokenizer/json_step.h"
#include "io/tokenizer/json_steps.h"

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

static lrp_status read_template(const lrp_json_file *file, const json_t *step, lrp_rules *r) {
  const json_t *single = json_object_get(step, "single"), *piece;
  lrp_id_list *list = &r->front;
  size_t i;
  lrp_status st = LRP_OK;

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
      return lrp_json_step_expected(file, "post_processor: single",
                                    "special tokens and the text A, once");
    }
  }
  if (st == LRP_OK && list == &r->front) {
    return lrp_json_step_expected(file, "post_processor: single", "the text A");
  }
  return st;
}

/* ["</s>", 2], as BERT and RoBERTa name their marks. */
static lrp_status push_mark(const lrp_json_file *file, const json_t *step, const char *key,
                            const lrp_rules *r, lrp_id_list *list) {
  const json_t *id = json_array_get(json_object_get(step, key), 1);
  const json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;

  if (value < 0 || value >= r->vocab.count) {
    return lrp_fail(LRP_ERR_DATA, "%s: post_processor: %s: expected a token and its id", file->name,
                    key);
  }
  return lrp_id_list_push(list, (int32_t)value);
}

static lrp_status read_marks(const lrp_json_file *file, const json_t *step, lrp_rules *r) {
  const lrp_status st = push_mark(file, step, "cls", r, &r->front);
  return st == LRP_OK ? push_mark(file, step, "sep", r, &r->behind) : st;
}

static lrp_status read_post_processor(const lrp_json_file *file, const char *type,
                                      const json_t *step, lrp_rules *r) {
  const bool template = strcmp(type, "TemplateProcessing") == 0;

  if (strcmp(type, "ByteLevel") == 0) return LRP_OK; /* moves offsets only */
  if (!template && strcmp(type, "RobertaProcessing") != 0 && strcmp(type, "BertProcessing") != 0) {
    return lrp_json_step_unknown(file, "post_processor", type);
  }
  if (r->marks_given) return lrp_json_step_unknown(file, "post_processor", "of several templates");
  r->marks_given = true;
  return template ? read_template(file, step, r) : read_marks(file, step, r);
}

lrp_status lrp_json_post_processor_read(const lrp_json_file *file, lrp_json_slice value,
                                        lrp_rules *r) {
  static const lrp_json_step_kind kind = {"post_processor", "processors", read_post_processor};
  const lrp_status st = lrp_json_step_walk(file, &kind, value, r);

  if (value.text && !lrp_json_is(value, "null")) r->marks_given = true;
  return st;
}
