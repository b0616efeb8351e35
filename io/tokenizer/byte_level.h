/** @file io/tokenizer/byte_level.h
 *  GPT-2's printable character for each byte: 33-126, 161-172 and 174-255 are themselves, the other
 *  68 are U+0100 and on, in their order. */
#ifndef LRP_IO_TOKENIZER_BYTE_LEVEL_H
#define LRP_IO_TOKENIZER_BYTE_LEVEL_H

#include <stdbool.h>
#include <stddef.h>

#include "io/tokenizer/buffer.h"
#include "kernels/status.h"

/** Append the characters of bytes, as UTF-8. Local. @return as lrp_buffer_append */
lrp_status lrp_bytes_to_characters(const char *bytes, size_t length, lrp_buffer *out);

/** Append the bytes that text stands for; text itself if one of its characters stands for none.
 *  Local. @return as lrp_buffer_append */
lrp_status lrp_characters_to_bytes(const char *text, size_t length, lrp_buffer *out);

#endif
