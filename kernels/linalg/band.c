#include "kernels/linalg/band.h"

#include <omp.h>
#include <string.h>

#include "kernels/linalg/lapack.h"
#include "kernels/linalg/transpose.h"

/* Columns whose reflectors are collected before the rest of the matrix is updated; side of the
 * tiles of that update. */
enum { width = LRP_BAND, collect = 128, tile = 256 };

/* A row of what is collected: V, W and V again, so that (V W) and (W V) are one matrix each. */
enum { ldc = 3 * collect, v_at = 0, w_at = collect, v_again = 2 * collect };

/* Rows of the products of one thread with a panel: those of V and W, and of the panel itself. */
enum { sums_rows = 2 * collect + width, sums_size = sums_rows * width };

typedef struct {
  int64_t n, ld;
  float *g;         /* n x n, both triangles, leading dimension ld */
  float *collected; /* n x ldc */
  float *panel;     /* n x width, then V */
  float *y;         /* n x width, A V */
  float *sums;      /* sums_rows x width per thread; the first one is the sum of all */
  float *band;
  lrp_band_q q;
} reduction;

/* Rows of this thread, in whole groups of those that a product keeps in registers. */
static int64_t share(int64_t m, int thread) {
  const int64_t of = omp_get_num_threads();
  return thread == of ? m : m * thread / of / 12 * 12;
}

static void rows_of_thread(int64_t m, int64_t *from, int64_t *to) {
  *from = share(m, omp_get_thread_num());
  *to = share(m, omp_get_thread_num() + 1);
}

/* x (k x width, row-major) = transpose of columns at..at + k of the width collected rows from j. */
static void transpose_rows(const reduction *s, int64_t j, int at, int k, float *x) {
  for (int c = 0; c < width; c++) {
    for (int l = 0; l < k; l++) x[l * width + c] = s->collected[(j + c) * ldc + at + l];
  }
}

/* Columns j..j + width of the matrix, from row j, up to date with the k reflectors collected. */
static void load_panel(reduction *s, int64_t j, int k) {
  float *v = s->sums, *w = s->sums + collect * width;
  const int64_t n = s->n;
  transpose_rows(s, j, v_at, k, v);
  transpose_rows(s, j, w_at, k, w);
#pragma omp parallel
  {
    int64_t from, to;
    rows_of_thread(n - j, &from, &to);
    float *panel = s->panel + from * width;
    const float *c = s->collected + (j + from) * ldc;
    for (int64_t i = from; i < to; i++) {
      memcpy(s->panel + i * width, s->g + (j + i) * s->ld + j, width * sizeof(float));
    }
    lrp_rows_product(-1.0f, to - from, k, c + v_at, ldc, 1, w, width, panel, width);
    lrp_rows_product(-1.0f, to - from, k, c + w_at, ldc, 1, v, width, panel, width);
  }
}

/* Element (i, j) of the lower triangle, and its mirror image where the band has one. */
static void set_band(float *band, int64_t i, int64_t j, float value) {
  *lrp_band_at(band, i, j) = value;
  if (i - j < width) *lrp_band_at(band, j, i) = value;
}

/* The diagonal block of a panel and the R below it. */
static void store_band(const reduction *s, int64_t j, const float *r) {
  for (int64_t c = 0; c < width; c++) {
    for (int64_t i = c; i < width; i++) set_band(s->band, j + i, j + c, s->panel[i * width + c]);
    for (int64_t i = 0; i <= c && j + width + i < s->n; i++) {
      set_band(s->band, j + width + i, j + c, r[i * width + c]);
    }
  }
}

/* V of the panel to where later panels and the way back look for it. */
static void store_reflectors(const reduction *s, int64_t j, int k) {
  const int64_t row = j + width;
  float *kept = s->q.v + lrp_band_v_rows(s->n, j / width) * width;
#pragma omp parallel for schedule(static)
  for (int64_t i = row; i < s->n; i++) {
    const float *v = s->panel + (i - j) * width;
    memcpy(kept + (i - row) * width, v, width * sizeof *v);
    memcpy(s->collected + i * ldc + v_at + k, v, width * sizeof *v);
    memcpy(s->collected + i * ldc + v_again + k, v, width * sizeof *v);
  }
}

