/** @file kernels/linalg/bf16_normal.h
 *  lrp_normal_product() by vdpbf16ps. Internal to this folder. */
#ifndef LRP_KERNELS_LINALG_BF16_NORMAL_H
#define LRP_KERNELS_LINALG_BF16_NORMAL_H

#include "kernels/linalg/weight_product.h"

/** As lrp_normal_product(), where lrp_bf16_available(). */
lrp_status lrp_bf16_normal_product(lrp_operand a, int l, const float *x, int64_t ldx, float *t,
                                   int64_t ldt, float *y, int64_t ldy, lrp_scratch *scratch);

/** y = A x of x rounded to bfloat16, in one pass over W; weights of other types are rounded, too.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_bf16_half_product(lrp_operand a, int l, const float *x, int64_t ldx, float *y,
                                 int64_t ldy, lrp_scratch *scratch);

#endif
