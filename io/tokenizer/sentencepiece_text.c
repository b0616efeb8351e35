#include "io/tokenizer/sentencepiece_text.h"

#include <stdlib.h>
#include <string.h>

#include "io/tokenizer/bpe.h"

/* One call of lrp_sentencepiece_encode. */
typedef struct {
  const lrp_vocab *vocab; /* borrowed */
  lrp_tokens *out;        /* borrowed */
  lrp_bpe_word word;
  char *normal; /* owned: the part between two added tokens, normalized */
  size_t normal_capacity;
  bool after_unk; /* the last token of this part is UNK */
} encoder;

/* SentencePiece's rule: two symbols merge if their text is a piece. */
static bool find_merge(const void *vocab, const char *word, const lrp_bpe_symbol *left,
                       const lrp_bpe_symbol *right, lrp_bpe_merge *out) {
  const lrp_vocab *v = vocab;
  const size_t length = (size_t)(left->length + right->length);
  const int32_t id = lrp_vocab_find_mergeable(v, word + left->start, length);

  if (id < 0) return false;
  *out = (lrp_bpe_merge){.rank = v->pieces[id].rank, .id = id};
  return true;
}

/* A symbol that is no piece: its bytes, or UNK. */
static lrp_status push_unknown(encoder *e, const char *text, int32_t length) {
  const unsigned char *bytes = (const unsigned char *)text;
  bool all = true;
  lrp_status st = LRP_OK;

  for (int32_t i = 0; i < length; i++) all = all && e->vocab->byte_ids[bytes[i]] >= 0;
  if (all) {
    e->after_unk = false;
    for (int32_t i = 0; i < length && st == LRP_OK; i++) {
      st = lrp_tokens_push(e->out, e->vocab->byte_ids[bytes[i]]);
    }
    return st;
  }
  if (e->after_unk) return LRP_OK;
  e->after_unk = true;
  return lrp_tokens_push(e->out, e->vocab->unk);
}

static lrp_status encode_word(encoder *e, const char *word, size_t length) {
  lrp_status st = LRP_OK;

  lrp_bpe_clear(&e->word);
  for (size_t at = 0; at < length && st == LRP_OK;) {
    const size_t valid = lrp_utf8_length(word + at, length - at);
    const size_t used = valid > 0 ? valid : 1;
    st = lrp_bpe_append(&e->word, (int32_t)used,
                        lrp_vocab_find_mergeable(e->vocab, word + at, used));
    at += used;
  }
  if (st == LRP_OK) st = lrp_bpe_run(&e->word, word, find_merge, e->vocab);
  for (int32_t i = 0; i < e->word.count && st == LRP_OK; i++) {
    const lrp_bpe_symbol *symbol = &e->word.symbols[i];
    if (symbol->id >= 0) {
      e->after_unk = false;
      st = lrp_tokens_push(e->out, symbol->id);
    } else {
      st = push_unknown(e, word + symbol->start, symbol->length);
    }
  }
  return st;
}

/* Space mark in front, every space a space mark. Sets *size. */
static lrp_status normalize(encoder *e, const char *text, size_t length, size_t *size) {
  size_t needed = length + LRP_SPACE_MARK_LENGTH;
  char *to;

  for (size_t i = 0; i < length; i++) needed += text[i] == ' ' ? LRP_SPACE_MARK_LENGTH - 1 : 0;
  if (needed > INT32_MAX) {
    return lrp_fail(LRP_ERR_DATA, "a text of %zu bytes is too long for the tokenizer: split it",
                    length);
  }
  if (needed > e->normal_capacity) {
    char *normal = realloc(e->normal, needed);
    if (!normal) return lrp_fail_memory(needed, "a normalized text");
    e->normal = normal;
    e->normal_capacity = needed;
  }
  to = e->normal;
  memcpy(to, LRP_SPACE_MARK, LRP_SPACE_MARK_LENGTH);
  to += LRP_SPACE_MARK_LENGTH;
  for (size_t i = 0; i < length; i++) {
    if (text[i] == ' ') {
      memcpy(to, LRP_SPACE_MARK, LRP_SPACE_MARK_LENGTH);
      to += LRP_SPACE_MARK_LENGTH;
    } else {
      *to++ = text[i];
    }
  }
  *size = needed;
  return LRP_OK;
}

static bool is_mark(const char *text, size_t left) {
  return left >= LRP_SPACE_MARK_LENGTH && memcmp(text, LRP_SPACE_MARK, LRP_SPACE_MARK_LENGTH) == 0;
}

/* Length of the first word: space marks and what follows up to the next one. No merge crosses such
 * a boundary if no piece holds one, so words can be merged one by one, in little memory. */
