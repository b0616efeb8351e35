/** @file io/tokenizer/regex.h
 *  Matches of a regular expression, one after the other, as Hugging Face's tokenizers finds them:
 *  by Oniguruma, with its own syntax, over UTF-8. */
#ifndef LRP_IO_TOKENIZER_REGEX_H
#define LRP_IO_TOKENIZER_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/status.h"

typedef struct lrp_regex lrp_regex;

/** Compile a pattern; several threads may use the result. Local. *out is NULL upon failure; file is
 *  named in messages. @return LRP_OK; LRP_ERR_DATA (not UTF-8, no regular expression); LRP_ERR_MEM
 */
lrp_status lrp_regex_create(const char *pattern, size_t length, const char *file, lrp_regex **out);
void lrp_regex_destroy(lrp_regex **regex);

/** A search through one text, and the memory for it, kept from text to text. Zero it before the
 *  first use. */
typedef struct {
  const lrp_regex *regex; /* borrowed, as is text */
  const char *text;
  size_t length;
  size_t stretch;              /* start of the valid UTF-8 that is searched, */
  size_t end;                  /* and its end */
  size_t at;                   /* where the search goes on */
  size_t last;                 /* end of the last match, if matched */
  bool matched;                /* there was one in this stretch */
  struct re_registers *region; /* owned, of Oniguruma */
} lrp_regex_walk;

/** Begin with a text. Local. */
void lrp_regex_start(lrp_regex_walk *w, const lrp_regex *regex, const char *text, size_t length);

/** Next match: text[*start .. *end - 1], which may be empty, but not where the last one ended.
 *  Local. What is not UTF-8 belongs to no match, and none sees beyond it. *found: whether there is
 *  one. @return LRP_OK; LRP_ERR_DATA (a search that takes too long); LRP_ERR_MEM */
lrp_status lrp_regex_next(lrp_regex_walk *w, bool *found, size_t *start, size_t *end);

/** Release the memory and zero *w. Local. */
void lrp_regex_walk_free(lrp_regex_walk *w);

#endif
