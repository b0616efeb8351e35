/** @file io/tokenizer/rules.h
 *  All that says how a text becomes ids, whichever file it was read from. */
#ifndef LRP_IO_TOKENIZER_RULES_H
#define LRP_IO_TOKENIZER_RULES_H

#include "io/tokenizer/added.h"
#include "io/tokenizer/merges.h"
#include "io/tokenizer/normalizer.h"
#include "io/tokenizer/vocab.h"
#include "kernels/status.h"

/** Where a space mark is put in front, unless there is one. */
typedef enum { LRP_PREFIX_NEVER, LRP_PREFIX_FIRST, LRP_PREFIX_ALWAYS } lrp_prefix;

/** Ids that are put around a text. */
typedef struct {
  int32_t *ids; /* owned */
  int32_t count;
} lrp_id_list;

/** In the order of their use. */
typedef struct {
  lrp_added added;
  lrp_normalizer normalizer;
  bool metaspace; /* spaces become marks, and prefix and split count */
  lrp_prefix prefix;
  bool split; /* each mark starts a word */
  lrp_vocab vocab;
  bool by_merges; /* two symbols merge if merges has them; else if their text is a piece */
  lrp_merges merges;
  bool byte_fallback, fuse_unk;
  bool ignore_merges;        /* a word that is a piece is that piece */
  bool joins_words;          /* a merge may cross the boundary of two words */
  lrp_id_list front, behind; /* special tokens */
  bool marks_given;          /* front and behind are what the file says, be they empty */
  bool strip_space;          /* decoding removes the first space */
} lrp_rules;

/** No pieces, no rules. Local. */
void lrp_rules_init(lrp_rules *r);
void lrp_rules_free(lrp_rules *r);

/** Append an id. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_id_list_push(lrp_id_list *list, int32_t id);

#endif
