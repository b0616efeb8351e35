/** @file kernels/linalg/thin_product.h
 *  lrp_weight_product() by AVX-512. Internal to this folder. */
#ifndef LRP_KERNELS_LINALG_THIN_PRODUCT_H
#define LRP_KERNELS_LINALG_THIN_PRODUCT_H

#include "kernels/linalg/weight_product.h"

/** Whether lrp_thin_product() may be called here: AVX-512. Local. */
bool lrp_thin_available(void);

/** As lrp_weight_product(), by blocks of W that are converted where they are used: for thin x, of
 *  which BLAS makes little. */
lrp_status lrp_thin_product(lrp_operand a, int l, const float *x, int64_t ldx, float *y,
                            int64_t ldy, lrp_scratch *scratch);

#endif
