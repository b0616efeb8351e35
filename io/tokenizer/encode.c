#include "io/tokenizer/encode.h"

#include <stdlib.h>
#include <string.h>

#include "io/tokenizer/bpe.h"
#include "io/tokenizer/byte_level.h"

/* One call of lrp_rules_encode. */
typedef struct {
  const lrp_rules *rules; /* borrowed */
  lrp_tokens *out;        /* borrowed */
  lrp_bpe_word word;
  lrp_buffer normal[2]; /* the part between two added tokens, normalized */
  lrp_words words;
  bool maps;          /* words are bytes, and pieces are of characters */
  lrp_buffer mapped;  /* the characters of a word's bytes */
  lrp_buffer affixed; /* a character with prefix and suffix */
  bool after_unk;     /* the last token of this part is UNK */
  int32_t unk_length; /* bytes of an UNK that the next character may join */
} encoder;

/* ---- Merging by the texts of the pieces (tokenizer.model) ------------------------------------ */

/* SentencePiece's rule: two symbols merge if their text is a piece. */
static bool find_by_text(const void *rules, const char *word, const lrp_bpe_symbol *left,
                         const lrp_bpe_symbol *right, lrp_bpe_merge *out) {
  const lrp_vocab *v = &((const lrp_rules *)rules)->vocab;
  const size_t length = (size_t)(left->length + right->length);
  const int32_t id = lrp_vocab_find_mergeable(v, word + left->start, length);

  if (id < 0) return false;
  *out = (lrp_bpe_merge){.rank = v->pieces[id].rank, .id = id};
  return true;
}

/* Whether there is a piece for each byte. */
static bool has_bytes(const lrp_rules *r, const char *text, size_t length) {
  if (!r->byte_fallback) return false;
  for (size_t i = 0; i < length; i++) {
    if (r->vocab.byte_ids[(unsigned char)text[i]] < 0) return false;
  }
  return true;
}

/* A symbol that is no piece: its bytes, or UNK. */
static lrp_status push_unknown(encoder *e, const char *text, int32_t length) {
  const lrp_vocab *v = &e->rules->vocab;
  lrp_status st = LRP_OK;

  if (has_bytes(e->rules, text, (size_t)length)) {
    e->after_unk = false;
    for (int32_t i = 0; i < length && st == LRP_OK; i++) {
      st = lrp_tokens_push(e->out, v->byte_ids[(unsigned char)text[i]]);
    }
    return st;
  }
  if (e->after_unk) return LRP_OK;
  e->after_unk = true;
  return lrp_tokens_push(e->out, v->unk);
}

/* Bytes of the character that text starts with; what is not UTF-8 is taken byte by byte. */
static size_t character_length(const char *text, size_t length) {
  const size_t valid = lrp_utf8_length(text, length);
  return valid > 0 ? valid : 1;
}

