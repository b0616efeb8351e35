#include "kernels/matrix.h"

#include <math.h>
#include <string.h>

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

static float float_of_bits(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

static uint32_t bits_of_float(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits;
}

/* IEEE 754 binary16: 1 sign, 5 exponent, 10 mantissa bits. Subnormals are m * 2^-24. */
static float float_of_half(uint16_t h) {
  const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
  const uint32_t exponent = (h >> 10) & 0x1fu;
  const uint32_t mantissa = h & 0x3ffu;
  if (exponent == 0x1f) return float_of_bits(sign | 0x7f800000u | mantissa << 13);
  if (exponent == 0) {
    const float f = (float)mantissa * 0x1p-24f;
    return sign ? -f : f;
  }
  return float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

void lrp_to_f32(float *dst, const void *src, lrp_dtype dtype, size_t count) {
  const unsigned char *p = src;
  if (dtype == LRP_F32) {
    memcpy(dst, src, count * sizeof *dst);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    uint16_t h;
    memcpy(&h, p + 2 * i, sizeof h);
    dst[i] = dtype == LRP_BF16 ? float_of_bits((uint32_t)h << 16) : float_of_half(h);
  }
}

/* x as an integer multiple of the spacing of the target's numbers near x, rounded to even. The
 * rounding happens once, from the double, so there is no double rounding by way of float. */
static double round_to_spacing(double x, int precision, int min_exponent) {
  int e;
  frexp(x, &e); /* |x| in [2^(e-1), 2^e) */
  if (e - 1 < min_exponent) e = min_exponent + 1;
  const double spacing = ldexp(1.0, e - precision);
  return nearbyint(x / spacing) * spacing;
}

static uint16_t half_of_double(double x) {
  const uint16_t sign = signbit(x) ? 0x8000 : 0;
  if (isnan(x)) return (uint16_t)(sign | 0x7e00);
  const double y = isinf(x) ? INFINITY : fabs(round_to_spacing(x, 11, -14));
  if (y > 65504.0) return (uint16_t)(sign | 0x7c00);
  if (y < 0x1p-14) return (uint16_t)(sign | (uint16_t)(y * 0x1p24));
  int e;
  const double f = frexp(y, &e); /* y = f 2^e, f in [0.5, 1) */
  return (uint16_t)(sign | (uint16_t)((e + 14) << 10) | ((uint16_t)(f * 2048.0) & 0x3ff));
}

static uint16_t bfloat_of_double(double x) {
  if (isnan(x)) return 0x7fc0;
  /* Exactly representable in float after rounding to 8 bits (or Inf by overflow). */
  const double y = isinf(x) || x == 0.0 ? x : round_to_spacing(x, 8, -126);
  return (uint16_t)(bits_of_float((float)y) >> 16);
}

void lrp_from_f64(void *dst, lrp_dtype dtype, const double *src, size_t count) {
  unsigned char *p = dst;
  for (size_t i = 0; i < count; i++) {
    if (dtype == LRP_F32) {
      const float f = (float)src[i];
      memcpy(p + 4 * i, &f, sizeof f);
    } else {
      const uint16_t h = dtype == LRP_BF16 ? bfloat_of_double(src[i]) : half_of_double(src[i]);
      memcpy(p + 2 * i, &h, sizeof h);
    }
  }
}

void lrp_from_f32(void *dst, lrp_dtype dtype, const float *src, size_t count) {
  double wide[chunk];
  if (dtype == LRP_F32) {
    memcpy(dst, src, count * sizeof *src);
    return;
  }
  for (size_t done = 0; done < count; done += chunk) {
    const size_t n = count - done < chunk ? count - done : chunk;
    for (size_t i = 0; i < n; i++) wide[i] = src[done + i];
    lrp_from_f64((unsigned char *)dst + done * lrp_dtype_size(dtype), dtype, wide, n);
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

int64_t lrp_matrix_count_nonfinite(const lrp_matrix *a, int64_t *row, int64_t *col) {
  float narrow[chunk];
  const size_t size = lrp_dtype_size(a->dtype);
  int64_t count = 0;
  for (int64_t i = 0; i < a->rows; i++) {
    const unsigned char *p = lrp_matrix_row(a, i);
    for (int64_t j = 0; j < a->cols; j += chunk) {
      const int64_t n = a->cols - j < chunk ? a->cols - j : chunk;
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
