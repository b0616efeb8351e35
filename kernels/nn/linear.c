#include "kernels/nn/linear.h"

#include <assert.h>

enum { parallel_elements = 1 << 15 }; /* below, threads cost more than they save */

void lrp_linear_scratch_free(lrp_linear_scratch *scratch) {
  lrp_matmul_scratch_free(&scratch->matmul);
  lrp_buffer_free(&scratch->thin[0]);
  lrp_buffer_free(&scratch->thin[1]);
  lrp_buffer_free(&scratch->vector);
}

/* y = x w^T, or += */
static lrp_status multiply(lrp_dtype operands, const float *x, int64_t t, int64_t ldx,
                           const lrp_matrix *w, float *y, int64_t ldy, bool accumulate,
                           lrp_linear_scratch *s) {
  if (operands == LRP_BF16) return lrp_matmul_bf16(x, t, ldx, w, y, ldy, accumulate, &s->matmul);
  return lrp_matmul(x, t, ldx, w, y, ldy, accumulate, &s->matmul);
}

/* Factors are not rounded. */
static lrp_dtype factor_operands(const lrp_matrix *factor, const lrp_linear_scratch *s) {
  return s->operands == LRP_BF16 && factor->dtype == LRP_BF16 ? LRP_BF16 : LRP_F32;
}

static lrp_status vector_floats(const lrp_matrix *v, int64_t n, lrp_buffer *buffer,
                                const float **out) {
  const lrp_status st = lrp_buffer_floats(buffer, 1, n, "a bias or diagonal");
  if (st != LRP_OK) return st;
  lrp_to_f32(buffer->data, v->data, v->dtype, (size_t)n);
  *out = buffer->data;
  return LRP_OK;
}

static lrp_status add_bias(const lrp_linear *linear, float *y, int64_t t, int64_t ldy,
                           lrp_buffer *vector) {
  const float *bias = NULL;
  const int64_t n = linear->n_out;
  const lrp_status st = vector_floats(&linear->bias, n, vector, &bias);
  if (st != LRP_OK) return st;
#pragma omp parallel for if (t * n > parallel_elements)
  for (int64_t i = 0; i < t; i++) {
    for (int64_t j = 0; j < n; j++) y[i * ldy + j] += bias[j];
  }
  return LRP_OK;
}

/* thin (t x rank) = thin diag(middle) */
static lrp_status scale_columns(const lrp_linear *linear, float *thin, int64_t t,
                                lrp_buffer *vector) {
  const float *diagonal = NULL;
  const int64_t rank = linear->rank;
  const lrp_status st = vector_floats(&linear->middle, rank, vector, &diagonal);
  if (st != LRP_OK) return st;
#pragma omp parallel for if (t * rank > parallel_elements)
  for (int64_t i = 0; i < t; i++) {
    for (int64_t j = 0; j < rank; j++) thin[i * rank + j] *= diagonal[j];
  }
  return LRP_OK;
}

/* A rank 1 core is a diagonal, too: one row means diag(s). */
static bool is_diagonal(const lrp_linear *linear) {
  return linear->middle.rows == 1;
}

/* y = x (left middle right)^T = ((x right^T) middle^T) left^T */
static lrp_status apply_factors(const lrp_linear *linear, const float *x, int64_t t, int64_t ldx,
                                float *y, int64_t ldy, bool accumulate, lrp_linear_scratch *s) {
  const int64_t r = linear->rank;
  const lrp_matrix right = lrp_matrix_slice(linear->right, r, linear->n_in);
  const lrp_matrix left = lrp_matrix_slice(linear->left, linear->n_out, r);
  assert(linear->right.rows >= r && linear->left.cols >= r && linear->middle.cols >= r);
  lrp_status st = lrp_buffer_floats(&s->thin[0], t, r, "thin products");
  if (st == LRP_OK) {
    st = multiply(factor_operands(&right, s), x, t, ldx, &right, s->thin[0].data, r, false, s);
  }
  if (st != LRP_OK) return st;
  float *thin = s->thin[0].data;
  if (is_diagonal(linear)) {
    st = scale_columns(linear, thin, t, &s->vector);
  } else {
    const lrp_matrix middle = lrp_matrix_slice(linear->middle, r, r);
    assert(linear->middle.rows >= r);
    st = lrp_buffer_floats(&s->thin[1], t, r, "thin products");
    if (st == LRP_OK) {
      st = multiply(factor_operands(&middle, s), thin, t, r, &middle, s->thin[1].data, r, false, s);
    }
    thin = s->thin[1].data;
  }
  if (st != LRP_OK) return st;
  return multiply(factor_operands(&left, s), thin, t, r, &left, y, ldy, accumulate, s);
}

lrp_status lrp_linear_apply(const lrp_linear *linear, const float *x, int64_t t, int64_t ldx,
                            float *y, int64_t ldy, bool accumulate, lrp_linear_scratch *scratch) {
  lrp_status st = LRP_OK;
  if (t <= 0) return LRP_OK;
  if (linear->rank > 0) {
    st = apply_factors(linear, x, t, ldx, y, ldy, accumulate, scratch);
  } else {
    const lrp_matrix w = lrp_matrix_slice(linear->w, linear->n_out, linear->n_in);
    st = multiply(scratch->operands, x, t, ldx, &w, y, ldy, accumulate, scratch);
  }
  if (st == LRP_OK && linear->bias.data) st = add_bias(linear, y, t, ldy, &scratch->vector);
  return st;
}
