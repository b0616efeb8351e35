/** @file io/tokenizer/characters.h
 *  Classes of characters as Hugging Face's tokenizers has them, and characters of UTF-8. */
#ifndef LRP_IO_TOKENIZER_CHARACTERS_H
#define LRP_IO_TOKENIZER_CHARACTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Unicode's property White_Space. Local. */
bool lrp_is_space(int32_t c);

/** \w of regular expressions (UTS 18): alphabetic, mark, decimal number, connector, joiner. Local.
 */
bool lrp_is_word(int32_t c);

/** Category N*. Local. */
bool lrp_is_number(int32_t c);

/** Category P*, as far as their libraries know it (unicode_age.h), and all of ASCII that is neither
 *  letter, digit, space nor control. Local. */
bool lrp_is_punctuation(int32_t c);

/** Category M*, likewise. Local. */
bool lrp_is_mark(int32_t c);

/** The character that starts at text[at], -1 if there is none; *used: its bytes, 1 if there is
 *  none. at is below length. Local. */
int32_t lrp_character_at(const char *text, size_t length, size_t at, size_t *used);

/** The character that ends before text[at], at above 0; likewise. Local. */
int32_t lrp_character_before(const char *text, size_t at, size_t *used);

#endif
