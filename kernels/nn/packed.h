/** @file kernels/nn/packed.h
 *  Weights laid out for oneDNN's products, once, for any number of rows.
 *
 *  The layout is fixed (tiles of 16 x 64, pairs of k together for bfloat16), not left to oneDNN, so
 *  that process ranks can share it. Bits of a product are those of the weights as they lie. */
#ifndef LRP_KERNELS_NN_PACKED_H
#define LRP_KERNELS_NN_PACKED_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/matrix.h"
#include "kernels/status.h"

/** Weights w (n x k) as operands of y = x w^T. */
typedef struct {
  const void *data;   /* borrowed, aligned to 64 bytes; NULL: there are none */
  lrp_dtype operands; /* LRP_F32 or LRP_BF16 */
  int64_t n, k;
} lrp_packed;

/** Bytes of n x k weights, a multiple of 64; 0 if they are not worth packing here: too small
 *  (lrp_product_suits), or oneDNN has no reproducible kernel for them on this processor. Local. */
size_t lrp_packed_bytes(int64_t n, int64_t k, lrp_dtype operands);

/** Lay out w, of any type and stride, rounded to operands, in memory (lrp_packed_bytes, aligned to
 *  64 bytes), which *out borrows. Local. @return LRP_OK; LRP_ERR_BUG if memory is not aligned */
lrp_status lrp_pack(const lrp_matrix *w, lrp_dtype operands, void *memory, lrp_packed *out);

/** y (t x n, dense) = x (t x k, dense, of type operands) w^T, or += with accumulate. Local.
 *  Row results are bitwise independent of t, the other rows and the number of threads.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG */
lrp_status lrp_packed_product(const void *x, int64_t t, const lrp_packed *w, float *y,
                              bool accumulate);

#endif
