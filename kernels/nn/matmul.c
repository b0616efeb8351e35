#include "kernels/nn/matmul.h"

#include <assert.h>
#include <string.h>

#include "kernels/nn/onednn.h"
#include "kernels/nn/product.h"
#include "kernels/nn/vector.h"

enum {
  /* Weight matrices of fewer elements are multiplied by lrp_product: oneDNN generates code for
   * every new number of rows, 0.15 to 0.35 ms measured, where such a product takes 0.01 to 0.1 ms.
   */
  small_weights = 1 << 16,
  chunk = 1024 /* elements converted at a time */
};

void lrp_matmul_scratch_free(lrp_matmul_scratch *scratch) {
  lrp_buffer_free(&scratch->weights);
  lrp_buffer_free(&scratch->weights16);
  lrp_buffer_free(&scratch->x);
  lrp_buffer_free(&scratch->y);
}

bool lrp_matmul_has_bf16(void) {
  return lrp_onednn_has_bf16();
}

static bool is_small(const lrp_matrix *w) {
  return w->rows * w->cols < small_weights;
}

/* The arguments of a call, but for the weights. */
typedef struct {
  const float *x;
  int64_t t, ldx;
  float *y;
  int64_t ldy;
  bool accumulate;
} call;

/* Zero the result of an empty sum; true if nothing is left to do. */
static bool is_empty(const call *c, const lrp_matrix *w) {
  assert(c->t >= 0 && c->ldx >= w->cols && c->ldy >= w->rows && w->ld >= w->cols);
  if (c->t <= 0 || w->rows <= 0) return true;
  if (w->cols > 0) return false;
  for (int64_t i = 0; i < c->t && !c->accumulate; i++) {
    memset(c->y + i * c->ldy, 0, (size_t)w->rows * sizeof *c->y);
  }
  return true;
}

/* Copy rows of cols floats; rows of src and dst are lds and ldd apart. */
static void copy_rows(const float *src, int64_t lds, float *dst, int64_t ldd, int64_t rows,
                      int64_t cols) {
#pragma omp parallel for if (rows * cols > small_weights)
  for (int64_t i = 0; i < rows; i++) {
    memcpy(dst + i * ldd, src + i * lds, (size_t)cols * sizeof *src);
  }
}

/* x of operands, both dense; y by way of a copy where its rows have gaps: the bits must not depend
 * on strides. */
static lrp_status by_onednn(const call *c, const void *x, const lrp_matrix *w, lrp_dtype operands,
                            lrp_matmul_scratch *scratch, bool *done) {
  const lrp_dense_product p = {
      .t = c->t, .n = w->rows, .k = w->cols, .operands = operands, .accumulate = c->accumulate};
  float *y = c->y;
  if (c->ldy != p.n && c->t > 1) {
    const lrp_status st = lrp_buffer_floats(&scratch->y, c->t, p.n, "the result of a product");
    if (st != LRP_OK) return st;
    y = scratch->y.data;
    if (c->accumulate) copy_rows(c->y, c->ldy, y, p.n, c->t, p.n);
  }
  const lrp_status st = lrp_onednn_product(&p, x, w->data, y, done);
  if (st == LRP_OK && *done && y != c->y) copy_rows(y, p.n, c->y, c->ldy, c->t, p.n);
  return st;
}

/* ---- float32 ---- */

/* w as plain floats, with gaps unless it is to be dense: in place where possible, else converted.
 */
static lrp_status plain_floats(const lrp_matrix *w, bool want_dense, lrp_buffer *buffer,
                               lrp_matrix *plain) {
  *plain = *w;
  if (lrp_matrix_f32(w) && (!want_dense || w->ld == w->cols || w->rows == 1)) return LRP_OK;
  const lrp_status st = lrp_buffer_floats(buffer, w->rows, w->cols, "converted weights");
  if (st != LRP_OK) return st;
  float *dst = buffer->data;
#pragma omp parallel for if (w->rows * w->cols > small_weights)
  for (int64_t i = 0; i < w->rows; i++) {
    lrp_to_f32(dst + i * w->cols, lrp_matrix_row(w, i), w->dtype, (size_t)w->cols);
  }
  *plain =
      (lrp_matrix){.data = dst, .dtype = LRP_F32, .rows = w->rows, .cols = w->cols, .ld = w->cols};
  return LRP_OK;
}

static lrp_status dense_x(const call *c, int64_t k, lrp_buffer *buffer, const float **x) {
  *x = c->x;
  if (c->ldx == k || c->t == 1) return LRP_OK;
  const lrp_status st = lrp_buffer_floats(buffer, c->t, k, "the operand of a product");
  if (st != LRP_OK) return st;
  copy_rows(c->x, c->ldx, buffer->data, k, c->t, k);
  *x = buffer->data;
  return LRP_OK;
}

static lrp_status multiply(const call *c, const lrp_matrix *w, lrp_matmul_scratch *scratch) {
  const bool small = is_small(w);
  const float *x;
  lrp_matrix plain;
  bool done = false;
  lrp_status st = plain_floats(w, !small, &scratch->weights, &plain);
  if (st == LRP_OK && !small) {
    st = dense_x(c, w->cols, &scratch->x, &x);
    if (st == LRP_OK) st = by_onednn(c, x, &plain, LRP_F32, scratch, &done);
  }
  if (st != LRP_OK || done) return st;
  lrp_product(c->x, c->t, c->ldx, plain.data, w->rows, w->cols, plain.ld, c->y, c->ldy,
              c->accumulate);
  return LRP_OK;
}

