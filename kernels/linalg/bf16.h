/** @file kernels/linalg/bf16.h
 *  Products of bfloat16 blocks with sums in float32, by the instruction vdpbf16ps (AVX512_BF16):
 *  it multiplies pairs, s += a0 b0 + a1 b1, twice as fast as float32 is multiplied.
 *
 *  Internal to this folder. Without lrp_bf16_available() nothing else here may be called. A pair is
 *  a uint32_t of two bfloat16, the first in the low half. */
#ifndef LRP_KERNELS_LINALG_BF16_H
#define LRP_KERNELS_LINALG_BF16_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/matrix.h"

/** Thin blocks are padded to a multiple of this many columns; tiles of W^T t have this many. */
enum { LRP_BF16_LANES = 16, LRP_BF16_TILE = 32, LRP_BF16_ROWS = 48 };

/** Whether this processor, under this operating system, has the instruction. Local. */
bool lrp_bf16_available(void);

/** dst = bfloat16 of w, row-major with leading dimension ld: to nearest, ties to even. Local. */
void lrp_bf16_from_matrix(uint16_t *dst, int64_t ld, const lrp_matrix *w);

/** The pairs dst[(k / 2) * lp + c] = x(k, c), x(k + 1, c), rounded to bfloat16, of an n x l block
 *  of leading dimension ldx; zeros for c >= l, up to lp, and after an odd n. Local.
 *  @param lp  a multiple of LRP_BF16_LANES, at least l */
void lrp_bf16_pack(uint32_t *dst, int lp, const float *x, int64_t ldx, int64_t n, int l);

/** y += W x, or y = W x to begin with. Local, one thread. Reads nothing outside of W.
 *  @param w   bfloat16 view;  @param x  pairs of rows, w.cols x lp;  @param y  w.rows x lp */
void lrp_bf16_times(const lrp_matrix *w, const uint32_t *x, int lp, float *y, bool begin);

/** z += W^T t, or z = W^T t to begin with. Local, one thread. Reads nothing outside of W.
 *  Row j of the product is in tile j / 32: z[(j / 32 * lp + c) * 32 + lrp_bf16_place(j)].
 *  @param t     pairs of rows, w.rows x lp;  @param z  whole tiles
 *  @param more  the rows that follow in memory are read next: fetch them into the cache */
void lrp_bf16_transposed_times(const lrp_matrix *w, const uint32_t *t, int lp, float *z, bool begin,
                               bool more);

/** Where column j of a matrix lies in its tile: what interleaving two rows by halves of 128 bits
 *  leaves. Local. */
static inline int lrp_bf16_place(int64_t j) {
  const int c = (int)(j % LRP_BF16_TILE);
  return c / 4 % 2 * 16 + c / 8 * 4 + c % 4;
}

#endif
