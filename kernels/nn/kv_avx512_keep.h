/** @file kernels/nn/kv_avx512_keep.h
 *  keep_keys of kernels/nn/kv_parts.h by AVX-512, for both kinds of units: inlined into
 *  kv_avx512.c and kv_bf16.c, the sole users. */
#ifndef LRP_KERNELS_NN_KV_AVX512_KEEP_H
#define LRP_KERNELS_NN_KV_AVX512_KEEP_H

#include "kernels/nn/kv_avx512.h"

#ifdef LRP_HAVE_KV_AVX512

/** 16 units of a row of d floats from the given one on; zeros behind it. */
typedef __m512 lrp_kv_load(const float *row, int64_t d, int64_t unit);

/** Columns of each half of 4 x 4 blocks, by 128 bits: x[4 i + j] holds columns j, 4 + j, 8 + j and
 *  12 + j of the rows 4 i .. 4 i + 3. */
LRP_KV_INLINE LRP_KV_TARGET void lrp_kv_transpose_blocks(__m512 x[LRP_KV_LANES]) {
  __m512d t[LRP_KV_LANES];
#pragma GCC unroll 8
  for (int i = 0; i < LRP_KV_LANES; i += 2) {
    t[i] = _mm512_castps_pd(_mm512_unpacklo_ps(x[i], x[i + 1]));
    t[i + 1] = _mm512_castps_pd(_mm512_unpackhi_ps(x[i], x[i + 1]));
  }
#pragma GCC unroll 4
  for (int i = 0; i < LRP_KV_LANES; i += 4) {
    x[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(t[i], t[i + 2]));
    x[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(t[i], t[i + 2]));
    x[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(t[i + 1], t[i + 3]));
    x[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(t[i + 1], t[i + 3]));
  }
}

/** x[j] = column j of the 16 rows x. */
LRP_KV_INLINE LRP_KV_TARGET void lrp_kv_transpose(__m512 x[LRP_KV_LANES]) {
  __m512 y[LRP_KV_LANES];
  lrp_kv_transpose_blocks(x);
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    const __m512 even = _mm512_shuffle_f32x4(x[j], x[4 + j], 0x88);
    const __m512 odd = _mm512_shuffle_f32x4(x[j], x[4 + j], 0xdd);
    const __m512 even2 = _mm512_shuffle_f32x4(x[8 + j], x[12 + j], 0x88);
    const __m512 odd2 = _mm512_shuffle_f32x4(x[8 + j], x[12 + j], 0xdd);
    y[j] = _mm512_shuffle_f32x4(even, even2, 0x88);
    y[4 + j] = _mm512_shuffle_f32x4(odd, odd2, 0x88);
    y[8 + j] = _mm512_shuffle_f32x4(even, even2, 0xdd);
    y[12 + j] = _mm512_shuffle_f32x4(odd, odd2, 0xdd);
  }
#pragma GCC unroll 16
  for (int j = 0; j < LRP_KV_LANES; j++) x[j] = y[j];
}

/** @param units  of a row of d floats */
LRP_KV_INLINE LRP_KV_TARGET void lrp_kv_keep_columns(lrp_kv_load *load, const float *k, int64_t ld,
                                                     int64_t d, int64_t units, int64_t from,
                                                     int64_t count, float *panel) {
  const __mmask16 columns = (__mmask16)(((1u << count) - 1) << from);
  for (int64_t u = 0; u < units; u += LRP_KV_LANES) {
    __m512 x[LRP_KV_LANES];
#pragma GCC unroll 16
    for (int i = 0; i < LRP_KV_LANES; i++) {
      x[i] = columns >> i & 1 ? load(k + (i - from) * ld, d, u) : _mm512_setzero_ps();
    }
    lrp_kv_transpose(x);
#pragma GCC unroll 16
    for (int i = 0; i < LRP_KV_LANES; i++) {
      if (u + i < units) _mm512_mask_storeu_ps(panel + (u + i) * LRP_KV_LANES, columns, x[i]);
    }
  }
}

#endif
#endif
