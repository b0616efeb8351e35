#include "pipeline/factor_cache.h"

#include <stdlib.h>

enum { stale_passes = 4 }; /* through all units: factors that none has asked for are given up */

/* Packed factors of a unit at a rank. */
typedef struct entry {
  struct entry *next; /* of the same unit */
  lrp_linear linear;
  void *memory; /* owned */
  int64_t bytes;
  int64_t last_use;
  int users;
} entry;

struct lrp_factor_cache {
  entry **entries; /* owned, n_units lists */
  int n_units;
  lrp_dtype operands;
  int64_t bytes, most_bytes;
  int64_t uses;
};

static const size_t alignment = 64;

lrp_status lrp_factor_cache_create(int n_units, lrp_dtype operands, int64_t most_bytes,
                                   lrp_factor_cache **out) {
  lrp_factor_cache *cache = calloc(1, sizeof *cache);
  entry **entries = calloc((size_t)n_units + 1, sizeof *entries);
  *out = NULL;
  if (!cache || !entries) {
    free(cache);
    free(entries);
    return lrp_fail_memory((size_t)n_units * sizeof *entries, "factors in memory");
  }
  *cache = (lrp_factor_cache){
      .entries = entries, .n_units = n_units, .operands = operands, .most_bytes = most_bytes};
  *out = cache;
  return LRP_OK;
}

static void forget(lrp_factor_cache *cache, entry **at) {
  entry *e = *at;
  *at = e->next;
  cache->bytes -= e->bytes;
  free(e->memory);
  free(e);
}

void lrp_factor_cache_destroy(lrp_factor_cache **out) {
  lrp_factor_cache *cache = *out;
  if (!cache) return;
  for (int i = 0; i < cache->n_units; i++) {
    while (cache->entries[i]) forget(cache, &cache->entries[i]);
  }
  free(cache->entries);
  free(cache);
  *out = NULL;
}

/* Where the list has the unused entry of the oldest use; NULL: all are in use. */
static entry **oldest(lrp_factor_cache *cache) {
  entry **found = NULL;
  for (int i = 0; i < cache->n_units; i++) {
    for (entry **at = &cache->entries[i]; *at; at = &(*at)->next) {
      if ((*at)->users > 0) continue;
      if (!found || (*at)->last_use < (*found)->last_use) found = at;
    }
  }
  return found;
}

static entry **place_of(lrp_factor_cache *cache, const entry *e) {
  for (int i = 0; i < cache->n_units; i++) {
    for (entry **at = &cache->entries[i]; *at; at = &(*at)->next) {
      if (*at == e) return at;
    }
  }
  return NULL;
}

/* There is more than may be kept, after the last use of e. Block by block the same factors are used
 * in turn, so what was used longest ago is needed next: e goes, unless others are of no use any
 * more. */
static void make_room(lrp_factor_cache *cache, const entry *e) {
  while (cache->bytes > cache->most_bytes) {
    entry **at = oldest(cache);
    const bool stale = at && cache->uses - (*at)->last_use > stale_passes * cache->n_units;
    if (!stale) {
      if (e && e->users == 0) forget(cache, place_of(cache, e));
      return;
    }
    if (*at == e) e = NULL; /* held for long, and stale itself */
    forget(cache, at);
  }
}

static lrp_status load(lrp_factor_cache *cache, lrp_store *store, int i, int r,
                       const lrp_linear *dense, entry *e) {
  e->linear = *dense;
  e->linear.packed = (lrp_packed){0};
  e->linear.rank = r;
  lrp_status st =
      lrp_store_factors(store, i, r, &e->linear.left, &e->linear.middle, &e->linear.right);
  if (st != LRP_OK) return st;
  const size_t bytes = lrp_linear_packed_bytes(&e->linear, cache->operands);
  if (bytes == 0) return LRP_OK;
  e->memory = aligned_alloc(alignment, bytes);
  if (!e->memory) return lrp_fail_memory(bytes, "factors in memory");
  e->bytes = (int64_t)bytes;
  return lrp_linear_pack(&e->linear, cache->operands, e->memory);
}

static entry *find(const lrp_factor_cache *cache, int i, int r) {
  entry *e = cache->entries[i];
  while (e && e->linear.rank != r) e = e->next;
  return e;
}

lrp_status lrp_factor_cache_take(lrp_factor_cache *cache, lrp_store *store, int i, int r,
                                 lrp_linear *linear, void **held) {
  entry *e = find(cache, i, r);
  *held = NULL;
  if (!e) {
    e = calloc(1, sizeof *e);
    if (!e) return lrp_fail_memory(sizeof *e, "factors in memory");
    const lrp_status st = load(cache, store, i, r, linear, e);
    if (st != LRP_OK) {
      free(e->memory);
      free(e);
      return st;
    }
    e->next = cache->entries[i];
    cache->entries[i] = e;
    cache->bytes += e->bytes;
  }
  e->users++;
  e->last_use = ++cache->uses;
  *linear = e->linear;
  *held = e;
  return LRP_OK;
}

void lrp_factor_cache_release(lrp_factor_cache *cache, void *held) {
  entry *e = held;
  if (!e) return;
  e->users--;
  make_room(cache, e);
}

int64_t lrp_factor_cache_bytes(const lrp_factor_cache *cache) {
  return cache->bytes;
}
