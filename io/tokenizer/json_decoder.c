/* The decoder of a tokenizer.json. */
#include <string.h>

#include "io/tokenizer/json_step.h"
#include "io/tokenizer/json_steps.h"

static lrp_status read_strip(const lrp_json_file *file, const json_t *step, lrp_rules *r) {
  const json_t *content = json_object_get(step, "content");
  const json_t *start = json_object_get(step, "start"), *stop = json_object_get(step, "stop");
  lrp_decoder_step s = {.kind = LRP_DECODE_STRIP};

  s.start = json_is_integer(start) ? json_integer_value(start) : -1;
  s.stop = json_is_integer(stop) ? json_integer_value(stop) : -1;
  if (json_string_length(content) == 0 || s.start < 0 || s.stop < 0) {
    return lrp_json_step_expected(file, "decoder Strip", "a content, and how many to strip");
  }
  return lrp_decoder_add(&r->decoder, &s, json_string_value(content), json_string_length(content));
}

static lrp_status read_replace(const lrp_json_file *file, const json_t *step, lrp_rules *r) {
  const json_t *content = json_object_get(step, "content");
  lrp_decoder_step s = {.kind = LRP_DECODE_REPLACE};
  lrp_status st;

  if (!json_is_string(content)) {
    return lrp_json_step_expected(file, "decoder Replace", "a text to put");
  }
  st = lrp_json_step_pattern(file, step, "decoder Replace", &s.matcher);
  if (st != LRP_OK) return st;
  return lrp_decoder_add(&r->decoder, &s, json_string_value(content), json_string_length(content));
}

static lrp_status add_text(lrp_rules *r, lrp_decoder_step *s, const json_t *text) {
  const lrp_status st =
      lrp_matcher_text(&s->matcher, json_string_value(text), json_string_length(text));
  return st == LRP_OK ? lrp_decoder_add(&r->decoder, s, NULL, 0) : st;
}

static lrp_status read_metaspace(const lrp_json_file *file, const json_t *step, lrp_rules *r) {
  const json_t *mark = json_object_get(step, "replacement");
  lrp_decoder_step s = {.kind = LRP_DECODE_MARKS};
  lrp_prefix prefix;
  const lrp_status st = lrp_json_step_prefix(file, step, &prefix);

  if (st != LRP_OK) return st;
  if (json_string_length(mark) == 0) {
    return lrp_json_step_expected(file, "decoder Metaspace", "a replacement");
  }
  s.keep_first = prefix == LRP_PREFIX_NEVER;
  return add_text(r, &s, mark);
}

static lrp_status read_suffix(const lrp_json_file *file, const json_t *step, lrp_rules *r) {
  const json_t *suffix = json_object_get(step, "suffix");
  lrp_decoder_step s = {.kind = LRP_DECODE_SUFFIX};

  if (json_string_length(suffix) == 0) {
    return lrp_json_step_expected(file, "decoder BPEDecoder", "a suffix");
  }
  return add_text(r, &s, suffix);
}

static lrp_status read_decoder(const lrp_json_file *file, const char *type, const json_t *step,
                               lrp_rules *r) {
  static const struct {
    const char *type;
    lrp_decoder_kind kind;
  } plain[] = {{"ByteLevel", LRP_DECODE_BYTES},
               {"ByteFallback", LRP_DECODE_BYTE_FALLBACK},
               {"Fuse", LRP_DECODE_FUSE}};

  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
    const lrp_decoder_step s = {.kind = plain[i].kind};
    if (strcmp(type, plain[i].type) == 0) return lrp_decoder_add(&r->decoder, &s, NULL, 0);
  }
  if (strcmp(type, "Strip") == 0) return read_strip(file, step, r);
  if (strcmp(type, "Replace") == 0) return read_replace(file, step, r);
  if (strcmp(type, "Metaspace") == 0) return read_metaspace(file, step, r);
  if (strcmp(type, "BPEDecoder") == 0) return read_suffix(file, step, r);
  return lrp_json_step_unknown(file, "decoder", type);
}

lrp_status lrp_json_decoder_read(const lrp_json_file *file, lrp_json_slice value, lrp_rules *r) {
  static const lrp_json_step_kind kind = {"decoder", "decoders", read_decoder};

  r->space_between = !value.text || lrp_json_is(value, "null");
  return lrp_json_step_walk(file, &kind, value, r);
}
