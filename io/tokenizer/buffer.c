#include "io/tokenizer/buffer.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

lrp_status lrp_buffer_append(lrp_buffer *b, const char *text, size_t length) {
  if (length > (size_t)INT32_MAX - b->length) {
    return lrp_fail(LRP_ERR_DATA, "a text of %zu bytes is too long for the tokenizer: split it",
                    b->length + length);
  }
  if (length > b->capacity - b->length) {
    const size_t needed = b->length + length;
    const size_t capacity = needed > 2 * b->capacity ? needed : 2 * b->capacity;
    char *data = realloc(b->data, capacity);
    if (!data) return lrp_fail_memory(capacity, "a text");
    b->data = data;
    b->capacity = capacity;
  }
  if (length > 0) memcpy(b->data + b->length, text, length);
  b->length += length;
  return LRP_OK;
}

lrp_status lrp_buffer_append_character(lrp_buffer *b, int32_t c) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t n = utf8proc_encode_char(c, bytes);
  return lrp_buffer_append(b, (const char *)bytes, n > 0 ? (size_t)n : 0);
}

lrp_status lrp_buffer_append_replaced(lrp_buffer *b, lrp_match_walk *walk, const lrp_matcher *m,
                                      const char *text, size_t length, const char *content,
                                      size_t content_length) {
  size_t at = 0, start, end;
  bool found;
  lrp_status st;

  lrp_match_start(walk, m, text, length);
  while ((st = lrp_match_next(walk, &found, &start, &end)) == LRP_OK && found) {
    st = lrp_buffer_append(b, text + at, start - at);
    if (st == LRP_OK) st = lrp_buffer_append(b, content, content_length);
    if (st != LRP_OK) return st;
    at = end;
  }
  return st == LRP_OK ? lrp_buffer_append(b, text + at, length - at) : st;
}

char *lrp_bytes_copy(const char *bytes, size_t length, const char *what) {
  char *copy = malloc(length + 1); /* never 0 bytes */
  if (!copy) {
    lrp_fail_memory(length + 1, what);
    return NULL;
  }
  if (length > 0) memcpy(copy, bytes, length);
  return copy;
}
