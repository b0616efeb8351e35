/** @file io/tokenizer/normalizer.h
 *  What is done to a text before it is cut into tokens. */
#ifndef LRP_IO_TOKENIZER_NORMALIZER_H
#define LRP_IO_TOKENIZER_NORMALIZER_H

#include <stddef.h>

#include "kernels/status.h"

/** A text that grows. Zero it before the first use; free data. */
typedef struct {
  char *data; /* owned */
  size_t length, capacity;
} lrp_buffer;

/** Append. Local.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_DATA if it would have 2 GiB or more */
lrp_status lrp_buffer_append(lrp_buffer *b, const char *text, size_t length);

/** Put content in front of a text that is not empty (pattern NULL), or replace each pattern. */
typedef struct {
  char *pattern, *content; /* owned; no NUL at their ends */
  size_t pattern_length, content_length;
} lrp_normalizer_step;

/** Steps in their order. Zero it before the first use. */
typedef struct {
  lrp_normalizer_step *steps; /* owned */
  int count;
} lrp_normalizer;

/** Append a step. Local; copies the texts. pattern NULL: prepend content; else not empty.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_normalizer_add(lrp_normalizer *n, const char *pattern, size_t pattern_length,
                              const char *content, size_t content_length);

/** Normalize text. Local. *out: the result, in either of the two buffers, or text itself if there
 *  is nothing to do; *out_length its bytes.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_DATA if it becomes 2 GiB or more */
lrp_status lrp_normalize(const lrp_normalizer *n, const char *text, size_t length,
                         lrp_buffer buffers[2], const char **out, size_t *out_length);

/** Release the memory and zero *n. Local. */
void lrp_normalizer_free(lrp_normalizer *n);

#endif
