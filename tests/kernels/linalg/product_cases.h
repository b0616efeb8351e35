/** @file tests/kernels/linalg/product_cases.h
 *  Weights that end where memory ends, and float32 blocks, for the tests of products. */
#ifndef LRP_TESTS_KERNELS_LINALG_PRODUCT_CASES_H
#define LRP_TESTS_KERNELS_LINALG_PRODUCT_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/kernels/linalg/cases.h"

/* Weights whose last byte is the last one that may be read: slack bytes before the end of a page,
 * after which there is none. The elements between cols and ld are not finite. */
typedef struct {
  lrp_matrix w;
  void *map;
  size_t bytes;
} guarded;

static inline guarded guarded_create(lrp_dtype dtype, int m, int n, int gap) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = lrp_dtype_size(dtype);
  const int64_t ld = n + gap;
  const size_t bytes = ((size_t)(m - 1) * (size_t)ld + (size_t)n) * size;
  guarded g = {.bytes = (bytes + 2 * page - 1) / page * page};
  g.map = mmap(NULL, g.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(g.map != MAP_FAILED);
  unsigned char *data = (unsigned char *)g.map + g.bytes - page - bytes;
  assert_int_equal(mprotect((unsigned char *)g.map + g.bytes - page, page, PROT_NONE), 0);
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < (i + 1 < m ? ld : n); j++) {
      const double x = j < n ? case_random(7, (uint64_t)(i * n + j)) : (double)NAN;
      lrp_from_f64(data + (size_t)(i * ld + j) * size, dtype, &x, 1);
    }
  }
  g.w = (lrp_matrix){data, dtype, m, n, ld};
  return g;
}

static inline void guarded_free(guarded *g) {
  munmap(g->map, g->bytes);
}

/* A rows x l block of leading dimension l + gap, the gap holding 77, and a row of NaN behind it. */
static inline float *block_create(int64_t rows, int l, int gap, uint64_t seed) {
  float *x = malloc((size_t)(rows + 1) * (size_t)(l + gap) * sizeof *x);
  assert_non_null(x);
  for (int64_t i = 0; i < rows; i++) {
    for (int c = 0; c < l + gap; c++) {
      x[i * (l + gap) + c] = c < l ? (float)case_random(seed, (uint64_t)(i * l + c)) : 77.0f;
    }
  }
  for (int c = 0; c < l + gap; c++) x[rows * (l + gap) + c] = NAN;
  return x;
}

/* x rounded to bfloat16, if so; in double. */
static inline double *block_doubles(const float *x, int64_t rows, int l, int gap, bool rounded) {
  double *d = malloc((size_t)rows * (size_t)l * sizeof *d);
  assert_non_null(d);
  for (int64_t i = 0; i < rows; i++) {
    for (int c = 0; c < l; c++) {
      float f = x[i * (l + gap) + c];
      uint16_t h;
      if (rounded) {
        lrp_from_f32(&h, LRP_BF16, &f, 1);
        lrp_to_f32(&f, &h, LRP_BF16, 1);
      }
      d[i * l + c] = (double)f;
    }
  }
  return d;
}

/* The largest |y - A x| / (|A| |x|) over the elements, by plain loops; 1 if the gap was written. */
static inline double block_error(const double *a, int64_t rows, int64_t cols, bool transposed,
                                 const double *x, const float *y, int l, int gap) {
  double worst = 0.0;
  for (int64_t i = 0; i < rows; i++) {
    for (int c = 0; c < l; c++) {
      double sum = 0.0, size = 1e-30;
      for (int64_t j = 0; j < cols; j++) {
        const double term = (transposed ? a[j * rows + i] : a[i * cols + j]) * x[j * l + c];
        sum += term;
        size += fabs(term);
      }
      const double error = fabs((double)y[i * (l + gap) + c] - sum) / size;
      worst = error <= worst ? worst : error; /* NaN is worse, too */
    }
    for (int c = l; c < l + gap; c++) {
      if (y[i * (l + gap) + c] != 77.0f) return 1.0;
    }
  }
  return worst;
}

#endif
