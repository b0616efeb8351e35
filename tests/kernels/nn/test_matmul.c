#include "kernels/nn/matmul.h"

#include <omp.h>

#include "kernels/nn/product.h"
#include "tests/kernels/nn/nn_test.h"

static const int64_t sizes[] = {1, 2, 3, 8, 16, 31, 64, 172, 512, 768};
static const int64_t counts[] = {1, 2, 3, 5, 7, 16, 17, 64, 300, 512};
enum { n_sizes = 10, n_counts = 10, most_rows = 512, widest = 768 };

/* y = x w^T by x of rows of floats */
static lrp_status multiply(lrp_dtype operands, const float *x, int64_t t, int64_t ldx,
                           const lrp_matrix *w, float *y, int64_t ldy, bool accumulate,
                           lrp_matmul_scratch *scratch) {
  const lrp_matrix rows = view(x, t, w->cols, ldx);
  return lrp_matmul(&rows, w, operands, y, ldy, accumulate, scratch);
}

/* Round to bfloat16, as kernels/matrix.h does. */
static void round_all(float *x, int64_t count) {
  uint16_t *rounded = malloc((size_t)count * sizeof *rounded);
  lrp_from_f32(rounded, LRP_BF16, x, (size_t)count);
  lrp_to_f32(x, rounded, LRP_BF16, (size_t)count);
  free(rounded);
}

static void check_against_double(lrp_dtype operands) {
  static const int64_t shapes[][3] = {/* t, k, n */
                                      {1, 1, 1},     {5, 3, 2},      {7, 64, 172},   {97, 513, 31},
                                      {6, 1025, 16}, {33, 300, 300}, {64, 512, 512}, {1, 768, 768}};
  lrp_matmul_scratch scratch = {0};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    const int64_t t = shapes[s][0], k = shapes[s][1], n = shapes[s][2];
    float *x = random_floats(t * k, 1, 1.0f);
    float *w = random_floats(n * k, 2, 1.0f);
    float *y = random_floats(t * n, 3, 1.0f);
    double *expected = malloc((size_t)(t * n) * sizeof *expected);
    const lrp_matrix m = view(w, n, k, k);
    float *xs = random_floats(t * k, 1, 1.0f), *ws = random_floats(n * k, 2, 1.0f);
    if (operands == LRP_BF16) {
      round_all(xs, t * k);
      round_all(ws, n * k);
    }
    naive_product(xs, t, k, ws, n, k, k, expected);
    free(ws);
    free(xs);
    assert_int_equal(multiply(operands, x, t, k, &m, y, n, false, &scratch), LRP_OK);
    assert_true(distance(y, n, expected, t, n) < 2e-7 * (double)k + 1e-7);
    assert_int_equal(multiply(operands, x, t, k, &m, y, n, true, &scratch), LRP_OK);
    for (int64_t i = 0; i < t * n; i++) expected[i] *= 2.0;
    assert_true(distance(y, n, expected, t, n) < 4e-7 * (double)k + 1e-7);
    free(expected);
    free(y);
    free(w);
    free(x);
  }
  lrp_matmul_scratch_free(&scratch);
}

static void test_against_double(void **state) {
  (void)state;
  check_against_double(LRP_F32);
  check_against_double(LRP_BF16);
}

/* Operands of one product of the invariance test, with every freedom that must not matter. */
typedef struct {
  int64_t k, n, t, first;         /* rows first .. first + t - 1 of the whole x */
  int64_t gap_x, gap_w, gap_y;    /* elements between the rows */
  int64_t skip_x, skip_w, skip_y; /* elements before the first: alignment */
  bool accumulate;
  lrp_dtype operands;
} variant;

