/** @file io/tokenizer/added.h
 *  Added tokens: texts that are one token wherever they occur, found before all else. */
#ifndef LRP_IO_TOKENIZER_ADDED_H
#define LRP_IO_TOKENIZER_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/tokenizer/normalizer.h"
#include "io/tokenizer/text_set.h"
#include "kernels/status.h"

typedef struct {
  const char *text; /* borrowed, no NUL at its end */
  uint32_t length;  /* bytes */
  int32_t id;
  bool special;
  bool normalized;  /* its normalized text is looked for, in the normalized text */
  bool lstrip;      /* white space in front of it belongs to it */
  bool rstrip;      /* white space behind it belongs to it */
  bool single_word; /* only between characters that are of no word */
} lrp_added_token;

/** Zero it before the first use. */
typedef struct {
  lrp_added_token *tokens; /* owned */
  int32_t count, capacity;
  lrp_text_set raw, normalized; /* what is looked for; numbers are indices of tokens */
  char **patterns;              /* owned, n_patterns of them: normalized texts */
  int32_t n_patterns;
} lrp_added;

/** Append a token. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_added_put(lrp_added *a, const lrp_added_token *token);

/** Make all findable. Local. Of two with one text the last one counts.
 *  @return LRP_OK, LRP_ERR_DATA, LRP_ERR_MEM */
lrp_status lrp_added_index(lrp_added *a, const lrp_normalizer *normalizer);

/** Where a search stands; zero it before the first call. */
typedef struct {
  size_t scan; /* next byte to look at */
  size_t used; /* end of the last match, white space included */
} lrp_added_cursor;

typedef struct {
  size_t start, end; /* bytes of the text */
  int32_t id;
} lrp_added_match;

/** Next token in text, leftmost and longest, of those of set (&a->raw or &a->normalized). Local.
 *  It may start before the end of the last one: a token of white space that rstrip also took.
 *  @return false if there is none */
bool lrp_added_next(const lrp_added *a, const lrp_text_set *set, const char *text, size_t length,
                    lrp_added_cursor *cursor, lrp_added_match *match);

/** Release the memory and zero *a. Local. */
void lrp_added_free(lrp_added *a);

#endif
