/** @file kernels/nn/onednn.h
 *  The reproducible matrix products of oneDNN: a part of kernels/nn/matmul.h. */
#ifndef LRP_KERNELS_NN_ONEDNN_H
#define LRP_KERNELS_NN_ONEDNN_H

#include <stdbool.h>

#include "kernels/matrix.h"
#include "kernels/status.h"

/** One product y (t x n) = x (t x k) w^T (w is n x k), or +=, with no gaps between the rows. */
typedef struct {
  int64_t t, n, k;    /* all > 0 */
  lrp_dtype operands; /* of x and w: LRP_F32 or LRP_BF16; sums and y are float32 */
  bool packed;        /* w lies in tiles (kernels/nn/packed.h), not in rows */
  bool accumulate;
} lrp_dense_product;

/** Compute the product unless oneDNN has no reproducible kernel for it. Local.
 *  @param[in]  x, w  aligned to their elements
 *  @param[out] done  false: nothing was computed, y is as it was
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG (oneDNN refused) */
lrp_status lrp_onednn_product(const lrp_dense_product *product, const void *x, const void *w,
                              float *y, bool *done);

/** Whether oneDNN has a reproducible kernel for the product. Local. */
bool lrp_onednn_can(const lrp_dense_product *product);

/** Whether the processor multiplies bfloat16 (avx512_bf16 or amx) and oneDNN may use it
 *  (ONEDNN_MAX_CPU_ISA). Local. */
bool lrp_onednn_has_bf16(void);

#endif
