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
  lrp_matrix left;         /* n_out x rank */
  lrp_matrix middle;       /* rank x rank (tucker core), or 1 row: diag(s); data NULL: identity */
  lrp_matrix right;        /* rank x n_in */
  lrp_packed packed;       /* of w; data NULL: w is used as it lies */
  lrp_packed packed_left;  /* likewise of left */
  lrp_packed packed_right; /* likewise of right */
} lrp_linear;

/** How linear maps are computed, and scratch memory that is reused between calls. Zeroed before the
 *  first use: that is, in float32. */
typedef struct {
  /** LRP_F32, or LRP_BF16: weights and what they multiply are rounded to bfloat16 (lrp_matmul).
   *  Factors, too, unless they are small (lrp_product_suits): those of a small model lose more by
   * it than their ranks cost, and save no time. */
  lrp_dtype operands;
  lrp_matmul_scratch matmul;
  lrp_buffer thin[2]; /* t x rank panels */
  lrp_buffer vector;  /* a bias or a diagonal as floats */
} lrp_linear_scratch;

/** Release the memory. Local; accepts a zeroed one. */
void lrp_linear_scratch_free(lrp_linear_scratch *scratch);

/** Bytes of memory that lrp_linear_pack wants, a multiple of 64; 0: w is best used as it lies.
 * Local. Factors always want some. */
size_t lrp_linear_packed_bytes(const lrp_linear *linear, lrp_dtype operands);

/** Lay out w, or the factors, in memory for products with these operands. Local.
 *  The middle is multiplied into left, in float32 before it is rounded: one product less for every
 *  row. Afterwards factors are read from memory alone; w, too, unless it wants none; bias where it
 *  lies.
 *  @param[in] memory  lrp_linear_packed_bytes, aligned to 64 bytes; borrowed by linear
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG; *linear is as it was upon failure */
lrp_status lrp_linear_pack(lrp_linear *linear, lrp_dtype operands, void *memory);

/** y (t x n_out, rows of ldy) = x (t x n_in, rows of ldx) W^T + bias; += with accumulate. Local.
 *  Row results are independent of t, bitwise (lrp_matmul), and of whether w is packed. A packed
 *  linear must have been packed for the operands of scratch.
 *  @param[in] x_type  of x: LRP_F32, or LRP_BF16, which saves rounding it again for bfloat16
 * operands
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG */
lrp_status lrp_linear_apply(const lrp_linear *linear, const void *x, lrp_dtype x_type, int64_t t,
                            int64_t ldx, float *y, int64_t ldy, bool accumulate,
                            lrp_linear_scratch *scratch);

#endif
