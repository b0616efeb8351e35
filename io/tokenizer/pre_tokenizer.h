/** @file io/tokenizer/pre_tokenizer.h
 *  The pre-tokenizer: a text becomes words, which no merge crosses. */
#ifndef LRP_IO_TOKENIZER_PRE_TOKENIZER_H
#define LRP_IO_TOKENIZER_PRE_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/tokenizer/buffer.h"
#include "io/tokenizer/matcher.h"
#include "kernels/status.h"

/** Where a space mark is put in front, unless there is one. */
typedef enum { LRP_PREFIX_NEVER, LRP_PREFIX_FIRST, LRP_PREFIX_ALWAYS } lrp_prefix;

/** What becomes of the parts that match, and with what they are joined. */
typedef enum {
  LRP_SPLIT_REMOVED,
  LRP_SPLIT_ISOLATED,
  LRP_SPLIT_MERGED_WITH_PREVIOUS,
  LRP_SPLIT_MERGED_WITH_NEXT,
  LRP_SPLIT_CONTIGUOUS
} lrp_split_behavior;

typedef enum {
  LRP_WORDS_SPLIT,
  LRP_WORDS_SPACE, /* a space in front of each word that does not start with one */
  LRP_WORDS_MARKS, /* spaces become U+2581, one in front as prefix says */
  LRP_WORDS_BYTES  /* bytes become their characters (byte_level.h) */
} lrp_words_kind;

/** One step, done to each word. */
typedef struct {
  lrp_words_kind kind;
  lrp_matcher matcher; /* owned; of a split, as the next two */
  lrp_split_behavior behavior;
  bool invert; /* what matches and what does not change places */
  lrp_prefix prefix;
} lrp_words_step;

/** Steps in their order. Zero it before the first use. */
typedef struct {
  lrp_words_step *steps; /* owned */
  int count;
} lrp_pre_tokenizer;

/** Append a step, whose matcher it owns from here on, also upon failure. Local.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_pre_tokenizer_add(lrp_pre_tokenizer *p, lrp_words_step *step);

/** Whether the last step is LRP_WORDS_BYTES: lrp_words_make leaves it to its caller, who need not
 *  do it to words whose ids are known. Local. */
bool lrp_pre_tokenizer_ends_in_bytes(const lrp_pre_tokenizer *p);

/** Release the memory and zero *p. Local. */
void lrp_pre_tokenizer_free(lrp_pre_tokenizer *p);

/** Bytes start .. end - 1 of the text, at least one. */
typedef struct {
  int32_t start, end;
} lrp_span;

/** Words of a text, and the memory for them, kept from text to text. Zero it before the first use.
 */
typedef struct {
  const char *text; /* borrowed: the text, or one of the buffers */
  size_t length;
  lrp_span *spans; /* owned */
  int64_t count, capacity;
  bool at_start; /* a word at byte 0 is what the whole text starts with */

  lrp_span *before; /* owned: the words of the step before */
  int64_t before_capacity;
  lrp_buffer buffers[2];
  int which; /* the buffer that the next rewriting goes to */
  lrp_match_walk walk;
} lrp_words;

/** Words of text, but for a last step LRP_WORDS_BYTES. Local; several threads may use one
 *  pre-tokenizer, each with words of its own. first: the whole text starts with this one.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_DATA (a search that takes too long; 2 GiB or more) */
lrp_status lrp_words_make(lrp_words *w, const lrp_pre_tokenizer *p, const char *text, size_t length,
                          bool first);

/** Release the memory and zero *w. Local. */
void lrp_words_free(lrp_words *w);

#endif
