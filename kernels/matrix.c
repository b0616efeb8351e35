#include "kernels/matrix.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "kernels/clones.h"

/* Elements converted at a time where a whole row need not be kept. */
enum { chunk = 1024 };

size_t lrp_dtype_size(lrp_dtype dtype) {
  return dtype == LRP_F32 ? 4 : 2;
}

const char *lrp_dtype_name(lrp_dtype dtype) {
  switch (dtype) {
    case LRP_F32:
      return "float32";
    case LRP_F16:
      return "float16";
    case LRP_BF16:
      return "bfloat16";
  }
  return "?";
}

static inline float float_of_bits(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

static inline uint32_t bits_of_float(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits;
}

/* IEEE 754 binary16: 1 sign, 5 exponent, 10 mantissa bits. Subnormals are m * 2^-24. The three
 * cases are computed and then selected by masks, so that the compiler can vectorise the loop around
 * this; subnormals come from an integer, never from a subnormal float, which is slow to multiply.
 */
static inline float float_of_half(uint16_t h) {
  const uint32_t magnitude = h & 0x7fffu;
  const uint32_t subnormal = bits_of_float((float)(int32_t)magnitude * 0x1p-24f);
  const uint32_t is_subnormal = -(uint32_t)(magnitude < 0x0400);
  const uint32_t is_nonfinite = -(uint32_t)(magnitude >= 0x7c00);
  const uint32_t normal = (magnitude << 13) + (112u << 23); /* 112 = 127 - 15, the biases */
  const uint32_t bits = (normal | (is_nonfinite & 0x7f800000u)) & ~is_subnormal;
  return float_of_bits(bits | (subnormal & is_subnormal) | (uint32_t)(h & 0x8000u) << 16);
}

static inline uint16_t load16(const unsigned char *p) {
  uint16_t h;
  memcpy(&h, p, sizeof h);
  return h;
}

LRP_VECTOR_CLONES static void half_to_f32(float *dst, const unsigned char *p, size_t count) {
  for (size_t i = 0; i < count; i++) dst[i] = float_of_half(load16(p + 2 * i));
}

LRP_VECTOR_CLONES static void bfloat_to_f32(float *dst, const unsigned char *p, size_t count) {
  for (size_t i = 0; i < count; i++) dst[i] = float_of_bits((uint32_t)load16(p + 2 * i) << 16);
}

void lrp_to_f32(float *dst, const void *src, lrp_dtype dtype, size_t count) {
  const unsigned char *p = src;
  switch (dtype) {
    case LRP_F32:
      memcpy(dst, src, count * sizeof *dst);
      break;
    case LRP_F16:
      half_to_f32(dst, p, count);
      break;
    case LRP_BF16:
      bfloat_to_f32(dst, p, count);
      break;
  }
}

/* x in a 16-bit format: 1 sign, 15 - mantissa, and mantissa bits. Rounded once, from the double, so
 * there is no double rounding by way of float. Adding just under half of the last place that is
 * kept, and the carry running from the mantissa into the exponent, up to that of Inf, is rounding
 * to nearest even. */
static inline uint16_t narrow(double x, int mantissa, int bias) {
  const int dropped = 52 - mantissa;
  const uint64_t infinity = (0x7fffu >> mantissa) << mantissa;
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint16_t sign = (uint16_t)(bits >> 63 << 15);
  bits &= INT64_MAX;
  const int exponent = (int)(bits >> 52) - 1023;

  if (exponent > bias) { /* Inf, NaN, or too large */
    const uint64_t quiet = isnan(x) ? 1u << (mantissa - 1) : 0;
    return (uint16_t)(sign | infinity | quiet);
  }
  if (exponent < 1 - bias) { /* subnormal: a multiple of 2^(1 - bias - mantissa) */
    return (uint16_t)(sign | (uint16_t)nearbyint(ldexp(fabs(x), bias - 1 + mantissa)));
  }
  bits += (UINT64_C(1) << (dropped - 1)) - 1 + (bits >> dropped & 1);
  return (uint16_t)(sign | ((bits >> dropped) - ((uint64_t)(1023 - bias) << mantissa)));
}

static void narrow_all(unsigned char *dst, const double *src, size_t count, int mantissa,
                       int bias) {
  for (size_t i = 0; i < count; i++) {
    const uint16_t h = narrow(src[i], mantissa, bias);
    memcpy(dst + 2 * i, &h, sizeof h);
  }
}

void lrp_from_f64(void *dst, lrp_dtype dtype, const double *src, size_t count) {
  unsigned char *p = dst;
  switch (dtype) {
    case LRP_F32:
      for (size_t i = 0; i < count; i++) {
        const float f = (float)src[i];
        memcpy(p + 4 * i, &f, sizeof f);
      }
      break;
    case LRP_F16:
      narrow_all(p, src, count, 10, 15);
      break;
    case LRP_BF16:
      narrow_all(p, src, count, 7, 127);
      break;
  }
}

/* dst of any alignment */
LRP_VECTOR_CLONES static void round_to_bfloat(unsigned char *dst, const float *src, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const uint16_t h = lrp_bf16_bits(src[i]);
    memcpy(dst + 2 * i, &h, sizeof h);
  }
}

