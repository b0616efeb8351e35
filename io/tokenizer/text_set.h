/** @file io/tokenizer/text_set.h
 *  Texts, each with a number: found by the whole text, or as the longest one that a text starts
 *  with. */
#ifndef LRP_IO_TOKENIZER_TEXT_SET_H
#define LRP_IO_TOKENIZER_TEXT_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

typedef struct {
  const char *text; /* borrowed, no NUL at its end */
  uint32_t length;  /* bytes, at least 1 */
  int32_t value;    /* not negative */
} lrp_text_item;

/** Zero it before the first use. */
typedef struct {
  lrp_text_item *items; /* owned */
  int32_t count, capacity;
  struct lrp_text_slot *slots; /* owned; open addressing, at most half full */
  size_t slot_mask;
  bool first[256];   /* first bytes of the texts */
  uint32_t *lengths; /* owned: of the texts, longest first, each once */
  int32_t n_lengths;
} lrp_text_set;

/** Add a text unless it is there. Local. *found: its number if it was there, else -1.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_text_set_add(lrp_text_set *s, const char *text, size_t length, int32_t value,
                            int32_t *found);

/** Number of the text, or -1. Local. */
int32_t lrp_text_set_find(const lrp_text_set *s, const char *text, size_t length);

/** Make ready for lrp_text_set_prefix. Local; nothing is added afterwards.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_text_set_finish(lrp_text_set *s);

/** Longest member that text starts with, or NULL. Local. */
const lrp_text_item *lrp_text_set_prefix(const lrp_text_set *s, const char *text, size_t length);

/** Release the memory and zero *s. Local. */
void lrp_text_set_free(lrp_text_set *s);

#endif