static size_t word_length(const lrp_vocab *v, const char *text, size_t length) {
  size_t at = 0;

  if (v->joins_words) return length;
  while (is_mark(text + at, length - at)) at += LRP_SPACE_MARK_LENGTH;
  while (at < length && !is_mark(text + at, length - at)) at++;
  return at;
}

/* The text between two added tokens. */
static lrp_status encode_part(encoder *e, const char *text, size_t length) {
  size_t size = 0;
  lrp_status st;

  if (length == 0) return LRP_OK;
  st = normalize(e, text, length, &size);
  e->after_unk = false;
  for (size_t at = 0; at < size && st == LRP_OK;) {
    const size_t used = word_length(e->vocab, e->normal + at, size - at);
    st = encode_word(e, e->normal + at, used);
    at += used;
  }
  return st;
}

static lrp_status encode_text(encoder *e, const char *text, size_t length) {
  size_t start = 0; /* of the current part */
  size_t at = 0;
  lrp_status st = LRP_OK;

  while (at < length && st == LRP_OK) {
    const int32_t id = lrp_vocab_find_added(e->vocab, text + at, length - at);
    if (id < 0) {
      at++;
      continue;
    }
    st = encode_part(e, text + start, at - start);
    if (st == LRP_OK) st = lrp_tokens_push(e->out, id);
    at += e->vocab->pieces[id].length;
    start = at;
  }
  return st == LRP_OK ? encode_part(e, text + start, length - start) : st;
}

lrp_status lrp_sentencepiece_encode(const lrp_vocab *v, const char *text, size_t length,
                                    lrp_tokens *out) {
  encoder e = {.vocab = v, .out = out};
  const lrp_status st = encode_text(&e, text, length);

  free(e.normal);
  lrp_bpe_free(&e.word);
  return st;
}

/* Text that grows up to a length known beforehand. */
typedef struct {
  char *data; /* owned */
  size_t length;
  size_t run; /* start of the byte tokens at the end; length if there are none */
} decoder;

/* End a row of byte tokens: n bytes that are not UTF-8 become n times U+FFFD. */
static void end_run(decoder *d) {
  const size_t n = d->length - d->run;

  if (n == 0) return;
  if (!lrp_utf8_valid(d->data + d->run, n)) {
    for (size_t i = 0; i < n; i++) memcpy(d->data + d->run + 3 * i, "\xef\xbf\xbd", 3);
    d->length = d->run + 3 * n;
  }
  d->run = d->length;
}

static void append_text(decoder *d, const char *text, size_t length) {
  end_run(d);
  for (size_t i = 0; i < length;) {
    if (is_mark(text + i, length - i)) {
      d->data[d->length++] = ' ';
      i += LRP_SPACE_MARK_LENGTH;
    } else {
      d->data[d->length++] = text[i++];
    }
  }
  d->run = d->length;
}

static void append_byte(decoder *d, const lrp_piece *piece) {
  char digits[3] = {piece->text[3], piece->text[4], '\0'};
  const char byte = (char)strtoul(digits, NULL, 16);

  if (byte == '\0') {
    append_text(d, "\xef\xbf\xbd", 3);
  } else {
    d->data[d->length++] = byte;
  }
}

static const lrp_piece *visible_piece(const lrp_vocab *v, int32_t id) {
  const lrp_piece *piece;

  if (id < 0 || id >= v->count || id == v->bos || id == v->eos) return NULL;
  piece = &v->pieces[id];
  return piece->type == LRP_PIECE_CONTROL || piece->type == LRP_PIECE_UNKNOWN ? NULL : piece;
}

lrp_status lrp_sentencepiece_decode(const lrp_vocab *v, const int32_t *ids, int64_t count,
                                    char **text) {
  decoder d = {0};
  size_t bound = 1;

  *text = NULL;
  for (int64_t i = 0; i < count; i++) {
    const lrp_piece *piece = visible_piece(v, ids[i]);
    if (piece) bound += piece->length; /* of "<0xHH>" 6, of U+FFFD 3 */
  }
  d.data = malloc(bound);
  if (!d.data) return lrp_fail_memory(bound, "a decoded text");
  for (int64_t i = 0; i < count; i++) {
    const lrp_piece *piece = visible_piece(v, ids[i]);
    if (!piece) continue;
    if (piece->type == LRP_PIECE_BYTE) {
      append_byte(&d, piece);
    } else {
      append_text(&d, piece->text, piece->length);
    }
  }
  end_run(&d);
  d.data[d.length] = '\0';
  if (d.data[0] == ' ') memmove(d.data, d.data + 1, d.length);
  *text = d.data;
  return LRP_OK;
}
