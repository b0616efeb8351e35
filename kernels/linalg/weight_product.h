/** @file kernels/linalg/weight_product.h
 *  Products of a weight matrix, used as it is stored, with a thin block of vectors.
 *
 *  Blocks are row-major: element (i, j) at x[i * ldx + j], j < l. A is W (m x n), or W^T if
 *  transposed. All local, on the OpenMP threads of this process rank; the same bits for the same
 *  number of threads. W may lie at any alignment (a mapped file). */
#ifndef LRP_KERNELS_LINALG_WEIGHT_PRODUCT_H
#define LRP_KERNELS_LINALG_WEIGHT_PRODUCT_H

#include <stdbool.h>

#include "kernels/linalg/scratch.h"
#include "kernels/matrix.h"

typedef struct {
  const lrp_matrix *w; /* borrowed */
  bool transposed;     /* A = W^T */
} lrp_operand;

/** Rows and columns of A. Local. */
int64_t lrp_operand_rows(lrp_operand a);
int64_t lrp_operand_cols(lrp_operand a);

/** t = A x and y = A^T t, for subspace methods: both are as good as bfloat16 makes them. Weights, x
 *  and t are rounded to bfloat16 (to nearest, ties to even), sums are in float32, where the
 *  processor multiplies bfloat16 (AVX512_BF16; twice as fast); else all is float32. In bfloat16 W
 *  is read once, for A = W^T twice: panels of its columns would lie on too many pages. Work space:
 *  4 l bytes for each column of W and thread, half as much again, and little else.
 *  @param x  A.cols x l;  @param[out] t  A.rows x l;  @param[out] y  A.cols x l
 *  @param l  any >= 1; fastest for multiples of 16
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_normal_product(lrp_operand a, int l, const float *x, int64_t ldx, float *t,
                              int64_t ldt, float *y, int64_t ldy, lrp_scratch *scratch);

/** y = A x, as accurate as float32 sums of exact weights and float32 x: |y - A x| <= 1e-6 |A| |x|,
 *  element by element. x: A.cols x l, y: A.rows x l, any l >= 1 (thousands, too). Thin x, up to 256
 *  columns, by kernels of its own where there is AVX-512, else by sgemm on panels of W.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_weight_product(lrp_operand a, int l, const float *x, int64_t ldx, float *y,
                              int64_t ldy, lrp_scratch *scratch);

/** y = A x with x as the sum of two bfloat16: |y - A x| <= 3.2e-5 |A| |x|, element by element; the
 *  errors are random, so sums of many are better. For bfloat16 weights, few columns and a processor
 *  that multiplies bfloat16; else lrp_weight_product, which is slower.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_split_product(lrp_operand a, int l, const float *x, int64_t ldx, float *y,
                             int64_t ldy, lrp_scratch *scratch);

/** y = A x as good as lrp_normal_product's t. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_rough_product(lrp_operand a, int l, const float *x, int64_t ldx, float *y,
                             int64_t ldy, lrp_scratch *scratch);

/** As lrp_normal_product(), in float32 even where the processor multiplies bfloat16. */
lrp_status lrp_f32_normal_product(lrp_operand a, int l, const float *x, int64_t ldx, float *t,
                                  int64_t ldt, float *y, int64_t ldy, lrp_scratch *scratch);

/** As lrp_weight_product(), by sgemm for any l. */
lrp_status lrp_blas_product(lrp_operand a, int l, const float *x, int64_t ldx, float *y,
                            int64_t ldy, lrp_scratch *scratch);

#endif
