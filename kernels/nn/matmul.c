#include "kernels/nn/matmul.h"

#include <assert.h>
#include <string.h>

#include "kernels/nn/onednn.h"
#include "kernels/nn/product.h"

enum { parallel_elements = 1 << 16 };

static const char what_x[] = "the operand of a product";

void lrp_matmul_scratch_free(lrp_matmul_scratch *scratch) {
  lrp_buffer_free(&scratch->weights);
  lrp_buffer_free(&scratch->weights16);
  lrp_buffer_free(&scratch->x);
  lrp_buffer_free(&scratch->x16);
  lrp_buffer_free(&scratch->y);
}

bool lrp_matmul_has_bf16(void) {
  return lrp_onednn_has_bf16();
}

/* ---- operands -------------------------------------------------------------------------------- */

static bool is_dense(const lrp_matrix *a) {
  return a->ld == a->cols || a->rows == 1;
}

/* a of type operands, aligned, with gaps unless it is to be dense: in place where possible, else
 * converted. */
static lrp_status plain_matrix(const lrp_matrix *a, lrp_dtype operands, bool want_dense,
                               lrp_buffer *buffer, const char *what, lrp_matrix *plain) {
  const size_t size = lrp_dtype_size(operands);
  const bool in_place = a->dtype == operands && (uintptr_t)a->data % size == 0;
  *plain = *a;
  if (in_place && (!want_dense || is_dense(a))) return LRP_OK;
  const lrp_status st = lrp_buffer_reserve(buffer, a->rows, a->cols, size, what);
  if (st != LRP_OK) return st;
  unsigned char *dst = buffer->data;
#pragma omp parallel for if (a->rows * a->cols > parallel_elements)
  for (int64_t i = 0; i < a->rows; i++) {
    lrp_convert(dst + (size_t)(i * a->cols) * size, operands, lrp_matrix_row(a, i), a->dtype,
                (size_t)a->cols);
  }
  *plain =
      (lrp_matrix){.data = dst, .dtype = operands, .rows = a->rows, .cols = a->cols, .ld = a->cols};
  return LRP_OK;
}

lrp_status lrp_matmul_prepare(const lrp_matrix *w, lrp_dtype operands, lrp_buffer *buffer,
                              lrp_matrix *plain) {
  assert(operands == LRP_F32 || operands == LRP_BF16);
  return plain_matrix(w, operands, true, buffer, "converted weights", plain);
}

/* ---- results --------------------------------------------------------------------------------- */

/* Where a product goes. */
typedef struct {
  float *y;
  int64_t ldy;
  bool accumulate;
} target;

/* Zero the result of an empty sum; true if nothing is left to do. */
static bool is_empty(const lrp_matrix *x, int64_t n, const target *to) {
  assert(x->rows >= 0 && x->ld >= x->cols && to->ldy >= n);
  if (x->rows <= 0 || n <= 0) return true;
  if (x->cols > 0) return false;
  for (int64_t i = 0; i < x->rows && !to->accumulate; i++) {
    memset(to->y + i * to->ldy, 0, (size_t)n * sizeof *to->y);
  }
  return true;
}

/* Copy rows of cols floats; rows of src and dst are lds and ldd apart. */
static void copy_rows(const float *src, int64_t lds, float *dst, int64_t ldd, int64_t rows,
                      int64_t cols) {
#pragma omp parallel for if (rows * cols > parallel_elements)
  for (int64_t i = 0; i < rows; i++) {
    memcpy(dst + i * ldd, src + i * lds, (size_t)cols * sizeof *src);
  }
}

/* A dense place for t x n floats: y itself, or scratch where its rows have gaps: the bits must not
 * depend on strides. */
static lrp_status begin_result(const target *to, int64_t t, int64_t n, lrp_buffer *buffer,
                               float **dense) {
  *dense = to->y;
  if (to->ldy == n || t == 1) return LRP_OK;
  const lrp_status st = lrp_buffer_floats(buffer, t, n, "the result of a product");
  if (st != LRP_OK) return st;
  *dense = buffer->data;
  if (to->accumulate) copy_rows(to->y, to->ldy, *dense, n, t, n);
  return LRP_OK;
}