/* The sums of all threads into those of the first, each thread a part. */
static void add_sums(reduction *s, int from, int to) {
  const int threads = omp_get_num_threads();
#pragma omp barrier
#pragma omp for schedule(static)
  for (int i = from; i < to; i++) {
    float *sum = s->sums + i * width;
    for (int t = 1; t < threads; t++) {
      for (int c = 0; c < width; c++) sum[c] += sum[t * sums_size + c];
    }
  }
}

/* y = A V for the rows from row on, where A is the matrix with the k reflectors collected:
 * y = G V - V_k (W_k^T V) - W_k (V_k^T V). And vtv = V^T V. */
static void multiply(reduction *s, int64_t row, int k, float *vtv) {
  const int64_t n = s->n, m = n - row;
  const float *all = s->panel + width * width;
#pragma omp parallel
  {
    int64_t from, to;
    rows_of_thread(m, &from, &to);
    const int64_t mine = to - from;
    float *sums = s->sums + (int64_t)omp_get_thread_num() * sums_size;
    float *y = s->y + from * width;
    const float *v = all + from * width, *c = s->collected + (row + from) * ldc;

    memset(sums, 0, sums_size * sizeof *sums);
    lrp_rows_product(1.0f, k, mine, c + v_at, 1, ldc, v, width, sums, width);
    lrp_rows_product(1.0f, k, mine, c + w_at, 1, ldc, v, width, sums + k * width, width);
    lrp_rows_product(1.0f, width, mine, v, 1, width, v, width, sums + 2 * k * width, width);
    memset(y, 0, (size_t)mine * width * sizeof *y);
    lrp_rows_product(1.0f, mine, m, s->g + (row + from) * s->ld + row, s->ld, 1, all, width, y,
                     width);
    add_sums(s, 0, 2 * k + width);
    lrp_rows_product(-1.0f, mine, k, c + v_at, ldc, 1, s->sums + k * width, width, y, width);
    lrp_rows_product(-1.0f, mine, k, c + w_at, ldc, 1, s->sums, width, y, width);
  }
  memcpy(vtv, s->sums + 2 * k * width, width * width * sizeof *vtv);
}

/* vty = V^T y. */
static void project(reduction *s, int64_t row, float *vty) {
#pragma omp parallel
  {
    int64_t from, to;
    rows_of_thread(s->n - row, &from, &to);
    float *sums = s->sums + (int64_t)omp_get_thread_num() * sums_size;
    memset(sums, 0, width * width * sizeof *sums);
    lrp_rows_product(1.0f, width, to - from, s->panel + (from + width) * width, 1, width,
                     s->y + from * width, width, sums, width);
    add_sums(s, 0, width);
  }
  memcpy(vty, s->sums, width * width * sizeof *vty);
}

/* H_1 H_2 ... = I - V T V^T. Source: Schreiber & Van Loan, SIAM J. Sci. Stat. Comput. 10 (1989). */
static void make_t(const float *vtv, const float *tau, float *t) {
  memset(t, 0, width * width * sizeof *t);
  for (int j = 0; j < width; j++) {
    t[j * width + j] = tau[j];
    for (int i = 0; i < j; i++) {
      float sum = 0.0f;
      for (int l = i; l < j; l++) sum += t[i * width + l] * vtv[l * width + j];
      t[i * width + j] = -tau[j] * sum;
    }
  }
}

/* half = -1/2 T^T M T for M = V^T y. */
static void make_half(const float *t, const float *vty, float *half) {
  float product[width * width] = {0.0f}, tt[width * width];
  for (int i = 0; i < width; i++) {
    for (int j = 0; j < width; j++) tt[i * width + j] = -0.5f * t[j * width + i];
  }
  memset(half, 0, width * width * sizeof *half);
  lrp_rows_product(1.0f, width, width, vty, width, 1, t, width, product, width);
  lrp_rows_product(1.0f, width, width, tt, width, 1, product, width, half, width);
}

/* W = y T + V half, so that Q^T A Q = A - V W^T - W V^T; collected behind k others. */
static void store_w(reduction *s, int64_t row, int k, const float *t, const float *half) {
#pragma omp parallel
  {
    int64_t from, to;
    rows_of_thread(s->n - row, &from, &to);
    float *w = s->collected + (row + from) * ldc + w_at + k;
    for (int64_t i = 0; i < to - from; i++) memset(w + i * ldc, 0, width * sizeof *w);
    lrp_rows_product(1.0f, to - from, width, s->y + from * width, width, 1, t, width, w, ldc);
    lrp_rows_product(1.0f, to - from, width, s->panel + (from + width) * width, width, 1, half,
                     width, w, ldc);
  }
}

