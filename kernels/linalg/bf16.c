#include "kernels/linalg/bf16.h"

#include "kernels/linalg/bf16_vector.h"

#ifdef LRP_HAVE_BF16_TARGET

enum {
  depth = 1024,    /* columns of W at a time: their part of x stays in the cache for all rows */
  max_rows = 8,    /* x max_vectors accumulators at most: 24 of the 32 registers are in use */
  max_vectors = 4, /* of 16 columns of x */
  group = 8        /* columns of t at a time: with two vectors of W, 16 accumulators */
};

typedef __m512 accumulators[max_rows][max_vectors];

/* At most LRP_BF16_ROWS rows of W, at up to 32 columns, of which mask says which exist; and the
 * rows that are fetched into the cache meanwhile. */
typedef struct {
  const unsigned char *data, *next;
  int64_t stride; /* bytes from row to row */
  int rows;
  __mmask32 mask;
} block;

bool lrp_bf16_available(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16");
}

/* acc += W x for one pair of columns, or the last single one. */
LRP_BF16_INLINE_TARGET void add_columns(int rows, int vectors, const unsigned char *const *w,
                                        int64_t offset, bool single, const uint32_t *x,
                                        accumulators acc) {
  __m512bh xv[max_vectors];
#pragma GCC unroll 4
  for (int v = 0; v < vectors; v++) xv[v] = (__m512bh)_mm512_loadu_si512(x + 16 * v);
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++) {
    const unsigned char *p = w[r] + offset;
    const __m512bh pair =
        lrp_bf16_broadcast(single ? lrp_bf16_load_single(p) : lrp_bf16_load_pair(p));
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) acc[r][v] = _mm512_dpbf16_ps(acc[r][v], pair, xv[v]);
  }
}

/* y (+)= W x for as many rows and vectors as registers hold. Rows that are not there repeat the
 * last one and are not stored. */
LRP_BF16_INLINE_TARGET void times_tile(int rows, int vectors, const lrp_matrix *w, int64_t row,
                                       int64_t col, int64_t cols, const uint32_t *x, int lp,
                                       float *y, bool begin) {
  const unsigned char *p[max_rows];
  float *dst[max_rows];
  accumulators acc;
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++) {
    const int64_t i = row + r < w->rows ? row + r : w->rows - 1;
    p[r] = (const unsigned char *)w->data + 2 * (i * w->ld + col);
    dst[r] = y + i * lp;
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
      acc[r][v] = begin ? _mm512_setzero_ps() : _mm512_loadu_ps(dst[r] + 16 * v);
    }
  }
  const int64_t even = cols / 2 * 4, next = 2 * rows * w->ld; /* bytes */
  for (int64_t b = 0; b < even; b += 4, x += lp) {
    if (b % 64 == 0) { /* the line of the rows that come next */
#pragma GCC unroll 8
      for (int r = 0; r < rows; r++) _mm_prefetch(p[r] + b + next, _MM_HINT_T1);
    }
    add_columns(rows, vectors, p, b, false, x, acc);
  }
  if (cols % 2 != 0) add_columns(rows, vectors, p, even, true, x, acc);
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++) {
    if (row + r >= w->rows) break;
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) _mm512_storeu_ps(dst[r] + 16 * v, acc[r][v]);
  }
}

/* All rows, one to four vectors of x: rows x vectors accumulators. */
#define TIMES_STRIP(rows_, vectors_)                                                              \
  LRP_BF16_TARGET static void times_##vectors_(const lrp_matrix *w, int64_t col, int64_t cols,    \
                                               const uint32_t *x, int lp, float *y, bool begin) { \
    for (int64_t i = 0; i < w->rows; i += rows_) {                                                \
      times_tile(rows_, vectors_, w, i, col, cols, x, lp, y, begin);                              \
    }                                                                                             \
  }
TIMES_STRIP(8, 1)
TIMES_STRIP(8, 2)
TIMES_STRIP(8, 3)
TIMES_STRIP(6, 4)

void lrp_bf16_times(const lrp_matrix *w, const uint32_t *x, int lp, float *y, bool begin) {
  static void (*const strip[])(const lrp_matrix *, int64_t, int64_t, const uint32_t *, int, float *,
                               bool) = {times_1, times_2, times_3, times_4};
  for (int64_t col = 0; col < w->cols; col += depth) {
    const int64_t cols = w->cols - col < depth ? w->cols - col : depth;
    for (int c = 0; c < lp; c += LRP_BF16_LANES * max_vectors) {
      const int vectors = (lp - c) / LRP_BF16_LANES;
      strip[(vectors < max_vectors ? vectors : max_vectors) - 1](w, col, cols, x + col / 2 * lp + c,
                                                                 lp, y + c, begin && col == 0);
    }
  }
}

/* z (+)= W^T t for a block of rows, 32 columns of W as interleaved pairs of rows, and 8 of t. The
 * first of a tile interleaves the pairs, the others find them in tile. */
