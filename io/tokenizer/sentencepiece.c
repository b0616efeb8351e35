#include "io/tokenizer/sentencepiece.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Wire types of protocol buffers; 3 and 4 (groups) do not occur in this format. */
enum { wire_varint = 0, wire_fixed64 = 1, wire_bytes = 2, wire_fixed32 = 5 };

enum { model_unigram = 1, model_bpe = 2, model_word = 3, model_char = 4 };

/* The part of the file that is being read: a message. */
typedef struct {
  const char *file, *data; /* name and first byte of the whole file, for messages */
  const unsigned char *at, *end;
} reader;

/* One field of a message: its number, wire type and value. */
typedef struct {
  uint64_t number;
  unsigned wire;
  uint64_t value;             /* of a varint or fixed-width field */
  const unsigned char *bytes; /* of a length-delimited field, size bytes */
  size_t size;
} field;

/* trainer_spec as far as it matters, with the defaults of the format. */
typedef struct {
  int32_t model_type, bos, eos;
} trainer;

static lrp_status fail_at(const reader *r, const char *what) {
  return lrp_fail(LRP_ERR_DATA,
                  "%s: byte %zu: %s; not a SentencePiece model, or damaged: fetch it again",
                  r->file, (size_t)((const char *)r->at - r->data), what);
}

static lrp_status read_varint(reader *r, uint64_t *value) {
  uint64_t v = 0;

  for (int shift = 0; shift < 64; shift += 7) {
    unsigned char c;
    if (r->at == r->end) return fail_at(r, "a number is cut off");
    c = *r->at++;
    if (shift == 63 && c > 1) break;
    v |= (uint64_t)(c & 0x7f) << shift;
    if (c < 0x80) {
      *value = v;
      return LRP_OK;
    }
  }
  return fail_at(r, "a number has more than 64 bits");
}

static lrp_status read_fixed(reader *r, size_t width, uint64_t *value) {
  if ((size_t)(r->end - r->at) < width) return fail_at(r, "a number is cut off");
  *value = 0;
  for (size_t i = 0; i < width; i++) *value |= (uint64_t)r->at[i] << (8 * i);
  r->at += width;
  return LRP_OK;
}

static lrp_status read_bytes(reader *r, field *f) {
  uint64_t size = 0;
  lrp_status st = read_varint(r, &size);

  if (st != LRP_OK) return st;
  if (size > (uint64_t)(r->end - r->at)) return fail_at(r, "a field is longer than what is left");
  f->bytes = r->at;
  f->size = (size_t)size;
  r->at += size;
  return LRP_OK;
}

static lrp_status read_field(reader *r, field *f) {
  uint64_t key = 0;
  lrp_status st = read_varint(r, &key);

  if (st != LRP_OK) return st;
  *f = (field){.number = key >> 3, .wire = (unsigned)(key & 7)};
  if (f->number == 0 || f->number >= 1u << 29) return fail_at(r, "impossible field number");
  switch (f->wire) {
    case wire_varint:
      return read_varint(r, &f->value);
    case wire_fixed64:
      return read_fixed(r, 8, &f->value);
    case wire_bytes:
      return read_bytes(r, f);
    case wire_fixed32:
      return read_fixed(r, 4, &f->value);
    default:
      return fail_at(r, "impossible wire type");
  }
}

static lrp_status expect_wire(const reader *r, const field *f, unsigned wire) {
  return f->wire == wire ? LRP_OK : fail_at(r, "a field has the wrong wire type");
}

static reader inner(const reader *r, const field *f) {
  return (reader){.file = r->file, .data = r->data, .at = f->bytes, .end = f->bytes + f->size};
}

/* An order of floats as unsigned numbers, descending: the highest score has the lowest rank. The
 * bits of a positive float ascend with it, those of a negative one descend; + 0 turns -0 into 0. */
static uint32_t rank_of(float score) {
  uint32_t bits;

  score += 0.0F;
  memcpy(&bits, &score, sizeof bits);
  return bits & 0x80000000U ? bits : ~(bits | 0x80000000U);
}

