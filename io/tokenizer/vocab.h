/** @file io/tokenizer/vocab.h
 *  Pieces of a vocabulary, found by their text. */
#ifndef LRP_IO_TOKENIZER_VOCAB_H
#define LRP_IO_TOKENIZER_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/tokenizer/text_set.h"
#include "kernels/status.h"

/** U+2581, which stands for a space in the pieces of SentencePiece. */
#define LRP_SPACE_MARK "\xe2\x96\x81"
enum { LRP_SPACE_MARK_LENGTH = 3 };

/** As numbered in the file. */
typedef enum {
  LRP_PIECE_NORMAL = 1,
  LRP_PIECE_UNKNOWN = 2,
  LRP_PIECE_CONTROL = 3,
  LRP_PIECE_USER_DEFINED = 4,
  LRP_PIECE_UNUSED = 5,
  LRP_PIECE_BYTE = 6
} lrp_piece_type;

typedef struct {
  const char *text; /* borrowed from lrp_vocab.data, no NUL at its end; NULL: no such id */
  uint32_t length;  /* bytes */
  uint32_t rank;    /* lower ones are merged first (where there is no list of merges) */
  lrp_piece_type type;
  bool mergeable; /* the model may yield it; the others are found as added tokens only */
} lrp_piece;

typedef struct {
  char *data;        /* owned: bytes of the file */
  lrp_piece *pieces; /* owned; the index is the id */
  int32_t count, capacity;
  int32_t unk, bos, eos; /* ids, -1 if there is none */
  int32_t byte_ids[256]; /* of "<0x00>" .. "<0xFF>", -1 if there is none */
  size_t merge_max;      /* length of the longest mergeable piece */
  lrp_text_set texts;    /* of the pieces */
} lrp_vocab;

/** No pieces, no ids. Local. */
void lrp_vocab_init(lrp_vocab *v);
void lrp_vocab_free(lrp_vocab *v);

/** Append a piece whose text lies in v->data. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_vocab_append(lrp_vocab *v, const lrp_piece *piece);

/** Check all appended pieces and make them findable. Local; file is named in messages.
 *  @return LRP_OK; LRP_ERR_DATA (no pieces; a piece that is empty, not UTF-8, or there twice; a
 *          BYTE piece that is not "<0xHH>"; not exactly one UNKNOWN piece); LRP_ERR_MEM */
lrp_status lrp_vocab_index(lrp_vocab *v, const char *file);

/** Largest id that lrp_vocab_put takes. */
enum { LRP_VOCAB_MAX_ID = (1 << 20) - 1 };

/** Put a piece at id and make it findable; ids may come in any order and leave holes. An empty text
 *  takes the id, but is never found. Local; file is named in messages.
 *  @return LRP_OK; LRP_ERR_DATA (id out of range or taken; a text with a NUL, or there twice; a
 *          BYTE piece that is not "<0xHH>"); LRP_ERR_MEM */
lrp_status lrp_vocab_put(lrp_vocab *v, int64_t id, const lrp_piece *piece, const char *file);

/** Id of the piece with this text, or -1. Local. */
int32_t lrp_vocab_find(const lrp_vocab *v, const char *text, size_t length);

/** The same for mergeable pieces. Local. */
int32_t lrp_vocab_find_mergeable(const lrp_vocab *v, const char *text, size_t length);

/** Byte that the text "<0xHH>" stands for, or -1. Local. */
int lrp_byte_value(const char *text, size_t length);

/** The same with digits a-f, too. Local. */
int lrp_any_byte_value(const char *text, size_t length);

/** Whether a space mark stands behind another character: such a piece joins words. Local. */
bool lrp_has_inner_mark(const char *text, size_t length);

/** Bytes of the UTF-8 character that text starts with; 0 if it is none (overlong forms, surrogates
 *  and numbers above U+10FFFF included) or length is 0. Local. */
size_t lrp_utf8_length(const char *text, size_t length);

/** Whether all of text is UTF-8. Local. */
bool lrp_utf8_valid(const char *text, size_t length);

#endif
