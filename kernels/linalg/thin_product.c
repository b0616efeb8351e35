#include "kernels/linalg/thin_product.h"

#include <omp.h>

#include "kernels/linalg/panel.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define TARGET        __attribute__((target("avx512f,avx512bw,avx512vl")))
#define INLINE_TARGET static inline __attribute__((always_inline)) TARGET

/* Blocks of W in float32 stay in the second cache with their part of x. */
enum {
  lanes = 16,
  max_rows = 8, /* x max_vectors accumulators at most: 24 of the 32 registers are in use */
  max_vectors = 4,
  block_size = 128 * (192 + lanes) /* floats, of the larger shape */
};

/* Rows and columns of such a block. In memory its rows are a line longer, so that they do not
 * compete for the same places in the first cache. */
typedef struct {
  int64_t rows, cols;
} shape;

static shape shape_of(bool transposed) {
  return transposed ? (shape){128, 192} : (shape){48, 512};
}

/* y (+)= A x for a block of A in float32, whose element (i, k) is at a[i * row + k * step]. */
typedef struct {
  const float *a;
  int64_t row, step;
  int64_t rows, depth;
  const float *x;
  float *y;
  int64_t ldx, ldy;
  bool begin;
} block;

bool lrp_thin_available(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl");
}

/* As many rows and vectors as registers hold; last: which columns of the last vector exist. Rows
 * that are not there repeat the last one and are not stored. */
INLINE_TARGET void multiply_tile(int rows, int vectors, const block *b, int64_t i, int c,
                                 __mmask16 last) {
  const float *a[max_rows], *x = b->x + c;
  float *y = b->y + i * b->ldy + c;
  __mmask16 mask[max_vectors];
  __m512 acc[max_rows][max_vectors];
#pragma GCC unroll 4
  for (int v = 0; v < vectors; v++) mask[v] = v + 1 < vectors ? 0xffff : last;
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++) {
    const bool there = i + r < b->rows;
    a[r] = b->a + (there ? i + r : b->rows - 1) * b->row;
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
      acc[r][v] = b->begin || !there ? _mm512_setzero_ps()
                                     : _mm512_maskz_loadu_ps(mask[v], y + r * b->ldy + v * lanes);
    }
  }
  const int64_t end = b->depth * b->step;
  for (int64_t k = 0; k < end; k += b->step, x += b->ldx) {
    __m512 xv[max_vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) xv[v] = _mm512_maskz_loadu_ps(mask[v], x + v * lanes);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      const __m512 w = _mm512_set1_ps(a[r][k]);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++) acc[r][v] = _mm512_fmadd_ps(w, xv[v], acc[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++) {
    if (i + r >= b->rows) break;
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
      _mm512_mask_storeu_ps(y + r * b->ldy + v * lanes, mask[v], acc[r][v]);
    }
  }
}

#define MULTIPLY_STRIP(rows_, vectors_)                                           \
  TARGET static void multiply_##vectors_(const block *b, int c, __mmask16 last) { \
    for (int64_t i = 0; i < b->rows; i += rows_) {                                \
      multiply_tile(rows_, vectors_, b, i, c, last);                              \
    }                                                                             \
  }
MULTIPLY_STRIP(8, 1)
MULTIPLY_STRIP(8, 2)
MULTIPLY_STRIP(8, 3)
MULTIPLY_STRIP(6, 4)

static void multiply_block(const block *b, int l) {
  static void (*const strip[])(const block *, int, __mmask16) = {multiply_1, multiply_2, multiply_3,
                                                                 multiply_4};
  for (int c = 0; c < l; c += max_vectors * lanes) {
    const int left = (l - c + lanes - 1) / lanes;
    const int vectors = left < max_vectors ? left : max_vectors;
    const int columns = l - c - (vectors - 1) * lanes; /* of the last vector */
    strip[vectors - 1](b, c, (__mmask16)(columns < lanes ? (1u << columns) - 1 : 0xffffu));
  }
}

