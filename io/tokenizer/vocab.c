#include "io/tokenizer/vocab.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include <xxhash.h>

/* tag holds other bits of the hash than the slot's index: most misses need no look at the text. */
struct lrp_slot {
  uint32_t tag;
  int32_t id; /* -1: empty */
};

void lrp_vocab_init(lrp_vocab *v) {
  memset(v, 0, sizeof *v);
  v->unk = v->bos = v->eos = -1;
  for (int i = 0; i < 256; i++) v->byte_ids[i] = -1;
}

void lrp_vocab_free(lrp_vocab *v) {
  free(v->slots);
  free(v->added_lengths);
  free(v->pieces);
  free(v->data);
  lrp_vocab_init(v);
}

size_t lrp_utf8_length(const char *text, size_t length) {
  utf8proc_int32_t code;
  utf8proc_ssize_t used;

  if (length == 0) return 0;
  if ((unsigned char)text[0] < 0x80) return 1;
  used = utf8proc_iterate((const utf8proc_uint8_t *)text, length < 4 ? (utf8proc_ssize_t)length : 4,
                          &code);
  return used > 0 ? (size_t)used : 0;
}

bool lrp_utf8_valid(const char *text, size_t length) {
  while (length > 0) {
    const size_t used = lrp_utf8_length(text, length);
    if (used == 0) return false;
    text += used;
    length -= used;
  }
  return true;
}

lrp_status lrp_vocab_append(lrp_vocab *v, const lrp_piece *piece) {
  if (v->count == v->capacity) {
    const int32_t capacity = v->capacity > 0 ? 2 * v->capacity : 1024;
    lrp_piece *pieces = realloc(v->pieces, (size_t)capacity * sizeof *pieces);
    if (!pieces) return lrp_fail_memory((size_t)capacity * sizeof *pieces, "a vocabulary");
    v->pieces = pieces;
    v->capacity = capacity;
  }
  v->pieces[v->count++] = *piece;
  return LRP_OK;
}

static bool mergeable(const lrp_piece *piece) {
  return piece->type == LRP_PIECE_NORMAL || piece->type == LRP_PIECE_USER_DEFINED;
}

static bool added(const lrp_piece *piece) {
  return piece->type == LRP_PIECE_CONTROL || piece->type == LRP_PIECE_UNKNOWN ||
         piece->type == LRP_PIECE_USER_DEFINED;
}

/* Slot of the piece with this text, or the empty slot where it belongs. */
static struct lrp_slot *locate(const lrp_vocab *v, const char *text, size_t length, uint32_t *tag) {
  const uint64_t hash = XXH3_64bits(text, length);

  *tag = (uint32_t)(hash >> 32);
  for (size_t i = (size_t)hash & v->slot_mask;; i = (i + 1) & v->slot_mask) {
    struct lrp_slot *slot = &v->slots[i];
    const lrp_piece *piece;
    if (slot->id < 0) return slot;
    piece = &v->pieces[slot->id];
    if (slot->tag == *tag && piece->length == length && memcmp(piece->text, text, length) == 0) {
      return slot;
    }
  }
}

int32_t lrp_vocab_find(const lrp_vocab *v, const char *text, size_t length) {
  uint32_t tag;
  return locate(v, text, length, &tag)->id;
}

int32_t lrp_vocab_find_mergeable(const lrp_vocab *v, const char *text, size_t length) {
  int32_t id;

  if (length > v->merge_max) return -1;
  id = lrp_vocab_find(v, text, length);
  return id >= 0 && mergeable(&v->pieces[id]) ? id : -1;
}

int32_t lrp_vocab_find_added(const lrp_vocab *v, const char *text, size_t length) {
  if (length == 0 || !v->added_first[(unsigned char)text[0]]) return -1;
  for (int32_t i = 0; i < v->added_count; i++) {
    int32_t id;
    if (v->added_lengths[i] > length) continue;
    id = lrp_vocab_find(v, text, v->added_lengths[i]);
    if (id >= 0 && added(&v->pieces[id])) return id;
  }
  return -1;
}

static lrp_status make_slots(lrp_vocab *v) {
  size_t size = 4;

  while (size < 2 * (size_t)v->count) size *= 2;
  v->slots = malloc(size * sizeof *v->slots);
  if (!v->slots) return lrp_fail_memory(size * sizeof *v->slots, "the index of a vocabulary");
  for (size_t i = 0; i < size; i++) v->slots[i] = (struct lrp_slot){.id = -1};
  v->slot_mask = size - 1;
  return LRP_OK;
}

/* Value of an upper-case hexadecimal digit, or -1. */
static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Byte that the text "<0xHH>" stands for, or -1. */
static int byte_value(const lrp_piece *piece) {
  int high, low;

  if (piece->length != 6 || memcmp(piece->text, "<0x", 3) != 0 || piece->text[5] != '>') return -1;
  high = hex_digit(piece->text[3]);
  low = hex_digit(piece->text[4]);
  return high < 0 || low < 0 ? -1 : 16 * high + low;
}

