/** @file kernels/linalg/gram.h
 *  Gram matrix of the short side of a weight matrix. */
#ifndef LRP_KERNELS_LINALG_GRAM_H
#define LRP_KERNELS_LINALG_GRAM_H

#include "kernels/linalg/scratch.h"
#include "kernels/matrix.h"

/** g = W^T W for m >= n, W W^T for m < n, in float32. Local, on the OpenMP threads.
 *  bfloat16 weights are multiplied as they are where the processor does so (products are exact,
 *  sums in float32), once for both triangles; others in float32 by panels. Needs k x panel of work
 *  space, never a float32 copy of W. The same bits for the same number of threads.
 *  @param[out] g  k x k, k = min(m, n), column-major, leading dimension k: the lower triangle
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_gram(const lrp_matrix *w, float *g, lrp_scratch *scratch);

#endif
