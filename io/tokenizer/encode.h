/** @file io/tokenizer/encode.h
 *  Text to ids by given rules, no special tokens added in front or behind. */
#ifndef LRP_IO_TOKENIZER_ENCODE_H
#define LRP_IO_TOKENIZER_ENCODE_H

#include "io/tokenizer/rules.h"
#include "io/tokenizer/tokenizer.h"
#include "kernels/status.h"

/** Append the ids of text. Local; upon failure out may have some of them.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_DATA for a text of 2 GiB or more */
lrp_status lrp_rules_encode(const lrp_rules *r, const char *text, size_t length, lrp_tokens *out);

#endif
