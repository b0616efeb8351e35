/** @file io/tokenizer/buffer.h
 *  A text that grows. */
#ifndef LRP_IO_TOKENIZER_BUFFER_H
#define LRP_IO_TOKENIZER_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "io/tokenizer/matcher.h"
#include "kernels/status.h"

/** Zero it before the first use; free data. */
typedef struct {
  char *data; /* owned */
  size_t length, capacity;
} lrp_buffer;

/** Append. Local.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_DATA if it would have 2 GiB or more */
lrp_status lrp_buffer_append(lrp_buffer *b, const char *text, size_t length);

/** Append a character as UTF-8. Local. @return as lrp_buffer_append */
lrp_status lrp_buffer_append_character(lrp_buffer *b, int32_t c);

/** Append text, each match of the walk's matcher replaced by content. Local.
 *  @return as lrp_buffer_append; LRP_ERR_DATA for a search that takes too long */
lrp_status lrp_buffer_append_replaced(lrp_buffer *b, lrp_match_walk *walk, const lrp_matcher *m,
                                      const char *text, size_t length, const char *content,
                                      size_t content_length);

/** A copy of length bytes, which may be NULL if there are none. Local.
 *  @param what  named in the message of a failure
 *  @return owned by the caller, without a NUL at its end; NULL: out of memory (recorded) */
char *lrp_bytes_copy(const char *bytes, size_t length, const char *what);

#endif