static lrp_status set_score(const reader *r, const field *f, lrp_piece *piece) {
  const uint32_t bits = (uint32_t)f->value;
  float score;

  memcpy(&score, &bits, sizeof score);
  if (isnan(score)) return fail_at(r, "a score is NaN");
  piece->rank = rank_of(score);
  return LRP_OK;
}

static lrp_status set_type(const reader *r, const field *f, lrp_piece *piece) {
  if (f->value < LRP_PIECE_NORMAL || f->value > LRP_PIECE_BYTE) {
    return fail_at(r, "a piece has an unknown type");
  }
  piece->type = (lrp_piece_type)f->value;
  return LRP_OK;
}

/* message SentencePiece { string piece = 1; float score = 2; Type type = 3 [default NORMAL] } */
static lrp_status read_piece(reader r, lrp_vocab *v) {
  lrp_piece piece = {.text = "", .rank = rank_of(0.0F), .type = LRP_PIECE_NORMAL};
  lrp_status st = LRP_OK;

  while (r.at < r.end && st == LRP_OK) {
    field f;
    st = read_field(&r, &f);
    if (st != LRP_OK) break;
    if (f.number == 1) {
      st = expect_wire(&r, &f, wire_bytes);
      piece.text = (const char *)f.bytes;
      piece.length = (uint32_t)f.size;
    } else if (f.number == 2) {
      st = expect_wire(&r, &f, wire_fixed32);
      if (st == LRP_OK) st = set_score(&r, &f, &piece);
    } else if (f.number == 3) {
      st = expect_wire(&r, &f, wire_varint);
      if (st == LRP_OK) st = set_type(&r, &f, &piece);
    }
  }
  piece.mergeable = piece.type == LRP_PIECE_NORMAL || piece.type == LRP_PIECE_USER_DEFINED;
  return st == LRP_OK ? lrp_vocab_append(v, &piece) : st;
}

/* message TrainerSpec: model_type = 3, bos_id = 41, eos_id = 42. */
static lrp_status read_trainer(reader r, trainer *t) {
  lrp_status st = LRP_OK;

  while (r.at < r.end && st == LRP_OK) {
    int32_t *target = NULL;
    field f;
    st = read_field(&r, &f);
    if (st != LRP_OK) break;
    if (f.number == 3) target = &t->model_type;
    if (f.number == 41) target = &t->bos;
    if (f.number == 42) target = &t->eos;
    if (!target) continue;
    st = expect_wire(&r, &f, wire_varint);
    *target =
        (int32_t)(uint32_t)f.value; /* negative ones are written in 64 bits, two's complement */
  }
  return st;
}

/* message ModelProto { repeated SentencePiece pieces = 1; TrainerSpec trainer_spec = 2; ... } */
static lrp_status read_model(reader r, lrp_vocab *v, trainer *t) {
  lrp_status st = LRP_OK;

  while (r.at < r.end && st == LRP_OK) {
    field f;
    st = read_field(&r, &f);
    if (st == LRP_OK && (f.number == 1 || f.number == 2)) st = expect_wire(&r, &f, wire_bytes);
    if (st != LRP_OK) break;
    if (f.number == 1) st = read_piece(inner(&r, &f), v);
    if (f.number == 2) st = read_trainer(inner(&r, &f), t);
  }
  return st;
}

static lrp_status check_type(const char *file, int32_t type) {
  const char *name = "an unknown kind of";

  if (type == model_bpe) return LRP_OK;
  if (type == model_unigram) name = "a SentencePiece unigram";
  if (type == model_word) name = "a SentencePiece word";
  if (type == model_char) name = "a SentencePiece char";
  return lrp_fail(LRP_ERR_DATA, "%s: is %s model; only BPE is supported", file, name);
}

/* -1 where the piece cannot be a mark: a model without BOS keeps the format's default number. */
static lrp_status set_mark(const lrp_vocab *v, const char *file, const char *name, int32_t id,
                           int32_t *out) {
  lrp_piece_type type;

  *out = -1;
  if (id == -1) return LRP_OK;
  if (id < 0 || id >= v->count) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: trainer_spec.%s is %d, but the file has %d pieces; fetch it again", file,
                    name, (int)id, (int)v->count);
  }
  type = v->pieces[id].type;
  if (type == LRP_PIECE_CONTROL || type == LRP_PIECE_USER_DEFINED) *out = id;
  return LRP_OK;
}

