#include "io/tokenizer/matcher.h"

#include <stdlib.h>
#include <string.h>

#include "io/tokenizer/buffer.h"
#include "io/tokenizer/characters.h"

lrp_status lrp_matcher_text(lrp_matcher *m, const char *text, size_t length) {
  m->kind = LRP_MATCH_TEXT;
  m->text = lrp_bytes_copy(text, length, "a pattern");
  if (!m->text) return LRP_ERR_MEM;
  m->length = length;
  return LRP_OK;
}

void lrp_matcher_free(lrp_matcher *m) {
  lrp_regex_destroy(&m->regex);
  free(m->text);
  memset(m, 0, sizeof *m);
}

void lrp_match_start(lrp_match_walk *w, const lrp_matcher *m, const char *text, size_t length) {
  w->matcher = m;
  w->text = text;
  w->length = length;
  w->at = 0;
  if (m->kind == LRP_MATCH_REGEX) lrp_regex_start(&w->regex, m->regex, text, length);
}

void lrp_match_walk_free(lrp_match_walk *w) {
  lrp_regex_walk_free(&w->regex);
  memset(w, 0, sizeof *w);
}

/* Classes of characters for \w+|[^\w\s]+; 0 is white space and what is not UTF-8. */
static int word_class(int32_t c) {
  if (c < 0 || lrp_is_space(c)) return 0;
  return lrp_is_word(c) ? 1 : 2;
}

static int class_of(lrp_match_kind kind, int32_t c) {
  if (c < 0) return 0;
  switch (kind) {
    case LRP_MATCH_NUMBER:
      return lrp_is_number(c);
    case LRP_MATCH_PUNCTUATION:
      return lrp_is_punctuation(c);
    case LRP_MATCH_SPACE:
      return lrp_is_space(c);
    default:
      return word_class(c);
  }
}

/* The next character of the class, and for words those of the same kind that follow. */
static bool next_class(lrp_match_walk *w, size_t *start, size_t *end) {
  const lrp_match_kind kind = w->matcher->kind;
  size_t used;
  int class = 0;

  for (; w->at < w->length && class == 0; w->at += used) {
    *start = w->at;
    class = class_of(kind, lrp_character_at(w->text, w->length, w->at, &used));
  }
  while (kind == LRP_MATCH_WORD && class != 0 && w->at < w->length &&
         class_of(kind, lrp_character_at(w->text, w->length, w->at, &used)) == class) {
    w->at += used;
  }
  *end = w->at;
  return class != 0;
}

static bool next_text(lrp_match_walk *w, size_t *start, size_t *end) {
  const lrp_matcher *m = w->matcher;
  const char *hit = memmem(w->text + w->at, w->length - w->at, m->text, m->length);

  w->at = w->length;
  if (!hit) return false;
  *start = (size_t)(hit - w->text);
  *end = w->at = *start + m->length;
  return true;
}

lrp_status lrp_match_next(lrp_match_walk *w, bool *found, size_t *start, size_t *end) {
  if (w->matcher->kind == LRP_MATCH_REGEX) return lrp_regex_next(&w->regex, found, start, end);
  *found =
      w->matcher->kind == LRP_MATCH_TEXT ? next_text(w, start, end) : next_class(w, start, end);
  return LRP_OK;
}
