#include "io/tokenizer/normalizer.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "io/tokenizer/byte_level.h"
#include "io/tokenizer/characters.h"

enum { dotted_capital_i = 0x130, dot_above = 0x307 };

static lrp_status add_step(lrp_normalizer *n, const lrp_normalizer_step *step) {
  const size_t bytes = ((size_t)n->count + 1) * sizeof *n->steps;
  lrp_normalizer_step *steps = realloc(n->steps, bytes);

  if (!steps) return lrp_fail_memory(bytes, "a normalizer");
  n->steps = steps;
  n->steps[n->count++] = *step;
  return LRP_OK;
}

lrp_status lrp_normalizer_add(lrp_normalizer *n, const lrp_normalizer_step *step,
                              const char *content, size_t length) {
  lrp_normalizer_step own = *step;

  own.length = length;
  own.content = lrp_bytes_copy(content, length, "a normalizer");
  const lrp_status st = own.content ? add_step(n, &own) : LRP_ERR_MEM;
  if (st != LRP_OK) {
    free(own.content);
    lrp_matcher_free(&own.matcher);
  }
  return st;
}

void lrp_normalizer_free(lrp_normalizer *n) {
  for (int i = 0; i < n->count; i++) {
    lrp_matcher_free(&n->steps[i].matcher);
    free(n->steps[i].content);
  }
  free(n->steps);
  memset(n, 0, sizeof *n);
}

static lrp_status replace(const lrp_normalizer_step *step, const char *text, size_t length,
                          lrp_buffer *out) {
  lrp_match_walk walk = {0};
  const lrp_status st = lrp_buffer_append_replaced(out, &walk, &step->matcher, text, length,
                                                   step->content, step->length);
  lrp_match_walk_free(&walk);
  return st;
}

static lrp_status prepend(const lrp_normalizer_step *step, const char *text, size_t length,
                          lrp_buffer *out) {
  lrp_status st = LRP_OK;

  if (length > 0) st = lrp_buffer_append(out, step->content, step->length);
  return st == LRP_OK ? lrp_buffer_append(out, text, length) : st;
}

/* In full, but one character at a time: no final sigma. */
static lrp_status append_lower(lrp_buffer *out, int32_t c) {
  lrp_status st = lrp_buffer_append_character(out, utf8proc_tolower(c));
  if (st == LRP_OK && c == dotted_capital_i) st = lrp_buffer_append_character(out, dot_above);
  return st;
}

static lrp_status by_character(const lrp_normalizer_step *step, const char *text, size_t length,
                               lrp_buffer *out) {
  size_t used;
  lrp_status st = LRP_OK;

  for (size_t at = 0; at < length && st == LRP_OK; at += used) {
    const int32_t c = lrp_character_at(text, length, at, &used);
    if (c < 0) {
      st = lrp_buffer_append(out, text + at, used);
    } else if (step->kind == LRP_NORMALIZE_LOWERCASE) {
      st = append_lower(out, c);
    } else if (!lrp_is_mark(c)) {
      st = lrp_buffer_append(out, text + at, used);
    }
  }
  return st;
}

static lrp_status strip(const lrp_normalizer_step *step, const char *text, size_t length,
                        lrp_buffer *out) {
  size_t start = 0, used;

  while (step->left && start < length && lrp_is_space(lrp_character_at(text, length, start, &used)))
    start += used;
  while (step->right && length > start && lrp_is_space(lrp_character_before(text, length, &used)))
    length -= used;
  return lrp_buffer_append(out, text + start, length - start);
}

static lrp_status take_step(const lrp_normalizer_step *step, const char *text, size_t length,
                            lrp_buffer *out) {
  switch (step->kind) {
    case LRP_NORMALIZE_PREPEND:
      return prepend(step, text, length, out);
    case LRP_NORMALIZE_REPLACE:
      return replace(step, text, length, out);
    case LRP_NORMALIZE_FORM:
      return lrp_normal_form_append(step->form, text, length, out);
    case LRP_NORMALIZE_STRIP:
      return strip(step, text, length, out);
    case LRP_NORMALIZE_BYTES:
      return lrp_bytes_to_characters(text, length, out);
    default:
      return by_character(step, text, length, out);
  }
}

lrp_status lrp_normalize(const lrp_normalizer *n, const char *text, size_t length,
                         lrp_buffer buffers[2], const char **out, size_t *out_length) {
  lrp_status st = LRP_OK;

  for (int i = 0; i < n->count && st == LRP_OK; i++) {
    lrp_buffer *to = &buffers[i % 2];
    to->length = 0;
    st = take_step(&n->steps[i], text, length, to);
    text = to->data ? to->data : "";
    length = to->length;
  }
  *out = text;
  *out_length = length;
  return st;
}
