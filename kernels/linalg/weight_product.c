#include "kernels/linalg/weight_product.h"

#include <string.h>

#include "kernels/linalg/bf16.h"
#include "kernels/linalg/bf16_normal.h"
#include "kernels/linalg/lapack.h"
#include "kernels/linalg/panel.h"
#include "kernels/linalg/thin_product.h"

enum {
  depth = 640, /* columns of A in float32 at a time */
  split = 32, /* columns of x up to which two products in bfloat16 are faster than one in float32 */
  thin = 256  /* columns of x up to which BLAS is the slower way */
};

int64_t lrp_operand_rows(lrp_operand a) {
  return a.transposed ? a.w->cols : a.w->rows;
}

int64_t lrp_operand_cols(lrp_operand a) {
  return a.transposed ? a.w->rows : a.w->cols;
}

/* y = A x by parts of the columns of A: x and y are read and packed by sgemm once for each part.
 * Row-major blocks are column-major transposes: y^T = x^T A^T. */
lrp_status lrp_blas_product(lrp_operand a, int l, const float *x, int64_t ldx, float *y,
                            int64_t ldy, lrp_scratch *scratch) {
  const int64_t cols = lrp_operand_cols(a);
  const int rows = (int)lrp_operand_rows(a), ldxi = (int)ldx, ldyi = (int)ldy;
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;

  float *f = lrp_scratch_take(scratch, &st, depth, rows, sizeof *f);
  for (int64_t k = 0; st == LRP_OK && k < cols; k += depth) {
    const int count = (int)(cols - k < depth ? cols - k : depth);
    const float one = 1.0f, beta = k == 0 ? 0.0f : 1.0f;
    const lrp_matrix panel =
        a.transposed ? lrp_panel(a.w, k, 0, count, rows) : lrp_panel(a.w, 0, k, rows, count);
    lrp_panel_to_f32(f, &panel);
    sgemm_("N", a.transposed ? "T" : "N", &l, &rows, &count, &one, x + k * ldx, &ldxi, f,
           a.transposed ? &rows : &count, &beta, y, &ldyi, 1, 1);
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

lrp_status lrp_weight_product(lrp_operand a, int l, const float *x, int64_t ldx, float *y,
                              int64_t ldy, lrp_scratch *scratch) {
  return (l <= thin && lrp_thin_available() ? lrp_thin_product : lrp_blas_product)(a, l, x, ldx, y,
                                                                                   ldy, scratch);
}

/* x rounded to its upper 16 bits; what that leaves is exact, and is rounded by whoever reads it. */
static float upper_half(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits &= 0xffff0000u;
  memcpy(&x, &bits, sizeof x);
  return x;
}

lrp_status lrp_split_product(lrp_operand a, int l, const float *x, int64_t ldx, float *y,
                             int64_t ldy, lrp_scratch *scratch) {
  if (l > split || a.w->dtype != LRP_BF16 || !lrp_bf16_available()) {
    return lrp_weight_product(a, l, x, ldx, y, ldy, scratch);
  }
  const int64_t cols = lrp_operand_cols(a), rows = lrp_operand_rows(a);
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  float *both = lrp_scratch_take(scratch, &st, cols, 2 * l, sizeof *both);
  float *sums = lrp_scratch_take(scratch, &st, rows, 2 * l, sizeof *sums);
  for (int64_t i = 0; st == LRP_OK && i < cols; i++) {
    for (int64_t j = 0; j < l; j++) {
      const float upper = upper_half(x[i * ldx + j]);
      both[i * 2 * l + j] = upper;
      both[i * 2 * l + l + j] = x[i * ldx + j] - upper;
    }
  }
  if (st == LRP_OK) st = lrp_bf16_half_product(a, 2 * l, both, 2 * l, sums, 2 * l, scratch);
  for (int64_t i = 0; st == LRP_OK && i < rows; i++) {
    for (int64_t j = 0; j < l; j++) y[i * ldy + j] = sums[i * 2 * l + j] + sums[i * 2 * l + l + j];
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

lrp_status lrp_rough_product(lrp_operand a, int l, const float *x, int64_t ldx, float *y,
                             int64_t ldy, lrp_scratch *scratch) {
  return (lrp_bf16_available() ? lrp_bf16_half_product : lrp_weight_product)(a, l, x, ldx, y, ldy,
                                                                             scratch);
}

lrp_status lrp_f32_normal_product(lrp_operand a, int l, const float *x, int64_t ldx, float *t,
                                  int64_t ldt, float *y, int64_t ldy, lrp_scratch *scratch) {
  const lrp_operand back = {a.w, !a.transposed};
  lrp_status st = lrp_weight_product(a, l, x, ldx, t, ldt, scratch);
  if (st == LRP_OK) st = lrp_weight_product(back, l, t, ldt, y, ldy, scratch);
  return st;
}

lrp_status lrp_normal_product(lrp_operand a, int l, const float *x, int64_t ldx, float *t,
                              int64_t ldt, float *y, int64_t ldy, lrp_scratch *scratch) {
  return (lrp_bf16_available() ? lrp_bf16_normal_product : lrp_f32_normal_product)(
      a, l, x, ldx, t, ldt, y, ldy, scratch);
}
