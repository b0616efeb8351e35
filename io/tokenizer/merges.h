/** @file io/tokenizer/merges.h
 *  A list of merges: two neighbours (ids) and what they become. */
#ifndef LRP_IO_TOKENIZER_MERGES_H
#define LRP_IO_TOKENIZER_MERGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/tokenizer/bpe.h"
#include "kernels/status.h"

/** Zero it before the first use. */
typedef struct {
  struct lrp_merge_slot *slots; /* owned; open addressing, at most three quarters full */
  size_t n_slots, count;
} lrp_merges;

/** Add a merge; of several of the same pair the last one counts. Local.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_merges_put(lrp_merges *m, int32_t left, int32_t right, lrp_bpe_merge merge);

/** Whether there is a merge of the two. Local. */
bool lrp_merges_find(const lrp_merges *m, int32_t left, int32_t right, lrp_bpe_merge *merge);

/** Release the memory and zero *m. Local. */
void lrp_merges_free(lrp_merges *m);

#endif
