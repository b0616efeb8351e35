/** @file io/tokenizer/json_vocab.h
 *  What every kind of tokenizer.json has: members, flags, the vocabulary, added tokens. */
#ifndef LRP_IO_TOKENIZER_JSON_VOCAB_H
#define LRP_IO_TOKENIZER_JSON_VOCAB_H

#include "io/tokenizer/json_scan.h"
#include "io/tokenizer/rules.h"
#include "kernels/status.h"

/** A member of an object that is looked at. */
typedef struct {
  const char *name;
  lrp_json_slice *value; /* zeroed by the caller */
} lrp_json_member;

/** Find the n members of an object; others are skipped; what: its name, for messages. Local.
 *  @return LRP_OK; LRP_ERR_DATA (broken, no object, a member twice) */
lrp_status lrp_json_collect(const lrp_json_file *file, lrp_json_slice object, const char *what,
                            const lrp_json_member *members, size_t n);

/** Whether a value is absent or null. Local. */
bool lrp_json_is_null(lrp_json_slice value);

/** true or false; absent and null keep what *flag is. Local. @return LRP_OK, LRP_ERR_DATA */
lrp_status lrp_json_flag(const lrp_json_file *file, lrp_json_slice value, const char *what,
                         bool *flag);

/** Pieces of model.vocab. Local. @return LRP_OK; LRP_ERR_DATA (no pieces, a bad id); LRP_ERR_MEM */
lrp_status lrp_json_vocab(const lrp_json_file *file, lrp_json_slice vocab, lrp_rules *r);

/** r->vocab.unk by the text of model.unk_token. Local. @return LRP_OK, LRP_ERR_DATA */
lrp_status lrp_json_unk(const lrp_json_file *file, lrp_json_slice value, lrp_rules *r);

/** The added tokens, made findable; r has its vocabulary and normalizer. Local.
 *  @return LRP_OK, LRP_ERR_DATA, LRP_ERR_MEM */
lrp_status lrp_json_added(const lrp_json_file *file, lrp_json_slice array, lrp_rules *r);

#endif