static void end_result(const target *to, int64_t t, int64_t n, const float *dense) {
  if (dense != to->y) copy_rows(dense, n, to->y, to->ldy, t, n);
}

/* ---- products -------------------------------------------------------------------------------- */

/* x and w dense, of the same type */
static lrp_status by_onednn(const lrp_matrix *x, const lrp_matrix *w, const target *to,
                            lrp_matmul_scratch *scratch, bool *done) {
  const lrp_dense_product p = {
      .t = x->rows, .n = w->rows, .k = w->cols, .operands = w->dtype, .accumulate = to->accumulate};
  float *y;
  lrp_status st = begin_result(to, p.t, p.n, &scratch->y, &y);
  if (st == LRP_OK) st = lrp_onednn_product(&p, x->data, w->data, y, done);
  if (st == LRP_OK && *done) end_result(to, p.t, p.n, y);
  return st;
}

static lrp_status multiply_floats(const lrp_matrix *x, const lrp_matrix *w, const target *to,
                                  lrp_matmul_scratch *scratch) {
  const bool small = lrp_product_suits(w->rows, w->cols);
  lrp_matrix px, pw;
  bool done = false;
  lrp_status st = plain_matrix(x, LRP_F32, !small, &scratch->x, what_x, &px);
  if (st == LRP_OK) {
    st = plain_matrix(w, LRP_F32, !small, &scratch->weights, "converted weights", &pw);
  }
  if (st == LRP_OK && !small) st = by_onednn(&px, &pw, to, scratch, &done);
  if (st != LRP_OK || done) return st;
  (small ? lrp_product : lrp_product_float)(px.data, px.rows, px.ld, pw.data, pw.rows, pw.cols,
                                            pw.ld, to->y, to->ldy, to->accumulate);
  return LRP_OK;
}

/* Without a kernel for it, the same product of the same numbers is computed in float32. */
static lrp_status multiply_bf16(const lrp_matrix *x, const lrp_matrix *w, const target *to,
                                lrp_matmul_scratch *scratch) {
  lrp_matrix px, pw;
  bool done = false;
  lrp_status st = plain_matrix(x, LRP_BF16, true, &scratch->x16, what_x, &px);
  if (st == LRP_OK) {
    st = plain_matrix(w, LRP_BF16, true, &scratch->weights16, "rounded weights", &pw);
  }
  if (st == LRP_OK && !lrp_product_suits(w->rows, w->cols) && lrp_onednn_has_bf16()) {
    st = by_onednn(&px, &pw, to, scratch, &done);
  }
  if (st != LRP_OK || done) return st;
  return multiply_floats(&px, &pw, to, scratch);
}

lrp_status lrp_matmul(const lrp_matrix *x, const lrp_matrix *w, lrp_dtype operands, float *y,
                      int64_t ldy, bool accumulate, lrp_matmul_scratch *scratch) {
  const target to = {.y = y, .ldy = ldy, .accumulate = accumulate};
  assert(x->cols == w->cols && w->ld >= w->cols);
  if (is_empty(x, w->rows, &to)) return LRP_OK;
  if (operands == LRP_BF16) return multiply_bf16(x, w, &to, scratch);
  return multiply_floats(x, w, &to, scratch);
}

lrp_status lrp_matmul_packed(const lrp_matrix *x, const lrp_packed *w, float *y, int64_t ldy,
                             bool accumulate, lrp_matmul_scratch *scratch) {
  const target to = {.y = y, .ldy = ldy, .accumulate = accumulate};
  lrp_buffer *buffer = w->operands == LRP_BF16 ? &scratch->x16 : &scratch->x;
  lrp_matrix px;
  float *dense;
  assert(x->cols == w->k);
  if (is_empty(x, w->n, &to)) return LRP_OK;
  lrp_status st = plain_matrix(x, w->operands, true, buffer, what_x, &px);
  if (st == LRP_OK) st = begin_result(&to, x->rows, w->n, &scratch->y, &dense);
  if (st == LRP_OK) st = lrp_packed_product(px.data, x->rows, w, dense, accumulate);
  if (st == LRP_OK) end_result(&to, x->rows, w->n, dense);
  return st;
}
