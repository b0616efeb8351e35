#include "kernels/linalg/bf16_gram.h"

#include <omp.h>
#include <string.h>

#include "kernels/linalg/bf16_vector.h"

#ifdef LRP_HAVE_BF16_TARGET

/* G is made of square blocks, one for two strips of the short side of W. A strip is packed as pairs
 * along the long side: pair p of column i of the strip at [p * strip + i]. */
enum {
  strip = 48, /* three vectors: with 8 broadcasts, 24 accumulators */
  lanes = 16,
  group = 8,
  chain = 64, /* pairs summed in registers, then added up: the instruction rounds down a little */
  depth = 512 /* pairs in a panel */
};

typedef struct {
  const lrp_matrix *w;
  bool wide; /* G = W W^T: strips of rows */
  int64_t k; /* the short side */
  int64_t strips;
  uint32_t *packed;
  float *g;
} job;

/* Pairs of two rows, for G = W^T W. */
LRP_BF16_TARGET static void pack_columns(const lrp_matrix *w, int64_t row, int64_t pairs,
                                         int64_t col, uint32_t *dst) {
  __mmask16 mask[strip / lanes];
  for (int v = 0; v < strip / lanes; v++) mask[v] = lrp_bf16_mask(w->cols - col - v * lanes);
  for (int64_t p = 0; p < pairs; p++, row += 2, dst += strip) {
    const unsigned char *a = (const unsigned char *)lrp_matrix_row(w, row) + 2 * col;
    for (int v = 0; v < strip / lanes; v++) {
      const __m256i even = _mm256_maskz_loadu_epi16(mask[v], a + 2 * v * lanes);
      const __mmask16 second = (__mmask16)(row + 1 < w->rows ? mask[v] : 0);
      const __m256i odd = _mm256_maskz_loadu_epi16(second, a + 2 * (w->ld + v * lanes));
      _mm512_storeu_si512(dst + v * lanes, lrp_bf16_interleave(even, odd));
    }
  }
}

/* Pairs of two neighbours in a row, for G = W W^T: of each row a line at a time, which is fetched
 * some lines ahead, since the processor does not follow as many rows as a strip has. */
static void pack_rows(const lrp_matrix *w, int64_t col, int64_t pairs, int64_t row, uint32_t *dst) {
  enum { ahead = 256 }; /* bytes */
  const int64_t rows = w->rows - row < strip ? w->rows - row : strip;
  const int64_t full = (w->cols - col) / 2 < pairs ? (w->cols - col) / 2 : pairs;
  const unsigned char *first = (const unsigned char *)lrp_matrix_row(w, row) + 2 * col;

  if (rows < strip) memset(dst, 0, (size_t)(pairs * strip) * sizeof *dst);
  for (int64_t p = 0; p < full; p += lanes) {
    const int64_t count = full - p < lanes ? full - p : lanes;
    for (int64_t i = 0; i < rows; i++) {
      const unsigned char *a = first + 2 * i * w->ld + 4 * p;
      uint32_t *to = dst + p * strip + i;
      _mm_prefetch(a + ahead, _MM_HINT_T1);
      for (int64_t q = 0; q < count; q++) to[q * strip] = lrp_bf16_load_pair(a + 4 * q);
    }
  }
  if (full == pairs) return;
  memset(dst + full * strip, 0, strip * sizeof *dst);
  for (int64_t i = 0; i < rows; i++) {
    dst[full * strip + i] = lrp_bf16_load_single(first + 2 * i * w->ld + 4 * full);
  }
}

