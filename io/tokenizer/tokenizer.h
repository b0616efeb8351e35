/** @file io/tokenizer/tokenizer.h
 *  Text to token ids and back, as the model's own tokenizer does it.
 *
 *  tokenizer.model is followed as Hugging Face's fast Llama tokenizer follows it:
 *  - Added tokens (pieces of the types CONTROL, UNKNOWN, USER_DEFINED, as "<s>") are found in the
 *    raw text first, leftmost and longest. What lies between them is encoded by itself.
 *  - Every such part gets a space in front ("legacy"), also one that starts with a space; spaces
 *    become U+2581; nothing else is normalized. normalizer_spec and the key "legacy" are ignored.
 *  - Byte pair encoding over code points: two neighbours are merged if their text is a NORMAL or
 *    USER_DEFINED piece; the highest score first, the leftmost of equal scores first.
 *  - What is no piece then is written as its UTF-8 bytes, <0xHH>; a character that lacks one of
 *    those pieces is UNK, and UNKs in a row are one.
 *  - UNUSED pieces are as absent. */
#ifndef LRP_IO_TOKENIZER_TOKENIZER_H
#define LRP_IO_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

typedef struct lrp_tokenizer lrp_tokenizer;

/** Token ids, grown on demand; release with lrp_tokens_free. */
typedef struct {
  int32_t *ids; /* owned */
  int64_t count, capacity;
} lrp_tokens;

/** Append one id. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_tokens_push(lrp_tokens *t, int32_t id);

/** Release the memory and zero *t. Local. */
void lrp_tokens_free(lrp_tokens *t);

/** Open the tokenizer of a Hugging Face model directory: tokenizer.model (SentencePiece BPE).
 *  Local. bos and eos are found in the file; tokenizer_config.json (add_bos_token, by default true,
 *  add_eos_token, by default false) is followed where it is there. *out is NULL upon failure.
 *  @return LRP_OK; LRP_ERR_ABSENT (no tokenizer in dir: the message names the expected files);
 *          LRP_ERR_DATA (not a SentencePiece BPE model, hostile protobuf, broken JSON);
 *          LRP_ERR_PERM; LRP_ERR_IO; LRP_ERR_MEM */
lrp_status lrp_tokenizer_open(const char *dir, lrp_tokenizer **out);
void lrp_tokenizer_close(lrp_tokenizer **tok);

/** Append the ids of text (UTF-8, length bytes) to out (which need not be empty). Local; several
 *  threads may use one tokenizer.
 *  special: add what the tokenizer adds by default (Llama: BOS in front). A text that starts with
 *  the text of BOS gets none. An empty text has no ids of its own. Bytes that are not UTF-8 are
 *  encoded as byte tokens. Upon failure out has the ids that it had.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_DATA for a text of 2 GiB or more (a space counts 3 bytes)
 */
lrp_status lrp_tokenizer_encode(const lrp_tokenizer *tok, const char *text, size_t length,
                                bool special, lrp_tokens *out);

/** Text of ids, special tokens (CONTROL, UNKNOWN) and numbers that are no ids skipped; freed by the
 *  caller. Local. Byte tokens in a row are joined; if they are not UTF-8, each becomes U+FFFD, as
 *  does <0x00>, which would end the string. The first space is removed.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_tokenizer_decode(const lrp_tokenizer *tok, const int32_t *ids, int64_t count,
                                char **text);

/** -1 if the tokenizer has none. Local. */
int32_t lrp_tokenizer_bos(const lrp_tokenizer *tok);
int32_t lrp_tokenizer_eos(const lrp_tokenizer *tok);

/** Number of ids. Local. */
int64_t lrp_tokenizer_size(const lrp_tokenizer *tok);

/** Name of the file that was read, for provenance: "tokenizer.model". Local. */
const char *lrp_tokenizer_file(const lrp_tokenizer *tok);

#endif
