#include "kernels/nn/packed.h"

#include <assert.h>
#include <string.h>

#include "kernels/nn/onednn.h"
#include "kernels/nn/product.h"

/* Both layouts are the same in units of four bytes, a float or two bfloat16 of a row of w: unit u
 * of row j lies in tile (j / 64, u / 16), at u % 16 * 64 + j % 64. Tiles of 64 rows follow each
 * other along k; what is beyond the edges is zero. oneDNN calls them BA16a64b and BA16a64b2a. */
enum {
  alignment = 64,
  tile_rows = 64,
  tile_units = 16,
  chunk_units = 128, /* of 64 rows: converted at a time, they stay in the first-level cache */
  chunk_ld = chunk_units + 16, /* not a power of two: rows would share cache sets */
  parallel_elements = 1 << 16
};

static int64_t unit_elements(lrp_dtype operands) {
  return operands == LRP_BF16 ? 2 : 1;
}

static int64_t round_up(int64_t a, int64_t to) {
  return (a + to - 1) / to * to;
}

/* Units of a row, with those that fill its last tile. */
static int64_t row_units(int64_t k, lrp_dtype operands) {
  const int64_t each = unit_elements(operands);
  return round_up((k + each - 1) / each, tile_units);
}

/* oneDNN chooses kernels by the number of rows, too: ask for one and for many. */
static bool has_kernels(int64_t n, int64_t k, lrp_dtype operands) {
  lrp_dense_product p = {.t = 1, .n = n, .k = k, .operands = operands, .packed = true};
  if (operands == LRP_BF16 && !lrp_onednn_has_bf16()) return false;
  if (!lrp_onednn_can(&p)) return false;
  p.t = 512;
  return lrp_onednn_can(&p);
}

size_t lrp_packed_bytes(int64_t n, int64_t k, lrp_dtype operands) {
  assert(operands == LRP_F32 || operands == LRP_BF16);
  if (lrp_product_suits(n, k) || !has_kernels(n, k, operands)) return 0;
  return (size_t)(round_up(n, tile_rows) * row_units(k, operands)) * sizeof(uint32_t);
}

/* Units from .. from + count - 1 of 64 rows of w, from the row first on. */
static void convert_chunk(const lrp_matrix *w, lrp_dtype operands, int64_t first, int64_t from,
                          int64_t count, uint32_t *rows) {
  const int64_t begin = from * unit_elements(operands);
  const int64_t room = count * unit_elements(operands);
  const int64_t left = w->cols - begin;
  const size_t used = (size_t)(left < room ? left : room);
  const size_t skip = (size_t)begin * lrp_dtype_size(w->dtype);
  for (int64_t j = 0; j < tile_rows; j++) {
    uint32_t *dst = rows + j * chunk_ld;
    memset(dst, 0, (size_t)count * sizeof *dst);
    if (first + j >= w->rows) continue;
    const unsigned char *src = lrp_matrix_row(w, first + j);
    lrp_convert(dst, operands, src + skip, w->dtype, used);
  }
}

/* The tiles of 64 rows of w. */
static void pack_panel(const lrp_matrix *w, lrp_dtype operands, int64_t first, uint32_t *tiles) {
  const int64_t units = row_units(w->cols, operands);
  uint32_t rows[tile_rows * chunk_ld];
  for (int64_t from = 0; from < units; from += chunk_units) {
    const int64_t count = units - from < chunk_units ? units - from : chunk_units;
    convert_chunk(w, operands, first, from, count, rows);
    for (int64_t u = 0; u < count; u++) {
      uint32_t *dst = tiles + (from + u) * tile_rows;
      for (int64_t j = 0; j < tile_rows; j++) dst[j] = rows[j * chunk_ld + u];
    }
  }
}

lrp_status lrp_pack(const lrp_matrix *w, lrp_dtype operands, void *memory, lrp_packed *out) {
  const int64_t panel = tile_rows * row_units(w->cols, operands);
  uint32_t *tiles = memory;
  if ((uintptr_t)memory % alignment != 0) {
    return lrp_fail(LRP_ERR_BUG, "packed weights at %p are not aligned to %d bytes", memory,
                    alignment);
  }
#pragma omp parallel for schedule(dynamic) if (w->rows * w->cols > parallel_elements)
  for (int64_t first = 0; first < w->rows; first += tile_rows) {
    pack_panel(w, operands, first, tiles + first / tile_rows * panel);
  }
  *out = (lrp_packed){.data = memory, .operands = operands, .n = w->rows, .k = w->cols};
  return LRP_OK;
}

lrp_status lrp_packed_product(const void *x, int64_t t, const lrp_packed *w, float *y,
                              bool accumulate) {
  const lrp_dense_product p = {.t = t,
                               .n = w->n,
                               .k = w->k,
                               .operands = w->operands,
                               .packed = true,
                               .accumulate = accumulate};
  bool done = true;
  if (t <= 0) return LRP_OK;
  const lrp_status st = lrp_onednn_product(&p, x, w->data, y, &done);
  if (st != LRP_OK || done) return st;
  return lrp_fail(LRP_ERR_BUG, "oneDNN has no kernel for %lld rows by packed weights %lld x %lld",
                  (long long)t, (long long)w->n, (long long)w->k);
}