/* sum[j][i] += a_i b_j over pairs, for 8 columns j of b. */
LRP_BF16_TARGET static void add_tile(const uint32_t *a, const uint32_t *b, int64_t pairs,
                                     float sum[group][strip]) {
  __m512 acc[group][strip / lanes];
#pragma GCC unroll 8
  for (int j = 0; j < group; j++) {
#pragma GCC unroll 3
    for (int v = 0; v < strip / lanes; v++) acc[j][v] = _mm512_setzero_ps();
  }
  for (int64_t p = 0; p < pairs; p++, a += strip, b += strip) {
    __m512bh av[strip / lanes];
#pragma GCC unroll 3
    for (int v = 0; v < strip / lanes; v++) av[v] = (__m512bh)_mm512_loadu_si512(a + v * lanes);
#pragma GCC unroll 8
    for (int j = 0; j < group; j++) {
      const __m512bh pair = lrp_bf16_broadcast(b[j]);
#pragma GCC unroll 3
      for (int v = 0; v < strip / lanes; v++) acc[j][v] = _mm512_dpbf16_ps(acc[j][v], av[v], pair);
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < group; j++) {
#pragma GCC unroll 3
    for (int v = 0; v < strip / lanes; v++) {
      const __m512 old = _mm512_loadu_ps(sum[j] + v * lanes);
      _mm512_storeu_ps(sum[j] + v * lanes, _mm512_add_ps(old, acc[j][v]));
    }
  }
}

/* The block of G of strips a >= b, from one panel. */
static void add_block(const job *t, int64_t a, int64_t b, int64_t pairs, bool begin) {
  const uint32_t *pa = t->packed + a * depth * strip, *pb = t->packed + b * depth * strip;
  const int64_t rows = t->k - a * strip < strip ? t->k - a * strip : strip;
  const int64_t cols = t->k - b * strip < strip ? t->k - b * strip : strip;
  float sum[strip][strip] = {{0.0f}};
  for (int64_t p = 0; p < pairs; p += chain) {
    const int64_t count = pairs - p < chain ? pairs - p : chain;
    for (int j = 0; j < strip; j += group) {
      add_tile(pa + p * strip, pb + p * strip + j, count, sum + j);
    }
  }
  for (int64_t j = 0; j < cols; j++) {
    float *g = t->g + (b * strip + j) * t->k + a * strip;
    for (int64_t i = 0; i < rows; i++) g[i] = (begin ? 0.0f : g[i]) + sum[j][i];
  }
}

/* The panel that begins at pair first of the long side; this thread's strips, then its blocks. */
static void add_panel(const job *t, int64_t first, int64_t pairs, int me, int size) {
  const int64_t blocks = t->strips * (t->strips + 1) / 2;
  const int64_t begin = blocks * me / size, end = blocks * (me + 1) / size;
  int64_t a = 0, b = 0;

  for (int64_t s = me; s < t->strips; s += size) {
    uint32_t *dst = t->packed + s * depth * strip;
    (t->wide ? pack_rows : pack_columns)(t->w, 2 * first, pairs, s * strip, dst);
  }
#pragma omp barrier
  while ((a + 1) * (a + 2) / 2 <= begin) a++;
  b = begin - a * (a + 1) / 2;
  for (int64_t i = begin; i < end; i++) {
    add_block(t, a, b, pairs, first == 0);
    b = b < a ? b + 1 : 0;
    if (b == 0) a++;
  }
#pragma omp barrier
}

lrp_status lrp_bf16_gram(const lrp_matrix *w, float *g, lrp_scratch *scratch) {
  const bool wide = w->rows < w->cols;
  const int64_t k = wide ? w->rows : w->cols;
  const int64_t pairs = ((wide ? w->cols : w->rows) + 1) / 2;
  const int64_t strips = (k + strip - 1) / strip;
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;

  uint32_t *packed = lrp_scratch_take(scratch, &st, strips, depth * strip, sizeof *packed);
  const job t = {w, wide, k, strips, packed, g};
  if (st == LRP_OK) {
#pragma omp parallel
    for (int64_t p = 0; p < pairs; p += depth) {
      add_panel(&t, p, pairs - p < depth ? pairs - p : depth, omp_get_thread_num(),
                omp_get_num_threads());
    }
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

#else

/* Never called: lrp_bf16_available() says so. */
lrp_status lrp_bf16_gram(const lrp_matrix *w, float *g, lrp_scratch *scratch) {
  return lrp_f32_gram(w, g, scratch);
}

#endif
