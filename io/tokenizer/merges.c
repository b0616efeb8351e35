#include "io/tokenizer/merges.h"

#include <stdlib.h>
#include <string.h>

struct lrp_merge_slot {
  int32_t left, right; /* left -1: empty */
  lrp_bpe_merge merge;
};

enum { first_slots = 64 };

void lrp_merges_free(lrp_merges *m) {
  free(m->slots);
  memset(m, 0, sizeof *m);
}

/* Of the pair of ids; the constant is 2^64 divided by the golden ratio, odd. */
static size_t hash_pair(int32_t left, int32_t right) {
  uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9e3779b97f4a7c15U;
  h ^= h >> 29;
  return (size_t)(h * 0x9e3779b97f4a7c15U >> 32);
}

/* Slot of the pair, or the empty slot where it belongs. */
static struct lrp_merge_slot *locate(const lrp_merges *m, int32_t left, int32_t right) {
  const size_t mask = m->n_slots - 1;

  for (size_t i = hash_pair(left, right) & mask;; i = (i + 1) & mask) {
    struct lrp_merge_slot *slot = &m->slots[i];
    if (slot->left < 0 || (slot->left == left && slot->right == right)) return slot;
  }
}

static lrp_status grow(lrp_merges *m) {
  const lrp_merges old = *m;
  const size_t n = old.n_slots > 0 ? 2 * old.n_slots : first_slots;
  struct lrp_merge_slot *slots = malloc(n * sizeof *slots);

  if (!slots) return lrp_fail_memory(n * sizeof *slots, "a list of merges");
  for (size_t i = 0; i < n; i++) slots[i].left = -1;
  m->slots = slots;
  m->n_slots = n;
  for (size_t i = 0; i < old.n_slots; i++) {
    if (old.slots[i].left < 0) continue;
    *locate(m, old.slots[i].left, old.slots[i].right) = old.slots[i];
  }
  free(old.slots);
  return LRP_OK;
}

lrp_status lrp_merges_put(lrp_merges *m, int32_t left, int32_t right, lrp_bpe_merge merge) {
  struct lrp_merge_slot *slot;

  if (4 * (m->count + 1) > 3 * m->n_slots) {
    const lrp_status st = grow(m);
    if (st != LRP_OK) return st;
  }
  slot = locate(m, left, right);
  if (slot->left < 0) m->count++;
  *slot = (struct lrp_merge_slot){.left = left, .right = right, .merge = merge};
  return LRP_OK;
}

bool lrp_merges_find(const lrp_merges *m, int32_t left, int32_t right, lrp_bpe_merge *merge) {
  const struct lrp_merge_slot *slot;

  if (m->count == 0) return false;
  slot = locate(m, left, right);
  if (slot->left < 0) return false;
  *merge = slot->merge;
  return true;
}
