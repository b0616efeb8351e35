/** @file kernels/nn/kv_avx512.h
 *  The kernels of kernels/nn/kv_parts.h by AVX-512, for any way to multiply units: inlined into
 *  kv_avx512.c and kv_bf16.c, the sole users. */
#ifndef LRP_KERNELS_NN_KV_AVX512_H
#define LRP_KERNELS_NN_KV_AVX512_H

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernels/nn/kv_parts.h"

#define LRP_HAVE_KV_AVX512 1
#define LRP_KV_TARGET      __attribute__((target("avx512f,avx512bw,avx512vl")))
#define LRP_KV_INLINE      static inline __attribute__((always_inline))

/** sum + a b, unit by unit. */
typedef __m512 lrp_kv_multiply(__m512 sum, __m512 a, __m512 b);

/** Put those of 16 probabilities that mask names at index i. */
typedef void lrp_kv_put(void *to, int64_t i, __mmask16 mask, __m512 p);

typedef __m512 lrp_kv_sums[LRP_KV_ROWS][LRP_KV_PANELS];

LRP_KV_INLINE LRP_KV_TARGET __m512 lrp_kv_broadcast(const unsigned char *unit) {
  int32_t bits;
  memcpy(&bits, unit, sizeof bits);
  return _mm512_castsi512_ps(_mm512_set1_epi32(bits));
}

/** sums += units of rows times panels. */
LRP_KV_INLINE LRP_KV_TARGET void lrp_kv_times(lrp_kv_multiply *multiply, int rows, int vectors,
                                              const unsigned char *const *x,
                                              const float *const *panels, int64_t units,
                                              lrp_kv_sums sums) {
  for (int64_t u = 0; u < units; u++) {
    __m512 b[LRP_KV_PANELS];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) b[v] = _mm512_loadu_ps(panels[v] + u * LRP_KV_LANES);
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
      const __m512 a = lrp_kv_broadcast(x[r] + 4 * u);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++) sums[r][v] = multiply(sums[r][v], a, b[v]);
    }
  }
}

LRP_KV_INLINE LRP_KV_TARGET void lrp_kv_clear(int rows, int vectors, lrp_kv_sums sums) {
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) sums[r][v] = _mm512_setzero_ps();
  }
}

LRP_KV_INLINE LRP_KV_TARGET void lrp_kv_score_tile(lrp_kv_multiply *multiply, int rows, int count,
                                                   const void *const *queries,
                                                   const void *const *panels, int64_t units,
                                                   float *scores, int64_t ld) {
  enum { step = 4 };
  const unsigned char *x[LRP_KV_ROWS];
  const float *b[LRP_KV_PANELS];
  lrp_kv_sums sums;
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++) x[r] = queries[r];
#pragma GCC unroll 4
  for (int v = 0; v < count; v++) b[v] = panels[v];
  lrp_kv_clear(rows, count, sums);
  for (; units >= step; units -= step) { /* a constant number is unrolled */
    lrp_kv_times(multiply, rows, count, x, b, step, sums);
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) x[r] += 4 * step;
#pragma GCC unroll 4
    for (int v = 0; v < count; v++) b[v] += step * LRP_KV_LANES;
  }
  lrp_kv_times(multiply, rows, count, x, b, units, sums);
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
    for (int v = 0; v < count; v++) {
      _mm512_storeu_ps(scores + r * ld + v * LRP_KV_LANES, sums[r][v]);
    }
  }
}

LRP_KV_INLINE LRP_KV_TARGET void lrp_kv_score_rows(lrp_kv_multiply *multiply, int rows, int count,
                                                   const void *const *queries,
                                                   const void *const *panels, int64_t units,
                                                   float *scores, int64_t ld) {
  switch (count) {
    case 1:
      lrp_kv_score_tile(multiply, rows, 1, queries, panels, units, scores, ld);
      break;
    case 2:
      lrp_kv_score_tile(multiply, rows, 2, queries, panels, units, scores, ld);
      break;
    case 3:
      lrp_kv_score_tile(multiply, rows, 3, queries, panels, units, scores, ld);
      break;
    default:
      lrp_kv_score_tile(multiply, rows, 4, queries, panels, units, scores, ld);
  }
}