void lrp_to_bf16(uint16_t *dst, const float *src, size_t count) {
  round_to_bfloat((unsigned char *)dst, src, count);
}

void lrp_from_f32(void *dst, lrp_dtype dtype, const float *src, size_t count) {
  double wide[chunk];
  if (dtype == LRP_F32) {
    memcpy(dst, src, count * sizeof *src);
    return;
  }
  if (dtype == LRP_BF16) {
    round_to_bfloat(dst, src, count);
    return;
  }
  for (size_t done = 0; done < count; done += chunk) {
    const size_t n = count - done < chunk ? count - done : chunk;
    for (size_t i = 0; i < n; i++) wide[i] = src[done + i];
    lrp_from_f64((unsigned char *)dst + done * lrp_dtype_size(dtype), dtype, wide, n);
  }
}

void lrp_convert(void *dst, lrp_dtype to, const void *src, lrp_dtype from, size_t count) {
  const unsigned char *p = src;
  float wide[chunk];
  assert(to == LRP_F32 || to == LRP_BF16);
  if (from == to) {
    memcpy(dst, src, count * lrp_dtype_size(to));
    return;
  }
  if (to == LRP_F32) {
    lrp_to_f32(dst, src, from, count);
    return;
  }
  if (from == LRP_F32 && (uintptr_t)src % sizeof(float) == 0) {
    lrp_to_bf16(dst, src, count);
    return;
  }
  for (size_t done = 0; done < count; done += chunk) {
    const size_t n = count - done < chunk ? count - done : chunk;
    lrp_to_f32(wide, p + done * lrp_dtype_size(from), from, n);
    lrp_to_bf16((uint16_t *)dst + done, wide, n);
  }
}

lrp_matrix lrp_matrix_slice(lrp_matrix a, int64_t rows, int64_t cols) {
  a.rows = rows;
  a.cols = cols;
  return a;
}

const void *lrp_matrix_row(const lrp_matrix *a, int64_t i) {
  return (const unsigned char *)a->data + (size_t)(i * a->ld) * lrp_dtype_size(a->dtype);
}

const float *lrp_matrix_f32(const lrp_matrix *a) {
  return a->dtype == LRP_F32 && (uintptr_t)a->data % sizeof(float) == 0 ? a->data : NULL;
}

void lrp_matrix_to_f32(float *dst, const lrp_matrix *a) {
  for (int64_t i = 0; i < a->rows; i++) {
    lrp_to_f32(dst + i * a->cols, lrp_matrix_row(a, i), a->dtype, (size_t)a->cols);
  }
}

void lrp_matrix_to_f64(double *dst, const lrp_matrix *a) {
  float narrow[chunk];
  const size_t size = lrp_dtype_size(a->dtype);
  for (int64_t i = 0; i < a->rows; i++) {
    const unsigned char *row = lrp_matrix_row(a, i);
    for (int64_t j = 0; j < a->cols; j += chunk) {
      const int64_t n = a->cols - j < chunk ? a->cols - j : chunk;
      lrp_to_f32(narrow, row + (size_t)j * size, a->dtype, (size_t)n);
      for (int64_t l = 0; l < n; l++) dst[i * a->cols + j + l] = narrow[l];
    }
  }
}

/* Whether any of count elements has an exponent of all ones, the largest there is. Without an early
 * exit the compiler makes vectors of it, and memory is the limit. */
LRP_VECTOR_CLONES static bool any_nonfinite(const unsigned char *p, lrp_dtype dtype, size_t count) {
  const int16_t mask16 = dtype == LRP_F16 ? 0x7c00 : 0x7f80;
  const uint32_t mask32 = 0x7f800000;
  int16_t largest16 = 0;
  unsigned found32 = 0;
  if (dtype == LRP_F32) {
    for (size_t i = 0; i < count; i++) {
      uint32_t bits;
      memcpy(&bits, p + 4 * i, sizeof bits);
      found32 |= (bits & mask32) == mask32;
    }
    return found32 != 0;
  }
  for (size_t i = 0; i < count; i++) {
    const int16_t bits = (int16_t)(load16(p + 2 * i) & mask16);
    largest16 = bits > largest16 ? bits : largest16;
  }
  return largest16 == mask16;
}

int64_t lrp_matrix_count_nonfinite(const lrp_matrix *a, int64_t *row, int64_t *col) {
  float narrow[chunk];
  const size_t size = lrp_dtype_size(a->dtype);
  int64_t count = 0;
  for (int64_t i = 0; i < a->rows; i++) {
    const unsigned char *p = lrp_matrix_row(a, i);
    for (int64_t j = 0; j < a->cols; j += chunk) {
      const int64_t n = a->cols - j < chunk ? a->cols - j : chunk;
      if (!any_nonfinite(p + (size_t)j * size, a->dtype, (size_t)n)) continue;
      lrp_to_f32(narrow, p + (size_t)j * size, a->dtype, (size_t)n);
      for (int64_t l = 0; l < n; l++) {
        if (isfinite(narrow[l])) continue;
        if (count++ == 0) {
          *row = i;
          *col = j + l;
        }
      }
    }
  }
  return count;
}
