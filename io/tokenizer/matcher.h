/** @file io/tokenizer/matcher.h
 *  Where a pattern of a tokenizer.json occurs in a text: a regular expression, a text, or a class
 *  of characters. */
#ifndef LRP_IO_TOKENIZER_MATCHER_H
#define LRP_IO_TOKENIZER_MATCHER_H

#include <stdbool.h>
#include <stddef.h>

#include "io/tokenizer/regex.h"
#include "kernels/status.h"

typedef enum {
  LRP_MATCH_REGEX,
  LRP_MATCH_TEXT,
  LRP_MATCH_NUMBER, /* one character of category N* */
  LRP_MATCH_PUNCTUATION,
  LRP_MATCH_SPACE, /* one character */
  LRP_MATCH_WORD   /* \w+|[^\w\s]+ */
} lrp_match_kind;

/** Zero it before the first use. */
typedef struct {
  lrp_match_kind kind;
  lrp_regex *regex; /* owned, for LRP_MATCH_REGEX */
  char *text;       /* owned, for LRP_MATCH_TEXT; no NUL at its end */
  size_t length;
} lrp_matcher;

/** Match a text, which is not empty. Local; copies it. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_matcher_text(lrp_matcher *m, const char *text, size_t length);

/** Release the memory and zero *m. Local. */
void lrp_matcher_free(lrp_matcher *m);

/** A search through one text, and the memory for it, kept from text to text. Zero it before the
 *  first use. */
typedef struct {
  const lrp_matcher *matcher; /* borrowed, as is text */
  const char *text;
  size_t length, at;
  lrp_regex_walk regex;
} lrp_match_walk;

/** Begin with a text. Local. */
void lrp_match_start(lrp_match_walk *w, const lrp_matcher *m, const char *text, size_t length);

/** Next match: text[*start .. *end - 1]; *found: whether there is one. Local; several threads may
 *  use one matcher, each with a walk of its own. @return as lrp_regex_next */
lrp_status lrp_match_next(lrp_match_walk *w, bool *found, size_t *start, size_t *end);

/** Release the memory and zero *w. Local. */
void lrp_match_walk_free(lrp_match_walk *w);

#endif
