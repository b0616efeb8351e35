#include "io/tokenizer/wordpiece_text.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "io/tokenizer/characters.h"

enum {
  replacement = 0xfffd,
  dotted_capital_i = 0x130, /* the only character that two lower-case ones stand for */
  dot_above = 0x307,
  decomposed_max = 16 /* no character has more than 4 */
};

/* ---- Classes of characters ------------------------------------------------------------------- */

/* Unassigned characters are none: those of newer versions of Unicode stay, whichever is known here.
 */
static bool is_control(int32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CS:
      return true;
    default:
      return false;
  }
}

static bool is_chinese(int32_t c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
         (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
         (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static bool is_accent(int32_t c) {
  return utf8proc_category(c) == UTF8PROC_CATEGORY_MN;
}

/* ---- Normalizing ----------------------------------------------------------------------------- */

static int combining_class(int32_t c) {
  return utf8proc_get_property(c)->combining_class;
}

static lrp_status push(lrp_glyphs *g, int32_t code, int32_t at) {
  if (g->count == g->capacity) {
    const int64_t capacity = g->capacity > 0 ? 2 * g->capacity : 256;
    lrp_glyph *glyphs = realloc(g->glyphs, (size_t)capacity * sizeof *glyphs);
    if (!glyphs) return lrp_fail_memory((size_t)capacity * sizeof *glyphs, "characters of a text");
    g->glyphs = glyphs;
    g->capacity = capacity;
  }
  g->glyphs[g->count++] = (lrp_glyph){.code = code, .at = at};
  return LRP_OK;
}

/* One character of a canonical decomposition, in canonical order. Accents are left out at once
 * unless they keep others from changing places. */
static lrp_status push_ordered(lrp_glyphs *g, int32_t code, int32_t at) {
  const int order = combining_class(code);
  if (order > 0 && is_accent(code)) return LRP_OK;
  const lrp_status st = push(g, code, at);
  if (st != LRP_OK || order == 0) return st;
  for (int64_t i = g->count - 1; i > 0 && combining_class(g->glyphs[i - 1].code) > order; i--) {
    const lrp_glyph before = g->glyphs[i - 1];
    g->glyphs[i - 1] = g->glyphs[i];
    g->glyphs[i] = before;
  }
  return LRP_OK;
}

static lrp_status push_decomposed(lrp_glyphs *g, int32_t code, int32_t at) {
  utf8proc_int32_t parts[decomposed_max];
  const utf8proc_ssize_t n =
      utf8proc_decompose_char(code, parts, decomposed_max, UTF8PROC_DECOMPOSE, NULL);
  lrp_status st = LRP_OK;

  if (n < 1 || n > decomposed_max) return push_ordered(g, code, at);
  for (utf8proc_ssize_t i = 0; i < n && st == LRP_OK; i++) st = push_ordered(g, parts[i], at);
  return st;
}

static lrp_status push_character(const lrp_glyph_rules *rules, int32_t code, int32_t at,
                                 lrp_glyphs *g) {
  if (rules->strip) return push_decomposed(g, code, at);
  lrp_status st = push(g, code, at);
  if (st == LRP_OK && rules->lower && code == dotted_capital_i) st = push(g, dot_above, at);
  return st;
}

static lrp_status push_cleaned(const lrp_glyph_rules *rules, int32_t code, int32_t at,
                               lrp_glyphs *g) {
  if (rules->clean) {
    if (code == 0 || code == replacement || is_control(code)) return LRP_OK;
    if (lrp_is_space(code)) code = ' ';
  }
  if (!rules->chinese || !is_chinese(code)) return push_character(rules, code, at, g);
  lrp_status st = push(g, ' ', at);
  if (st == LRP_OK) st = push_character(rules, code, at, g);
  return st == LRP_OK ? push(g, ' ', at) : st;
}

/* What is left to do for each glyph by itself. */
static void finish(const lrp_glyph_rules *rules, lrp_glyphs *g) {
  int64_t kept = 0;
  for (int64_t i = 0; i < g->count; i++) {
    lrp_glyph glyph = g->glyphs[i];
    if (rules->strip && is_accent(glyph.code)) continue;
    if (rules->lower) glyph.code = utf8proc_tolower(glyph.code);
    g->glyphs[kept++] = glyph;
  }
  g->count = kept;
}

/* The character that text starts with; returns its bytes. */
static size_t read_character(const char *text, size_t length, int32_t *code) {
  utf8proc_int32_t c;
  const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text,
                                              length < 4 ? (utf8proc_ssize_t)length : 4, &c);
  *code = n > 0 ? c : replacement;
  return n > 0 ? (size_t)n : 1;
}

lrp_status lrp_glyphs_normalize(const lrp_glyph_rules *rules, const char *text, size_t length,
                                int32_t first, lrp_glyphs *out) {
  lrp_status st = LRP_OK;

  out->count = 0;
  for (size_t i = 0; i < length && st == LRP_OK; first++) {
    int32_t code;
    i += read_character(text + i, length - i, &code);
    st = push_cleaned(rules, code, first, out);
  }
  if (st == LRP_OK) finish(rules, out);
  return st;
}

int32_t lrp_character_count(const char *text, size_t length) {
  int32_t count = 0, code;
  for (size_t i = 0; i < length; count++) i += read_character(text + i, length - i, &code);
  return count;
}

/* ---- Words ----------------------------------------------------------------------------------- */

bool lrp_glyphs_next_word(const lrp_glyphs *g, int64_t *start, int64_t *end) {
  int64_t i = *end;

  while (i < g->count && lrp_is_space(g->glyphs[i].code)) i++;
  *start = i;
  if (i < g->count && lrp_is_punctuation(g->glyphs[i].code)) {
    *end = i + 1;
    return true;
  }
  while (i < g->count && !lrp_is_space(g->glyphs[i].code) && !lrp_is_punctuation(g->glyphs[i].code))
    i++;
  *end = i;
  return *end > *start;
}
