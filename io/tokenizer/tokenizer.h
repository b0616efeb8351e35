/** @file io/tokenizer/tokenizer.h
 *  Text to token ids and back, as the model's own tokenizer does it. */
#ifndef LRP_IO_TOKENIZER_TOKENIZER_H
#define LRP_IO_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/status.h"

typedef struct lrp_tokenizer lrp_tokenizer;

/** Token ids, grown on demand; release with lrp_tokens_free. */
typedef struct {
  int32_t *ids; /* owned */
  int64_t count, capacity;
} lrp_tokens;

/** Release the memory and zero *t. Local. */
void lrp_tokens_free(lrp_tokens *t);

/** Open the tokenizer of a Hugging Face model directory: tokenizer.model (SentencePiece BPE).
 *  Local. bos and eos are found in the file; tokenizer_config.json (add_bos_token, add_eos_token)
 *  is followed where it is there.
 *  @return LRP_OK; LRP_ERR_ABSENT (no tokenizer in dir: the message names the expected files);
 *          LRP_ERR_DATA (not a SentencePiece BPE model, hostile protobuf); LRP_ERR_MEM */
lrp_status lrp_tokenizer_open(const char *dir, lrp_tokenizer **out);
void lrp_tokenizer_close(lrp_tokenizer **tok);

/** Append the ids of text (UTF-8, length bytes) to out (which need not be empty). Local.
 *  special: add what the tokenizer adds by default (Llama: BOS in front). A text that starts with
 *  the text of BOS gets none. Bytes that are not UTF-8 are encoded as byte tokens.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_tokenizer_encode(const lrp_tokenizer *tok, const char *text, size_t length,
                                bool special, lrp_tokens *out);

/** Text of ids, special tokens skipped; freed by the caller. Local. Byte tokens are joined, invalid
 *  UTF-8 becomes U+FFFD, the first space is removed. @return LRP_OK, LRP_ERR_MEM */
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
