/** @file kernels/linalg/bf16_vector.h
 *  Functions with AVX512_BF16 instructions in a program for any x86-64. Internal to this folder. */
#ifndef LRP_KERNELS_LINALG_BF16_VECTOR_H
#define LRP_KERNELS_LINALG_BF16_VECTOR_H

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define LRP_HAVE_BF16_TARGET   1
#define LRP_BF16_TARGET        __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#define LRP_BF16_INLINE_TARGET static inline __attribute__((always_inline)) LRP_BF16_TARGET

/** The pair in every lane. */
LRP_BF16_INLINE_TARGET __m512bh lrp_bf16_broadcast(uint32_t pair) {
  return (__m512bh)_mm512_set1_epi32((int)pair);
}

/** The first count of 16 lanes: none if it is negative, at most all. */
static inline __mmask16 lrp_bf16_mask(int64_t count) {
  const unsigned all = 0xffff;
  return (__mmask16)(count >= 16 ? all : count > 0 ? (1u << count) - 1 : 0);
}

/** 16 pairs of elements of two rows. */
LRP_BF16_INLINE_TARGET __m512i lrp_bf16_interleave(__m256i a, __m256i b) {
  return _mm512_or_si512(_mm512_cvtepu16_epi32(a), _mm512_slli_epi32(_mm512_cvtepu16_epi32(b), 16));
}

/** Two neighbours at any address. */
static inline uint32_t lrp_bf16_load_pair(const unsigned char *p) {
  uint32_t x;
  memcpy(&x, p, sizeof x);
  return x;
}

/** The last one of an odd number, and zero. */
static inline uint32_t lrp_bf16_load_single(const unsigned char *p) {
  uint16_t x;
  memcpy(&x, p, sizeof x);
  return x;
}

#endif
#endif
