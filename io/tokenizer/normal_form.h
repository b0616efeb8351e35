/** @file io/tokenizer/normal_form.h
 *  Unicode's normal forms. Source: UAX 15; data of utf8proc. */
#ifndef LRP_IO_TOKENIZER_NORMAL_FORM_H
#define LRP_IO_TOKENIZER_NORMAL_FORM_H

#include <stddef.h>

#include "io/tokenizer/buffer.h"
#include "kernels/status.h"

typedef enum { LRP_NFC, LRP_NFD, LRP_NFKC, LRP_NFKD } lrp_normal_form;

/** Append the normal form of text; bytes that are not UTF-8 stay. Local. O(n log n) in the longest
 *  row of combining marks, else O(n). @return as lrp_buffer_append */
lrp_status lrp_normal_form_append(lrp_normal_form form, const char *text, size_t length,
                                  lrp_buffer *out);

#endif
