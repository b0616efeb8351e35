/** @file kernels/matrix.h
 *  Element types of stored weights, their conversion, and views of row-major matrices.
 *
 *  Weights are used where they lie (a mapped file), so a view may be aligned to less than its
 *  element: read elements through these functions, never through a cast pointer, unless
 *  lrp_matrix_f32() says that a plain float pointer exists. */
#ifndef LRP_KERNELS_MATRIX_H
#define LRP_KERNELS_MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum { LRP_F32, LRP_F16, LRP_BF16 } lrp_dtype;

/** Bytes of one element: 4, 2, 2. Local. */
size_t lrp_dtype_size(lrp_dtype dtype);

/** "float32", "float16", "bfloat16". Local. */
const char *lrp_dtype_name(lrp_dtype dtype);

/** dst[i] = src[i], exactly; src may have any alignment. Local. */
void lrp_to_f32(float *dst, const void *src, lrp_dtype dtype, size_t count);

/** dst[i] = src[i] rounded to nearest, ties to even; overflow gives Inf. Local. */
void lrp_from_f64(void *dst, lrp_dtype dtype, const double *src, size_t count);
void lrp_from_f32(void *dst, lrp_dtype dtype, const float *src, size_t count);

/** dst[i] = bits of src[i] as bfloat16, rounded likewise; vectorised. Local. A NaN stays one. */
void lrp_to_bf16(uint16_t *dst, const float *src, size_t count);

/** dst[i] = src[i] rounded likewise, of any type to float32 or bfloat16. Local.
 *  src may have any alignment. */
void lrp_convert(void *dst, lrp_dtype to, const void *src, lrp_dtype from, size_t count);

/** Bits of one float as bfloat16, for loops that round as they go; vectorises.
 *  Adding just under half of the last place that is kept carries into the exponent, up to that of
 *  Inf. The processor's own conversion is not used: it takes subnormal numbers for zero. */
static inline uint16_t lrp_bf16_bits(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  const uint32_t is_nan = -(uint32_t)((bits & 0x7fffffffu) > 0x7f800000u);
  const uint32_t nearest = bits + 0x7fffu + (bits >> 16 & 1u);
  return (uint16_t)(((nearest & ~is_nan) | ((bits | 0x400000u) & is_nan)) >> 16);
}

/** View of a row-major matrix: element (i, j) at data + (i * ld + j) * size. A vector is 1 x n. */
typedef struct {
  const void *data; /* borrowed */
  lrp_dtype dtype;
  int64_t rows, cols, ld; /* ld >= cols, in elements */
} lrp_matrix;

/** The first cols columns and rows rows of a. Local. */
lrp_matrix lrp_matrix_slice(lrp_matrix a, int64_t rows, int64_t cols);

/** Address of row i. Local. */
const void *lrp_matrix_row(const lrp_matrix *a, int64_t i);

/** Plain float pointer to a if it is float32 and aligned to 4 bytes, else NULL. Local. */
const float *lrp_matrix_f32(const lrp_matrix *a);

/** Copy a to dst as floats / doubles, row-major and dense (ld = cols). Local. */
void lrp_matrix_to_f32(float *dst, const lrp_matrix *a);
void lrp_matrix_to_f64(double *dst, const lrp_matrix *a);

/** Number of NaN and infinite elements; *row and *col are those of the first. Local. */
int64_t lrp_matrix_count_nonfinite(const lrp_matrix *a, int64_t *row, int64_t *col);

#endif
