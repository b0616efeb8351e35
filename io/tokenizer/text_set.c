#include "io/tokenizer/text_set.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* tag holds other bits of the hash than the slot's index: most misses need no look at the text. */
struct lrp_text_slot {
  uint32_t tag;
  int32_t item; /* -1: empty */
};

enum { first_capacity = 64 };

void lrp_text_set_free(lrp_text_set *s) {
  free(s->lengths);
  free(s->slots);
  free(s->items);
  memset(s, 0, sizeof *s);
}

/* Slot of the item with this text, or the empty slot where it belongs. */
static struct lrp_text_slot *locate(const lrp_text_set *s, const char *text, size_t length,
                                    uint32_t *tag) {
  const uint64_t hash = XXH3_64bits(text, length);

  *tag = (uint32_t)(hash >> 32);
  for (size_t i = (size_t)hash & s->slot_mask;; i = (i + 1) & s->slot_mask) {
    struct lrp_text_slot *slot = &s->slots[i];
    const lrp_text_item *item;
    if (slot->item < 0) return slot;
    item = &s->items[slot->item];
    if (slot->tag == *tag && item->length == length && memcmp(item->text, text, length) == 0) {
      return slot;
    }
  }
}

/* Room for one more item, and at least two slots for each. */
static lrp_status grow(lrp_text_set *s) {
  const int32_t capacity = s->capacity > 0 ? 2 * s->capacity : first_capacity;
  const size_t n_slots = 2 * (size_t)capacity;
  lrp_text_item *items = realloc(s->items, (size_t)capacity * sizeof *items);
  struct lrp_text_slot *slots;

  if (!items) return lrp_fail_memory((size_t)capacity * sizeof *items, "a set of texts");
  s->items = items;
  slots = malloc(n_slots * sizeof *slots);
  if (!slots) return lrp_fail_memory(n_slots * sizeof *slots, "the index of a set of texts");
  free(s->slots);
  s->slots = slots;
  s->slot_mask = n_slots - 1;
  s->capacity = capacity;
  for (size_t i = 0; i < n_slots; i++) slots[i] = (struct lrp_text_slot){.item = -1};
  for (int32_t i = 0; i < s->count; i++) {
    uint32_t tag;
    struct lrp_text_slot *slot = locate(s, items[i].text, items[i].length, &tag);
    *slot = (struct lrp_text_slot){.tag = tag, .item = i};
  }
  return LRP_OK;
}

lrp_status lrp_text_set_add(lrp_text_set *s, const char *text, size_t length, int32_t value,
                            int32_t *found) {
  struct lrp_text_slot *slot;
  uint32_t tag;

  *found = -1;
  if (s->count == s->capacity) {
    const lrp_status st = grow(s);
    if (st != LRP_OK) return st;
  }
  slot = locate(s, text, length, &tag);
  if (slot->item >= 0) {
    *found = s->items[slot->item].value;
    return LRP_OK;
  }
  *slot = (struct lrp_text_slot){.tag = tag, .item = s->count};
  s->items[s->count++] = (lrp_text_item){.text = text, .length = (uint32_t)length, .value = value};
  return LRP_OK;
}

static const lrp_text_item *find_item(const lrp_text_set *s, const char *text, size_t length) {
  const struct lrp_text_slot *slot;
  uint32_t tag;

  if (s->count == 0) return NULL;
  slot = locate(s, text, length, &tag);
  return slot->item >= 0 ? &s->items[slot->item] : NULL;
}

int32_t lrp_text_set_find(const lrp_text_set *s, const char *text, size_t length) {
  const lrp_text_item *item = find_item(s, text, length);
  return item ? item->value : -1;
}

static int longer_first(const void *a, const void *b) {
  const uint32_t x = *(const uint32_t *)a;
  const uint32_t y = *(const uint32_t *)b;
  return (x < y) - (x > y);
}

lrp_status lrp_text_set_finish(lrp_text_set *s) {
  const size_t n = (size_t)s->count;

  if (n == 0) return LRP_OK;
  s->lengths = malloc(n * sizeof *s->lengths);
  if (!s->lengths) return lrp_fail_memory(n * sizeof *s->lengths, "a set of texts");
  for (size_t i = 0; i < n; i++) {
    s->lengths[i] = s->items[i].length;
    s->first[(unsigned char)s->items[i].text[0]] = true;
  }
  qsort(s->lengths, n, sizeof *s->lengths, longer_first);
  s->n_lengths = 0;
  for (size_t i = 0; i < n; i++) {
    if (i > 0 && s->lengths[i] == s->lengths[i - 1]) continue;
    s->lengths[s->n_lengths++] = s->lengths[i];
  }
  return LRP_OK;
}

const lrp_text_item *lrp_text_set_prefix(const lrp_text_set *s, const char *text, size_t length) {
  if (length == 0 || !s->first[(unsigned char)text[0]]) return NULL;
  for (int32_t i = 0; i < s->n_lengths; i++) {
    const lrp_text_item *item;
    if (s->lengths[i] > length) continue;
    item = find_item(s, text, s->lengths[i]);
    if (item) return item;
  }
  return NULL;
}