/** Channels 16 c .. 16 (c + vectors) - 1 of the sums; units of a panel. */
LRP_KV_INLINE LRP_KV_TARGET void lrp_kv_mix_tile(lrp_kv_multiply *multiply, int rows, int vectors,
                                                 int units, const void *const *probabilities,
                                                 const void *const *panels, int64_t groups,
                                                 int64_t c, float *to, int64_t ld) {
  const unsigned char *x[LRP_KV_ROWS];
  lrp_kv_sums sums;
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++) x[r] = probabilities[r];
  lrp_kv_clear(rows, vectors, sums);
  for (int64_t g = 0; g < groups; g++) {
    const float *b[LRP_KV_PANELS];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
      b[v] = (const float *)panels[g] + (c + v) * units * LRP_KV_LANES;
    }
    lrp_kv_times(multiply, rows, vectors, x, b, units, sums);
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) x[r] += 4 * units;
  }
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
      float *sum = to + r * ld + (c + v) * LRP_KV_LANES;
      _mm512_storeu_ps(sum, _mm512_add_ps(_mm512_loadu_ps(sum), sums[r][v]));
    }
  }
}

LRP_KV_INLINE LRP_KV_TARGET void lrp_kv_mix_rows(lrp_kv_multiply *multiply, int rows, int units,
                                                 const void *const *probabilities,
                                                 const void *const *panels, int64_t groups,
                                                 int64_t vectors, float *sums, int64_t ld) {
  int64_t c = 0;
  for (; c + LRP_KV_PANELS <= vectors; c += LRP_KV_PANELS) {
    lrp_kv_mix_tile(multiply, rows, LRP_KV_PANELS, units, probabilities, panels, groups, c, sums,
                    ld);
  }
  for (; c < vectors; c++) {
    lrp_kv_mix_tile(multiply, rows, 1, units, probabilities, panels, groups, c, sums, ld);
  }
}

/** score of kernels/nn/kv_parts.h. A constant number of rows leaves their sums in registers. */
LRP_KV_INLINE LRP_KV_TARGET void lrp_kv_score(lrp_kv_multiply *multiply, int rows, int count,
                                              const void *const *queries, const void *const *panels,
                                              int64_t units, float *scores, int64_t ld) {
  switch (rows) {
    case 1:
      lrp_kv_score_rows(multiply, 1, count, queries, panels, units, scores, ld);
      break;
    case 2:
      lrp_kv_score_rows(multiply, 2, count, queries, panels, units, scores, ld);
      break;
    case 3:
      lrp_kv_score_rows(multiply, 3, count, queries, panels, units, scores, ld);
      break;
    case 4:
      lrp_kv_score_rows(multiply, 4, count, queries, panels, units, scores, ld);
      break;
    case 5:
      lrp_kv_score_rows(multiply, 5, count, queries, panels, units, scores, ld);
      break;
    default:
      lrp_kv_score_rows(multiply, 6, count, queries, panels, units, scores, ld);
  }
}

/** mix of kernels/nn/kv_parts.h, for panels of so many units. */
LRP_KV_INLINE LRP_KV_TARGET void lrp_kv_mix(lrp_kv_multiply *multiply, int rows, int units,
                                            const void *const *probabilities,
                                            const void *const *panels, int64_t groups,
                                            int64_t vectors, float *sums, int64_t ld) {
  switch (rows) {
    case 1:
      lrp_kv_mix_rows(multiply, 1, units, probabilities, panels, groups, vectors, sums, ld);
      break;
    case 2:
      lrp_kv_mix_rows(multiply, 2, units, probabilities, panels, groups, vectors, sums, ld);
      break;
    case 3:
      lrp_kv_mix_rows(multiply, 3, units, probabilities, panels, groups, vectors, sums, ld);
      break;
    case 4:
      lrp_kv_mix_rows(multiply, 4, units, probabilities, panels, groups, vectors, sums, ld);
      break;
    case 5:
      lrp_kv_mix_rows(multiply, 5, units, probabilities, panels, groups, vectors, sums, ld);
      break;
    default:
      lrp_kv_mix_rows(multiply, 6, units, probabilities, panels, groups, vectors, sums, ld);
  }
}

/** The first count of 16 lanes: none if it is negative, at most all. */
LRP_KV_INLINE __mmask16 lrp_kv_mask(int64_t count) {
  return (__mmask16)(count >= LRP_KV_LANES ? 0xffffu : count > 0 ? (1u << count) - 1 : 0);
}

