/** @file io/tokenizer/gpt2_files.h
 *  The rules in a vocab.json and a merges.txt, the files of GPT-2's and Qwen2's tokenizers. */
#ifndef LRP_IO_TOKENIZER_GPT2_FILES_H
#define LRP_IO_TOKENIZER_GPT2_FILES_H

#include <jansson.h>
#include <stdbool.h>

#include "io/tokenizer/rules.h"
#include "kernels/status.h"

/** Read dir/vocab.json and dir/merges.txt as transformers makes a fast tokenizer of them:
 * byte-level BPE with GPT-2's pattern, and add_prefix_space of the configuration; with NFC and
 * Qwen2's pattern if tokenizer_class is Qwen2Tokenizer. Special tokens are those that the
 * configuration names, and those of its added_tokens_decoder. Local. *found: whether dir has a
 * vocab.json.
 *  @param[in]  config  the object in tokenizer_config.json, or NULL
 *  @param[out] r       initialized by the caller; freed with lrp_rules_free, also upon failure
 *  @return LRP_OK; LRP_ERR_ABSENT (no merges.txt beside it); LRP_ERR_DATA (damaged; another
 *          tokenizer_class, named); LRP_ERR_PERM; LRP_ERR_IO; LRP_ERR_MEM */
lrp_status lrp_gpt2_files_read(const char *dir, const json_t *config, bool *found, lrp_rules *r);

#endif
