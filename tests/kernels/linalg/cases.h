/** @file tests/kernels/linalg/cases.h
 *  Matrices with known traits, and what factors of them must satisfy. */
#ifndef LRP_TESTS_KERNELS_LINALG_CASES_H
#define LRP_TESTS_KERNELS_LINALG_CASES_H

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linalg/factors.h"

typedef enum {
  CASE_RANDOM,
  CASE_ZERO,
  CASE_RANK_ONE,
  CASE_RANK_TWO,   /* rank-deficient, the sides being larger */
  CASE_DUPLICATES, /* every row twice */
  CASE_DIAGONAL,   /* values in groups of three equal ones */
  CASE_OUTLIER,    /* one direction 1800 times the others */
  CASE_DENORMAL,   /* entries are float32 denormals */
  CASE_HUGE,       /* one entry 3e38, the others about 1e38 / 1000 */
  CASE_COUNT
} case_kind;

static inline const char *case_name(case_kind kind) {
  static const char *const names[CASE_COUNT] = {"random",   "zero",       "rank_one",
                                                "rank_two", "duplicates", "diagonal",
                                                "outlier",  "denormal",   "huge"};
  return names[kind];
}

/* In [-1, 1), the same everywhere: splitmix64 of the index. */
static inline double case_random(uint64_t seed, uint64_t index) {
  uint64_t z = (index + 1) * UINT64_C(0x9e3779b97f4a7c15) + seed;
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return (double)((z ^ z >> 31) >> 11) * 0x1p-52 - 1.0;
}

static inline double case_entry(case_kind kind, int m, int n, int i, int j) {
  const uint64_t index = (uint64_t)i * (uint64_t)n + (uint64_t)j;
  const double x = case_random(1, index);
  const double u0 = case_random(2, (uint64_t)i);
  const double v0 = case_random(3, (uint64_t)j);
  switch (kind) {
    case CASE_RANDOM:
      return x;
    case CASE_RANK_ONE:
      return u0 * v0;
    case CASE_RANK_TWO:
      return u0 * v0 + case_random(4, (uint64_t)i) * case_random(5, (uint64_t)j) / 4;
    case CASE_DUPLICATES:
      return case_random(1, (uint64_t)(i / 2) * (uint64_t)n + (uint64_t)j);
    case CASE_DIAGONAL:
      return i == j ? 5.0 - i / 3 % 5 : 0.0;
    case CASE_OUTLIER: /* |random| is about sqrt(max(m, n) / 3) times a small factor */
      return x + u0 * v0 * 5400.0 / sqrt((double)(m < n ? m : n));
    case CASE_DENORMAL:
      return x * 1e-41;
    case CASE_HUGE:
      return i == 0 && j == 0 ? 3e38 : x * 1e35;
    case CASE_ZERO:
    case CASE_COUNT:
      break;
  }
  return 0.0;
}

/* An owned m x n matrix of dtype; free(w.data - offset) by case_free. offset: bytes of bad luck. */
static inline lrp_matrix case_create(case_kind kind, lrp_dtype dtype, int m, int n, int offset) {
  const size_t size = lrp_dtype_size(dtype);
  unsigned char *p = malloc((size_t)m * (size_t)n * size + (size_t)offset);
  if (!p) abort();
  for (int i = 0; i < m; i++) {
    for (int j = 0; j < n; j++) {
      const double x = case_entry(kind, m, n, i, j);
      lrp_from_f64(p + (size_t)offset + ((size_t)i * (size_t)n + (size_t)j) * size, dtype, &x, 1);
    }
  }
  return (lrp_matrix){p + offset, dtype, m, n, n};
}

static inline void case_free(lrp_matrix *w, int offset) {
  free((unsigned char *)w->data - offset);
}

static inline double *case_doubles(const void *data, lrp_dtype dtype, int64_t rows, int64_t cols) {
  const lrp_matrix view = {data, dtype, rows, cols, cols};
  double *p = malloc((size_t)rows * (size_t)cols * sizeof *p);
  if (!p) abort();
  lrp_matrix_to_f64(p, &view);
  return p;
}

/* The product of stored factors, by plain loops: owned, m x n. */
static inline double *case_product(const lrp_factors *f) {
  double *left = case_doubles(f->left, f->dtype, f->m, f->rank);
  double *right = case_doubles(f->right, f->dtype, f->rank, f->n);
  double *p = calloc((size_t)f->m * (size_t)f->n, sizeof *p);
  if (!p) abort();
  for (int64_t i = 0; i < f->m; i++) {
    for (int64_t a = 0; a < f->rank; a++) {
      double x = 0.0; /* (left middle)(i, a), core taken as full */
      if (f->method == LRP_SVD) x = left[i * f->rank + a] * f->middle[a];
      for (int64_t b = 0; f->method == LRP_TUCKER && b < f->rank; b++) {
        x += left[i * f->rank + b] * f->middle[b * f->rank + a];
      }
      for (int64_t j = 0; j < f->n; j++) p[i * f->n + j] += x * right[a * f->n + j];
    }
  }
  free(right);
  free(left);
  return p;
}

/* |a - b|_F / |b|_F; the plain difference if b is zero. */
static inline double case_distance(const double *a, const double *b, int64_t count) {
  double error = 0.0;
  double norm = 0.0;
  for (int64_t i = 0; i < count; i++) {
    error += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return norm > 0.0 ? sqrt(error / norm) : sqrt(error);
}

/* |left^T left - I|_max and |right right^T - I|_max of stored factors, by plain loops. */
static inline double case_orthogonality(const lrp_factors *f) {
  double *left = case_doubles(f->left, f->dtype, f->m, f->rank);
  double *right = case_doubles(f->right, f->dtype, f->rank, f->n);
  double max = 0.0;
  for (int64_t a = 0; a < f->rank; a++) {
    for (int64_t b = 0; b < f->rank; b++) {
      double l = a == b ? -1.0 : 0.0;
      double r = l;
      for (int64_t i = 0; i < f->m; i++) l += left[i * f->rank + a] * left[i * f->rank + b];
      for (int64_t j = 0; j < f->n; j++) r += right[a * f->n + j] * right[b * f->n + j];
      max = fmax(max, fmax(fabs(l), fabs(r)));
    }
  }
  free(right);
  free(left);
  return max;
}

/* The entry of largest magnitude of each column of left is positive: the first of nearly equal
 * ones, nearly: within 1e-6 and what rounding to float32 leaves of it. */
static inline bool case_signs_fixed(const lrp_factors *f) {
  double *left = case_doubles(f->left, f->dtype, f->m, f->rank);
  bool ok = true;
  for (int64_t j = 0; j < f->rank; j++) {
    double largest = 0.0;
    double positive = 0.0; /* the largest positive one */
    for (int64_t i = 0; i < f->m; i++) {
      largest = fmax(largest, fabs(left[i * f->rank + j]));
      positive = fmax(positive, left[i * f->rank + j]);
    }
    ok = ok && largest > 0.0 && positive >= (1.0 - 2e-6) * largest;
  }
  free(left);
  return ok;
}

#endif
