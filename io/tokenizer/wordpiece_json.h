/** @file io/tokenizer/wordpiece_json.h
 *  The rules in a tokenizer.json whose model is WordPiece, read as untrusted input. */
#ifndef LRP_IO_TOKENIZER_WORDPIECE_JSON_H
#define LRP_IO_TOKENIZER_WORDPIECE_JSON_H

#include <stddef.h>

#include "io/tokenizer/wordpiece_rules.h"
#include "kernels/status.h"

/** Read vocabulary, added tokens and the steps around them: BertNormalizer (or none),
 *  BertPreTokenizer, WordPiece, and TemplateProcessing or BertProcessing that make [CLS] a [SEP]
 * and [CLS] a [SEP] b [SEP]. Local.
 *  @param[in]  data  malloc'ed bytes of the file; owned by *r from here on, also upon failure
 *  @param[in]  size  at most LRP_TOKENIZER_JSON_MAX
 *  @param[in]  file  named in messages
 *  @param[out] r     initialised
 *  @return LRP_OK; LRP_ERR_DATA (damaged, or of a kind that is not read: named); LRP_ERR_MEM */
lrp_status lrp_wordpiece_json_read(char *data, size_t size, const char *file,
                                   lrp_wordpiece_rules *r);

#endif
