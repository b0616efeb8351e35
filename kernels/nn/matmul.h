/** @file kernels/nn/matmul.h
 *  y = x w^T for row-major matrices (oneDNN, or kernels/nn/product.h). */
#ifndef LRP_KERNELS_NN_MATMUL_H
#define LRP_KERNELS_NN_MATMUL_H

#include <stdbool.h>

#include "kernels/matrix.h"
#include "kernels/nn/buffer.h"
#include "kernels/nn/packed.h"
#include "kernels/status.h"

/** Scratch memory that grows on demand and is reused: one per caller, so that no product allocates.
 *  Zeroed before the first use. */
typedef struct {
  lrp_buffer weights, weights16; /* a weight matrix converted, or copied to be dense */
  lrp_buffer x, x16;             /* x likewise */
  lrp_buffer y;                  /* a result whose rows had gaps */
} lrp_matmul_scratch;

/** Release the memory. Local; accepts a zeroed one. */
void lrp_matmul_scratch_free(lrp_matmul_scratch *scratch);

/** y (t x n) = x (t x k) w^T (w is n x k, Hugging Face layout), or += with accumulate. Local.
 *  x and w are used in place where they are of type operands, dense and aligned to their elements,
 *  else converted in scratch. y has rows of ldy elements. Each row of y depends on its row of x
 * (and of y, with accumulate) alone, bitwise, whatever t, the strides and the number of threads.
 *  @param[in] operands  LRP_F32; or LRP_BF16: x and w rounded to bfloat16 (nearest, ties to even),
 *                       their products summed in float32. Works on any processor, but is faster
 *                       than LRP_F32 only where lrp_matmul_has_bf16().
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG (oneDNN refused) */
lrp_status lrp_matmul(const lrp_matrix *x, const lrp_matrix *w, lrp_dtype operands, float *y,
                      int64_t ldy, bool accumulate, lrp_matmul_scratch *scratch);

/** lrp_matmul by the weights that w was packed of, the same bits. Local. */
lrp_status lrp_matmul_packed(const lrp_matrix *x, const lrp_packed *w, float *y, int64_t ldy,
                             bool accumulate, lrp_matmul_scratch *scratch);

/** Whether the processor multiplies bfloat16 (avx512_bf16 or amx). Local. */
bool lrp_matmul_has_bf16(void);

/** For several products with the same large weights: *plain = w as lrp_matmul uses it in place.
 *  Local. A view of w itself where possible, else of buffer. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_matmul_prepare(const lrp_matrix *w, lrp_dtype operands, lrp_buffer *buffer,
                              lrp_matrix *plain);

#endif
