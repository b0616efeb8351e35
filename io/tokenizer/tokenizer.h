/** @file io/tokenizer/tokenizer.h
 *  Text to token ids and back, as the model's own tokenizer does it.
 *
 *  Read is tokenizer.json, where it is there, else tokenizer.model, else vocab.json with
 * merges.txt.
 *
 *  tokenizer.json (Hugging Face) is followed as its library follows it, for BPE over characters or
 *  over bytes:
 *  - added_tokens with normalized, lstrip, rstrip and single_word; their ids are those of the file.
 *  - normalizer: NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Prepend, Replace, ByteLevel,
 *    Sequence.
 *  - pre_tokenizer: ByteLevel, Split (all behaviors, inverted or not), Digits, Punctuation,
 *    Whitespace, WhitespaceSplit, BertPreTokenizer, CharDelimiterSplit, Metaspace with U+2581,
 *    Sequence. Patterns, String or Regex, are those of the file; the engine is Oniguruma, as there.
 *  - model BPE: vocab with ids up to 2^20 - 1, which may have holes; merges in either form;
 *    byte_fallback, fuse_unk, unk_token, ignore_merges, continuing_subword_prefix,
 *    end_of_word_suffix.
 *  - post_processor: what TemplateProcessing, RobertaProcessing or BertProcessing puts in front and
 *    behind; ByteLevel puts nothing. It decides where it is there, also against add_bos_token and
 *    add_eos_token of tokenizer_config.json (a warning names the contradiction); where it is null,
 *    true ones of these are followed.
 *  - decoder: ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace, BPEDecoder, Sequence.
 *    truncation and padding are not followed, nor are the added tokens of tokenizer_config.json.
 *  - Everything else that could change ids or texts is refused with its name.
 *
 *  vocab.json and merges.txt are followed as transformers does: byte-level BPE with GPT-2's pattern
 *  and add_prefix_space of tokenizer_config.json; for tokenizer_class Qwen2Tokenizer NFC and
 * Qwen2's pattern. Special tokens are those that tokenizer_config.json and special_tokens_map.json
 * name; added_tokens_decoder and added_tokens.json give ids of further ones.
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

/** Open the tokenizer of a Hugging Face model directory. Local. *out is NULL upon failure.
 *  BOS and EOS of tokenizer.model are found in it; add_bos_token (by default true) and
 *  add_eos_token (by default false) of tokenizer_config.json are followed. Those of tokenizer.json
 *  are called bos_token and eos_token in tokenizer_config.json or special_tokens_map.json; else
 *  they are the first token that the post-processor puts in front and the last one behind; else the
 *  special tokens <s> and </s>; else bos_token_id and eos_token_id of config.json. Without a
 *  tokenizer.json both are <|endoftext|> (Qwen2: only EOS) where nothing names them.
 *  @return LRP_OK; LRP_ERR_ABSENT (no tokenizer in dir: the message names the expected files);
 *          LRP_ERR_DATA (damaged, hostile, or of a kind that is not read: named); LRP_ERR_PERM;
 *          LRP_ERR_IO; LRP_ERR_MEM */
lrp_status lrp_tokenizer_open(const char *dir, lrp_tokenizer **out);
void lrp_tokenizer_close(lrp_tokenizer **tok);

/** Append the ids of text (UTF-8, length bytes) to out (which need not be empty). Local; several
 *  threads may use one tokenizer.
 *  special: add what the tokenizer adds by default (Llama: BOS in front). A text that starts with
 *  the text of BOS gets none. An empty text has no ids of its own. Bytes that are not UTF-8 are
 *  encoded as byte tokens, and no pattern matches them. Upon failure out has the ids that it had.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_DATA for a text of 2 GiB or more (as it is after every
 *          step; a space may count 3 bytes), or one that a pattern gives up on
 */
lrp_status lrp_tokenizer_encode(const lrp_tokenizer *tok, const char *text, size_t length,
                                bool special, lrp_tokens *out);

/** Text of ids, special tokens and numbers that are no ids skipped; freed by the caller. Local.
 *  As tokenizer.json's decoder says; without one, a space between tokens. tokenizer.model: the
 * first space is removed, and byte tokens in a row that are not UTF-8 become U+FFFD each.
 * Byte-level: what is not UTF-8 becomes U+FFFD, a character that is cut off one of them. A NUL,
 * which would end the string, is U+FFFD, too. clean_up_tokenization_spaces of tokenizer_config.json
 * (by default false) is followed: " ." becomes ".", and so on.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_DATA for a text of 2 GiB or more */
lrp_status lrp_tokenizer_decode(const lrp_tokenizer *tok, const int32_t *ids, int64_t count,
                                char **text);

/** -1 if the tokenizer has none. Local. */
int32_t lrp_tokenizer_bos(const lrp_tokenizer *tok);
int32_t lrp_tokenizer_eos(const lrp_tokenizer *tok);

/** Text of the BOS token, of the EOS token, or NULL if there is none. Local. */
const char *lrp_tokenizer_bos_text(const lrp_tokenizer *tok);
const char *lrp_tokenizer_eos_text(const lrp_tokenizer *tok);

/** Number of ids: the largest one plus 1. Local. */
int64_t lrp_tokenizer_size(const lrp_tokenizer *tok);

/** Name of the file that was read, for provenance: "tokenizer.json"; "vocab.json" goes with
 *  merges.txt. Local. */
const char *lrp_tokenizer_file(const lrp_tokenizer *tok);

#endif
