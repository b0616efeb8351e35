/** @file io/tokenizer/sentencepiece.h
 *  The rules in a tokenizer.model: a protocol buffer (proto2, message ModelProto of
 *  sentencepiece_model.proto), read as untrusted input. */
#ifndef LRP_IO_TOKENIZER_SENTENCEPIECE_H
#define LRP_IO_TOKENIZER_SENTENCEPIECE_H

#include <stddef.h>

#include "io/tokenizer/rules.h"
#include "kernels/status.h"

/** Bytes of the largest file that is read. */
#define LRP_SENTENCEPIECE_MAX ((size_t)64 << 20)

/** Read the pieces and the ids of BOS and EOS, and make the rules. Local.
 *  Unknown fields are skipped; a repeated scalar counts once, the last one. The rank of a piece
 *  follows from its score: the highest score has the lowest rank, equal scores have equal ranks.
 *  The id of UNK is that of the piece of type UNKNOWN; BOS and EOS are trainer_spec's, provided
 *  that those pieces are CONTROL or USER_DEFINED. normalizer_spec is not followed: the rules are
 *  those of Hugging Face's fast Llama tokenizer (tokenizer.h), without BOS and EOS.
 *  @param[in]  data  malloc'ed bytes of the file; owned by *r from here on, also upon failure
 *  @param[in]  size  at most LRP_SENTENCEPIECE_MAX
 *  @param[in]  file  named in messages
 *  @param[out] r     freed with lrp_rules_free, also upon failure
 *  @return LRP_OK; LRP_ERR_DATA (damaged, or not a BPE model); LRP_ERR_MEM */
lrp_status lrp_sentencepiece_read(char *data, size_t size, const char *file, lrp_rules *r);

#endif
