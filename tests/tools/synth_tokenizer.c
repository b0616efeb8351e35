#include "tests/tools/synth_tokenizer.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/synth_file.h"
#include "tests/tools/synth_pieces.h"

/* sentencepiece_model.proto: ModelProto {1: pieces, 2: trainer_spec, 3: normalizer_spec}. */
enum { first_piece = 259, type_unknown = 2, type_control = 3, type_byte = 6 };
enum { wire_varint = 0, wire_bytes = 2, wire_fixed32 = 5 };

/* A protobuf message of at most 255 bytes: all that occur here are short. */
typedef struct {
  unsigned char data[255];
  size_t size;
} message;

static void put_byte(message *m, unsigned byte) {
  if (m->size < sizeof m->data) m->data[m->size++] = (unsigned char)byte;
}

static void put_varint(message *m, uint64_t value) {
  for (; value > 0x7f; value >>= 7) put_byte(m, (unsigned)(value & 0x7f) | 0x80);
  put_byte(m, (unsigned)value);
}

static void put_integer(message *m, int field, int64_t value) {
  put_varint(m, (uint64_t)field << 3 | wire_varint);
  put_varint(m, (uint64_t)value);
}

static void put_bytes(message *m, int field, const void *data, size_t size) {
  const unsigned char *p = data;
  put_varint(m, (uint64_t)field << 3 | wire_bytes);
  put_varint(m, size);
  for (size_t i = 0; i < size; i++) put_byte(m, p[i]);
}

static void put_float(message *m, int field, float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  put_varint(m, (uint64_t)field << 3 | wire_fixed32);
  for (int i = 0; i < 4; i++) put_byte(m, bits >> 8 * i & 0xff);
}

/* Append m to the file as field of the outer message. */
static lrp_status append_message(lrp_synth_file *file, int field, const message *m) {
  message outer = {.size = 0};
  put_varint(&outer, (uint64_t)field << 3 | wire_bytes);
  put_varint(&outer, m->size);
  const lrp_status st = lrp_synth_file_append(file, outer.data, outer.size);
  return st == LRP_OK ? lrp_synth_file_append(file, m->data, m->size) : st;
}

/* type 0: a normal piece, which files leave out. */
static lrp_status append_piece(lrp_synth_file *file, const char *text, float score, int type) {
  message m = {.size = 0};
  put_bytes(&m, 1, text, strlen(text));
  put_float(&m, 2, score);
  if (type) put_integer(&m, 3, type);
  return append_message(file, 1, &m);
}

static lrp_status append_fixed_pieces(lrp_synth_file *file) {
  lrp_status st = append_piece(file, "<unk>", 0.0f, type_unknown);
  if (st == LRP_OK) st = append_piece(file, "<s>", 0.0f, type_control);
  if (st == LRP_OK) st = append_piece(file, "</s>", 0.0f, type_control);
  for (unsigned byte = 0; st == LRP_OK && byte < 256; byte++) {
    char text[8];
    snprintf(text, sizeof text, "<0x%02X>", byte);
    st = append_piece(file, text, 0.0f, type_byte);
  }
  return st;
}

static lrp_status append_specs(lrp_synth_file *file, int64_t vocab) {
  message trainer = {.size = 0};
  message normalizer = {.size = 0};
  put_integer(&trainer, 3, 2);     /* model_type: BPE */
  put_integer(&trainer, 4, vocab); /* vocab_size */
  put_integer(&trainer, 35, 1);    /* byte_fallback */
  put_integer(&trainer, 40, 0);    /* unk_id */
  put_integer(&trainer, 41, 1);    /* bos_id */
  put_integer(&trainer, 42, 2);    /* eos_id */
  put_integer(&trainer, 43, -1);   /* pad_id: none */
  put_bytes(&normalizer, 1, "identity", 8);
  put_integer(&normalizer, 3, 1); /* add_dummy_prefix */
  put_integer(&normalizer, 4, 0); /* remove_extra_whitespaces */
  put_integer(&normalizer, 5, 1); /* escape_whitespaces */
  const lrp_status st = append_message(file, 2, &trainer);
  return st == LRP_OK ? append_message(file, 3, &normalizer) : st;
}

static lrp_status write_sentencepiece(const lrp_synth_options *o) {
  lrp_synth_pieces pieces;
  lrp_synth_file file = {0};
  lrp_status st = lrp_synth_pieces_bpe(&pieces, o->vocab - first_piece);
  if (st != LRP_OK) return st;
  st = lrp_synth_file_create(o->out, "tokenizer.model", &file);
  if (st == LRP_OK) st = append_fixed_pieces(&file);
  for (int64_t i = 0; st == LRP_OK && i < pieces.count; i++) {
    st = append_piece(&file, pieces.text[i], -(float)i, 0);
  }
  if (st == LRP_OK) st = append_specs(&file, o->vocab);
  st = lrp_synth_file_close(&file, st);
  lrp_synth_pieces_free(&pieces);
  return st;
}