LRP_KV_INLINE LRP_KV_TARGET float lrp_kv_largest(const float *x, int64_t n) {
  const __m512 lowest = _mm512_set1_ps(-INFINITY);
  __m512 max = lowest;
  int64_t i = 0;
  for (; i + LRP_KV_LANES <= n; i += LRP_KV_LANES) max = _mm512_max_ps(max, _mm512_loadu_ps(x + i));
  max = _mm512_max_ps(max, _mm512_mask_loadu_ps(lowest, lrp_kv_mask(n - i), x + i));
  return _mm512_reduce_max_ps(max);
}

LRP_KV_INLINE LRP_KV_TARGET __m512 lrp_kv_step(__m512 p, __m512 r, float c) {
  return _mm512_fmadd_ps(p, r, _mm512_set1_ps(c));
}

/** 2^t, at least 2^-126; NaN stays NaN. By minimax polynomials on |r| <= 1/2: to 8e-8 relative
 *  with rounding, or coarse, for what becomes bfloat16, to 3e-6. */
LRP_KV_INLINE LRP_KV_TARGET __m512 lrp_kv_exp2(__m512 t, bool coarse) {
  t = _mm512_max_ps(_mm512_set1_ps(-126.0f), t);
  const __m512 n = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = _mm512_sub_ps(t, n);
  __m512 p;
  if (coarse) {
    p = lrp_kv_step(_mm512_set1_ps(0.00957010195f), r, 0.0559178616f);
    p = lrp_kv_step(p, r, 0.240247448f);
    p = lrp_kv_step(p, r, 0.693121815f);
    p = lrp_kv_step(p, r, 0.999999261f);
  } else {
    p = lrp_kv_step(_mm512_set1_ps(0.00015345812f), r, 0.00133999314f);
    p = lrp_kv_step(p, r, 0.00961848896f);
    p = lrp_kv_step(p, r, 0.0555032878f);
    p = lrp_kv_step(p, r, 0.240226469f);
    p = lrp_kv_step(p, r, 0.693147206f);
    p = lrp_kv_step(p, r, 1.0f);
  }
  return _mm512_scalef_ps(p, n);
}

/** Those of 16 probabilities that mask names; zero the others. */
LRP_KV_INLINE LRP_KV_TARGET __m512 lrp_kv_weigh_lanes(const float *scores, __mmask16 mask,
                                                      __m512 factor, __m512 most, bool coarse) {
  const __m512 x = _mm512_maskz_loadu_ps(mask, scores);
  return _mm512_maskz_mov_ps(mask, lrp_kv_exp2(_mm512_fmsub_ps(x, factor, most), coarse));
}

/** weigh of kernels/nn/kv_parts.h. Sums are float over 256 positions, then double. */
LRP_KV_INLINE LRP_KV_TARGET double lrp_kv_weigh(const float *scores, int64_t n, float scale,
                                                void *to, bool coarse, lrp_kv_put *put) {
  const float scale2 = scale * 1.44269504f; /* log2(e) */
  const __m512 factor = _mm512_set1_ps(scale2);
  const __m512 most = _mm512_set1_ps(scale2 * lrp_kv_largest(scores, n));
  __m512d sum = _mm512_setzero_pd();
  for (int64_t i = 0; i < n;) {
    const int64_t chunk = LRP_KV_CHUNK * LRP_KV_LANES, end = n - i < chunk ? n : i + chunk;
    __m512 part = _mm512_setzero_ps();
    for (; i + LRP_KV_LANES <= end; i += LRP_KV_LANES) {
      const __m512 p = lrp_kv_weigh_lanes(scores + i, 0xffff, factor, most, coarse);
      part = _mm512_add_ps(part, p);
      put(to, i, 0xffff, p);
    }
    if (i < end) {
      const __mmask16 mask = lrp_kv_mask(end - i);
      const __m512 p = lrp_kv_weigh_lanes(scores + i, mask, factor, most, coarse);
      part = _mm512_add_ps(part, p);
      put(to, i, mask, p);
      i = end;
    }
    const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(part), 1));
    sum = _mm512_add_pd(sum, _mm512_cvtps_pd(_mm512_castps512_ps256(part)));
    sum = _mm512_add_pd(sum, _mm512_cvtps_pd(high));
  }
  return _mm512_reduce_add_pd(sum);
}

#endif
#endif
