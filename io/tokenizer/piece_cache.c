#include "io/tokenizer/piece_cache.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { n_entries = 1 << 14, entry_bytes = 64 };

/* One line of a processor's cache. */
typedef struct {
  atomic_flag busy;
  uint8_t length; /* of word; 0: empty */
  uint8_t count;
  char word[LRP_CACHE_MAX_BYTES];
  int32_t ids[LRP_CACHE_MAX_IDS];
} entry;

struct lrp_piece_cache {
  entry entries[n_entries];
};

_Static_assert(sizeof(entry) == entry_bytes, "an entry is a line");

lrp_status lrp_piece_cache_create(lrp_piece_cache **out) {
  *out = aligned_alloc(entry_bytes, sizeof **out);
  if (!*out) return lrp_fail_memory(sizeof **out, "a cache of words");
  for (int i = 0; i < n_entries; i++) {
    atomic_flag_clear_explicit(&(*out)->entries[i].busy, memory_order_relaxed);
    (*out)->entries[i].length = 0;
  }
  return LRP_OK;
}

void lrp_piece_cache_destroy(lrp_piece_cache **cache) {
  free(*cache);
  *cache = NULL;
}

/* The entry where a word belongs, held, or NULL. */
static entry *hold(lrp_piece_cache *cache, const char *word, size_t length) {
  entry *e;

  if (!cache || length == 0 || length > LRP_CACHE_MAX_BYTES) return NULL;
  e = &cache->entries[XXH3_64bits(word, length) % n_entries];
  return atomic_flag_test_and_set_explicit(&e->busy, memory_order_acquire) ? NULL : e;
}

static void release(entry *e) {
  atomic_flag_clear_explicit(&e->busy, memory_order_release);
}

int lrp_piece_cache_get(lrp_piece_cache *cache, const char *word, size_t length, int32_t *ids) {
  entry *e = hold(cache, word, length);
  int count = -1;

  if (!e) return -1;
  if (e->length == length && memcmp(e->word, word, length) == 0) {
    count = e->count;
    memcpy(ids, e->ids, (size_t)count * sizeof *ids);
  }
  release(e);
  return count;
}

void lrp_piece_cache_put(lrp_piece_cache *cache, const char *word, size_t length,
                         const int32_t *ids, int64_t count) {
  entry *e = count <= LRP_CACHE_MAX_IDS ? hold(cache, word, length) : NULL;

  if (!e) return;
  e->length = (uint8_t)length;
  e->count = (uint8_t)count;
  memcpy(e->word, word, length);
  if (count > 0) memcpy(e->ids, ids, (size_t)count * sizeof *ids);
  release(e);
}
