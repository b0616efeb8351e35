#include "io/tokenizer/vocab.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

void lrp_vocab_init(lrp_vocab *v) {
  memset(v, 0, sizeof *v);
  v->unk = v->bos = v->eos = -1;
  for (int i = 0; i < 256; i++) v->byte_ids[i] = -1;
}

void lrp_vocab_free(lrp_vocab *v) {
  lrp_text_set_free(&v->texts);
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

/* Room for n pieces; new ones are holes. */
static lrp_status reserve(lrp_vocab *v, int32_t n) {
  int32_t capacity = v->capacity > 0 ? v->capacity : 1024;
  lrp_piece *pieces;

  if (n <= v->capacity) return LRP_OK;
  while (capacity < n) capacity *= 2;
  pieces = realloc(v->pieces, (size_t)capacity * sizeof *pieces);
  if (!pieces) return lrp_fail_memory((size_t)capacity * sizeof *pieces, "a vocabulary");
  memset(pieces + v->capacity, 0, (size_t)(capacity - v->capacity) * sizeof *pieces);
  v->pieces = pieces;
  v->capacity = capacity;
  return LRP_OK;
}

lrp_status lrp_vocab_append(lrp_vocab *v, const lrp_piece *piece) {
  const lrp_status st = reserve(v, v->count + 1);

  if (st == LRP_OK) v->pieces[v->count++] = *piece;
  return st;
}

int32_t lrp_vocab_find(const lrp_vocab *v, const char *text, size_t length) {
  return lrp_text_set_find(&v->texts, text, length);
}

int32_t lrp_vocab_find_mergeable(const lrp_vocab *v, const char *text, size_t length) {
  int32_t id;

  if (length > v->merge_max) return -1;
  id = lrp_vocab_find(v, text, length);
  return id >= 0 && v->pieces[id].mergeable ? id : -1;
}

/* Value of an upper-case hexadecimal digit, or -1. */
static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int lrp_byte_value(const char *text, size_t length) {
  int high, low;

  if (length != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
  high = hex_digit(text[3]);
  low = hex_digit(text[4]);
  return high < 0 || low < 0 ? -1 : 16 * high + low;
}

int lrp_any_byte_value(const char *text, size_t length) {
  char upper[6];

  if (length != sizeof upper) return -1;
  memcpy(upper, text, sizeof upper);
  for (size_t i = 3; i < 5; i++) {
    if (upper[i] >= 'a' && upper[i] <= 'f') upper[i] = (char)(upper[i] - 'a' + 'A');
  }
  return lrp_byte_value(upper, length);
}

bool lrp_has_inner_mark(const char *text, size_t length) {
  for (size_t i = 1; i + LRP_SPACE_MARK_LENGTH <= length; i++) {
    if (memcmp(text + i, LRP_SPACE_MARK, LRP_SPACE_MARK_LENGTH) != 0) continue;
    if (i < LRP_SPACE_MARK_LENGTH) return true;
    if (memcmp(text + i - LRP_SPACE_MARK_LENGTH, LRP_SPACE_MARK, LRP_SPACE_MARK_LENGTH) != 0)
      return true;
  }
  return false;
}

static lrp_status fail_piece(const char *file, int32_t id, const char *what) {
  return lrp_fail(LRP_ERR_DATA, "%s: piece %d %s; the file is damaged, fetch it again", file,
                  (int)id, what);
}

/* Make one piece findable. */
static lrp_status enter(lrp_vocab *v, int32_t id, const char *file) {
  const lrp_piece *piece = &v->pieces[id];
  int32_t found;
  lrp_status st;

  if (memchr(piece->text, '\0', piece->length)) return fail_piece(file, id, "holds a NUL");
  st = lrp_text_set_add(&v->texts, piece->text, piece->length, id, &found);
  if (st != LRP_OK || found < 0) return st;
  return lrp_fail(LRP_ERR_DATA,
                  "%s: pieces %d and %d are the same; the file is damaged, fetch it again", file,
                  (int)found, (int)id);
}

/* What follows from the type of one piece. */
static lrp_status classify(lrp_vocab *v, int32_t id, const char *file) {
  const lrp_piece *piece = &v->pieces[id];

  if (piece->type == LRP_PIECE_BYTE) {
    const int byte = lrp_byte_value(piece->text, piece->length);
    if (byte < 0) return fail_piece(file, id, "has the type BYTE, but is not like <0x0A>");
    v->byte_ids[byte] = id;
  }
  if (piece->type == LRP_PIECE_UNKNOWN) {
    if (v->unk >= 0) return fail_piece(file, id, "is a second one of type UNKNOWN");
    v->unk = id;
  }
  if (piece->mergeable && piece->length > v->merge_max) v->merge_max = piece->length;
  return LRP_OK;
}

lrp_status lrp_vocab_index(lrp_vocab *v, const char *file) {
  lrp_status st = LRP_OK;

  if (v->count == 0) return lrp_fail(LRP_ERR_DATA, "%s: holds no pieces; fetch it again", file);
  for (int32_t id = 0; id < v->count && st == LRP_OK; id++) {
    const lrp_piece *piece = &v->pieces[id];
    if (piece->length == 0) return fail_piece(file, id, "is empty");
    if (!lrp_utf8_valid(piece->text, piece->length)) return fail_piece(file, id, "is not UTF-8");
    st = enter(v, id, file);
    if (st == LRP_OK) st = classify(v, id, file);
  }
  if (st != LRP_OK || v->unk >= 0) return st;
  return lrp_fail(LRP_ERR_DATA, "%s: no piece has the type UNKNOWN; fetch the file again", file);
}

lrp_status lrp_vocab_put(lrp_vocab *v, int64_t id, const lrp_piece *piece, const char *file) {
  lrp_status st;

  if (id < 0 || id > LRP_VOCAB_MAX_ID) {
    return lrp_fail(LRP_ERR_DATA, "%s: '%.*s' has the id %lld: expected 0 .. %d", file,
                    (int)(piece->length < 100 ? piece->length : 100), piece->text, (long long)id,
                    LRP_VOCAB_MAX_ID);
  }
  st = reserve(v, (int32_t)id + 1);
  if (st != LRP_OK) return st;
  if (v->pieces[id].text) return fail_piece(file, (int32_t)id, "is there twice");
  v->pieces[id] = *piece;
  if (id >= v->count) v->count = (int32_t)id + 1;
  if (piece->length == 0) return LRP_OK;
  st = enter(v, (int32_t)id, file);
  return st == LRP_OK ? classify(v, (int32_t)id, file) : st;
}
