/** @file kernels/linalg/gram.h
 *  Gram matrix of the short side of a weight matrix. */
#ifndef LRP_KERNELS_LINALG_GRAM_H
#define LRP_KERNELS_LINALG_GRAM_H

#include "kernels/linalg/scratch.h"
#include "kernels/matrix.h"

/** g = W^T W for m >= n, W W^T for m < n, in float32. Local, on the OpenMP threads.
 *  bfloat16 weights are multiplied as they are where the processor does so (AVX512_BF16: products
 *  are exact, sums in float32); others in float32 by panels. Only blocks that the lower triangle
 *  needs are computed. |g - W^T W|_F <= 3e-7 |W^T W|_F; elements overflow to Inf from 3e38 on, and
 *  the processor takes bfloat16 denormals for zero. Work space: 1024 k bfloat16 or 384 k float32
 *  numbers, never a float32 copy of W. The same bits for the same number of threads.
 *  @param[out] g  k x k, k = min(m, n), column-major, leading dimension k: the lower triangle; what
 *                 is above it is undefined
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_gram(const lrp_matrix *w, float *g, lrp_scratch *scratch);

/** As lrp_gram(), without AVX512_BF16 even where there is: panels in float32 and ssyrk. */
lrp_status lrp_f32_gram(const lrp_matrix *w, float *g, lrp_scratch *scratch);

#endif
