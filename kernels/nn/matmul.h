/** @file kernels/nn/matmul.h
 *  y = x w^T for row-major float matrices (oneDNN). */
#ifndef LRP_KERNELS_NN_MATMUL_H
#define LRP_KERNELS_NN_MATMUL_H

#include <stdbool.h>

#include "kernels/matrix.h"
#include "kernels/status.h"

/** Scratch memory that grows on demand and is reused: one per caller, so that no product allocates.
 */
typedef struct {
  float *weights; /* owned: a weight matrix converted to float */
  size_t weights_count;
} lrp_matmul_scratch;

/** Release the memory. Local; accepts a zeroed one. */
void lrp_matmul_scratch_free(lrp_matmul_scratch *scratch);

/** y (t x n) = x (t x k) w^T (w is n x k, Hugging Face layout), or += with accumulate. Local.
 *  x has rows of ldx, y rows of ldy elements. w is used in place when it is float32, else
 *  converted in scratch. Each row of y depends on its row of x alone, bitwise, whatever t and the
 *  number of threads.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG (oneDNN refused) */
lrp_status lrp_matmul(const float *x, int64_t t, int64_t ldx, const lrp_matrix *w, float *y,
                      int64_t ldy, bool accumulate, lrp_matmul_scratch *scratch);

#endif
