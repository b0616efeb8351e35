/** @file tests/kernels/nn/nn_test.h
 *  What the tests of kernels/nn share: reproducible numbers and views of them. */
#ifndef LRP_TESTS_KERNELS_NN_NN_TEST_H
#define LRP_TESTS_KERNELS_NN_NN_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/matrix.h"

/* count numbers in [-scale, scale), the same in every run; free() them. */
static inline float *random_floats(int64_t count, uint64_t seed, float scale) {
  float *x = malloc((size_t)(count > 0 ? count : 1) * sizeof *x);
  uint64_t state = seed * 2654435761u + 88172645463325252u;
  assert_non_null(x);
  for (int64_t i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    x[i] = ((float)(state >> 40) / 8388608.0f - 1.0f) * scale;
  }
  return x;
}

static inline lrp_matrix view(const void *data, int64_t rows, int64_t cols, int64_t ld) {
  return (lrp_matrix){.data = data, .dtype = LRP_F32, .rows = rows, .cols = cols, .ld = ld};
}

/* y (t x n) = x (t x k) w^T in double; y is the caller's. */
static inline void naive_product(const float *x, int64_t t, int64_t ldx, const float *w, int64_t n,
                                 int64_t k, int64_t ldw, double *y) {
  for (int64_t i = 0; i < t; i++) {
    for (int64_t j = 0; j < n; j++) {
      double sum = 0.0;
      for (int64_t l = 0; l < k; l++) sum += (double)x[i * ldx + l] * (double)w[j * ldw + l];
      y[i * n + j] = sum;
    }
  }
}

/* largest |a - b| of t rows of n; NaN if there is one */
static inline double distance(const float *a, int64_t lda, const double *b, int64_t t, int64_t n) {
  double largest = 0.0;
  for (int64_t i = 0; i < t; i++) {
    for (int64_t j = 0; j < n; j++) {
      const double d = fabs((double)a[i * lda + j] - b[i * n + j]);
      if (!(d <= largest)) largest = d;
    }
  }
  return largest;
}

#endif
