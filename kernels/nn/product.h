/** @file kernels/nn/product.h
 *  Matrix products in float32 whose summation order is fixed by the source.
 *
 *  Every element is summed in the order of its index k, one multiply-add after the other, whatever
 *  the shapes, strides, alignments and threads. For what oneDNN does not compute reproducibly
 *  (kernels/nn/matmul.c), for products too small to be worth its code generation, and for the
 * blocks of attention. */
#ifndef LRP_KERNELS_NN_PRODUCT_H
#define LRP_KERNELS_NN_PRODUCT_H

#include <stdbool.h>
#include <stdint.h>

/** Shape of a tile: its sums fit the vector registers of AVX-512. */
enum { lrp_tile_rows = 6, lrp_tile_cols = 16 };

/** tile(r, j) += sum over l < k of x[r][l] * panel[l * lrp_tile_cols + j]. Local.
 *  x holds lrp_tile_rows row pointers (repeat one where there are fewer rows). */
void lrp_tile_product(const float *const x[lrp_tile_rows], const float *panel, int64_t k,
                      float tile[lrp_tile_rows * lrp_tile_cols]);

/** The same with sums in float: three times as fast, for where a logit of a small model need not be
 *  as close to that of a double forward pass. Local. */
void lrp_tile_product_float(const float *const x[lrp_tile_rows], const float *panel, int64_t k,
                            float tile[lrp_tile_rows * lrp_tile_cols]);

/** y (t x n) = x (t x k) w^T with w n x k, or += with accumulate; sums in double. Local; rows of x,
 *  w and y are ldx, ldw and ldy elements apart. */
void lrp_product(const float *x, int64_t t, int64_t ldx, const float *w, int64_t n, int64_t k,
                 int64_t ldw, float *y, int64_t ldy, bool accumulate);

/** Whether a product by weights n x k is best left to lrp_product. Local.
 *  For every new number of rows oneDNN generates code, which takes longer than small products. */
bool lrp_product_suits(int64_t n, int64_t k);

/** The same product with sums in float, for large w. Local. */
void lrp_product_float(const float *x, int64_t t, int64_t ldx, const float *w, int64_t n, int64_t k,
                       int64_t ldw, float *y, int64_t ldy, bool accumulate);

#endif