static lrp_status encode_by_text(encoder *e, const char *word, size_t length) {
  lrp_status st = LRP_OK;

  lrp_bpe_clear(&e->word);
  for (size_t at = 0; at < length && st == LRP_OK;) {
    const size_t used = character_length(word + at, length - at);
    st = lrp_bpe_append(&e->word, (int32_t)used,
                        lrp_vocab_find_mergeable(&e->rules->vocab, word + at, used));
    at += used;
  }
  if (st == LRP_OK) st = lrp_bpe_run(&e->word, word, find_by_text, e->rules);
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

/* ---- Merging by a list of merges (tokenizer.json) -------------------------------------------- */

static bool find_by_ids(const void *rules, const char *word, const lrp_bpe_symbol *left,
                        const lrp_bpe_symbol *right, lrp_bpe_merge *out) {
  (void)word;
  return lrp_merges_find(&((const lrp_rules *)rules)->merges, left->id, right->id, out);
}

/* Append the UNK that waits, if there is one. */
static lrp_status end_unk(encoder *e) {
  const int32_t length = e->unk_length;

  e->unk_length = 0;
  return length > 0 ? lrp_bpe_append(&e->word, length, e->rules->vocab.unk) : LRP_OK;
}

/* A character that is no piece: its bytes, UNK, or nothing. As in Hugging Face's tokenizers, bytes
 * go before an UNK that waits to be joined: symbols are found by their ids, not by their places. */
static lrp_status append_unknown(encoder *e, const char *text, size_t length) {
  const lrp_vocab *v = &e->rules->vocab;
  lrp_status st = LRP_OK;

  if (has_bytes(e->rules, text, length)) {
    for (size_t i = 0; i < length && st == LRP_OK; i++) {
      st = lrp_bpe_append(&e->word, 1, v->byte_ids[(unsigned char)text[i]]);
    }
    return st;
  }
  if (v->unk < 0) return LRP_OK;
  if (!e->rules->fuse_unk) st = end_unk(e);
  e->unk_length += (int32_t)length;
  return st;
}

/* The character's text with prefix and suffix. */
static lrp_status affix(encoder *e, bool first, bool last, const char **text, size_t *length) {
  const lrp_affix none = {0};
  const lrp_affix prefix = first ? none : e->rules->prefix;
  const lrp_affix suffix = last ? e->rules->suffix : none;
  lrp_status st;

  if (prefix.length == 0 && suffix.length == 0) return LRP_OK;
  e->affixed.length = 0;
  st = lrp_buffer_append(&e->affixed, prefix.text, prefix.length);
  if (st == LRP_OK) st = lrp_buffer_append(&e->affixed, *text, *length);
  if (st == LRP_OK) st = lrp_buffer_append(&e->affixed, suffix.text, suffix.length);
  *text = e->affixed.data;
  *length = e->affixed.length;
  return st;
}

static lrp_status append_character(encoder *e, const char *text, size_t length, bool first,
                                   bool last) {
  lrp_status st = affix(e, first, last, &text, &length);
  int32_t id;

  if (st != LRP_OK) return st;
  id = lrp_vocab_find_mergeable(&e->rules->vocab, text, length);
  if (id < 0) return append_unknown(e, text, length);
  st = end_unk(e);
  return st == LRP_OK ? lrp_bpe_append(&e->word, (int32_t)length, id) : st;
}

/* Ids of a word as its pieces spell it. */
static lrp_status merge_word(encoder *e, const char *word, size_t length) {
  lrp_status st = LRP_OK;

  if (e->rules->ignore_merges) {
    const int32_t id = lrp_vocab_find_mergeable(&e->rules->vocab, word, length);
    if (id >= 0) return lrp_tokens_push(e->out, id);
  }
  lrp_bpe_clear(&e->word);
  for (size_t at = 0; at < length && st == LRP_OK;) {
    const size_t used = character_length(word + at, length - at);
    st = append_character(e, word + at, used, at == 0, at + used == length);
    at += used;
  }
  if (st == LRP_OK) st = end_unk(e);
  if (st == LRP_OK) st = lrp_bpe_run(&e->word, word, find_by_ids, e->rules);
  for (int32_t i = 0; i < e->word.count && st == LRP_OK; i++) {
    st = lrp_tokens_push(e->out, e->word.symbols[i].id);
  }
  return st;
}

static lrp_status encode_by_merges(encoder *e, const char *word, size_t length) {
  const int64_t before = e->out->count;
  int32_t ids[LRP_CACHE_MAX_IDS];
  const int n = lrp_piece_cache_get(e->rules->cache, word, length, ids);
  const char *text = word;
  size_t bytes = length;
  lrp_status st = LRP_OK;

  for (int i = 0; i < n && st == LRP_OK; i++) st = lrp_tokens_push(e->out, ids[i]);
  if (n >= 0) return st;
  if (e->maps) {
    e->mapped.length = 0;
    st = lrp_bytes_to_characters(word, length, &e->mapped);
    text = e->mapped.data;
    bytes = e->mapped.length;
  }
  if (st == LRP_OK) st = merge_word(e, text, bytes);
  if (st != LRP_OK) return st;
  lrp_piece_cache_put(e->rules->cache, word, length, e->out->ids + before, e->out->count - before);
  return LRP_OK;
}

/* ---- From a text to its words ---------------------------------------------------------------- */

static bool is_mark(const char *text, size_t left) {
  return left >= LRP_SPACE_MARK_LENGTH && memcmp(text, LRP_SPACE_MARK, LRP_SPACE_MARK_LENGTH) == 0;
}

/* Length of the first part of a word: space marks and what follows up to the next one. No merge
 * crosses such a boundary if no piece holds one, so parts can be merged one by one, in little
 * memory. */
static size_t part_length(const lrp_rules *r, const char *text, size_t length) {
  size_t at = 0;

  if (r->joins_words) return length;
  while (is_mark(text + at, length - at)) at += LRP_SPACE_MARK_LENGTH;
  while (at < length && !is_mark(text + at, length - at)) at++;
  return at;
}

static lrp_status encode_word(encoder *e, const char *word, size_t length) {
  lrp_status st = LRP_OK;

  for (size_t at = 0; at < length && st == LRP_OK;) {
    const size_t used = part_length(e->rules, word + at, length - at);
    st = e->rules->by_merges ? encode_by_merges(e, word + at, used)
                             : encode_by_text(e, word + at, used);
    at += used;
  }
  return st;
}

/* Normalized text without added tokens. first: the whole text starts with it. */
static lrp_status encode_piece(encoder *e, const char *text, size_t length, bool first) {
  const lrp_words *w = &e->words;
  lrp_status st;

  if (length == 0) return LRP_OK;
  e->after_unk = false;
  st = lrp_words_make(&e->words, &e->rules->pre_tokenizer, text, length, first);
  for (int64_t i = 0; i < w->count && st == LRP_OK; i++) {
    const lrp_span span = w->spans[i];
    st = encode_word(e, w->text + span.start, (size_t)(span.end - span.start));
  }
  return st;
}

/* The text between two added tokens that are found in the raw text. */
static lrp_status encode_part(encoder *e, const char *raw, size_t raw_length, bool first) {
  const lrp_added *added = &e->rules->added;
  lrp_added_cursor cursor = {0};
  lrp_added_match match;
  const char *text;
  size_t length, at = 0;
  lrp_status st = lrp_normalize(&e->rules->normalizer, raw, raw_length, e->normal, &text, &length);

  while (st == LRP_OK && lrp_added_next(added, &added->normalized, text, length, &cursor, &match)) {
    if (at < match.start) st = encode_piece(e, text + at, match.start - at, first && at == 0);
    if (st == LRP_OK) st = lrp_tokens_push(e->out, match.id);
    at = match.end;
  }
  return st == LRP_OK ? encode_piece(e, text + at, length - at, first && at == 0) : st;
}

static lrp_status encode_text(encoder *e, const char *text, size_t length) {
  const lrp_added *added = &e->rules->added;
  lrp_added_cursor cursor = {0};
  lrp_added_match match;
  size_t at = 0;
  lrp_status st = LRP_OK;

  while (st == LRP_OK && lrp_added_next(added, &added->raw, text, length, &cursor, &match)) {
    if (at < match.start) st = encode_part(e, text + at, match.start - at, at == 0);
    if (st == LRP_OK) st = lrp_tokens_push(e->out, match.id);
    at = match.end;
  }
  return st == LRP_OK && at < length ? encode_part(e, text + at, length - at, at == 0) : st;
}

lrp_status lrp_rules_encode(const lrp_rules *r, const char *text, size_t length, lrp_tokens *out) {
  encoder e = {.rules = r, .out = out, .maps = lrp_pre_tokenizer_ends_in_bytes(&r->pre_tokenizer)};
  lrp_status st = LRP_OK;

  if (length > (size_t)INT32_MAX / (1 + r->prefix.length + r->suffix.length)) {
    return lrp_fail(LRP_ERR_DATA, "a text of %zu bytes is too long for the tokenizer: split it",
                    length);
  }
  st = encode_text(&e, text, length);
  lrp_words_free(&e.words);
  free(e.mapped.data);
  free(e.affixed.data);
  free(e.normal[0].data);
  free(e.normal[1].data);
  lrp_bpe_free(&e.word);
  return st;
}
