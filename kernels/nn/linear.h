/** @file kernels/nn/linear.h
 *  A linear map of a layer: dense, or by low-rank factors. */
#ifndef LRP_KERNELS_NN_LINEAR_H
#define LRP_KERNELS_NN_LINEAR_H

#include "kernels/nn/matmul.h"

/** y = x W^T + bias with W (n_out x n_in) = w, or left middle right (tucker), or
 *  left diag(middle) right (svd). All views borrowed; rank > 0 selects the factors. The views of
 *  factors may be larger than stated: rank selects their leading part. */
typedef struct {
  int64_t n_in, n_out;
  lrp_matrix w;    /* n_out x n_in; used when rank == 0 */
  lrp_matrix bias; /* 1 x n_out, or data NULL */
  int64_t rank;
  lrp_matrix left;   /* n_out x rank */
  lrp_matrix middle; /* rank x rank (tucker core), or 1 row: diag(s) */
  lrp_matrix right;  /* rank x n_in */
} lrp_linear;

/** How linear maps are computed, and scratch memory that is reused between calls. Zeroed before the
 *  first use: that is, in float32. */
typedef struct {
  /** LRP_F32, or LRP_BF16: dense weights are multiplied in bfloat16 (lrp_matmul_bf16), and those
   *  factors that are stored as such. Others keep their precision: a product of three roundings
   *  would lose more than the factors' ranks do, and saves little time in thin products. */
  lrp_dtype operands;
  lrp_matmul_scratch matmul;
  lrp_buffer thin[2]; /* t x rank panels */
  lrp_buffer vector;  /* a bias or a diagonal as floats */
} lrp_linear_scratch;

/** Release the memory. Local; accepts a zeroed one. */
void lrp_linear_scratch_free(lrp_linear_scratch *scratch);

/** y (t x n_out, rows of ldy) = x (t x n_in, rows of ldx) W^T + bias; += with accumulate. Local.
 *  Row results are independent of t, bitwise (lrp_matmul).
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG */
lrp_status lrp_linear_apply(const lrp_linear *linear, const float *x, int64_t t, int64_t ldx,
                            float *y, int64_t ldy, bool accumulate, lrp_linear_scratch *scratch);

#endif
