/** @file io/tokenizer/decoder.h
 *  The decoder: texts of tokens become the text that they stand for. */
#ifndef LRP_IO_TOKENIZER_DECODER_H
#define LRP_IO_TOKENIZER_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/tokenizer/buffer.h"
#include "io/tokenizer/matcher.h"
#include "kernels/status.h"

typedef enum {
  LRP_DECODE_BYTES,         /* characters to bytes (byte_level.h), all in one part */
  LRP_DECODE_BYTE_FALLBACK, /* rows of parts like <0x0A> to what they spell */
  LRP_DECODE_FUSE,          /* all in one part */
  LRP_DECODE_STRIP,         /* characters off the ends of each part */
  LRP_DECODE_REPLACE,       /* what matches in each part by content */
  LRP_DECODE_MARKS,         /* content, a character, to a space; in the first part to nothing */
  LRP_DECODE_SUFFIX         /* matches to a space; in the last part to nothing */
} lrp_decoder_kind;

typedef struct {
  lrp_decoder_kind kind;
  lrp_matcher matcher; /* owned */
  char *content;       /* owned; no NUL at its end; of a strip the one character */
  size_t length;       /* of content */
  int64_t start, stop; /* characters that a strip takes at most */
  bool keep_first;     /* marks in the first part are spaces, too */
} lrp_decoder_step;

/** Steps in their order. Zero it before the first use. */
typedef struct {
  lrp_decoder_step *steps; /* owned */
  int count;
} lrp_decoder;

/** Append a step, whose matcher it owns from here on, also upon failure; content is copied. Local.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_decoder_add(lrp_decoder *d, const lrp_decoder_step *step, const char *content,
                           size_t length);

/** Release the memory and zero *d. Local. */
void lrp_decoder_free(lrp_decoder *d);

/** Texts one behind the other. Zero it before the first use. */
typedef struct {
  lrp_buffer text;
  size_t *ends; /* owned: where each part ends */
  int64_t count, capacity;
} lrp_parts;

/** Append a part. Local. @return LRP_OK; LRP_ERR_MEM; LRP_ERR_DATA for 2 GiB or more */
lrp_status lrp_parts_push(lrp_parts *p, const char *text, size_t length);

/** Release the memory and zero *p. Local. */
void lrp_parts_free(lrp_parts *p);

/** Decode the parts, in place; what is left is UTF-8 if the tokens are. Local.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_DATA (2 GiB or more, a search that takes too long) */
lrp_status lrp_decoder_run(const lrp_decoder *d, lrp_parts *p);

#endif
