/** @file io/tokenizer/bpe.h
 *  Byte pair encoding of one word: neighbours are merged, lowest rank first, the leftmost of equal
 *  ranks first, until no merge is left. Knows nothing of where the vocabulary comes from.
 *
 *  Symbols form a linked list, candidate merges a heap: O(n log n) for n symbols. That
 *  matters, for a SentencePiece "word" may be a text of megabytes. */
#ifndef LRP_IO_TOKENIZER_BPE_H
#define LRP_IO_TOKENIZER_BPE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/status.h"

/** A stretch of the word: at first a part that the caller split off, in the end a token. */
typedef struct {
  int32_t start, length; /* bytes of the word */
  int32_t id;            /* of the vocabulary, -1 if it has none */
  int32_t prev, next;    /* neighbours while merging, -1 at the ends */
} lrp_bpe_symbol;

typedef struct {
  uint32_t rank; /* lower ones are merged first */
  int32_t id;    /* of the merged symbol */
} lrp_bpe_merge;

/** Whether left and right, neighbours in word, may be merged, and into what. It may go by the ids
 *  (a list of merges) or by the text (a list of pieces). */
typedef bool (*lrp_bpe_find)(const void *vocab, const char *word, const lrp_bpe_symbol *left,
                             const lrp_bpe_symbol *right, lrp_bpe_merge *out);

/** A word and the memory to merge it, kept from word to word. Zero it before the first use. */
typedef struct {
  lrp_bpe_symbol *symbols; /* owned */
  int32_t count, capacity;
  uint64_t *heap; /* owned: candidates, rank << 32 | index of the left symbol */
  int64_t heap_count, heap_capacity;
} lrp_bpe_word;

/** Forget the symbols, keep the memory. Local. */
void lrp_bpe_clear(lrp_bpe_word *w);

/** Append the symbol of the next length bytes of the word. Local.
 *  The caller sees to it that a word has at most INT32_MAX bytes. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_bpe_append(lrp_bpe_word *w, int32_t length, int32_t id);

/** Merge: w->symbols[0 .. w->count - 1] are the result, in order. Local.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_bpe_run(lrp_bpe_word *w, const char *word, lrp_bpe_find find, const void *vocab);

/** Release the memory and zero *w. Local. */
void lrp_bpe_free(lrp_bpe_word *w);

#endif
