#include "io/tokenizer/bpe.h"

#include <stdlib.h>
#include <string.h>

enum { first_capacity = 256 };

/* Children of a node of the heap. */
enum { arity = 4 };

void lrp_bpe_clear(lrp_bpe_word *w) {
  w->count = 0;
  w->heap_count = 0;
}

void lrp_bpe_free(lrp_bpe_word *w) {
  free(w->symbols);
  free(w->heap);
  memset(w, 0, sizeof *w);
}

static lrp_status grow_symbols(lrp_bpe_word *w) {
  int32_t capacity = first_capacity;
  lrp_bpe_symbol *symbols;

  if (w->capacity > 0) capacity = w->capacity > INT32_MAX / 2 ? INT32_MAX : 2 * w->capacity;
  symbols = realloc(w->symbols, (size_t)capacity * sizeof *symbols);
  if (!symbols) {
    return lrp_fail_memory((size_t)capacity * sizeof *symbols, "the symbols of a text");
  }
  w->symbols = symbols;
  w->capacity = capacity;
  return LRP_OK;
}

lrp_status lrp_bpe_append(lrp_bpe_word *w, int32_t length, int32_t id) {
  const int32_t i = w->count;
  int32_t start = 0;

  if (i == w->capacity) {
    lrp_status st = grow_symbols(w);
    if (st != LRP_OK) return st;
  }
  if (i > 0) {
    start = w->symbols[i - 1].start + w->symbols[i - 1].length;
    w->symbols[i - 1].next = i;
  }
  w->symbols[i] =
      (lrp_bpe_symbol){.start = start, .length = length, .id = id, .prev = i - 1, .next = -1};
  w->count = i + 1;
  return LRP_OK;
}

static lrp_status grow_heap(lrp_bpe_word *w) {
  const int64_t capacity = w->heap_capacity > 0 ? 2 * w->heap_capacity : first_capacity;
  uint64_t *heap = realloc(w->heap, (size_t)capacity * sizeof *heap);

  if (!heap) return lrp_fail_memory((size_t)capacity * sizeof *heap, "the merges of a text");
  w->heap = heap;
  w->heap_capacity = capacity;
  return LRP_OK;
}

static lrp_status heap_push(lrp_bpe_word *w, uint64_t candidate) {
  int64_t i = w->heap_count;

  if (i == w->heap_capacity) {
    lrp_status st = grow_heap(w);
    if (st != LRP_OK) return st;
  }
  w->heap_count++;
  while (i > 0 && w->heap[(i - 1) / arity] > candidate) {
    w->heap[i] = w->heap[(i - 1) / arity];
    i = (i - 1) / arity;
  }
  w->heap[i] = candidate;
  return LRP_OK;
}

/* Index of the least of the children first .. of a node; n nodes in all. The usual case, all four,
 * is a tournament without branches: the outcome of each comparison is a coin toss, and a processor
 * that guesses wrongly loses more time than the comparisons take. */
static int64_t least_child(const uint64_t *heap, int64_t first, int64_t n) {
  int64_t a = first;

  if (first + arity <= n) {
    const int64_t b = first + 2 + (heap[first + 3] < heap[first + 2]);
    a += heap[first + 1] < heap[first];
    return heap[b] < heap[a] ? b : a;
  }
  for (int64_t i = first + 1; i < n; i++) {
    if (heap[i] < heap[a]) a = i;
  }
  return a;
}

static uint64_t heap_pop(lrp_bpe_word *w) {
  uint64_t *const heap = w->heap;
  const uint64_t top = heap[0];
  const int64_t n = --w->heap_count;
  const uint64_t last = heap[n];
  int64_t i = 0;

  for (int64_t first = 1; first < n; first = arity * i + 1) {
    const int64_t child = least_child(heap, first, n);
    if (heap[child] >= last) break;
    heap[i] = heap[child];
    i = child;
  }
  heap[i] = last;
  return top;
}

/* The merge of left and its right neighbour, if there is one. */
static bool find_at(const lrp_bpe_word *w, const char *word, lrp_bpe_find find, const void *vocab,
                    int32_t left, lrp_bpe_merge *merge) {
  const lrp_bpe_symbol *a = &w->symbols[left];

  return a->length > 0 && a->next >= 0 && find(vocab, word, a, &w->symbols[a->next], merge);
}

static lrp_status propose(lrp_bpe_word *w, const char *word, lrp_bpe_find find, const void *vocab,
                          int32_t left) {
  lrp_bpe_merge merge;

  if (left < 0 || !find_at(w, word, find, vocab, left, &merge)) return LRP_OK;
  return heap_push(w, (uint64_t)merge.rank << 32 | (uint32_t)left);
}

/* Merge left with its right neighbour, which dies (length 0). */
static void merge_at(lrp_bpe_word *w, int32_t left, int32_t id) {
  lrp_bpe_symbol *a = &w->symbols[left];
  lrp_bpe_symbol *b = &w->symbols[a->next];

  a->length += b->length;
  a->id = id;
  a->next = b->next;
  b->length = 0;
  if (a->next >= 0) w->symbols[a->next].prev = left;
}

/* Move the living symbols to the front. */
static void compact(lrp_bpe_word *w) {
  int32_t kept = 0;

  for (int32_t i = 0; i < w->count; i++) {
    if (w->symbols[i].length > 0) w->symbols[kept++] = w->symbols[i];
  }
  w->count = kept;
}

lrp_status lrp_bpe_run(lrp_bpe_word *w, const char *word, lrp_bpe_find find, const void *vocab) {
  lrp_status st = LRP_OK;

  w->heap_count = 0;
  for (int32_t i = 0; i < w->count && st == LRP_OK; i++) st = propose(w, word, find, vocab, i);
  while (w->heap_count > 0 && st == LRP_OK) {
    const uint64_t candidate = heap_pop(w);
    const int32_t left = (int32_t)(candidate & UINT32_MAX);
    lrp_bpe_merge merge;
    /* What was proposed may be gone. What stands there now counts if it has that rank. */
    if (!find_at(w, word, find, vocab, left, &merge) || merge.rank != candidate >> 32) continue;
    merge_at(w, left, merge.id);
    st = propose(w, word, find, vocab, w->symbols[left].prev);
    if (st == LRP_OK) st = propose(w, word, find, vocab, left);
  }
  compact(w);
  return st;
}
