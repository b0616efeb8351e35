#include "kernels/linalg/back.h"

/* Rows of c that stay in the first-level cache. */
enum { columns = LRP_BACK_COLUMNS, lanes = LRP_BACK_LANES, width = LRP_BAND, chunk = 96 };

typedef struct {
  const float *v, *t; /* of one panel */
  float *c;           /* its rows */
  int64_t m;
} reflection;

/* sum = sum_l a[r * row + l * step] x(l, :), r < rows (constant), l < k. */
static inline __attribute__((always_inline)) void sum_rows(int64_t k, const float *a, int64_t row,
                                                           int64_t step, const float *x,
                                                           lrp_v16 sum[8][3], const int rows,
                                                           const int wide) {
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++) {
#pragma GCC unroll 3
    for (int q = 0; q < wide; q++) sum[r][q] = (lrp_v16){0};
  }
  for (int64_t l = 0; l < k; l++) {
    const lrp_v16 *xl = (const lrp_v16 *)(x + l * columns);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 3
      for (int q = 0; q < wide; q++) sum[r][q] += a[r * row + l * step] * xl[q];
    }
  }
}

/* w = V^T c, by chunks of rows. */
static inline __attribute__((always_inline)) void project(const reflection *s, lrp_v16 w[width][3],
                                                          const int rows, const int wide) {
  for (int i = 0; i < width; i++) w[i][0] = w[i][1] = w[i][2] = (lrp_v16){0};
  for (int64_t from = 0; from < s->m; from += chunk) {
    const int64_t k = s->m - from < chunk ? s->m - from : chunk;
    for (int i = 0; i < width; i += rows) {
      lrp_v16 sum[8][3];
      sum_rows(k, s->v + from * width + i, 1, width, s->c + from * columns, sum, rows, wide);
#pragma GCC unroll 8
      for (int r = 0; r < rows; r++) {
#pragma GCC unroll 3
        for (int q = 0; q < wide; q++) w[i + r][q] += sum[r][q];
      }
    }
  }
}

/* c -= V w for rows (constant) rows from i on. */
static inline __attribute__((always_inline)) void subtract(const reflection *s, int64_t i,
                                                           lrp_v16 w[width][3], const int rows,
                                                           const int wide) {
  lrp_v16 sum[8][3];
  sum_rows(width, s->v + i * width, width, 1, (const float *)w, sum, rows, wide);
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++) {
    lrp_v16 *row = (lrp_v16 *)(s->c + (i + r) * columns);
#pragma GCC unroll 3
    for (int q = 0; q < wide; q++) row[q] -= sum[r][q];
  }
}

/* c = (I - V T V^T) c. */
static inline __attribute__((always_inline)) void reflect(const reflection *s, const int rows,
                                                          const int wide) {
  lrp_v16 w[width][3];
  int64_t i = 0;
  project(s, w, rows, wide);
  for (int q = 0; q < width; q++) { /* w = T w */
    lrp_v16 sum[3] = {{0}, {0}, {0}};
    for (int l = q; l < width; l++) {
#pragma GCC unroll 3
      for (int x = 0; x < wide; x++) sum[x] += s->t[q * width + l] * w[l][x];
    }
#pragma GCC unroll 3
    for (int x = 0; x < wide; x++) w[q][x] = sum[x];
  }
  for (; i + rows <= s->m; i += rows) subtract(s, i, w, rows, wide);
  for (; i < s->m; i++) subtract(s, i, w, 1, wide);
}

/* All panels, the last one first. */
static inline __attribute__((always_inline)) void reflect_all(int64_t n, lrp_band_q q, float *c,
                                                              const int rows, const int wide) {
  for (int64_t p = lrp_band_panels((int)n) - 1; p >= 0; p--) {
    const int64_t row = (p + 1) * width;
    const reflection s = {q.v + lrp_band_v_rows(n, p) * width, q.t + p * width * width,
                          c + row * columns, n - row};
    reflect(&s, rows, wide);
  }
}

#if defined(__x86_64__)
LRP_ISA_AVX512 static void reflect_avx512(int n, lrp_band_q q, float *c, int wide) {
  switch (wide) {
    case 1:
      reflect_all(n, q, c, 8, 1);
      break;
    case 2:
      reflect_all(n, q, c, 8, 2);
      break;
    default:
      reflect_all(n, q, c, 8, 3);
  }
}

LRP_ISA_AVX2 static void reflect_avx2(int n, lrp_band_q q, float *c, int wide) {
  for (int k = 0; k < wide; k++) reflect_all(n, q, c + k * lanes, 4, 1);
}
#endif

void lrp_back_band(int n, lrp_band_q q, float *c, int wide) {
  switch (lrp_isa()) {
#if defined(__x86_64__)
    case LRP_ISA_HAS_AVX512:
      reflect_avx512(n, q, c, wide);
      break;
    case LRP_ISA_HAS_AVX2:
      reflect_avx2(n, q, c, wide);
      break;
#endif
    default:
      for (int k = 0; k < wide; k++) reflect_all(n, q, c + k * lanes, 2, 1);
  }
}
