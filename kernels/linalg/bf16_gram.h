/** @file kernels/linalg/bf16_gram.h
 *  lrp_gram() by vdpbf16ps. Internal to this folder. */
#ifndef LRP_KERNELS_LINALG_BF16_GRAM_H
#define LRP_KERNELS_LINALG_BF16_GRAM_H

#include "kernels/linalg/gram.h"

/** As lrp_gram(), for bfloat16 weights where lrp_bf16_available(). */
lrp_status lrp_bf16_gram(const lrp_matrix *w, float *g, lrp_scratch *scratch);

#endif
