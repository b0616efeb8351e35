#include "io/tokenizer/regex.h"

#include <oniguruma.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "io/tokenizer/vocab.h"

struct lrp_regex {
  OnigRegex code; /* owned */
};

static int initialized;

static void initialize(void) {
  OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
  initialized = onig_initialize(encodings, 1);
}

static lrp_status compile(lrp_regex *regex, const char *pattern, size_t length, const char *file) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  const OnigUChar *start = (const OnigUChar *)pattern;
  OnigUChar message[ONIG_MAX_ERROR_MESSAGE_LEN];
  OnigErrorInfo info;
  int code;

  pthread_once(&once, initialize);
  code = initialized == ONIG_NORMAL
             ? onig_new(&regex->code, start, start + length, ONIG_OPTION_NONE, ONIG_ENCODING_UTF8,
                        ONIG_SYNTAX_ONIGURUMA, &info)
             : initialized;
  if (code == ONIG_NORMAL) return LRP_OK;
  regex->code = NULL;
  if (code == ONIGERR_MEMORY) return lrp_fail_memory(length, "a regular expression");
  onig_error_code_to_str(message, code, &info);
  return lrp_fail(LRP_ERR_DATA, "%s: the pattern '%.*s': %s; fetch the file again", file,
                  (int)(length < 200 ? length : 200), pattern, (const char *)message);
}

lrp_status lrp_regex_create(const char *pattern, size_t length, const char *file, lrp_regex **out) {
  lrp_regex *regex = NULL;
  lrp_status st;

  *out = NULL;
  if (!lrp_utf8_valid(pattern, length)) {
    return lrp_fail(LRP_ERR_DATA, "%s: a pattern is not UTF-8; fetch the file again", file);
  }
  regex = calloc(1, sizeof *regex);
  if (!regex) return lrp_fail_memory(sizeof *regex, "a regular expression");
  st = compile(regex, pattern, length, file);
  if (st != LRP_OK) {
    lrp_regex_destroy(&regex);
    return st;
  }
  *out = regex;
  return LRP_OK;
}

void lrp_regex_destroy(lrp_regex **regex) {
  if (!*regex) return;
  if ((*regex)->code) onig_free((*regex)->code);
  free(*regex);
  *regex = NULL;
}

/* ---- Matches --------------------------------------------------------------------------------- */

/* The next stretch of UTF-8 at or behind the byte from. */
static void take_stretch(lrp_regex_walk *w, size_t from) {
  size_t used = 0;

  while (from < w->length && lrp_utf8_length(w->text + from, w->length - from) == 0) from++;
  w->stretch = w->at = w->end = from;
  w->matched = false;
  while (w->end < w->length) {
    used = lrp_utf8_length(w->text + w->end, w->length - w->end);
    if (used == 0) break;
    w->end += used;
  }
}

void lrp_regex_start(lrp_regex_walk *w, const lrp_regex *regex, const char *text, size_t length) {
  w->regex = regex;
  w->text = text;
  w->length = length;
  take_stretch(w, 0);
}

void lrp_regex_walk_free(lrp_regex_walk *w) {
  if (w->region) onig_region_free(w->region, 1);
  memset(w, 0, sizeof *w);
}

/* Search from w->at to the end of the stretch. *position: of the match, ONIG_MISMATCH if there is
 * none. */
static lrp_status search(lrp_regex_walk *w, int *position) {
  const OnigUChar *text = (const OnigUChar *)w->text;
  OnigUChar message[ONIG_MAX_ERROR_MESSAGE_LEN];

  if (!w->region) w->region = onig_region_new();
  if (!w->region) return lrp_fail_memory(sizeof *w->region, "a search in a text");
  *position = onig_search(w->regex->code, text + w->stretch, text + w->end, text + w->at,
                          text + w->end, w->region, ONIG_OPTION_NONE);
  if (*position >= 0 || *position == ONIG_MISMATCH) return LRP_OK;
  if (*position == ONIGERR_MEMORY) return lrp_fail_memory(w->end - w->at, "a search in a text");
  onig_error_code_to_str(message, *position);
  return lrp_fail(LRP_ERR_DATA, "the tokenizer's pattern fails on a text of %zu bytes: %s",
                  w->length, (const char *)message);
}

lrp_status lrp_regex_next(lrp_regex_walk *w, bool *found, size_t *start, size_t *end) {
  *found = false;
  while (w->stretch < w->length) {
    int position = ONIG_MISMATCH;
    if (w->at <= w->end) {
      const lrp_status st = search(w, &position);
      if (st != LRP_OK) return st;
    }
    if (position == ONIG_MISMATCH) {
      take_stretch(w, w->end);
      continue;
    }
    *start = w->stretch + (size_t)w->region->beg[0];
    *end = w->stretch + (size_t)w->region->end[0];
    if (*start == *end && w->matched && w->last == *end) { /* would match there for ever */
      const size_t used = w->at < w->end ? lrp_utf8_length(w->text + w->at, w->end - w->at) : 1;
      w->at += used;
      continue;
    }
    w->at = w->last = *end;
    w->matched = *found = true;
    return LRP_OK;
  }
  return LRP_OK;
}
