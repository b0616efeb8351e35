#include "io/tokenizer/pre_tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "io/tokenizer/byte_level.h"
#include "io/tokenizer/vocab.h"

enum { first_capacity = 256 };

lrp_status lrp_pre_tokenizer_add(lrp_pre_tokenizer *p, lrp_words_step *step) {
  const size_t bytes = ((size_t)p->count + 1) * sizeof *p->steps;
  lrp_words_step *steps = realloc(p->steps, bytes);

  if (!steps) {
    lrp_matcher_free(&step->matcher);
    return lrp_fail_memory(bytes, "a pre-tokenizer");
  }
  p->steps = steps;
  p->steps[p->count++] = *step;
  return LRP_OK;
}

bool lrp_pre_tokenizer_ends_in_bytes(const lrp_pre_tokenizer *p) {
  return p->count > 0 && p->steps[p->count - 1].kind == LRP_WORDS_BYTES;
}

void lrp_pre_tokenizer_free(lrp_pre_tokenizer *p) {
  for (int i = 0; i < p->count; i++) lrp_matcher_free(&p->steps[i].matcher);
  free(p->steps);
  memset(p, 0, sizeof *p);
}

void lrp_words_free(lrp_words *w) {
  lrp_match_walk_free(&w->walk);
  free(w->buffers[0].data);
  free(w->buffers[1].data);
  free(w->before);
  free(w->spans);
  memset(w, 0, sizeof *w);
}

static lrp_status grow(lrp_words *w) {
  const int64_t capacity = w->capacity > 0 ? 2 * w->capacity : first_capacity;
  lrp_span *spans = realloc(w->spans, (size_t)capacity * sizeof *spans);

  if (!spans) return lrp_fail_memory((size_t)capacity * sizeof *spans, "the words of a text");
  w->spans = spans;
  w->capacity = capacity;
  return LRP_OK;
}

/* Append a word, unless it is empty. */
static lrp_status push(lrp_words *w, size_t start, size_t end) {
  if (start == end) return LRP_OK;
  if (w->count == w->capacity) {
    const lrp_status st = grow(w);
    if (st != LRP_OK) return st;
  }
  w->spans[w->count++] = (lrp_span){.start = (int32_t)start, .end = (int32_t)end};
  return LRP_OK;
}

/* The words so far become those of the step before; their number. */
static int64_t turn(lrp_words *w) {
  lrp_span *spans = w->spans;
  const int64_t capacity = w->capacity, count = w->count;

  w->spans = w->before;
  w->capacity = w->before_capacity;
  w->count = 0;
  w->before = spans;
  w->before_capacity = capacity;
  return count;
}

/* ---- Splitting ------------------------------------------------------------------------------- */

/* A stretch that grows as long as the parts that come belong to it. Empty parts count, as they do
 * in Hugging Face's tokenizers: a regular expression may match nothing. */
typedef struct {
  lrp_words *words; /* borrowed */
  const lrp_words_step *step;
  size_t start, end;
  bool any;   /* there is a stretch */
  bool match; /* the last part was a match */
} joiner;

static bool joins(const joiner *j, bool match) {
  switch (j->step->behavior) {
    case LRP_SPLIT_MERGED_WITH_PREVIOUS:
      return match && !j->match;
    case LRP_SPLIT_MERGED_WITH_NEXT:
      return j->match && !match;
    case LRP_SPLIT_CONTIGUOUS:
      return match == j->match;
    default:
      return false;
  }
}

static lrp_status add_part(joiner *j, size_t start, size_t end, bool match) {
  lrp_status st = LRP_OK;

  match = match != j->step->invert;
  if (match && j->step->behavior == LRP_SPLIT_REMOVED) return LRP_OK;
  if (j->any && joins(j, match)) {
    j->end = end;
  } else {
    if (j->any) st = push(j->words, j->start, j->end);
    j->start = start;
    j->end = end;
    j->any = true;
  }
  j->match = match;
  return st;
}

