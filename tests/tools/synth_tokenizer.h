/** @file tests/tools/synth_tokenizer.h
 *  A tokenizer of our own making for a synthetic model, or a copy of another model's. */
#ifndef LRP_TESTS_TOOLS_SYNTH_TOKENIZER_H
#define LRP_TESTS_TOOLS_SYNTH_TOKENIZER_H

#include "tests/tools/synth_options.h"

/** Write the tokenizer to o->out: tokenizer.model (llama) or vocab.txt (bert), and
 *  tokenizer_config.json; with o->tokenizer, copies of the files found there. Local.
 *
 *  tokenizer.model is a SentencePiece BPE model: <unk> <s> </s>, 256 byte pieces, printable ASCII,
 *  then pieces of descending score, each of which is two earlier pieces joined.
 *  @return LRP_OK; LRP_ERR_USAGE (o->vocab too small); LRP_ERR_ABSENT (o->tokenizer holds none);
 *          LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_synth_tokenizer_write(const lrp_synth_options *o);

#endif
