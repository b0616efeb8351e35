/** @file io/tokenizer/wordpiece_rules.h
 *  All that says how a text becomes the input of a BERT model, whichever file it was read from. */
#ifndef LRP_IO_TOKENIZER_WORDPIECE_RULES_H
#define LRP_IO_TOKENIZER_WORDPIECE_RULES_H

#include <stddef.h>

#include "io/tokenizer/rules.h"
#include "io/tokenizer/wordpiece_text.h"
#include "kernels/status.h"

/** strip_accents: no, yes, or as lower-casing is. */
typedef enum { LRP_STRIP_NO, LRP_STRIP_YES, LRP_STRIP_AS_LOWER } lrp_strip;

typedef struct {
  lrp_rules common; /* its added tokens and its vocabulary, the id of UNK included */
  lrp_glyph_rules glyphs;
  lrp_strip strip; /* what glyphs.strip follows from */
  char *prefix;    /* owned: "##" */
  size_t prefix_length;
  int64_t max_characters; /* of a word */
  int32_t cls, sep, mask; /* ids; mask is -1 if there is none */
} lrp_wordpiece_rules;

/** The rules of a vocab.txt without anything beside it. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_wordpiece_rules_init(lrp_wordpiece_rules *r);

/** Local; accepts a zeroed one. */
void lrp_wordpiece_rules_free(lrp_wordpiece_rules *r);

/** Read a vocab.txt: a piece a line, the first one has the id 0. Local.
 *  @param[in]  data  malloc'ed bytes of the file; owned by *r from here on, also upon failure
 *  @param[in]  file  named in messages
 *  @param[out] r     initialised; special tokens are still to be found
 *  @return LRP_OK; LRP_ERR_DATA (no pieces, not UTF-8, a piece twice); LRP_ERR_MEM */
lrp_status lrp_vocab_txt_read(char *data, size_t size, const char *file, lrp_wordpiece_rules *r);

#endif