/* Compare the rows of a variant to those of the whole product, bit by bit. */
static void check_rows(const variant *v, const float *x, const float *w, const float *whole,
                       float *xs, float *ws, float *ys, lrp_matmul_scratch *scratch) {
  const int64_t ldx = v->k + v->gap_x, ldw = v->k + v->gap_w, ldy = v->n + v->gap_y;
  const size_t row = (size_t)v->k * sizeof *x;
  xs += v->skip_x;
  ws += v->skip_w;
  ys += v->skip_y;
  for (int64_t i = 0; i < v->t; i++) memcpy(xs + i * ldx, x + (v->first + i) * v->k, row);
  for (int64_t j = 0; j < v->n; j++) memcpy(ws + j * ldw, w + j * v->k, row);
  for (int64_t i = 0; i < v->t * ldy; i++) ys[i] = 0.25f;
  const lrp_matrix m = view(ws, v->n, v->k, ldw);
  assert_int_equal(multiply(v->operands, xs, v->t, ldx, &m, ys, ldy, v->accumulate, scratch),
                   LRP_OK);
  for (int64_t i = 0; i < v->t; i++) {
    assert_memory_equal(ys + i * ldy, whole + (v->first + i) * v->n, (size_t)v->n * sizeof *ys);
    for (int64_t g = 0; g < v->gap_y && i + 1 < v->t; g++) { /* nothing is written in between */
      assert_true(ys[i * ldy + v->n + g] == 0.25f);
    }
  }
}

static void check_shape(lrp_dtype operands, int64_t k, int64_t n, float *xs, float *ws, float *ys) {
  lrp_matmul_scratch scratch = {0};
  float *x = random_floats(most_rows * k, (uint64_t)k, 1.0f);
  float *w = random_floats(n * k, (uint64_t)n + 1000, 1.0f);
  float *whole = malloc((size_t)(most_rows * n) * sizeof *whole);
  const lrp_matrix m = view(w, n, k, k);
  for (int accumulate = 0; accumulate < 2; accumulate++) {
    omp_set_num_threads(2);
    for (int64_t i = 0; i < most_rows * n; i++) whole[i] = 0.25f;
    assert_int_equal(multiply(operands, x, most_rows, k, &m, whole, n, accumulate, &scratch),
                     LRP_OK);
    for (int c = 0; c < n_counts; c++) {
      const int64_t t = counts[c];
      const int64_t kind = c + k + n + accumulate; /* takes the combinations in turn */
      const variant v = {.k = k,
                         .n = n,
                         .t = t,
                         .first = kind % 3 ? most_rows - t : 0,
                         .gap_x = kind % 2 ? 5 : 0,
                         .gap_w = kind / 2 % 2 ? 3 : 0,
                         .gap_y = kind / 4 % 2 ? 2 : 0,
                         .skip_x = kind % 5,
                         .skip_w = kind % 7,
                         .skip_y = kind % 3,
                         .accumulate = accumulate,
                         .operands = operands};
      const variant plain = {
          .k = k, .n = n, .t = t, .accumulate = accumulate, .operands = operands};
      omp_set_num_threads(1 + (c + accumulate) % 2);
      check_rows(&v, x, w, whole, xs, ws, ys, &scratch);
      if (t < 300) check_rows(&plain, x, w, whole, xs, ws, ys, &scratch);
    }
  }
  free(whole);
  free(w);
  free(x);
  lrp_matmul_scratch_free(&scratch);
}

static void test_rows_do_not_depend_on_anything_else(void **state) {
  const int64_t room = widest + 8;
  float *xs = random_floats(most_rows * room, 1, 1.0f);
  float *ws = random_floats(widest * room + 8, 2, 1.0f);
  float *ys = random_floats(most_rows * room, 3, 1.0f);
  (void)state;
  for (int a = 0; a < n_sizes; a++) {
    for (int b = 0; b < n_sizes; b++) {
      check_shape(LRP_F32, sizes[a], sizes[b], xs, ws, ys);
      if ((a + b) % 2 == 0) check_shape(LRP_BF16, sizes[a], sizes[b], xs, ws, ys);
    }
  }
  free(ys);
  free(ws);
  free(xs);
}