TARGET static void widen_bf16(float *dst, const unsigned char *src, int64_t count) {
  for (int64_t j = 0; j < count; j += lanes) {
    const __mmask16 mask = (__mmask16)(count - j < lanes ? (1u << (count - j)) - 1 : 0xffffu);
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, src + 2 * j));
    _mm512_storeu_si512(dst + j,
                        _mm512_slli_epi32(wide, 16)); /* a row has room for whole vectors */
  }
}

/* wide = w; what lies ahead bytes from w is fetched into the cache. */
static void widen_block(float *wide, int64_t ld, const lrp_matrix *w, ptrdiff_t ahead) {
  const int64_t bytes = w->cols * (int64_t)lrp_dtype_size(w->dtype);
  for (int64_t i = 0; i < w->rows; i++, wide += ld) {
    const unsigned char *row = lrp_matrix_row(w, i);
    const uintptr_t next = (uintptr_t)row + (uintptr_t)ahead;
    for (int64_t b = 0; b < bytes; b += 64) _mm_prefetch((const char *)(next + b), _MM_HINT_T1);
    if (w->dtype == LRP_BF16) {
      widen_bf16(wide, row, w->cols);
    } else {
      lrp_to_f32(wide, row, w->dtype, (size_t)w->cols);
    }
  }
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* The block of W for rows i .. i + rows - 1 and columns k .. k + depth - 1 of A. */
static lrp_matrix block_at(lrp_operand a, int64_t i, int64_t k, int64_t rows, int64_t depth) {
  return a.transposed ? lrp_panel(a.w, k, i, depth, rows) : lrp_panel(a.w, i, k, rows, depth);
}

/* Rows begin .. end - 1 of y = A x; wide has room for a block. */
static void multiply_rows(lrp_operand a, int64_t begin, int64_t end, int l, const float *x,
                          int64_t ldx, float *y, int64_t ldy, float *wide) {
  const shape s = shape_of(a.transposed);
  const int64_t rows = a.transposed ? s.cols : s.rows, depth = a.transposed ? s.rows : s.cols;
  const int64_t cols = lrp_operand_cols(a), ld = s.cols + lanes;
  block b = {.a = wide, .ldx = ldx, .ldy = ldy};
  b.row = a.transposed ? 1 : ld;
  b.step = a.transposed ? ld : 1;
  for (int64_t i = begin; i < end; i += rows) {
    b.rows = least(rows, end - i);
    b.y = y + i * ldy;
    for (int64_t k = 0; k < cols; k += depth) {
      b.depth = least(depth, cols - k);
      b.x = x + k * ldx;
      b.begin = k == 0;
      const lrp_matrix w = block_at(a, i, k, b.rows, b.depth);
      const bool last = k + depth >= cols; /* of these rows: the next ones begin at 0 */
      const lrp_matrix next =
          last ? block_at(a, least(i + rows, end - 1), 0, 0, 0) : block_at(a, i, k + depth, 0, 0);
      widen_block(wide, ld, &w, (const char *)next.data - (const char *)w.data);
      multiply_block(&b, l);
    }
  }
}

lrp_status lrp_thin_product(lrp_operand a, int l, const float *x, int64_t ldx, float *y,
                            int64_t ldy, lrp_scratch *scratch) {
  const int threads = omp_get_max_threads();
  const int64_t rows = lrp_operand_rows(a);
  const int64_t lines = (rows + lanes - 1) / lanes;
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;

  float *wide = lrp_scratch_take(scratch, &st, threads, block_size, sizeof *wide);
  if (st == LRP_OK) {
#pragma omp parallel num_threads(threads)
    {
      const int me = omp_get_thread_num(), size = omp_get_num_threads();
      const int64_t begin = lines * me / size * lanes, end = lines * (me + 1) / size * lanes;
      multiply_rows(a, begin, least(end, rows), l, x, ldx, y, ldy, wide + (int64_t)me * block_size);
    }
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

#else

bool lrp_thin_available(void) {
  return false;
}

/* Never called. */
lrp_status lrp_thin_product(lrp_operand a, int l, const float *x, int64_t ldx, float *y,
                            int64_t ldy, lrp_scratch *scratch) {
  return lrp_blas_product(a, l, x, ldx, y, ldy, scratch);
}

#endif
