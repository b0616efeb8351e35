#include "kernels/nn/product.h"

#include <omp.h>
#include <stdalign.h>

#include "kernels/nn/vector.h"

enum {
  chunk_k = 512,   /* a panel of 512 x 16 floats stays in the first-level cache */
  chunk_rows = 96, /* least number of rows for which packing a panel again pays */
  /* oneDNN generates code for every new number of rows, 0.15 to 0.35 ms measured, where products by
   * fewer weights than small_weights take 0.01 to 0.1 ms. Beyond small_side it pays all the same: a
   * model of such a width spends more on one pass, and oneDNN multiplies by thin factors five times
   * as fast. */
  small_weights = 1 << 16,
  small_side = 512,
  parallel_work = 1 << 17 /* multiply-adds below which threads cost more than they save */
};

/* The inner loop has a constant length and no sum across lanes: gcc keeps acc in registers. Sums
 * are double: log-likelihoods of small models, which use only this product, come three times closer
 * to those of a double forward pass. */
LRP_VECTOR_CLONES void lrp_tile_product(const float *const x[lrp_tile_rows], const float *panel,
                                        int64_t k, float tile[lrp_tile_rows * lrp_tile_cols]) {
  double acc[lrp_tile_rows][lrp_tile_cols];
  for (int r = 0; r < lrp_tile_rows; r++) {
    for (int j = 0; j < lrp_tile_cols; j++) acc[r][j] = tile[r * lrp_tile_cols + j];
  }
  for (int64_t l = 0; l < k; l++) {
    for (int r = 0; r < lrp_tile_rows; r++) {
      const double a = x[r][l];
#pragma omp simd
      for (int j = 0; j < lrp_tile_cols; j++) acc[r][j] += a * (double)panel[l * lrp_tile_cols + j];
    }
  }
  for (int r = 0; r < lrp_tile_rows; r++) {
    for (int j = 0; j < lrp_tile_cols; j++) tile[r * lrp_tile_cols + j] = (float)acc[r][j];
  }
}

LRP_VECTOR_CLONES void lrp_tile_product_float(const float *const x[lrp_tile_rows],
                                              const float *panel, int64_t k,
                                              float tile[lrp_tile_rows * lrp_tile_cols]) {
  float acc[lrp_tile_rows][lrp_tile_cols];
  for (int r = 0; r < lrp_tile_rows; r++) {
    for (int j = 0; j < lrp_tile_cols; j++) acc[r][j] = tile[r * lrp_tile_cols + j];
  }
  for (int64_t l = 0; l < k; l++) {
    for (int r = 0; r < lrp_tile_rows; r++) {
      const float a = x[r][l];
#pragma omp simd
      for (int j = 0; j < lrp_tile_cols; j++) acc[r][j] += a * panel[l * lrp_tile_cols + j];
    }
  }
  for (int r = 0; r < lrp_tile_rows; r++) {
    for (int j = 0; j < lrp_tile_cols; j++) tile[r * lrp_tile_cols + j] = acc[r][j];
  }
}

/* One of the two above. */
typedef void tile_product(const float *const x[lrp_tile_rows], const float *panel, int64_t k,
                          float tile[lrp_tile_rows * lrp_tile_cols]);

/* panel[l * 16 + j] = w(j, l) for the cols rows of w; zero for the others. */
static void pack(const float *w, int64_t ldw, int64_t cols, int64_t k, float *panel) {
  for (int64_t j = 0; j < lrp_tile_cols; j++) {
    for (int64_t l = 0; l < k; l++) {
      panel[l * lrp_tile_cols + j] = j < cols ? w[j * ldw + l] : 0.0f;
    }
  }
}

/* One tile of y += x panel. Rows past the last repeat it, so that a row is computed by the same
 * instructions wherever it stands. */
static void add_tile(tile_product *multiply, const float *x, int64_t rows, int64_t ldx,
                     const float *panel, int64_t k, float *y, int64_t cols, int64_t ldy, bool add) {
  alignas(64) float tile[lrp_tile_rows * lrp_tile_cols] = {0};
  const float *xs[lrp_tile_rows];
  for (int64_t r = 0; r < lrp_tile_rows; r++) {
    xs[r] = x + (r < rows ? r : rows - 1) * ldx;
    if (!add || r >= rows) continue;
    for (int64_t j = 0; j < cols; j++) tile[r * lrp_tile_cols + j] = y[r * ldy + j];
  }
  multiply(xs, panel, k, tile);
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t j = 0; j < cols; j++) y[r * ldy + j] = tile[r * lrp_tile_cols + j];
  }
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* t rows of at most 16 columns of y. Sums pass through y, as floats, between chunks of k: where
 * they are rounded depends on k alone. */
static void panel_product(tile_product *multiply, const float *x, int64_t t, int64_t ldx,
                          const float *w, int64_t cols, int64_t k, int64_t ldw, float *y,
                          int64_t ldy, bool accumulate) {
  alignas(64) float panel[chunk_k * lrp_tile_cols];
  for (int64_t l = 0; l < k; l += chunk_k) {
    const int64_t part = least(chunk_k, k - l);
    pack(w + l, ldw, cols, part, panel);
    for (int64_t i = 0; i < t; i += lrp_tile_rows) {
      add_tile(multiply, x + i * ldx + l, least(lrp_tile_rows, t - i), ldx, panel, part,
               y + i * ldy, cols, ldy, accumulate || l > 0);
    }
  }
}

/* Rows that one task takes: all of them, unless there are too few panels for the threads. */
static int64_t task_rows(int64_t t, int64_t panels) {
  const int64_t threads = omp_get_max_threads();
  const int64_t wanted = threads > 1 ? 4 * threads : 1; /* tasks, to balance the load */
  const int64_t splits = (wanted + panels - 1) / panels;
  const int64_t rows = (t + splits - 1) / splits;
  return rows < chunk_rows ? chunk_rows : rows;
}

static void product(tile_product *multiply, const float *x, int64_t t, int64_t ldx, const float *w,
                    int64_t n, int64_t k, int64_t ldw, float *y, int64_t ldy, bool accumulate) {
  if (t <= 0 || n <= 0) return;
  const int64_t panels = (n + lrp_tile_cols - 1) / lrp_tile_cols;
  const int64_t rows = task_rows(t, panels);
  const int64_t tasks = panels * ((t + rows - 1) / rows);
#pragma omp parallel for schedule(dynamic) if ((double)t * (double)n * (double)k > parallel_work)
  for (int64_t task = 0; task < tasks; task++) {
    const int64_t i = task / panels * rows;
    const int64_t j = task % panels * lrp_tile_cols;
    panel_product(multiply, x + i * ldx, least(rows, t - i), ldx, w + j * ldw,
                  least(lrp_tile_cols, n - j), k, ldw, y + i * ldy + j, ldy, accumulate);
  }
}

bool lrp_product_suits(int64_t n, int64_t k) {
  return n * k < small_weights && n <= small_side && k <= small_side;
}

void lrp_product(const float *x, int64_t t, int64_t ldx, const float *w, int64_t n, int64_t k,
                 int64_t ldw, float *y, int64_t ldy, bool accumulate) {
  product(lrp_tile_product, x, t, ldx, w, n, k, ldw, y, ldy, accumulate);
}

void lrp_product_float(const float *x, int64_t t, int64_t ldx, const float *w, int64_t n, int64_t k,
                       int64_t ldw, float *y, int64_t ldy, bool accumulate) {
  product(lrp_tile_product_float, x, t, ldx, w, n, k, ldw, y, ldy, accumulate);
}
