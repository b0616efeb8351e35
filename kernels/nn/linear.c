#include "kernels/nn/linear.h"

#include <assert.h>

#include "kernels/nn/product.h"

enum { parallel_elements = 1 << 15 }; /* below, threads cost more than they save */

void lrp_linear_scratch_free(lrp_linear_scratch *scratch) {
  lrp_matmul_scratch_free(&scratch->matmul);
  lrp_buffer_free(&scratch->thin[0]);
  lrp_buffer_free(&scratch->thin[1]);
  lrp_buffer_free(&scratch->vector);
}

/* y = x w^T, or += */
static lrp_status multiply(lrp_dtype operands, const lrp_matrix *x, const lrp_matrix *w,
                           const lrp_packed *packed, float *y, int64_t ldy, bool accumulate,
                           lrp_linear_scratch *s) {
  if (!packed->data) return lrp_matmul(x, w, operands, y, ldy, accumulate, &s->matmul);
  assert(packed->operands == operands);
  return lrp_matmul_packed(x, packed, y, ldy, accumulate, &s->matmul);
}

/* Of a factor n x k: small ones are not rounded. */
static lrp_dtype factor_operands(int64_t n, int64_t k, lrp_dtype operands) {
  return lrp_product_suits(n, k) ? LRP_F32 : operands;
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

/* thin = thin middle^T, in its own memory or the other panel's */
static lrp_status apply_middle(const lrp_linear *linear, lrp_matrix *thin, lrp_linear_scratch *s) {
  const int64_t r = linear->rank, t = thin->rows;
  const lrp_matrix middle = lrp_matrix_slice(linear->middle, r, r);
  if (!middle.data) return LRP_OK;
  if (is_diagonal(linear)) return scale_columns(linear, s->thin[0].data, t, &s->vector);
  assert(linear->middle.rows >= r);
  lrp_status st = lrp_buffer_floats(&s->thin[1], t, r, "thin products");
  if (st != LRP_OK) return st;
  st = lrp_matmul(thin, &middle, factor_operands(r, r, s->operands), s->thin[1].data, r, false,
                  &s->matmul);
  thin->data = s->thin[1].data;
  return st;
}

/* y = x (left middle right)^T = ((x right^T) middle^T) left^T */
static lrp_status apply_factors(const lrp_linear *linear, const lrp_matrix *x, float *y,
                                int64_t ldy, bool accumulate, lrp_linear_scratch *s) {
  const int64_t r = linear->rank, t = x->rows;
  const lrp_matrix right = lrp_matrix_slice(linear->right, r, linear->n_in);
  const lrp_matrix left = lrp_matrix_slice(linear->left, linear->n_out, r);
  lrp_matrix thin = {.dtype = LRP_F32, .rows = t, .cols = r, .ld = r};
  lrp_status st = lrp_buffer_floats(&s->thin[0], t, r, "thin products");
  if (st != LRP_OK) return st;
  thin.data = s->thin[0].data;
  st = multiply(factor_operands(r, linear->n_in, s->operands), x, &right, &linear->packed_right,
                s->thin[0].data, r, false, s);
  if (st == LRP_OK) st = apply_middle(linear, &thin, s);
  if (st != LRP_OK) return st;
  return multiply(factor_operands(linear->n_out, r, s->operands), &thin, &left,
                  &linear->packed_left, y, ldy, accumulate, s);
}

lrp_status lrp_linear_apply(const lrp_linear *linear, const void *x, lrp_dtype x_type, int64_t t,
                            int64_t ldx, float *y, int64_t ldy, bool accumulate,
                            lrp_linear_scratch *scratch) {
  const lrp_matrix rows = {.data = x, .dtype = x_type, .rows = t, .cols = linear->n_in, .ld = ldx};
  lrp_status st = LRP_OK;
  if (t <= 0) return LRP_OK;
  if (linear->rank > 0) {
    st = apply_factors(linear, &rows, y, ldy, accumulate, scratch);
  } else {
    const lrp_matrix w = lrp_matrix_slice(linear->w, linear->n_out, linear->n_in);
    st = multiply(scratch->operands, &rows, &w, &linear->packed, y, ldy, accumulate, scratch);
  }
  if (st == LRP_OK && linear->bias.data) st = add_bias(linear, y, t, ldy, &scratch->vector);
  return st;
}

/* ---- packing --------------------------------------------------------------------------------- */

/* Of a factor, which is copied where it is not packed. */
static size_t factor_bytes(int64_t n, int64_t k, lrp_dtype operands) {
  const size_t packed = lrp_packed_bytes(n, k, operands);
  const size_t element = lrp_dtype_size(factor_operands(n, k, operands));
  return packed > 0 ? packed : ((size_t)(n * k) * element + 63) / 64 * 64;
}

size_t lrp_linear_packed_bytes(const lrp_linear *linear, lrp_dtype operands) {
  const int64_t r = linear->rank;
  if (r <= 0) return lrp_packed_bytes(linear->n_out, linear->n_in, operands);
  return factor_bytes(r, linear->n_in, operands) + factor_bytes(linear->n_out, r, operands);
}

/* *factor = itself in memory, as *packed where that is worth it */
static lrp_status pack_factor(lrp_matrix *factor, lrp_dtype operands, void *memory,
                              lrp_packed *packed) {
  const int64_t n = factor->rows, k = factor->cols;
  const lrp_dtype type = factor_operands(n, k, operands);
  const lrp_matrix plain = {.data = memory, .dtype = type, .rows = n, .cols = k, .ld = k};
  if (lrp_packed_bytes(n, k, operands) > 0) {
    const lrp_status st = lrp_pack(factor, operands, memory, packed);
    *factor = (lrp_matrix){0};
    return st;
  }
  for (int64_t i = 0; i < n; i++) {
    void *row = (unsigned char *)memory + (size_t)(i * k) * lrp_dtype_size(type);
    lrp_convert(row, type, lrp_matrix_row(factor, i), factor->dtype, (size_t)k);
  }
  *factor = plain;
  return LRP_OK;
}

/* folded (n_out x rank) = left diag(middle) */
static lrp_status fold_diagonal(const lrp_linear *linear, lrp_linear_scratch *s, float *folded) {
  const float *diagonal = NULL;
  const int64_t r = linear->rank;
  const lrp_status st = vector_floats(&linear->middle, r, &s->vector, &diagonal);
  if (st != LRP_OK) return st;
#pragma omp parallel for if (linear->n_out * r > parallel_elements)
  for (int64_t i = 0; i < linear->n_out; i++) {
    float *row = folded + i * r;
    lrp_to_f32(row, lrp_matrix_row(&linear->left, i), linear->left.dtype, (size_t)r);
    for (int64_t j = 0; j < r; j++) row[j] *= diagonal[j];
  }
  return LRP_OK;
}

/* folded (n_out x rank) = left middle */
static lrp_status fold_core(const lrp_linear *linear, lrp_linear_scratch *s, float *folded) {
  const int64_t r = linear->rank;
  const lrp_matrix left = lrp_matrix_slice(linear->left, linear->n_out, r);
  lrp_matrix transposed = {.dtype = LRP_F32, .rows = r, .cols = r, .ld = r};
  assert(linear->middle.rows >= r);
  lrp_status st = lrp_buffer_floats(&s->thin[1], r, r, "a core");
  if (st == LRP_OK) st = lrp_buffer_floats(&s->vector, 1, r, "a core");
  if (st != LRP_OK) return st;
  const float *row = s->vector.data;
  float *column = s->thin[1].data;
  transposed.data = column;
  for (int64_t i = 0; i < r; i++, column++) {
    lrp_to_f32(s->vector.data, lrp_matrix_row(&linear->middle, i), linear->middle.dtype, (size_t)r);
    for (int64_t j = 0; j < r; j++) column[j * r] = row[j];
  }
  return lrp_matmul(&left, &transposed, LRP_F32, folded, r, false, &s->matmul);
}

/* *left = left middle, in scratch unless that is left itself */
static lrp_status fold(const lrp_linear *linear, lrp_linear_scratch *s, lrp_matrix *left) {
  const int64_t r = linear->rank, n = linear->n_out;
  *left = lrp_matrix_slice(linear->left, n, r);
  if (!linear->middle.data) return LRP_OK;
  const lrp_status st = lrp_buffer_floats(&s->thin[0], n, r, "a factor");
  if (st != LRP_OK) return st;
  *left = (lrp_matrix){.data = s->thin[0].data, .dtype = LRP_F32, .rows = n, .cols = r, .ld = r};
  return is_diagonal(linear) ? fold_diagonal(linear, s, s->thin[0].data)
                             : fold_core(linear, s, s->thin[0].data);
}

static lrp_status pack_factors(lrp_linear *linear, lrp_dtype operands, void *memory) {
  const int64_t r = linear->rank;
  lrp_linear packed = *linear;
  lrp_linear_scratch scratch = {0};
  void *rest = (unsigned char *)memory + factor_bytes(r, linear->n_in, operands);
  assert(linear->left.data && linear->right.data);
  packed.middle = (lrp_matrix){0};
  packed.right = lrp_matrix_slice(linear->right, r, linear->n_in);
  lrp_status st = fold(linear, &scratch, &packed.left);
  if (st == LRP_OK) st = pack_factor(&packed.right, operands, memory, &packed.packed_right);
  if (st == LRP_OK) st = pack_factor(&packed.left, operands, rest, &packed.packed_left);
  if (st == LRP_OK) *linear = packed;
  lrp_linear_scratch_free(&scratch);
  return st;
}

lrp_status lrp_linear_pack(lrp_linear *linear, lrp_dtype operands, void *memory) {
  if (linear->rank > 0) return pack_factors(linear, operands, memory);
  const lrp_matrix w = lrp_matrix_slice(linear->w, linear->n_out, linear->n_in);
  if (lrp_packed_bytes(w.rows, w.cols, operands) == 0) return LRP_OK;
  return lrp_pack(&w, operands, memory, &linear->packed);
}
