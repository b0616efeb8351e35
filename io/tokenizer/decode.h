/** @file io/tokenizer/decode.h
 *  Ids to text by given rules. */
#ifndef LRP_IO_TOKENIZER_DECODE_H
#define LRP_IO_TOKENIZER_DECODE_H

#include "io/tokenizer/rules.h"
#include "kernels/status.h"

/** As lrp_tokenizer_decode. Local. @return LRP_OK, LRP_ERR_DATA, LRP_ERR_MEM */
lrp_status lrp_rules_decode(const lrp_rules *r, const int32_t *ids, int64_t count, char **text);

#endif
