/** @file io/tokenizer/normalizer.h
 *  What is done to a text before it is cut into tokens. */
#ifndef LRP_IO_TOKENIZER_NORMALIZER_H
#define LRP_IO_TOKENIZER_NORMALIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "io/tokenizer/buffer.h"
#include "io/tokenizer/matcher.h"
#include "io/tokenizer/normal_form.h"
#include "kernels/status.h"

typedef enum {
  LRP_NORMALIZE_PREPEND,   /* content in front of a text that is not empty */
  LRP_NORMALIZE_REPLACE,   /* what matches by content */
  LRP_NORMALIZE_FORM,      /* Unicode's normal form */
  LRP_NORMALIZE_LOWERCASE, /* character by character */
  LRP_NORMALIZE_STRIP,     /* no white space at the ends */
  LRP_NORMALIZE_ACCENTS,   /* no marks (category M*) */
  LRP_NORMALIZE_BYTES      /* bytes become their characters (byte_level.h) */
} lrp_normalizer_kind;

typedef struct {
  lrp_normalizer_kind kind;
  lrp_matcher matcher; /* owned */
  char *content;       /* owned; no NUL at its end */
  size_t length;       /* of content */
  lrp_normal_form form;
  bool left, right; /* the ends that are stripped */
} lrp_normalizer_step;

/** Steps in their order. Zero it before the first use. */
typedef struct {
  lrp_normalizer_step *steps; /* owned */
  int count;
} lrp_normalizer;

/** Append a step, whose matcher it owns from here on, also upon failure; content is copied. Local.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_normalizer_add(lrp_normalizer *n, const lrp_normalizer_step *step,
                              const char *content, size_t length);

/** Normalize text. Local; several threads may use one normalizer. Bytes that are not UTF-8 stay.
 *  *out: the result, in either of the two buffers, or text itself if there is nothing to do;
 *  *out_length its bytes.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_DATA (2 GiB or more; a search that takes too long) */
lrp_status lrp_normalize(const lrp_normalizer *n, const char *text, size_t length,
                         lrp_buffer buffers[2], const char **out, size_t *out_length);

/** Release the memory and zero *n. Local. */
void lrp_normalizer_free(lrp_normalizer *n);

#endif
