/** @file io/tokenizer/tokenizer_json.h
 *  The rules in a tokenizer.json with the model BPE, read as untrusted input. */
#ifndef LRP_IO_TOKENIZER_TOKENIZER_JSON_H
#define LRP_IO_TOKENIZER_TOKENIZER_JSON_H

#include <stddef.h>

#include "io/tokenizer/rules.h"
#include "kernels/status.h"

/** Bytes of the largest file that is read. */
#define LRP_TOKENIZER_JSON_MAX ((size_t)128 << 20)

/** Read vocabulary, merges, added tokens and the steps around them. Local. What is read, and what
 * is refused, stands in tokenizer.h. BOS and EOS are the first special token that the
 * post-processor puts in front and the last one behind, else those called <s> and </s>, else none.
 *  @param[in]  data  malloc'ed bytes of the file; owned by *r from here on, also upon failure
 *  @param[in]  size  at most LRP_TOKENIZER_JSON_MAX
 *  @param[in]  file  named in messages
 *  @param[out] r     freed with lrp_rules_free, also upon failure
 *  @return LRP_OK; LRP_ERR_DATA (damaged, or of a kind that is not read); LRP_ERR_MEM */
lrp_status lrp_tokenizer_json_read(char *data, size_t size, const char *file, lrp_rules *r);

#endif
