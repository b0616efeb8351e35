/** @file io/tokenizer/wordpiece.h
 *  Text to the inputs of a BERT model: WordPiece, with the place of every token in its text.
 *
 *  Two files are read: tokenizer.json (its model is WordPiece), where it is there, else vocab.txt.
 *  Both are followed as Hugging Face's fast tokenizers follow them:
 *  - Added tokens ("[MASK]") are found in the raw text first, leftmost and longest.
 *  - Clean: U+0000, U+FFFD and control characters vanish, white space becomes a space.
 *    A space on either side of every Chinese character (tokenize_chinese_chars). Accents vanish
 *    (strip_accents; if it is not said, as do_lower_case says), then lower case (do_lower_case).
 *  - Words are split at white space; a punctuation character is a word.
 *  - A word becomes the longest pieces of the vocabulary, from the left, the later ones with "##";
 *    [UNK] if there are none, or if it has more than max_input_chars_per_word characters.
 *  - Special tokens: [CLS] a [SEP], or [CLS] a [SEP] b [SEP] with the types 0 and 1.
 *  - Where tokenizer_config.json has do_lower_case, strip_accents or tokenize_chinese_chars, these
 *    decide, also against tokenizer.json. Its added tokens are not followed.
 *  - Everything else in tokenizer.json that could change ids is refused with its name. */
#ifndef LRP_IO_TOKENIZER_WORDPIECE_H
#define LRP_IO_TOKENIZER_WORDPIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

typedef struct lrp_wordpiece lrp_wordpiece;

/** One token of an input. */
typedef struct {
  int32_t id;
  int32_t type;       /* token_type_id: 0, or 1 from the first token of b on */
  int32_t text;       /* it stands for characters of text 0 (a) or 1 (b); -1: a special token */
  int32_t start, end; /* characters start .. end - 1 (code points) of that text; 0, 0 if special */
} lrp_wordpiece_token;

/** Tokens, grown on demand. Zero it before the first use; release with lrp_wordpieces_free. */
typedef struct {
  lrp_wordpiece_token *tokens; /* owned */
  int64_t count, capacity;
} lrp_wordpieces;

/** Release the memory and zero *pieces. Local. */
void lrp_wordpieces_free(lrp_wordpieces *pieces);

/** Open the tokenizer of a Hugging Face model directory. Local. *out is NULL upon failure.
 *  @return LRP_OK; LRP_ERR_ABSENT (neither file: the message names both); LRP_ERR_DATA (damaged, or
 *          of a kind that is not read: named); LRP_ERR_PERM; LRP_ERR_IO; LRP_ERR_MEM */
lrp_status lrp_wordpiece_open(const char *dir, lrp_wordpiece **out);
void lrp_wordpiece_close(lrp_wordpiece **tok);

/** Tokens of a text (UTF-8, length bytes) without special ones, in place of what *out held; their
 *  type and text are 0. Local; several threads may use one tokenizer. A byte that is not UTF-8 is
 *  one character, U+FFFD.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_DATA for a text of 2 GiB or more */
lrp_status lrp_wordpiece_encode(const lrp_wordpiece *tok, const char *text, size_t length,
                                lrp_wordpieces *out);

/** Special tokens around one text (b NULL) or two: 2 or 3. Local. */
int64_t lrp_wordpiece_specials(const lrp_wordpiece *tok, bool pair);

/** Input of one text (b NULL) or two, from lrp_wordpiece_encode, in place of what *out held: at
 *  most max_length tokens (0: any number), special ones included. Local.
 *  What is too long loses tokens from its end, the longer text first (longest_first).
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_DATA if max_length does not even hold the special tokens */
lrp_status lrp_wordpiece_input(const lrp_wordpiece *tok, const lrp_wordpieces *a,
                               const lrp_wordpieces *b, int64_t max_length, lrp_wordpieces *out);

/** Window number index of a and b, for a b that is too long (only_second): as many tokens of b as
 *  fit into max_length, starting where the last window started and stride tokens short of where it
 *  ended. Local. *more: whether there is a window after this one.
 *  @return as lrp_wordpiece_input; LRP_ERR_DATA if a and the special tokens leave no more than
 *          stride tokens for b */
lrp_status lrp_wordpiece_window(const lrp_wordpiece *tok, const lrp_wordpieces *a,
                                const lrp_wordpieces *b, int64_t max_length, int64_t stride,
                                int64_t index, lrp_wordpieces *out, bool *more);

/** Ids of special tokens; -1 if there is none. Local. */
int32_t lrp_wordpiece_cls(const lrp_wordpiece *tok);
int32_t lrp_wordpiece_sep(const lrp_wordpiece *tok);
int32_t lrp_wordpiece_mask(const lrp_wordpiece *tok);

/** Number of ids: the largest one plus 1. Local. */
int64_t lrp_wordpiece_size(const lrp_wordpiece *tok);

/** Name of the file that was read, for provenance: "vocab.txt". Local. */
const char *lrp_wordpiece_file(const lrp_wordpiece *tok);

#endif
