/** @file io/tokenizer/vocab.h
 *  Pieces of a vocabulary, found by their text. */
#ifndef LRP_IO_TOKENIZER_VOCAB_H
#define LRP_IO_TOKENIZER_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
  const char *text; /* borrowed from lrp_vocab.data, no NUL at its end */
  uint32_t length;  /* bytes */
  uint32_t rank;    /* lower ones are merged first */
  lrp_piece_type type;
} lrp_piece;

typedef struct {
  char *data;        /* owned: bytes of the file */
  lrp_piece *pieces; /* owned; the index is the id */
  int32_t count, capacity;
  int32_t unk, bos, eos;   /* ids; bos and eos are -1 if there is none */
  int32_t byte_ids[256];   /* of "<0x00>" .. "<0xFF>", -1 if there is none */
  size_t merge_max;        /* length of the longest piece that a merge can yield */
  bool joins_words;        /* some piece has a space mark behind another character */
  bool added_first[256];   /* first bytes of added pieces */
  uint32_t *added_lengths; /* owned; lengths of added pieces, longest first, each once */
  int32_t added_count;     /* of added_lengths */
  struct lrp_slot *slots;  /* owned; open addressing, at most half full */
  size_t slot_mask;
} lrp_vocab;

/** No pieces, no ids. Local. */
void lrp_vocab_init(lrp_vocab *v);
void lrp_vocab_free(lrp_vocab *v);

/** Append a piece whose text lies in v->data. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_vocab_append(lrp_vocab *v, const lrp_piece *piece);

/** Check all pieces and make them findable. Local; file is named in messages.
 *  @return LRP_OK; LRP_ERR_DATA (no pieces; a piece that is empty, not UTF-8, or there twice; a
 *          BYTE piece that is not "<0xHH>"; not exactly one UNKNOWN piece); LRP_ERR_MEM */
lrp_status lrp_vocab_index(lrp_vocab *v, const char *file);

/** Id of the piece with this text, or -1. Local. */
int32_t lrp_vocab_find(const lrp_vocab *v, const char *text, size_t length);

/** The same for pieces that merges may yield: NORMAL and USER_DEFINED. Local. */
int32_t lrp_vocab_find_mergeable(const lrp_vocab *v, const char *text, size_t length);

/** Id of the longest added piece (CONTROL, UNKNOWN, USER_DEFINED) that text starts with, or -1.
 *  Local. */
int32_t lrp_vocab_find_added(const lrp_vocab *v, const char *text, size_t length);

/** Bytes of the UTF-8 character that text starts with; 0 if it is none (overlong forms, surrogates
 *  and numbers above U+10FFFF included) or length is 0. Local. */
size_t lrp_utf8_length(const char *text, size_t length);

/** Whether all of text is UTF-8. Local. */
bool lrp_utf8_valid(const char *text, size_t length);

#endif