static lrp_status fail_piece(const char *file, int32_t id, const char *what) {
  return lrp_fail(LRP_ERR_DATA, "%s: piece %d %s; the file is damaged, fetch it again", file,
                  (int)id, what);
}

/* Enter one piece into the hash table. */
static lrp_status enter(lrp_vocab *v, int32_t id, const char *file) {
  const lrp_piece *piece = &v->pieces[id];
  struct lrp_slot *slot;
  uint32_t tag;

  if (piece->length == 0) return fail_piece(file, id, "is empty");
  if (!lrp_utf8_valid(piece->text, piece->length)) return fail_piece(file, id, "is not UTF-8");
  if (memchr(piece->text, '\0', piece->length)) return fail_piece(file, id, "holds a NUL");
  slot = locate(v, piece->text, piece->length, &tag);
  if (slot->id >= 0) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: pieces %d and %d are the same; the file is damaged, "
                    "fetch it again",
                    file, (int)slot->id, (int)id);
  }
  *slot = (struct lrp_slot){.tag = tag, .id = id};
  return LRP_OK;
}

/* Whether a space mark stands behind another character, so that a merge may cross words. */
static bool has_inner_mark(const lrp_piece *piece) {
  for (uint32_t i = 1; i + LRP_SPACE_MARK_LENGTH <= piece->length; i++) {
    if (memcmp(piece->text + i, LRP_SPACE_MARK, LRP_SPACE_MARK_LENGTH) != 0) continue;
    if (i < LRP_SPACE_MARK_LENGTH) return true;
    if (memcmp(piece->text + i - LRP_SPACE_MARK_LENGTH, LRP_SPACE_MARK, LRP_SPACE_MARK_LENGTH) != 0)
      return true;
  }
  return false;
}

/* What follows from the type of one piece. */
static lrp_status classify(lrp_vocab *v, int32_t id, const char *file) {
  const lrp_piece *piece = &v->pieces[id];

  if (piece->type == LRP_PIECE_BYTE) {
    const int byte = byte_value(piece);
    if (byte < 0) return fail_piece(file, id, "has the type BYTE, but is not like <0x0A>");
    v->byte_ids[byte] = id;
  }
  if (piece->type == LRP_PIECE_UNKNOWN) {
    if (v->unk >= 0) return fail_piece(file, id, "is a second one of type UNKNOWN");
    v->unk = id;
  }
  if (mergeable(piece)) {
    if (piece->length > v->merge_max) v->merge_max = piece->length;
    if (has_inner_mark(piece)) v->joins_words = true;
  }
  if (added(piece)) v->added_first[(unsigned char)piece->text[0]] = true;
  return LRP_OK;
}

static int longer_first(const void *a, const void *b) {
  const uint32_t x = *(const uint32_t *)a;
  const uint32_t y = *(const uint32_t *)b;
  return (x < y) - (x > y);
}

/* The distinct lengths of added pieces. */
static lrp_status collect_added_lengths(lrp_vocab *v) {
  size_t count = 0;
  int32_t kept = 0;

  for (int32_t id = 0; id < v->count; id++) count += added(&v->pieces[id]);
  if (count == 0) return LRP_OK;
  v->added_lengths = malloc(count * sizeof *v->added_lengths);
  if (!v->added_lengths) return lrp_fail_memory(count * sizeof *v->added_lengths, "added tokens");
  count = 0;
  for (int32_t id = 0; id < v->count; id++) {
    if (added(&v->pieces[id])) v->added_lengths[count++] = v->pieces[id].length;
  }
  qsort(v->added_lengths, count, sizeof *v->added_lengths, longer_first);
  for (size_t i = 0; i < count; i++) {
    if (i > 0 && v->added_lengths[i] == v->added_lengths[i - 1]) continue;
    v->added_lengths[kept++] = v->added_lengths[i];
  }
  v->added_count = kept;
  return LRP_OK;
}

lrp_status lrp_vocab_index(lrp_vocab *v, const char *file) {
  lrp_status st;

  if (v->count == 0) return lrp_fail(LRP_ERR_DATA, "%s: holds no pieces; fetch it again", file);
  st = make_slots(v);
  for (int32_t id = 0; id < v->count && st == LRP_OK; id++) {
    st = enter(v, id, file);
    if (st == LRP_OK) st = classify(v, id, file);
  }
  if (st != LRP_OK) return st;
  if (v->unk < 0) {
    return lrp_fail(LRP_ERR_DATA, "%s: no piece has the type UNKNOWN; fetch the file again", file);
  }
  return collect_added_lengths(v);
}
