#include "kernels/linalg/rows.h"

/* Terms per partial sum: few, because one large term (of the diagonal) makes all others coarse. */
enum { chunk = 64 };

lrp_isa_level lrp_isa(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
    return LRP_ISA_HAS_AVX512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return LRP_ISA_HAS_AVX2;
#endif
  return LRP_ISA_ANY;
}

typedef struct {
  float sign;
  const float *a, *x;
  float *y;
  int64_t row, step, ldx, ldy;
} product;

/* rows (constant) rows of y, whose sums stay in registers. */
static inline __attribute__((always_inline)) void tile(const product *p, int64_t i, int64_t k,
                                                       const int rows) {
  for (int64_t from = 0; from < k; from += chunk) {
    const int64_t to = k - from < chunk ? k : from + chunk;
    lrp_v16 sum[12][2];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = (lrp_v16){0};
    const float *a = p->a + i * p->row + from * p->step;
    const float *x = p->x + from * p->ldx;
    for (int64_t l = from; l < to; l++) {
      const lrp_v16 x0 = *(const lrp_v16_any *)x, x1 = *(const lrp_v16_any *)(x + 16);
#pragma GCC unroll 12
      for (int r = 0; r < rows; r++) {
        sum[r][0] += a[r * p->row] * x0;
        sum[r][1] += a[r * p->row] * x1;
      }
      a += p->step;
      x += p->ldx;
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
      lrp_v16_any *y = (lrp_v16_any *)(p->y + (i + r) * p->ldy);
      y[0] += p->sign * sum[r][0];
      y[1] += p->sign * sum[r][1];
    }
  }
}

/* All rows; most: as many as the registers hold; few: for what is left of them. */
static inline __attribute__((always_inline)) void tiles(const product *p, int64_t m, int64_t k,
                                                        const int most, const int few) {
  int64_t i = 0;
  for (; i + most <= m; i += most) tile(p, i, k, most);
  for (; i + few <= m; i += few) tile(p, i, k, few);
  for (; i < m; i++) tile(p, i, k, 1);
}

#if defined(__x86_64__)
LRP_ISA_AVX512 static void tiles_avx512(const product *p, int64_t m, int64_t k) {
  tiles(p, m, k, 12, 4);
}

LRP_ISA_AVX2 static void tiles_avx2(const product *p, int64_t m, int64_t k) {
  tiles(p, m, k, 3, 1);
}
#endif

void lrp_rows_product(float sign, int64_t m, int64_t k, const float *a, int64_t row, int64_t step,
                      const float *x, int64_t ldx, float *y, int64_t ldy) {
  const product p = {sign, a, x, y, row, step, ldx, ldy};
  switch (lrp_isa()) {
#if defined(__x86_64__)
    case LRP_ISA_HAS_AVX512:
      tiles_avx512(&p, m, k);
      break;
    case LRP_ISA_HAS_AVX2:
      tiles_avx2(&p, m, k);
      break;
#endif
    default:
      tiles(&p, m, k, 1, 1);
  }
}
