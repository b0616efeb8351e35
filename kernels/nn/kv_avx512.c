#include "kernels/nn/kv_avx512_keep.h"

#include "kernels/nn/kv_parts.h"

#ifdef LRP_HAVE_KV_AVX512

LRP_KV_INLINE LRP_KV_TARGET __m512 multiply(__m512 sum, __m512 a, __m512 b) {
  return _mm512_fmadd_ps(a, b, sum);
}

LRP_KV_INLINE LRP_KV_TARGET void put(void *to, int64_t i, __mmask16 mask, __m512 p) {
  _mm512_mask_storeu_ps((float *)to + i, mask, p);
}

LRP_KV_INLINE LRP_KV_TARGET __m512 load(const float *row, int64_t d, int64_t unit) {
  return _mm512_maskz_loadu_ps(lrp_kv_mask(d - unit), row + unit);
}

LRP_KV_TARGET static void keep_keys(const float *k, int64_t ld, int64_t d, int64_t from,
                                    int64_t count, void *panel) {
  lrp_kv_keep_columns(load, k, ld, d, d, from, count, panel);
}

LRP_KV_TARGET static void keep_values(const float *v, int64_t ld, int64_t d, int64_t from,
                                      int64_t count, void *panels) {
  for (int64_t i = 0; i < count; i++) {
    for (int64_t c = 0; c < d; c += LRP_KV_LANES) {
      float *to = (float *)panels + (c + from + i) * LRP_KV_LANES;
      _mm512_storeu_ps(to, load(v + i * ld, d, c));
    }
  }
}

LRP_KV_TARGET static void score(int rows, int count, const void *const *queries,
                                const void *const *panels, int64_t units, float *scores,
                                int64_t ld) {
  lrp_kv_score(multiply, rows, count, queries, panels, units, scores, ld);
}

LRP_KV_TARGET static double weigh(const float *scores, int64_t n, float factor, void *to) {
  return lrp_kv_weigh(scores, n, factor, to, false, put);
}

LRP_KV_TARGET static void mix(int rows, const void *const *probabilities, const void *const *panels,
                              int64_t groups, int64_t vectors, float *sums, int64_t ld) {
  lrp_kv_mix(multiply, rows, LRP_KV_LANES, probabilities, panels, groups, vectors, sums, ld);
}

LRP_KV_TARGET static void scale(const float *x, int64_t n, float factor, void *to) {
  for (int64_t i = 0; i < n; i += LRP_KV_LANES) {
    put(to, i, lrp_kv_mask(n - i), _mm512_mul_ps(load(x, n, i), _mm512_set1_ps(factor)));
  }
}

const lrp_kv_kernels *lrp_kv_avx512(void) {
  static const lrp_kv_kernels kernels = {.keep_keys = keep_keys,
                                         .keep_values = keep_values,
                                         .score = score,
                                         .weigh = weigh,
                                         .mix = mix,
                                         .scale = scale};
  const bool available = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512vl");
  return available ? &kernels : NULL;
}

#else

const lrp_kv_kernels *lrp_kv_avx512(void) {
  return NULL;
}

#endif
