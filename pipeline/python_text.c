#include "pipeline/python_text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "kernels/status.h"

char *lrp_text_format(const char *fmt, ...) {
  char *text = NULL;
  va_list ap;

  va_start(ap, fmt);
  int length = vasprintf(&text, fmt, ap);
  va_end(ap);
  if (length >= 0) return text;
  va_start(ap, fmt);
  length = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  lrp_fail_memory((size_t)length + 1, "text of a benchmark");
  return NULL;
}

/* str.isspace(): Unicode's White_Space and, beyond it, U+001C to U+001F. */
static bool is_space(utf8proc_int32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
         c == 0x205f || c == 0x3000;
}

/* Bytes of the first character c of text, length > 0; what is not UTF-8 passes bytewise, c = -1. */
static size_t next(const char *text, size_t length, utf8proc_int32_t *c) {
  const utf8proc_ssize_t n =
      utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length, c);
  if (n > 0) return (size_t)n;
  *c = -1;
  return 1;
}

size_t lrp_text_rstrip(const char *text, size_t length) {
  while (length > 0) {
    size_t start = length - 1;
    utf8proc_int32_t c;
    while (start > 0 && ((unsigned char)text[start] & 0xc0) == 0x80) start--;
    next(text + start, length - start, &c);
    if (!is_space(c)) break;
    length = start;
  }
  return length;
}

size_t lrp_text_lstrip(const char *text, size_t length) {
  size_t start = 0;
  while (start < length) {
    utf8proc_int32_t c;
    const size_t n = next(text + start, length - start, &c);
    if (!is_space(c)) break;
    start += n;
  }
  return start;
}

char *lrp_text_strip(char *text) {
  const size_t end = lrp_text_rstrip(text, strlen(text));
  const size_t start = lrp_text_lstrip(text, end);
  memmove(text, text + start, end - start);
  text[end - start] = '\0';
  return text;
}

/* Lower case of c, appended at out. U+0130 is the only character that becomes two. */
static size_t put_lower(utf8proc_int32_t c, utf8proc_uint8_t *out) {
  if (c == 0x0130) {
    memcpy(out, "i\xcc\x87", 3); /* i and U+0307, combining dot above */
    return 3;
  }
  return (size_t)utf8proc_encode_char(utf8proc_tolower(c), out);
}

/* Lower case, but the first character in title case if title says so; freed by the caller. */
static char *change_case(const char *text, bool title) {
  const size_t length = strlen(text);
  const size_t capacity = 2 * length + 1; /* two bytes become three at most */
  utf8proc_uint8_t *out = malloc(capacity);
  size_t written = 0;

  if (!out) {
    lrp_fail_memory(capacity, "a text in another case");
    return NULL;
  }
  for (size_t i = 0; i < length;) {
    utf8proc_int32_t c;
    const bool first = i == 0;
    const size_t n = next(text + i, length - i, &c);
    if (c < 0) {
      out[written++] = (utf8proc_uint8_t)text[i];
    } else if (first && title) {
      written += (size_t)utf8proc_encode_char(utf8proc_totitle(c), out + written);
    } else {
      written += put_lower(c, out + written);
    }
    i += n;
  }
  out[written] = '\0';
  return (char *)out;
}

char *lrp_text_capitalize(const char *text) {
  return change_case(text, true);
}

char *lrp_text_lower(const char *text) {
  return change_case(text, false);
}

size_t lrp_text_word_character(const char *text, size_t length, bool *word) {
  utf8proc_int32_t c;
  const size_t n = next(text, length, &c);
  const utf8proc_category_t category = c < 0 ? UTF8PROC_CATEGORY_CN : utf8proc_category(c);
  const bool letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
  const bool number = category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
  *word = letter || number || c == '_';
  return n;
}

size_t lrp_text_skip(const char *text, int64_t n) {
  size_t i = 0;
  while (n > 0 && text[i]) {
    i++;
    while (((unsigned char)text[i] & 0xc0) == 0x80) i++;
    n--;
  }
  return i;
}

int64_t lrp_text_code_points(const char *text) {
  int64_t count = 0;
  for (; *text; text++) count += ((unsigned char)*text & 0xc0) != 0x80;
  return count;
}

int64_t lrp_text_pieces(const char *text) {
  const size_t length = strlen(text);
  int64_t pieces = 1;
  for (size_t i = 0; i < length;) {
    const size_t space = lrp_text_lstrip(text + i, length - i);
    pieces += space > 0;
    if (space == 0) {
      utf8proc_int32_t c;
      i += next(text + i, length - i, &c);
    }
    i += space;
  }
  return pieces;
}

void lrp_text_replace(char *text, const char *from, const char *to) {
  const size_t from_length = strlen(from), to_length = strlen(to);
  const char *in = text, *found;
  char *out = text;

  assert(from_length > 0 && to_length <= from_length);
  while ((found = strstr(in, from))) {
    const size_t before = (size_t)(found - in);
    memmove(out, in, before);
    memcpy(out + before, to, to_length);
    out += before + to_length;
    in = found + from_length;
  }
  memmove(out, in, strlen(in) + 1);
}
