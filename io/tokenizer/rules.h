/** @file io/tokenizer/rules.h
 *  All that says how a text becomes ids, whichever file it was read from. */
#ifndef LRP_IO_TOKENIZER_RULES_H
#define LRP_IO_TOKENIZER_RULES_H

#include "io/tokenizer/added.h"
#include "io/tokenizer/decoder.h"
#include "io/tokenizer/merges.h"
#include "io/tokenizer/normalizer.h"
#include "io/tokenizer/piece_cache.h"
#include "io/tokenizer/pre_tokenizer.h"
#include "io/tokenizer/vocab.h"
#include "kernels/status.h"

/** Ids that are put around a text. */
typedef struct {
  int32_t *ids; /* owned */
  int32_t count;
} lrp_id_list;

/** What a character's text has in front or behind when it is looked for in the vocabulary. */
typedef struct {
  const char *text; /* borrowed from the vocabulary's data */
  size_t length;
} lrp_affix;

/** In the order of their use. */
typedef struct {
  lrp_added added;
  lrp_normalizer normalizer;
  lrp_pre_tokenizer pre_tokenizer;
  lrp_vocab vocab;
  bool by_merges; /* two symbols merge if merges has them; else if their text is a piece */
  lrp_merges merges;
  bool byte_fallback, fuse_unk;
  bool ignore_merges;        /* a word that is a piece is that piece */
  bool joins_words;          /* a word is more than its parts between space marks */
  lrp_affix prefix, suffix;  /* of a word's characters but the first one, of the last one */
  lrp_piece_cache *cache;    /* owned; NULL: none */
  lrp_id_list front, behind; /* special tokens */
  bool marks_given;          /* front and behind are what the file says, be they empty */
  lrp_decoder decoder;
  bool space_between; /* decoding puts a space between tokens */
  bool clean_up;      /* decoding ends as transformers' clean_up_tokenization does */
} lrp_rules;

/** No pieces, no rules. Local. */
void lrp_rules_init(lrp_rules *r);
void lrp_rules_free(lrp_rules *r);

/** Append an id. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_id_list_push(lrp_id_list *list, int32_t id);

#endif