LRP_BF16_INLINE_TARGET void transposed_tile(const block *w, bool first, __m512i (*tile)[2],
                                            const uint32_t *t, int lp, float *z, bool begin) {
  const unsigned char *a = w->data, *next = w->next;
  __m512 acc[group][2];
#pragma GCC unroll 8
  for (int c = 0; c < group; c++) {
    acc[c][0] = begin ? _mm512_setzero_ps() : _mm512_loadu_ps(z + 32 * c);
    acc[c][1] = begin ? _mm512_setzero_ps() : _mm512_loadu_ps(z + 32 * c + 16);
  }
  for (int i = 0; i < w->rows; i += 2, t += lp, tile++) {
    if (first) {
      const __mmask32 second = i + 1 < w->rows ? w->mask : 0;
      const __m512i even = _mm512_maskz_loadu_epi16(w->mask, a);
      const __m512i odd = _mm512_maskz_loadu_epi16(second, a + w->stride);
      tile[0][0] = _mm512_unpacklo_epi16(even, odd);
      tile[0][1] = _mm512_unpackhi_epi16(even, odd);
      a += 2 * w->stride;
      _mm_prefetch(next, _MM_HINT_T1);
      _mm_prefetch(next + w->stride, _MM_HINT_T1);
      next += 2 * w->stride;
    }
    _mm_prefetch((const char *)(z + 32 * group + 8 * i), _MM_HINT_T0); /* the next ones */
    const __m512bh low = (__m512bh)tile[0][0], high = (__m512bh)tile[0][1];
#pragma GCC unroll 8
    for (int c = 0; c < group; c++) {
      const __m512bh pair = lrp_bf16_broadcast(t[c]);
      acc[c][0] = _mm512_dpbf16_ps(acc[c][0], low, pair);
      acc[c][1] = _mm512_dpbf16_ps(acc[c][1], high, pair);
    }
  }
#pragma GCC unroll 8
  for (int c = 0; c < group; c++) {
    _mm512_storeu_ps(z + 32 * c, acc[c][0]);
    _mm512_storeu_ps(z + 32 * c + 16, acc[c][1]);
  }
}

LRP_BF16_TARGET static void transposed_block(block w, int64_t cols, const uint32_t *t, int lp,
                                             float *z, bool begin) {
  __m512i tile[LRP_BF16_ROWS / 2][2];
  for (int64_t j = 0; j < cols; j += LRP_BF16_TILE, z += LRP_BF16_TILE * lp) {
    if (cols - j < LRP_BF16_TILE) w.mask = (1u << (cols - j)) - 1;
    transposed_tile(&w, true, tile, t, lp, z, begin);
    for (int c = group; c < lp; c += group) {
      transposed_tile(&w, false, tile, t + c, lp, z + c * LRP_BF16_TILE, begin);
    }
    w.data += 2 * LRP_BF16_TILE;
    w.next += 2 * LRP_BF16_TILE;
  }
}

void lrp_bf16_transposed_times(const lrp_matrix *w, const uint32_t *t, int lp, float *z, bool begin,
                               bool more) {
  for (int64_t i = 0; i < w->rows; i += LRP_BF16_ROWS) {
    const int64_t left = w->rows - i;
    block b = {lrp_matrix_row(w, i), NULL, 2 * w->ld, 0, 0xffffffff};
    b.rows = (int)(left < LRP_BF16_ROWS ? left : LRP_BF16_ROWS);
    b.next = b.data + (more || left > b.rows ? b.rows * b.stride : 0);
    transposed_block(b, w->cols, t + i / 2 * lp, lp, z, begin && i == 0);
  }
}

LRP_BF16_INLINE_TARGET __m256i round16(__m512 x) {
  return (__m256i)_mm512_cvtneps_pbh(x);
}

LRP_BF16_TARGET void lrp_bf16_pack(uint32_t *dst, int lp, const float *x, int64_t ldx, int64_t n,
                                   int l) {
  for (int64_t k = 0; k < n; k += 2, x += 2 * ldx, dst += lp) {
    for (int c = 0; c < lp; c += LRP_BF16_LANES) {
      const __mmask16 mask = lrp_bf16_mask(l - c);
      const __mmask16 second = lrp_bf16_mask(k + 1 < n ? l - c : 0);
      const __m512 a = _mm512_maskz_loadu_ps(mask, x + c);
      const __m512 b = _mm512_maskz_loadu_ps(second, x + ldx + c);
      _mm512_storeu_si512(dst + c, lrp_bf16_interleave(round16(a), round16(b)));
    }
  }
}

LRP_BF16_TARGET static void round_all(uint16_t *dst, const float *src, int64_t count) {
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 mask = lrp_bf16_mask(count - i);
    _mm256_mask_storeu_epi16(dst + i, mask, round16(_mm512_maskz_loadu_ps(mask, src + i)));
  }
}

void lrp_bf16_from_matrix(uint16_t *dst, int64_t ld, const lrp_matrix *w) {
  enum { chunk = 512 };
  float wide[chunk];
  const size_t size = lrp_dtype_size(w->dtype);
  for (int64_t i = 0; i < w->rows; i++) {
    const unsigned char *row = lrp_matrix_row(w, i);
    for (int64_t j = 0; j < w->cols; j += chunk) {
      const int64_t count = w->cols - j < chunk ? w->cols - j : chunk;
      lrp_to_f32(wide, row + (size_t)j * size, w->dtype, (size_t)count);
      round_all(dst + i * ld + j, wide, count);
    }
  }
}

#else

bool lrp_bf16_available(void) {
  return false;
}

#endif
