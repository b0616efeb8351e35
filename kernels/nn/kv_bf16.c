#include "kernels/nn/kv_avx512_keep.h"
#include "kernels/nn/kv_parts.h"

#ifdef LRP_HAVE_KV_AVX512

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

/* Two products at a time, of twice as many operands as float32 has. */
LRP_KV_INLINE TARGET __m512 multiply(__m512 sum, __m512 a, __m512 b) {
  return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

LRP_KV_INLINE TARGET void put(void *to, int64_t i, __mmask16 mask, __m512 p) {
  _mm256_mask_storeu_epi16((uint16_t *)to + i, mask, (__m256i)_mm512_cvtneps_pbh(p));
}

LRP_KV_INLINE TARGET __m512 floats(const float *row, int64_t d, int64_t from) {
  return _mm512_maskz_loadu_ps(lrp_kv_mask(d - from), row + from);
}

LRP_KV_INLINE TARGET __m512 load(const float *row, int64_t d, int64_t unit) {
  const __m512 low = floats(row, d, 2 * unit);
  const __m512 high = floats(row, d, 2 * unit + LRP_KV_LANES);
  return (__m512)_mm512_cvtne2ps_pbh(high, low);
}

TARGET static void keep_keys(const float *k, int64_t ld, int64_t d, int64_t from, int64_t count,
                             void *panel) {
  lrp_kv_keep_columns(load, k, ld, d, (d + 1) / 2, from, count, panel);
}

/* 16 channels of a position, in half of each lane */
LRP_KV_INLINE TARGET __m512i halves(const float *row, int64_t d, int64_t c) {
  return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(floats(row, d, c)));
}

TARGET static void keep_values(const float *v, int64_t ld, int64_t d, int64_t from, int64_t count,
                               void *panels) {
  for (int64_t i = from; i < from + count; i += 2 - i % 2) {
    const float *row = v + (i - from) * ld;
    const bool even = i % 2 == 0, odd = i % 2 != 0 || i + 1 < from + count;
    const __mmask32 mask = (even ? 0x55555555 : 0) | (odd ? 0xaaaaaaaa : 0);
    for (int64_t c = 0; c < d; c += LRP_KV_LANES) {
      const __m512i a = even ? halves(row, d, c) : _mm512_setzero_si512();
      const __m512i b = odd ? halves(even ? row + ld : row, d, c) : _mm512_setzero_si512();
      uint32_t *to = (uint32_t *)panels + (c / 2 + i / 2) * LRP_KV_LANES;
      _mm512_mask_storeu_epi16(to, mask, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
    }
  }
}

TARGET static void score(int rows, int count, const void *const *queries, const void *const *panels,
                         int64_t units, float *scores, int64_t ld) {
  lrp_kv_score(multiply, rows, count, queries, panels, units, scores, ld);
}

TARGET static double weigh(const float *scores, int64_t n, float factor, void *to) {
  return lrp_kv_weigh(scores, n, factor, to, true, put);
}

TARGET static void mix(int rows, const void *const *probabilities, const void *const *panels,
                       int64_t groups, int64_t vectors, float *sums, int64_t ld) {
  lrp_kv_mix(multiply, rows, LRP_KV_LANES / 2, probabilities, panels, groups, vectors, sums, ld);
}

TARGET static void scale(const float *x, int64_t n, float factor, void *to) {
  for (int64_t i = 0; i < n; i += LRP_KV_LANES) {
    put(to, i, lrp_kv_mask(n - i), _mm512_mul_ps(floats(x, n, i), _mm512_set1_ps(factor)));
  }
}

const lrp_kv_kernels *lrp_kv_bf16(void) {
  static const lrp_kv_kernels kernels = {.pairs = true,
                                         .keep_keys = keep_keys,
                                         .keep_values = keep_values,
                                         .score = score,
                                         .weigh = weigh,
                                         .mix = mix,
                                         .scale = scale};
  return lrp_kv_avx512() && __builtin_cpu_supports("avx512bf16") ? &kernels : NULL;
}

#else

const lrp_kv_kernels *lrp_kv_bf16(void) {
  return NULL;
}

#endif
