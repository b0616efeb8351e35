#include "io/tokenizer/normalizer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

lrp_status lrp_buffer_append(lrp_buffer *b, const char *text, size_t length) {
  if (length > (size_t)INT32_MAX - b->length) {
    return lrp_fail(LRP_ERR_DATA, "a text of %zu bytes is too long for the tokenizer: split it",
                    b->length + length);
  }
  if (length > b->capacity - b->length) {
    const size_t needed = b->length + length;
    const size_t capacity = needed > 2 * b->capacity ? needed : 2 * b->capacity;
    char *data = realloc(b->data, capacity);
    if (!data) return lrp_fail_memory(capacity, "a normalized text");
    b->data = data;
    b->capacity = capacity;
  }
  if (length > 0) memcpy(b->data + b->length, text, length);
  b->length += length;
  return LRP_OK;
}

static char *copy_of(const char *text, size_t length) {
  char *copy = malloc(length + 1);
  if (copy && length > 0) memcpy(copy, text, length);
  return copy;
}

lrp_status lrp_normalizer_add(lrp_normalizer *n, const char *pattern, size_t pattern_length,
                              const char *content, size_t content_length) {
  const size_t bytes = ((size_t)n->count + 1) * sizeof *n->steps;
  lrp_normalizer_step *steps = realloc(n->steps, bytes);
  lrp_normalizer_step step = {.pattern_length = pattern_length, .content_length = content_length};

  if (!steps) return lrp_fail_memory(bytes, "a normalizer");
  n->steps = steps;
  if (pattern) step.pattern = copy_of(pattern, pattern_length);
  step.content = copy_of(content, content_length);
  if ((pattern && !step.pattern) || !step.content) {
    free(step.pattern);
    free(step.content);
    return lrp_fail_memory(pattern_length + content_length, "a normalizer");
  }
  n->steps[n->count++] = step;
  return LRP_OK;
}

void lrp_normalizer_free(lrp_normalizer *n) {
  for (int i = 0; i < n->count; i++) {
    free(n->steps[i].pattern);
    free(n->steps[i].content);
  }
  free(n->steps);
  memset(n, 0, sizeof *n);
}

static lrp_status replace(const lrp_normalizer_step *step, const char *text, size_t length,
                          lrp_buffer *out) {
  size_t at = 0;
  lrp_status st = LRP_OK;

  while (st == LRP_OK) {
    const char *hit = memmem(text + at, length - at, step->pattern, step->pattern_length);
    const size_t end = hit ? (size_t)(hit - text) : length;
    st = lrp_buffer_append(out, text + at, end - at);
    if (!hit || st != LRP_OK) break;
    st = lrp_buffer_append(out, step->content, step->content_length);
    at = end + step->pattern_length;
  }
  return st;
}

static lrp_status prepend(const lrp_normalizer_step *step, const char *text, size_t length,
                          lrp_buffer *out) {
  lrp_status st = LRP_OK;

  if (length > 0) st = lrp_buffer_append(out, step->content, step->content_length);
  return st == LRP_OK ? lrp_buffer_append(out, text, length) : st;
}

lrp_status lrp_normalize(const lrp_normalizer *n, const char *text, size_t length,
                         lrp_buffer buffers[2], const char **out, size_t *out_length) {
  lrp_status st = LRP_OK;

  for (int i = 0; i < n->count && st == LRP_OK; i++) {
    const lrp_normalizer_step *step = &n->steps[i];
    lrp_buffer *to = &buffers[i % 2];
    to->length = 0;
    st = step->pattern ? replace(step, text, length, to) : prepend(step, text, length, to);
    text = to->data ? to->data : "";
    length = to->length;
  }
  *out = text;
  *out_length = length;
  return st;
}