/* One panel: its columns to the band, its block reflector behind the k that are collected. */
static void reduce_panel(reduction *s, int64_t j, int k) {
  float *t = s->q.t + j * width;
  float r[width * width], vtv[width * width], vty[width * width], tau[width];
  load_panel(s, j, k);
  lrp_panel_qr(s->n - j - width, s->panel + width * width, r, tau);
  store_band(s, j, r);
  store_reflectors(s, j, k);
  multiply(s, j + width, k, vtv);
  project(s, j + width, vty);
  make_t(vtv, tau, t);
  make_half(t, vty, r);
  store_w(s, j + width, k, t, r);
}

/* The tile of G at (i, j), i >= j: G -= V W^T + W V^T with the k reflectors collected; and its
 * mirror image. */
static void update_tile(const reduction *s, int64_t i, int64_t j, int k) {
  const int m = (int)(s->n - i < tile ? s->n - i : tile);
  const int n = (int)(s->n - j < tile ? s->n - j : tile);
  const int ld = (int)s->ld, ldw = ldc;
  const float minus = -1.0f, one = 1.0f;
  const float *a = s->collected + i * ldc, *b = s->collected + j * ldc;
  float *c = s->g + j * s->ld + i;
  if (k == collect) { /* V and W are neighbours */
    k *= 2;
    sgemm_("T", "N", &m, &n, &k, &minus, a + v_at, &ldw, b + w_at, &ldw, &one, c, &ld, 1, 1);
  } else {
    sgemm_("T", "N", &m, &n, &k, &minus, a + v_at, &ldw, b + w_at, &ldw, &one, c, &ld, 1, 1);
    sgemm_("T", "N", &m, &n, &k, &minus, a + w_at, &ldw, b + v_at, &ldw, &one, c, &ld, 1, 1);
  }
  if (i == j) {
    lrp_mirror(m, c, ld);
  } else {
    lrp_transpose(m, n, c, ld, s->g + i * s->ld + j, ld);
  }
}

/* All of G from row on. */
static void update(const reduction *s, int64_t row, int k) {
  const int64_t side = (s->n - row + tile - 1) / tile;
#pragma omp parallel for schedule(dynamic) collapse(2)
  for (int64_t j = 0; j < side; j++) {
    for (int64_t i = 0; i < side; i++) {
      if (i >= j) update_tile(s, row + i * tile, row + j * tile, k);
    }
  }
}

/* What is left: a block of at most LRP_BAND + 1 columns. */
static void store_rest(const reduction *s, int64_t from) {
  for (int64_t j = from; j < s->n; j++) {
    for (int64_t i = j; i < s->n; i++) set_band(s->band, i, j, s->g[j * s->ld + i]);
  }
}

lrp_status lrp_band_reduce(int n, float *g, int ld, float *band, lrp_band_q q,
                           lrp_scratch *scratch) {
  const size_t mark = lrp_scratch_mark(scratch);
  const int panels = lrp_band_panels(n);
  lrp_status st = LRP_OK;
  reduction s = {.n = n, .ld = ld, .g = g, .band = band, .q = q};
  int k = 0;

  s.collected = lrp_scratch_take(scratch, &st, n, ldc, sizeof(float));
  s.panel = lrp_scratch_take(scratch, &st, n, width, sizeof(float));
  s.y = lrp_scratch_take(scratch, &st, n, width, sizeof(float));
  s.sums = lrp_scratch_take(scratch, &st, omp_get_max_threads(), sums_size, sizeof(float));
  if (st != LRP_OK) return st;

  memset(band, 0, (size_t)LRP_BAND_LD * (size_t)lrp_band_columns(n) * sizeof *band);
  for (int p = 0; p < panels; p++) {
    reduce_panel(&s, (int64_t)p * width, k);
    k += width;
    if (k == collect || p + 1 == panels) {
      update(&s, ((int64_t)p + 1) * width, k);
      k = 0;
    }
  }
  store_rest(&s, (int64_t)panels * width);
  lrp_scratch_release(scratch, mark);
  return LRP_OK;
}