static lrp_status split_word(lrp_words *w, const lrp_words_step *step, lrp_span word) {
  const size_t base = (size_t)word.start, length = (size_t)(word.end - word.start);
  joiner j = {.words = w, .step = step};
  size_t at = 0, start, end;
  bool found;
  lrp_status st;

  lrp_match_start(&w->walk, &step->matcher, w->text + base, length);
  while ((st = lrp_match_next(&w->walk, &found, &start, &end)) == LRP_OK && found) {
    if (at < start) st = add_part(&j, base + at, base + start, false);
    if (st == LRP_OK) st = add_part(&j, base + start, base + end, true);
    if (st != LRP_OK) return st;
    at = end;
  }
  if (st == LRP_OK && at < length) st = add_part(&j, base + at, base + length, false);
  return st == LRP_OK && j.any ? push(w, j.start, j.end) : st;
}

/* ---- Rewriting ------------------------------------------------------------------------------- */

static bool is_mark(const char *text, size_t left) {
  return left >= LRP_SPACE_MARK_LENGTH && memcmp(text, LRP_SPACE_MARK, LRP_SPACE_MARK_LENGTH) == 0;
}

static lrp_status mark_spaces(const char *text, size_t length, bool wanted, lrp_buffer *out) {
  const bool there = text[0] == ' ' || is_mark(text, length);
  lrp_status st = LRP_OK;

  if (wanted && !there) st = lrp_buffer_append(out, LRP_SPACE_MARK, LRP_SPACE_MARK_LENGTH);
  for (size_t at = 0; at < length && st == LRP_OK;) {
    const char *space = memchr(text + at, ' ', length - at);
    const size_t end = space ? (size_t)(space - text) : length;
    st = lrp_buffer_append(out, text + at, end - at);
    if (st == LRP_OK && space) st = lrp_buffer_append(out, LRP_SPACE_MARK, LRP_SPACE_MARK_LENGTH);
    at = space ? end + 1 : end;
  }
  return st;
}

static lrp_status rewrite_word(const lrp_words_step *step, const char *text, size_t length,
                               bool first, lrp_buffer *out) {
  const bool wanted =
      step->prefix == LRP_PREFIX_ALWAYS || (step->prefix == LRP_PREFIX_FIRST && first);
  lrp_status st = LRP_OK;

  switch (step->kind) {
    case LRP_WORDS_SPACE:
      if (text[0] != ' ') st = lrp_buffer_append(out, " ", 1);
      return st == LRP_OK ? lrp_buffer_append(out, text, length) : st;
    case LRP_WORDS_MARKS:
      return mark_spaces(text, length, wanted, out);
    default:
      return lrp_bytes_to_characters(text, length, out);
  }
}

static lrp_status rewrite(lrp_words *w, const lrp_words_step *step) {
  lrp_buffer *out = &w->buffers[w->which];
  const int64_t n = turn(w);
  lrp_status st = LRP_OK;

  out->length = 0;
  w->at_start = w->at_start && n > 0 && w->before[0].start == 0;
  for (int64_t i = 0; i < n && st == LRP_OK; i++) {
    const lrp_span word = w->before[i];
    const size_t start = out->length;
    st = rewrite_word(step, w->text + word.start, (size_t)(word.end - word.start),
                      w->at_start && i == 0, out);
    if (st == LRP_OK) st = push(w, start, out->length);
  }
  w->text = out->data ? out->data : "";
  w->length = out->length;
  w->which = 1 - w->which;
  return st;
}

static lrp_status split(lrp_words *w, const lrp_words_step *step) {
  const int64_t n = turn(w);
  lrp_status st = LRP_OK;

  for (int64_t i = 0; i < n && st == LRP_OK; i++) st = split_word(w, step, w->before[i]);
  return st;
}

lrp_status lrp_words_make(lrp_words *w, const lrp_pre_tokenizer *p, const char *text, size_t length,
                          bool first) {
  const int n = p->count - (lrp_pre_tokenizer_ends_in_bytes(p) ? 1 : 0);
  lrp_status st;

  w->text = text;
  w->length = length;
  w->count = 0;
  w->at_start = first;
  st = push(w, 0, length);
  for (int i = 0; i < n && st == LRP_OK; i++) {
    const lrp_words_step *step = &p->steps[i];
    st = step->kind == LRP_WORDS_SPLIT ? split(w, step) : rewrite(w, step);
  }
  return st;
}