/* What large weights are multiplied by where oneDNN has no kernel: as close, and as independent. */
static void test_product_in_floats(void **state) {
  enum { n = 37, k = 1100, t = 100, gap = 3 };
  float *x = random_floats(t * (k + gap), 8, 1.0f), *w = random_floats(n * (k + gap), 9, 1.0f);
  float *whole = random_floats(t * n, 10, 1.0f), *y = malloc(sizeof(float[t * (n + gap)]));
  double *expected = malloc(sizeof(double[t * n]));
  (void)state;
  naive_product(x, t, k + gap, w, n, k, k + gap, expected);
  for (int i = 0; i < t * n; i++) expected[i] += (double)whole[i];
  memcpy(y, whole, sizeof(float[t * n]));
  omp_set_num_threads(1);
  lrp_product_float(x, t, k + gap, w, n, k, k + gap, whole, n, true);
  assert_true(distance(whole, n, expected, t, n) < 2e-4);
  omp_set_num_threads(2);
  lrp_product_float(x, t, k + gap, w, n, k, k + gap, y, n, true);
  assert_memory_equal(y, whole, sizeof(float[t * n]));
  lrp_product_float(x, t, k + gap, w, n, k, k + gap, whole, n, false);
  for (int from = 0; from < t; from += 7) {
    const int rows = t - from < 7 ? t - from : 7;
    lrp_product_float(x + from * (k + gap), rows, k + gap, w, n, k, k + gap, y, n + gap, false);
    for (int i = 0; i < rows; i++) {
      assert_memory_equal(y + i * (n + gap), whole + (from + i) * n, sizeof(float[n]));
    }
  }
  free(expected);
  free(y);
  free(whole);
  free(w);
  free(x);
}

/* Stored types and addresses that the product cannot use in place give the bits of the floats. */
static void check_stored(lrp_dtype operands, lrp_dtype dtype, size_t offset, int64_t n, int64_t k) {
  const int64_t t = 9;
  lrp_matmul_scratch scratch = {0};
  const size_t size = lrp_dtype_size(dtype);
  float *x = random_floats(t * k, 4, 1.0f);
  float *w = random_floats(n * k, 5, 1.0f);
  float *y = random_floats(t * n, 6, 1.0f);
  float *expected = random_floats(t * n, 7, 1.0f);
  unsigned char *stored = malloc((size_t)(n * k) * size + offset);
  lrp_matrix m = view(w, n, k, k), plain;
  lrp_buffer buffer = {0};

  lrp_from_f32(stored + offset, dtype, w, (size_t)(n * k));
  lrp_to_f32(w, stored + offset, dtype, (size_t)(n * k)); /* w as it is after rounding */
  assert_int_equal(multiply(operands, x, t, k, &m, expected, n, false, &scratch), LRP_OK);
  m.data = stored + offset;
  m.dtype = dtype;
  assert_int_equal(multiply(operands, x, t, k, &m, y, n, false, &scratch), LRP_OK);
  assert_memory_equal(y, expected, (size_t)(t * n) * sizeof *y);

  assert_int_equal(lrp_matmul_prepare(&m, operands, &buffer, &plain), LRP_OK);
  assert_int_equal(plain.dtype, operands);
  assert_true((dtype == operands && offset % lrp_dtype_size(dtype) == 0) == (plain.data == m.data));
  assert_int_equal(multiply(operands, x, t, k, &plain, y, n, false, &scratch), LRP_OK);
  assert_memory_equal(y, expected, (size_t)(t * n) * sizeof *y);
  lrp_buffer_free(&buffer);
  free(stored);
  free(expected);
  free(y);
  free(w);
  free(x);
  lrp_matmul_scratch_free(&scratch);
}

static void test_stored_types(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++) {
    const lrp_dtype operands = i % 2 ? LRP_BF16 : LRP_F32;
    const int64_t n = i / 2 ? 300 : 31, k = i / 2 ? 257 : 20;
    check_stored(operands, LRP_F32, 0, n, k);
    check_stored(operands, LRP_F32, 1, n, k);
    check_stored(operands, LRP_F32, 2, n, k);
    check_stored(operands, LRP_F16, 0, n, k);
    check_stored(operands, LRP_F16, 1, n, k);
    check_stored(operands, LRP_BF16, 0, n, k);
    check_stored(operands, LRP_BF16, 1, n, k);
    check_stored(operands, LRP_BF16, 2, n, k);
  }
}