/* Pieces that are found in the raw text before all else. */
static bool is_added(const lrp_piece *piece) {
  return piece->type == LRP_PIECE_CONTROL || piece->type == LRP_PIECE_UNKNOWN ||
         piece->type == LRP_PIECE_USER_DEFINED;
}

/* The marks of Llama: Prepend and Replace. */
static lrp_status set_normalizer(lrp_rules *r) {
  const lrp_normalizer_step prepend = {.kind = LRP_NORMALIZE_PREPEND};
  lrp_normalizer_step replace = {.kind = LRP_NORMALIZE_REPLACE};
  const size_t mark = LRP_SPACE_MARK_LENGTH;
  lrp_status st = lrp_normalizer_add(&r->normalizer, &prepend, LRP_SPACE_MARK, mark);

  if (st == LRP_OK) st = lrp_matcher_text(&replace.matcher, " ", 1);
  return st == LRP_OK ? lrp_normalizer_add(&r->normalizer, &replace, LRP_SPACE_MARK, mark) : st;
}

/* Its decoder: Replace, ByteFallback, Fuse and Strip. */
static lrp_status set_decoder(lrp_rules *r) {
  static const lrp_decoder_step bytes = {.kind = LRP_DECODE_BYTE_FALLBACK};
  static const lrp_decoder_step fuse = {.kind = LRP_DECODE_FUSE};
  static const lrp_decoder_step strip = {.kind = LRP_DECODE_STRIP, .start = 1};
  lrp_decoder_step replace = {.kind = LRP_DECODE_REPLACE};
  lrp_status st = lrp_matcher_text(&replace.matcher, LRP_SPACE_MARK, LRP_SPACE_MARK_LENGTH);

  if (st == LRP_OK) st = lrp_decoder_add(&r->decoder, &replace, " ", 1);
  if (st == LRP_OK) st = lrp_decoder_add(&r->decoder, &bytes, NULL, 0);
  if (st == LRP_OK) st = lrp_decoder_add(&r->decoder, &fuse, NULL, 0);
  return st == LRP_OK ? lrp_decoder_add(&r->decoder, &strip, " ", 1) : st;
}

/* What the pieces do not say. */
static lrp_status set_rules(lrp_rules *r) {
  lrp_status st = set_normalizer(r);

  if (st == LRP_OK) st = set_decoder(r);
  r->fuse_unk = r->byte_fallback = true;
  for (int32_t id = 0; id < r->vocab.count && st == LRP_OK; id++) {
    const lrp_piece *piece = &r->vocab.pieces[id];
    if (piece->mergeable && lrp_has_inner_mark(piece->text, piece->length)) r->joins_words = true;
    if (!is_added(piece)) continue;
    st = lrp_added_put(&r->added,
                       &(lrp_added_token){.text = piece->text,
                                          .length = piece->length,
                                          .id = id,
                                          .special = piece->type != LRP_PIECE_USER_DEFINED});
  }
  return st == LRP_OK ? lrp_added_index(&r->added, &r->normalizer) : st;
}

lrp_status lrp_sentencepiece_read(char *data, size_t size, const char *file, lrp_rules *rules) {
  const unsigned char *bytes = (const unsigned char *)data;
  const reader r = {.file = file, .data = data, .at = bytes, .end = bytes + size};
  trainer t = {.model_type = model_unigram, .bos = 1, .eos = 2};
  lrp_vocab *v = &rules->vocab;
  lrp_status st;

  lrp_rules_init(rules);
  v->data = data;
  st = read_model(r, v, &t);
  if (st == LRP_OK && v->count > 0) st = check_type(file, t.model_type);
  if (st == LRP_OK) st = lrp_vocab_index(v, file);
  if (st == LRP_OK) st = set_mark(v, file, "bos_id", t.bos, &v->bos);
  if (st == LRP_OK) st = set_mark(v, file, "eos_id", t.eos, &v->eos);
  return st == LRP_OK ? set_rules(rules) : st;
}