lrp_status lrp_matmul(const float *x, int64_t t, int64_t ldx, const lrp_matrix *w, float *y,
                      int64_t ldy, bool accumulate, lrp_matmul_scratch *scratch) {
  const call c = {.x = x, .t = t, .ldx = ldx, .y = y, .ldy = ldy, .accumulate = accumulate};
  if (is_empty(&c, w)) return LRP_OK;
  return multiply(&c, w, scratch);
}

/* ---- bfloat16 ---- */

/* Bits of the nearest bfloat16, ties to even: adding just under half of the last place that is kept
 * carries into the exponent, up to that of Inf. A NaN stays one. */
static inline uint32_t rounded_bits(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  const uint32_t is_nan = -(uint32_t)((bits & 0x7fffffffu) > 0x7f800000u);
  const uint32_t nearest = bits + 0x7fffu + (bits >> 16 & 1u);
  return ((nearest & ~is_nan) | ((bits | 0x400000u) & is_nan)) & 0xffff0000u;
}

LRP_VECTOR_CLONES static void round_to_bf16(const float *src, int64_t n, uint16_t *dst) {
  for (int64_t i = 0; i < n; i++) dst[i] = (uint16_t)(rounded_bits(src[i]) >> 16);
}

LRP_VECTOR_CLONES static void round_floats(const float *src, int64_t n, float *dst) {
  for (int64_t i = 0; i < n; i++) {
    const uint32_t bits = rounded_bits(src[i]);
    memcpy(&dst[i], &bits, sizeof bits);
  }
}

static void row_to_bf16(const lrp_matrix *w, int64_t i, uint16_t *dst) {
  const unsigned char *row = lrp_matrix_row(w, i);
  const int64_t size = (int64_t)lrp_dtype_size(w->dtype);
  float wide[chunk];
  if (w->dtype == LRP_BF16) {
    memcpy(dst, row, (size_t)w->cols * sizeof *dst);
    return;
  }
  for (int64_t j = 0; j < w->cols; j += chunk) {
    const int64_t n = w->cols - j < chunk ? w->cols - j : chunk;
    lrp_to_f32(wide, row + j * size, w->dtype, (size_t)n);
    round_to_bf16(wide, n, dst + j);
  }
}

/* w as dense bfloat16, aligned: in place where possible, else rounded. */
static lrp_status plain_bf16(const lrp_matrix *w, lrp_buffer *buffer, lrp_matrix *plain) {
  const bool aligned = (uintptr_t)w->data % sizeof(uint16_t) == 0;
  *plain = *w;
  if (w->dtype == LRP_BF16 && aligned && (w->ld == w->cols || w->rows == 1)) return LRP_OK;
  const lrp_status st =
      lrp_buffer_reserve(buffer, w->rows, w->cols, sizeof(uint16_t), "rounded weights");
  if (st != LRP_OK) return st;
  uint16_t *dst = buffer->data;
#pragma omp parallel for if (w->rows * w->cols > small_weights)
  for (int64_t i = 0; i < w->rows; i++) row_to_bf16(w, i, dst + i * w->cols);
  *plain =
      (lrp_matrix){.data = dst, .dtype = LRP_BF16, .rows = w->rows, .cols = w->cols, .ld = w->cols};
  return LRP_OK;
}

/* x as dense bfloat16 */
static lrp_status rounded_x(const call *c, int64_t k, lrp_buffer *buffer) {
  const lrp_status st =
      lrp_buffer_reserve(buffer, c->t, k, sizeof(uint16_t), "the operand of a product");
  if (st != LRP_OK) return st;
  uint16_t *dst = buffer->data;
#pragma omp parallel for if (c->t * k > small_weights)
  for (int64_t i = 0; i < c->t; i++) round_to_bf16(c->x + i * c->ldx, k, dst + i * k);
  return LRP_OK;
}

/* The same product of the same numbers, in float32 arithmetic. */
static lrp_status multiply_rounded(const call *c, const lrp_matrix *w,
                                   lrp_matmul_scratch *scratch) {
  const int64_t k = w->cols;
  const lrp_status st = lrp_buffer_floats(&scratch->x, c->t, k, "the operand of a product");
  if (st != LRP_OK) return st;
  call rounded = *c;
  float *dst = scratch->x.data;
#pragma omp parallel for if (c->t * k > small_weights)
  for (int64_t i = 0; i < c->t; i++) round_floats(c->x + i * c->ldx, k, dst + i * k);
  rounded.x = dst;
  rounded.ldx = k; /* dense: multiply() leaves scratch->x alone */
  return multiply(&rounded, w, scratch);
}

lrp_status lrp_matmul_bf16(const float *x, int64_t t, int64_t ldx, const lrp_matrix *w, float *y,
                           int64_t ldy, bool accumulate, lrp_matmul_scratch *scratch) {
  const call c = {.x = x, .t = t, .ldx = ldx, .y = y, .ldy = ldy, .accumulate = accumulate};
  lrp_matrix plain;
  bool done = false;
  if (is_empty(&c, w)) return LRP_OK;
  lrp_status st = plain_bf16(w, &scratch->weights16, &plain);
  if (st == LRP_OK && !is_small(w) && lrp_onednn_has_bf16()) {
    st = rounded_x(&c, w->cols, &scratch->x);
    if (st == LRP_OK) st = by_onednn(&c, scratch->x.data, &plain, LRP_BF16, scratch, &done);
  }
  if (st != LRP_OK || done) return st;
  return multiply_rounded(&c, &plain, scratch);
}

lrp_status lrp_matmul_prepare(const lrp_matrix *w, lrp_dtype operands, lrp_buffer *buffer,
                              lrp_matrix *plain) {
  assert(operands == LRP_F32 || operands == LRP_BF16);
  if (operands == LRP_BF16) return plain_bf16(w, buffer, plain);
  return plain_floats(w, true, buffer, plain);
}
