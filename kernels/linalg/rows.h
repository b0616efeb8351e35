/** @file kernels/linalg/rows.h
 *  The matrix product of the eigen-solver: many rows by LRP_BAND columns.
 *
 *  Blocks are row-major. One operand is read element by element where it lies, at any strides, so
 *  nothing is copied or transposed first: a thin product touches a large matrix only once. */
#ifndef LRP_KERNELS_LINALG_ROWS_H
#define LRP_KERNELS_LINALG_ROWS_H

#include <stdint.h>

/** How many subdiagonals the band has, and how many columns every thin block. */
enum { LRP_BAND = 32 };

/** Compile a function for AVX-512 or AVX2; the caller asks lrp_isa() which one may run. */
#define LRP_ISA_AVX512 __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")))
#define LRP_ISA_AVX2   __attribute__((target("avx2,fma")))

typedef enum { LRP_ISA_ANY, LRP_ISA_HAS_AVX2, LRP_ISA_HAS_AVX512 } lrp_isa_level;

/** What this processor has. Local. */
lrp_isa_level lrp_isa(void);

/** 16 numbers; the second one at any alignment. */
typedef float lrp_v16 __attribute__((vector_size(64), may_alias));
typedef float lrp_v16_any __attribute__((vector_size(64), aligned(4), may_alias));

/** y(i, j) += sign sum_l a[i * row + l * step] x(l, j), i < m, l < k, j < LRP_BAND.
 *  Sums of 64 terms, then of sums; those of a row do not depend on m. Local, one thread.
 *  @param x  k x LRP_BAND, row-major, ldx;  @param[in,out] y  m x LRP_BAND, row-major, ldy */
void lrp_rows_product(float sign, int64_t m, int64_t k, const float *a, int64_t row, int64_t step,
                      const float *x, int64_t ldx, float *y, int64_t ldy);

#endif
