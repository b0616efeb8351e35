/** @file io/tokenizer/piece_cache.h
 *  Ids of short words that were encoded lately. Of bounded size, shared by threads; it never waits:
 *  an entry that another thread uses at the moment is as absent. */
#ifndef LRP_IO_TOKENIZER_PIECE_CACHE_H
#define LRP_IO_TOKENIZER_PIECE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

/** Longer words, and words of more ids, are not kept. */
enum { LRP_CACHE_MAX_BYTES = 28, LRP_CACHE_MAX_IDS = 8 };

typedef struct lrp_piece_cache lrp_piece_cache;

/** An empty cache, of 1 MiB. Local. *out is NULL upon failure. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_piece_cache_create(lrp_piece_cache **out);
void lrp_piece_cache_destroy(lrp_piece_cache **cache);

/** The ids of a word, at most LRP_CACHE_MAX_IDS; their number, or -1 if they are not there
 *  (cache NULL: never). Local. */
int lrp_piece_cache_get(lrp_piece_cache *cache, const char *word, size_t length, int32_t *ids);

/** Keep the ids of a word, unless they are too many. Local. */
void lrp_piece_cache_put(lrp_piece_cache *cache, const char *word, size_t length,
                         const int32_t *ids, int64_t count);

#endif
