/** @file io/tokenizer/wordpiece_text.h
 *  What BERT does to a text before pieces are looked for: cleaned, normalized, split into words.
 *  Source: Hugging Face tokenizers, BertNormalizer and BertPreTokenizer. */
#ifndef LRP_IO_TOKENIZER_WORDPIECE_TEXT_H
#define LRP_IO_TOKENIZER_WORDPIECE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

/** A character (code point) of the normalized text, and the one of the text that it comes from. */
typedef struct {
  int32_t code;
  int32_t at; /* counted in characters from the start of the text */
} lrp_glyph;

/** Characters, grown on demand. Zero it before the first use; free glyphs. */
typedef struct {
  lrp_glyph *glyphs; /* owned */
  int64_t count, capacity;
} lrp_glyphs;

/** What is done, in this order. */
typedef struct {
  bool clean;   /* control characters vanish, white space becomes a space */
  bool chinese; /* spaces around Chinese characters */
  bool strip;   /* accents vanish */
  bool lower;
} lrp_glyph_rules;

/** Normalize a stretch of a text, in place of what *out held. Local. A byte that is not UTF-8
 * counts as one character, U+FFFD.
 *  @param[in] first  number of its first character in the text
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_glyphs_normalize(const lrp_glyph_rules *rules, const char *text, size_t length,
                                int32_t first, lrp_glyphs *out);

/** The next word: glyphs[*start .. *end - 1] from number *end on, which is 0 in the first call.
 * Local.
 *  @return false if there is none */
bool lrp_glyphs_next_word(const lrp_glyphs *g, int64_t *start, int64_t *end);

/** Characters of a text, as lrp_glyphs_normalize counts them. Local. */
int32_t lrp_character_count(const char *text, size_t length);

#endif
