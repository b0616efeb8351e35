/** @file io/tokenizer/unicode_age.h
 *  Characters that the libraries of Hugging Face's tokenizers do not know yet.
 *
 *  Their tables are older than those of utf8proc 2.8 (Unicode 15), and will stay so: ids of models
 *  that were trained with them depend on it. Lists: all characters, asked one by one (tokenizers
 * 0.20.3). */
#ifndef LRP_IO_TOKENIZER_UNICODE_AGE_H
#define LRP_IO_TOKENIZER_UNICODE_AGE_H

#include <stdbool.h>
#include <stdint.h>

/** A mark (category M*), there none, and of the combining class 0. Local. */
bool lrp_is_newer_mark(int32_t c);

/** A character with a decomposition, there without one. Local. */
bool lrp_is_newer_decomposition(int32_t c);

/** Punctuation (category P*), there none. Local. */
bool lrp_is_newer_punctuation(int32_t c);

#endif
