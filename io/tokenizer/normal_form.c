#include "io/tokenizer/normal_form.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "io/tokenizer/characters.h"
#include "io/tokenizer/unicode_age.h"

enum {
  decomposed_max = 32,  /* U+FDFA has 18 */
  composing_lead = 0xcc /* of U+0300: no character below composes with the one in front of it */
};

/* Characters of one stretch, decomposed. */
typedef struct {
  utf8proc_int32_t *codes; /* owned */
  size_t count, capacity;
} stretch;

static int combining_class(utf8proc_int32_t c) {
  const int class = (int)utf8proc_get_property(c)->combining_class;
  return class > 0 && lrp_is_newer_mark(c) ? 0 : class;
}

static lrp_status reserve(stretch *s, size_t n) {
  size_t capacity = s->capacity > 0 ? s->capacity : 256;
  utf8proc_int32_t *codes;

  if (n <= s->capacity) return LRP_OK;
  while (capacity < n) capacity *= 2;
  codes = realloc(s->codes, capacity * sizeof *codes);
  if (!codes) return lrp_fail_memory(capacity * sizeof *codes, "a normal form");
  s->codes = codes;
  s->capacity = capacity;
  return LRP_OK;
}

static lrp_status decompose(stretch *s, utf8proc_int32_t c, int options) {
  lrp_status st = reserve(s, s->count + decomposed_max);
  utf8proc_ssize_t n;

  if (st != LRP_OK) return st;
  n = lrp_is_newer_decomposition(c)
          ? 0
          : utf8proc_decompose_char(c, s->codes + s->count, decomposed_max,
                                    (utf8proc_option_t)options, NULL);
  if (n < 1 || n > decomposed_max) {
    s->codes[s->count] = c;
    n = 1;
  }
  s->count += (size_t)n;
  return LRP_OK;
}

static int by_class(const void *a, const void *b) {
  const uint64_t x = *(const uint64_t *)a;
  const uint64_t y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* Canonical order of n marks: by class, else as they stand. */
static lrp_status order_marks(utf8proc_int32_t *codes, size_t n) {
  uint64_t *keys; /* class, place, character: 8, 32 and 21 bits */
  size_t sorted = 1;

  while (sorted < n && combining_class(codes[sorted - 1]) <= combining_class(codes[sorted])) {
    sorted++;
  }
  if (sorted >= n) return LRP_OK;
  keys = malloc(n * sizeof *keys);
  if (!keys) return lrp_fail_memory(n * sizeof *keys, "a normal form");
  for (size_t i = 0; i < n; i++) {
    keys[i] = (uint64_t)combining_class(codes[i]) << 53 | (uint64_t)i << 21 | (uint64_t)codes[i];
  }
  qsort(keys, n, sizeof *keys, by_class);
  for (size_t i = 0; i < n; i++) codes[i] = (utf8proc_int32_t)(keys[i] & 0x1fffff);
  free(keys);
  return LRP_OK;
}

static lrp_status order(stretch *s) {
  lrp_status st = LRP_OK;

  for (size_t i = 0; i < s->count && st == LRP_OK; i++) {
    const size_t first = i;
    while (i < s->count && combining_class(s->codes[i]) > 0) i++;
    if (i - first > 1) st = order_marks(s->codes + first, i - first);
  }
  return st;
}

/* The normal form of a stretch of whole characters, behind and in front of plain ones. */
static lrp_status append_stretch(stretch *s, lrp_normal_form form, const char *text, size_t length,
                                 lrp_buffer *out) {
  const bool compose = form == LRP_NFC || form == LRP_NFKC;
  const bool compat = form == LRP_NFKC || form == LRP_NFKD;
  size_t used;
  lrp_status st = LRP_OK;

  s->count = 0;
  for (size_t at = 0; at < length && st == LRP_OK; at += used) {
    const int32_t c = lrp_character_at(text, length, at, &used);
    st = decompose(s, c, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compat ? UTF8PROC_COMPAT : 0));
  }
  if (st == LRP_OK) st = order(s);
  if (st == LRP_OK && compose) {
    const utf8proc_ssize_t n =
        utf8proc_normalize_utf32(s->codes, (utf8proc_ssize_t)s->count,
                                 (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    s->count = n > 0 ? (size_t)n : 0;
  }
  for (size_t i = 0; i < s->count && st == LRP_OK; i++) {
    st = lrp_buffer_append_character(out, s->codes[i]);
  }
  return st;
}

/* A character that stays as it is, whatever stands in front of it. */
static bool is_plain(lrp_normal_form form, char lead) {
  return (unsigned char)lead < (form == LRP_NFC ? composing_lead : 0x80);
}

/* Bytes of text up to the first character that is not plain, without the one before that. *end:
 * where the plain ones start again, or what is not UTF-8. */
static size_t find_stretch(lrp_normal_form form, const char *text, size_t length, size_t *end) {
  size_t at = 0, used = 1;

  while (at < length && (is_plain(form, text[at]) || ((unsigned char)text[at] & 0xc0) == 0x80)) {
    at++;
  }
  *end = at;
  while (*end < length && !is_plain(form, text[*end]) &&
         lrp_character_at(text, length, *end, &used) >= 0) {
    *end += used;
  }
  if (*end == at) return at;
  return at > 0 && lrp_character_before(text, at, &used) >= 0 ? at - used : at;
}

lrp_status lrp_normal_form_append(lrp_normal_form form, const char *text, size_t length,
                                  lrp_buffer *out) {
  stretch s = {0};
  lrp_status st = LRP_OK;

  while (length > 0 && st == LRP_OK) {
    size_t end;
    const size_t start = find_stretch(form, text, length, &end);
    st = lrp_buffer_append(out, text, start);
    if (st == LRP_OK && end > start) {
      st = append_stretch(&s, form, text + start, end - start, out);
    } else if (st == LRP_OK && end < length) { /* a byte that is not UTF-8 */
      st = lrp_buffer_append(out, text + end++, 1);
    }
    text += end;
    length -= end;
  }
  free(s.codes);
  return st;
}
