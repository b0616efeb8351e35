#include "kernels/linalg/back.h"

enum { columns = LRP_BACK_COLUMNS, lanes = LRP_BACK_LANES, sweeps = LRP_SWEEPS };

/* H_1 H_2 ... = I - V T V^T. Source: as in band.c. */
void lrp_diamond_complete(float *diamond) {
  float *t = diamond + LRP_DIAMOND_T;
  float vtv[sweeps][sweeps] = {{0.0f}};
  for (int i = 0; i < LRP_DIAMOND_ROWS; i++) {
    const float *v = diamond + i * sweeps;
    for (int a = 0; a < sweeps; a++) {
      for (int b = 0; b < sweeps; b++) vtv[a][b] += v[a] * v[b];
    }
  }
  for (int j = 1; j < sweeps; j++) {
    for (int i = 0; i < j; i++) {
      float sum = 0.0f;
      for (int l = i; l < j; l++) sum += t[i * sweeps + l] * vtv[l][j];
      t[i * sweeps + j] = -t[j * sweeps + j] * sum;
    }
  }
}

/* w = V^T c for the rows from..to of a diamond, where only the reflectors q0..q1 are not zero. */
static inline __attribute__((always_inline)) void project(const float *diamond, const float *c,
                                                          lrp_v16 w[sweeps][3], const int wide,
                                                          int from, int to, const int q0,
                                                          const int q1) {
  for (int i = from; i < to; i++) {
    const lrp_v16 *row = (const lrp_v16 *)(c + i * columns);
#pragma GCC unroll 8
    for (int q = q0; q < q1; q++) {
#pragma GCC unroll 3
      for (int k = 0; k < wide; k++) w[q][k] += diamond[i * sweeps + q] * row[k];
    }
  }
}

/* c -= V w for the same. */
static inline __attribute__((always_inline)) void subtract(const float *diamond, float *c,
                                                           lrp_v16 w[sweeps][3], const int wide,
                                                           int from, int to, const int q0,
                                                           const int q1) {
  for (int i = from; i < to; i++) {
    lrp_v16 *row = (lrp_v16 *)(c + i * columns);
    lrp_v16 x[3];
#pragma GCC unroll 3
    for (int k = 0; k < wide; k++) x[k] = row[k];
#pragma GCC unroll 8
    for (int q = q0; q < q1; q++) {
#pragma GCC unroll 3
      for (int k = 0; k < wide; k++) x[k] -= diamond[i * sweeps + q] * w[q][k];
    }
#pragma GCC unroll 3
    for (int k = 0; k < wide; k++) row[k] = x[k];
  }
}

/* c = (I - V T V^T) c for the rows of a diamond and wide (constant) vectors of columns. V^T c stays
 * in registers. In the first rows of V only the first half of the reflectors has begun, in the last
 * ones the other half is left. */
static inline __attribute__((always_inline)) void apply(const float *diamond, float *c,
                                                        const int wide) {
  enum { half = sweeps / 2, end = LRP_DIAMOND_ROWS };
  const float *t = diamond + LRP_DIAMOND_T;
  lrp_v16 w[sweeps][3];
#pragma GCC unroll 8
  for (int q = 0; q < sweeps; q++) {
#pragma GCC unroll 3
    for (int k = 0; k < wide; k++) w[q][k] = (lrp_v16){0};
  }
  project(diamond, c, w, wide, 0, half, 0, half);
  project(diamond, c, w, wide, half, end - half, 0, sweeps);
  project(diamond, c, w, wide, end - half, end, half, sweeps);
#pragma GCC unroll 8
  for (int q = 0; q < sweeps; q++) {
#pragma GCC unroll 3
    for (int k = 0; k < wide; k++) {
      w[q][k] *= t[q * sweeps + q];
#pragma GCC unroll 8
      for (int p = q + 1; p < sweeps; p++) w[q][k] += t[q * sweeps + p] * w[p][k];
    }
  }
  subtract(diamond, c, w, wide, 0, half, 0, half);
  subtract(diamond, c, w, wide, half, end - half, 0, sweeps);
  subtract(diamond, c, w, wide, end - half, end, half, sweeps);
}

/* All diamonds: the last group of sweeps first, each from the top. */
static inline __attribute__((always_inline)) void apply_all(int n, const float *diamonds, float *c,
                                                            const int wide) {
  const int groups = lrp_chase_groups(n);
  const float *end = diamonds + lrp_chase_diamonds(n, groups) * LRP_DIAMOND_SIZE;
  for (int g = groups - 1; g >= 0; g--) {
    const int64_t first = (int64_t)g * sweeps, steps = lrp_chase_steps(n, first);
    const float *begin = end - steps * LRP_DIAMOND_SIZE;
    for (int64_t k = 0; k < steps; k++) {
      apply(begin + k * LRP_DIAMOND_SIZE, c + (first + 1 + k * LRP_BAND) * columns, wide);
    }
    end = begin;
  }
}

#if defined(__x86_64__)
LRP_ISA_AVX512 static void apply_avx512(int n, const float *diamonds, float *c, int wide) {
  switch (wide) {
    case 1:
      apply_all(n, diamonds, c, 1);
      break;
    case 2:
      apply_all(n, diamonds, c, 2);
      break;
    default:
      apply_all(n, diamonds, c, 3);
  }
}

LRP_ISA_AVX2 static void apply_avx2(int n, const float *diamonds, float *c, int wide) {
  for (int k = 0; k < wide; k++) apply_all(n, diamonds, c + k * lanes, 1);
}
#endif

void lrp_back_chase(int n, const float *diamonds, float *c, int wide) {
  switch (lrp_isa()) {
#if defined(__x86_64__)
    case LRP_ISA_HAS_AVX512:
      apply_avx512(n, diamonds, c, wide);
      break;
    case LRP_ISA_HAS_AVX2:
      apply_avx2(n, diamonds, c, wide);
      break;
#endif
    default:
      for (int k = 0; k < wide; k++) apply_all(n, diamonds, c + k * lanes, 1);
  }
}