static lrp_status write_wordpiece(const lrp_synth_options *o) {
  lrp_synth_pieces pieces;
  lrp_synth_file file = {0};
  lrp_status st = lrp_synth_pieces_wordpiece(&pieces, o->vocab);
  if (st != LRP_OK) return st;
  st = lrp_synth_file_create(o->out, "vocab.txt", &file);
  for (int64_t i = 0; st == LRP_OK && i < pieces.count; i++) {
    st = lrp_synth_file_append(&file, pieces.text[i], strlen(pieces.text[i]));
    if (st == LRP_OK) st = lrp_synth_file_append(&file, "\n", 1);
  }
  st = lrp_synth_file_close(&file, st);
  lrp_synth_pieces_free(&pieces);
  return st;
}

static lrp_status write_tokenizer_config(const lrp_synth_options *o) {
  json_t *config =
      o->arch == LRP_SYNTH_BERT
          ? json_pack("{s:s, s:b, s:s, s:I, s:s, s:s, s:s, s:s}", "cls_token", "[CLS]",
                      "do_lower_case", 1, "mask_token", "[MASK]", "model_max_length",
                      (json_int_t)o->max_position, "pad_token", "[PAD]", "sep_token", "[SEP]",
                      "tokenizer_class", "BertTokenizer", "unk_token", "[UNK]")
          : json_pack("{s:b, s:b, s:s, s:b, s:s, s:b, s:I, s:s, s:s}", "add_bos_token", 1,
                      "add_eos_token", 0, "bos_token", "<s>", "clean_up_tokenization_spaces", 0,
                      "eos_token", "</s>", "legacy", 1, "model_max_length",
                      (json_int_t)o->max_position, "tokenizer_class", "LlamaTokenizer", "unk_token",
                      "<unk>");
  const lrp_status st = lrp_synth_json_write(o->out, "tokenizer_config.json", config);
  json_decref(config);
  return st;
}

static lrp_status copy_stream(FILE *in, const char *path, lrp_synth_file *out) {
  static char buffer[1 << 16];
  lrp_status st = LRP_OK;
  size_t n;
  while (st == LRP_OK && (n = fread(buffer, 1, sizeof buffer, in)) > 0) {
    st = lrp_synth_file_append(out, buffer, n);
  }
  if (st == LRP_OK && ferror(in)) return lrp_fail_errno(path, "read", LRP_ERR_IO, LRP_ERR_IO);
  return st;
}

/* Copy o->tokenizer/name to o->out, if it is there. */
static lrp_status copy_file(const lrp_synth_options *o, const char *name, int *copied) {
  lrp_synth_file out = {0};
  char *path;
  lrp_status st = LRP_OK;
  if (asprintf(&path, "%s/%s", o->tokenizer, name) < 0) return lrp_fail_memory(1, "a path");
  FILE *in = fopen(path, "rb");
  if (!in && errno != ENOENT) st = lrp_fail_errno(path, "open", LRP_ERR_ABSENT, LRP_ERR_IO);
  if (in) {
    st = lrp_synth_file_create(o->out, name, &out);
    if (st == LRP_OK) st = copy_stream(in, path, &out);
    st = lrp_synth_file_close(&out, st);
    fclose(in);
    if (st == LRP_OK) ++*copied;
  }
  free(path);
  return st;
}

static lrp_status copy_tokenizer(const lrp_synth_options *o) {
  static const char *const names[] = {"tokenizer.model", "tokenizer.json", "vocab.txt",
                                      "tokenizer_config.json"};
  lrp_status st = LRP_OK;
  int copied = 0;
  for (size_t i = 0; st == LRP_OK && i < sizeof names / sizeof names[0]; i++) {
    st = copy_file(o, names[i], &copied);
  }
  if (st == LRP_OK && copied == 0) {
    return lrp_fail(LRP_ERR_ABSENT,
                    "%s: holds no tokenizer.model, tokenizer.json, vocab.txt or "
                    "tokenizer_config.json",
                    o->tokenizer);
  }
  return st;
}

lrp_status lrp_synth_tokenizer_write(const lrp_synth_options *o) {
  if (o->tokenizer) return copy_tokenizer(o);
  const lrp_status st = o->arch == LRP_SYNTH_BERT ? write_wordpiece(o) : write_sentencepiece(o);
  return st == LRP_OK ? write_tokenizer_config(o) : st;
}