/* 1 x 1 products show how an operand is rounded: the other one is 1, and nothing is summed. */
static void test_rounding(void **state) {
  static const struct {
    float is, rounded;
  } cases[] = {
      {0x1.02p0f, 0x1.02p0f},       /* 8 bits of mantissa: exact */
      {0x1.01p0f, 0x1.00p0f},       /* a tie goes to the even neighbour, */
      {0x1.03p0f, 0x1.04p0f},       /* below or above */
      {0x1.010002p0f, 0x1.02p0f},   /* just above a tie */
      {-0x1.02fffep0f, -0x1.02p0f}, /* just below one */
      {0x1.fffffep0f, 0x1p1f},      /* a carry into the exponent */
      {0x1.fffffep127f, INFINITY},
      {0x1.8p-130f, 0x1.8p-130f}, /* subnormal */
      {-0.0f, -0.0f},
      {INFINITY, INFINITY},
  };
  const float unit = 1.0f;
  lrp_matmul_scratch scratch = {0};
  float y;
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const lrp_matrix value = view(&cases[i].is, 1, 1, 1), identity = view(&unit, 1, 1, 1);
    assert_int_equal(multiply(LRP_BF16, &unit, 1, 1, &value, &y, 1, false, &scratch), LRP_OK);
    assert_true(y == cases[i].rounded);
    assert_int_equal(multiply(LRP_BF16, &cases[i].is, 1, 1, &identity, &y, 1, false, &scratch),
                     LRP_OK);
    assert_true(y == cases[i].rounded);
  }
  const float nan = NAN;
  const lrp_matrix identity = view(&unit, 1, 1, 1);
  assert_int_equal(multiply(LRP_BF16, &nan, 1, 1, &identity, &y, 1, false, &scratch), LRP_OK);
  assert_true(isnan(y));
  lrp_matmul_scratch_free(&scratch);
}

static void test_empty(void **state) {
  lrp_matmul_scratch scratch = {0};
  const float x[4] = {1, 2, 3, 4};
  float y[6] = {7, 7, 7, 7, 7, 7};
  lrp_matrix w = view(x, 2, 2, 2);
  (void)state;

  assert_int_equal(multiply(LRP_F32, x, 0, 2, &w, y, 2, false, &scratch), LRP_OK);
  assert_true(y[0] == 7.0f);
  w = view(x, 2, 0, 2); /* k = 0: zero rows, but not the gap between them */
  assert_int_equal(multiply(LRP_F32, x, 2, 2, &w, y, 3, true, &scratch), LRP_OK);
  assert_true(y[0] == 7.0f);
  assert_int_equal(multiply(LRP_F32, x, 2, 2, &w, y, 3, false, &scratch), LRP_OK);
  assert_true(y[0] == 0.0f && y[1] == 0.0f && y[2] == 7.0f && y[3] == 0.0f && y[4] == 0.0f);
  w = view(x, 0, 2, 2); /* n = 0 */
  assert_int_equal(multiply(LRP_F32, x, 2, 2, &w, y, 3, false, &scratch), LRP_OK);
  assert_true(y[2] == 7.0f && y[5] == 7.0f);
  lrp_matmul_scratch_free(&scratch);
  lrp_matmul_scratch_free(&scratch);
}

static void test_buffer_that_cannot_be(void **state) {
  lrp_buffer buffer = {0};
  (void)state;
  assert_int_equal(lrp_buffer_floats(&buffer, 10, 10, "test"), LRP_OK);
  assert_non_null(buffer.data);
  assert_int_equal(lrp_buffer_floats(&buffer, INT64_MAX, INT64_MAX, "test"), LRP_ERR_MEM);
  assert_null(buffer.data);
  lrp_failure_clear();
  assert_int_equal(lrp_buffer_floats(&buffer, 1, 1, "test"), LRP_OK);
  assert_int_equal((uintptr_t)buffer.data % 64, 0);
  lrp_buffer_free(&buffer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_against_double),
      cmocka_unit_test(test_rows_do_not_depend_on_anything_else),
      cmocka_unit_test(test_product_in_floats),
      cmocka_unit_test(test_stored_types),
      cmocka_unit_test(test_rounding),
      cmocka_unit_test(test_empty),
      cmocka_unit_test(test_buffer_that_cannot_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
