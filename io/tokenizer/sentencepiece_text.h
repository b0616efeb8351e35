/** @file io/tokenizer/sentencepiece_text.h
 *  Text to ids and back over a SentencePiece vocabulary; the rules stand in tokenizer.h. */
#ifndef LRP_IO_TOKENIZER_SENTENCEPIECE_TEXT_H
#define LRP_IO_TOKENIZER_SENTENCEPIECE_TEXT_H

#include "io/tokenizer/tokenizer.h"
#include "io/tokenizer/vocab.h"
#include "kernels/status.h"

/** Append the ids of text, no BOS or EOS added. Local; upon failure out may have some of them.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_DATA for a text of 2 GiB or more */
lrp_status lrp_sentencepiece_encode(const lrp_vocab *v, const char *text, size_t length,
                                    lrp_tokens *out);

/** As lrp_tokenizer_decode. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_sentencepiece_decode(const lrp_vocab *v, const int32_t *ids, int64_t count,
                                    char **text);

#endif
