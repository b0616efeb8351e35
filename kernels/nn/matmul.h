/** @file kernels/nn/matmul.h
 *  y = x w^T for row-major float matrices (oneDNN, or kernels/nn/product.h). */
#ifndef LRP_KERNELS_NN_MATMUL_H
#define LRP_KERNELS_NN_MATMUL_H

#include <stdbool.h>

#include "kernels/matrix.h"
#include "kernels/nn/buffer.h"
#include "kernels/status.h"

/** Scratch memory that grows on demand and is reused: one per caller, so that no product allocates.
 *  Zeroed before the first use. */
typedef struct {
  lrp_buffer weights, weights16; /* a weight matrix converted to float, or copied to be dense */
  lrp_buffer x, y;               /* x rounded, or operands whose rows had gaps */
} lrp_matmul_scratch;

/** Release the memory. Local; accepts a zeroed one. */
void lrp_matmul_scratch_free(lrp_matmul_scratch *scratch);

/** y (t x n) = x (t x k) w^T (w is n x k, Hugging Face layout), or += with accumulate. Local.
 *  x has rows of ldx, y rows of ldy elements. w is used in place when it is float32, dense and
 *  aligned to its elements, else converted in scratch. Each row of y depends on its row of x (and
 *  of y, with accumulate) alone, bitwise, whatever t, the strides and the number of threads.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG (oneDNN refused) */
lrp_status lrp_matmul(const float *x, int64_t t, int64_t ldx, const lrp_matrix *w, float *y,
                      int64_t ldy, bool accumulate, lrp_matmul_scratch *scratch);

/** lrp_matmul of x and w rounded to bfloat16 (nearest, ties to even), their products summed in
 *  float32: in place when w is bfloat16. Local; on any processor, but faster than lrp_matmul only
 *  where lrp_matmul_has_bf16(). */
lrp_status lrp_matmul_bf16(const float *x, int64_t t, int64_t ldx, const lrp_matrix *w, float *y,
                           int64_t ldy, bool accumulate, lrp_matmul_scratch *scratch);

/** Whether the processor multiplies bfloat16 (avx512_bf16 or amx). Local. */
bool lrp_matmul_has_bf16(void);

/** For several products with the same large weights: *plain = w, rounded to bfloat16 if those are
 *  the operands, as lrp_matmul or lrp_matmul_bf16 uses it in place. Local.
 *  A view of w itself where possible, else of buffer. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_matmul_prepare(const lrp_matrix *w, lrp_dtype operands, lrp_buffer *buffer,
                              lrp_matrix *plain);

#endif
