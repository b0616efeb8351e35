/** @file tests/io/tokenizer/model_writer.h
 *  Writes a tokenizer.model in memory: the protocol buffer, piece by piece, right or wrong. */
#ifndef LRP_TESTS_IO_TOKENIZER_MODEL_WRITER_H
#define LRP_TESTS_IO_TOKENIZER_MODEL_WRITER_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  unsigned char data[1 << 14];
  size_t size;
} message;

static inline void put_varint(message *m, uint64_t value) {
  for (; value >= 0x80; value >>= 7) m->data[m->size++] = (unsigned char)(value | 0x80);
  m->data[m->size++] = (unsigned char)value;
}

static inline void put_key(message *m, unsigned number, unsigned wire) {
  put_varint(m, (uint64_t)number << 3 | wire);
}

static inline void put_number(message *m, unsigned number, int64_t value) {
  put_key(m, number, 0);
  put_varint(m, (uint64_t)value);
}

static inline void put_bytes(message *m, unsigned number, const void *bytes, size_t size) {
  put_key(m, number, 2);
  put_varint(m, size);
  memcpy(m->data + m->size, bytes, size);
  m->size += size;
}

static inline void put_float(message *m, unsigned number, float value) {
  put_key(m, number, 5);
  memcpy(m->data + m->size, &value, 4); /* little endian, as all machines that run this */
  m->size += 4;
}

static inline void put_piece(message *m, const char *text, float score, int type) {
  static message piece;

  piece.size = 0;
  put_bytes(&piece, 1, text, strlen(text));
  put_float(&piece, 2, score);
  if (type != 1) put_number(&piece, 3, type); /* NORMAL is the default of the format */
  put_bytes(m, 1, piece.data, piece.size);
}

static inline void put_trainer(message *m, int model_type, int bos, int eos) {
  static message trainer;

  trainer.size = 0;
  put_bytes(&trainer, 1, "a.txt", 5); /* fields that nobody needs, too */
  put_float(&trainer, 10, 0.9995F);
  put_number(&trainer, 3, model_type);
  put_number(&trainer, 40, 0);
  put_number(&trainer, 41, bos);
  put_number(&trainer, 42, eos);
  put_number(&trainer, 43, -1);
  put_bytes(m, 2, trainer.data, trainer.size);
}

static inline void put_marks(message *m) {
  put_piece(m, "<unk>", 0, 2);
  put_piece(m, "<s>", 0, 3);
  put_piece(m, "</s>", 0, 3);
}

/* ids 3 .. 258 behind the three marks */
static inline void put_byte_pieces(message *m) {
  for (unsigned i = 0; i < 256; i++) {
    char text[8];
    snprintf(text, sizeof text, "<0x%02X>", i);
    put_piece(m, text, 0, 6);
  }
}

#endif
