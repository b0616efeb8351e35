#include <stdalign.h>
#include <string.h>

#include "kernels/nn/kv_parts.h"
#include "kernels/nn/ops.h"
#include "kernels/nn/product.h"

_Static_assert((int)LRP_KV_ROWS == (int)lrp_tile_rows, "tiles of queries");
_Static_assert((int)LRP_KV_LANES == (int)lrp_tile_cols, "panels");

/* Rows that are not there repeat the last one. */
static void take_rows(int rows, const void *const *from, const float *to[LRP_KV_ROWS]) {
  for (int r = 0; r < LRP_KV_ROWS; r++) to[r] = from[r < rows ? r : rows - 1];
}

static void keep_keys(const float *k, int64_t ld, int64_t d, int64_t from, int64_t count,
                      void *panel) {
  for (int64_t c = 0; c < d; c++) {
    float *column = (float *)panel + c * LRP_KV_LANES + from;
    for (int64_t i = 0; i < count; i++) column[i] = k[i * ld + c];
  }
}

static void keep_values(const float *v, int64_t ld, int64_t d, int64_t from, int64_t count,
                        void *panels) {
  for (int64_t c = 0; c < d; c += LRP_KV_LANES) {
    const size_t width = (size_t)(d - c < LRP_KV_LANES ? d - c : LRP_KV_LANES);
    float *rows = (float *)panels + (c + from) * LRP_KV_LANES;
    for (int64_t i = 0; i < count; i++) {
      memcpy(rows + i * LRP_KV_LANES, v + i * ld + c, width * sizeof *rows);
    }
  }
}

static void score(int rows, int count, const void *const *queries, const void *const *panels,
                  int64_t units, float *scores, int64_t ld) {
  const float *q[LRP_KV_ROWS];
  take_rows(rows, queries, q);
  for (int p = 0; p < count; p++) {
    alignas(64) float tile[LRP_KV_ROWS * LRP_KV_LANES] = {0};
    lrp_tile_product_float(q, panels[p], units, tile);
    for (int r = 0; r < rows; r++) {
      memcpy(scores + r * ld + p * LRP_KV_LANES, tile + r * LRP_KV_LANES,
             sizeof(float[LRP_KV_LANES]));
    }
  }
}

static double weigh(const float *scores, int64_t n, float factor, void *to) {
  memmove(to, scores, (size_t)n * sizeof *scores);
  return lrp_exp_row(to, n, factor);
}

static void mix(int rows, const void *const *probabilities, const void *const *panels,
                int64_t groups, int64_t vectors, float *sums, int64_t ld) {
  const float *p[LRP_KV_ROWS];
  for (int64_t v = 0; v < vectors; v++) {
    alignas(64) float tile[LRP_KV_ROWS * LRP_KV_LANES] = {0};
    take_rows(rows, probabilities, p);
    for (int64_t g = 0; g < groups; g++) {
      const float *panel = (const float *)panels[g] + v * LRP_KV_LANES * LRP_KV_LANES;
      lrp_tile_product_float(p, panel, LRP_KV_LANES, tile);
      for (int r = 0; r < LRP_KV_ROWS; r++) p[r] += LRP_KV_LANES;
    }
    for (int r = 0; r < rows; r++) {
      float *sum = sums + r * ld + v * LRP_KV_LANES;
      for (int j = 0; j < LRP_KV_LANES; j++) sum[j] += tile[r * LRP_KV_LANES + j];
    }
  }
}

static void scale(const float *x, int64_t n, float factor, void *to) {
  float *y = to;
  for (int64_t i = 0; i < n; i++) y[i] = factor * x[i];
}

const lrp_kv_kernels *lrp_kv_portable(void) {
  static const lrp_kv_kernels kernels = {.keep_keys = keep_keys,
                                         .keep_values = keep_values,
                                         .score = score,
                                         .weigh = weigh,
                                         .mix = mix,
                                         .scale = scale};
  return &kernels;
}
