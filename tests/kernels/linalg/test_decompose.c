#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/linalg/decompose.h"
#include "kernels/linalg/svd.h"
#include "tests/kernels/linalg/cases.h"

static lrp_scratch scratch;

static const int shapes[][2] = {{1, 1}, {1, 5}, {5, 1}, {7, 5}, {5, 7}, {64, 172}};
enum { shape_count = sizeof shapes / sizeof *shapes };

/* sum of the squares of what rank values leave, relative to the whole */
static double tail(const lrp_factors *f) {
  double kept = 0.0, all = 0.0;
  for (int i = 0; i < f->k; i++) {
    all += f->spectrum[i] * f->spectrum[i];
    if (i < f->rank) kept += f->spectrum[i] * f->spectrum[i];
  }
  return all > 0.0 ? sqrt(fmax(0.0, (all - kept) / all)) : 0.0;
}

/* Everything that must hold of factors whatever the matrix; eps: unit roundoff of the type. */
static void check_factors(const lrp_matrix *w, const lrp_factors *f, double eps) {
  double *dense = case_doubles(w->data, w->dtype, w->rows, w->cols);
  double *product = case_product(f);
  const double error = case_distance(product, dense, w->rows * w->cols);
  assert_true(fabs(error - f->certificate.relative_error) <= 1e-7);
  assert_true(fabs(f->certificate.predicted - tail(f)) <= 1e-7);
  assert_true(fabs(f->certificate.relative_error - f->certificate.predicted) <= 4 * eps);
  assert_true(f->certificate.orthogonality <= 1e-6); /* of vectors rounded to float32 */
  assert_true(f->certificate.residual <= 1e-6);
  assert_true(case_orthogonality(f) <= 8 * eps);
  assert_true(case_signs_fixed(f));
  for (int i = 0; i < f->k; i++) {
    assert_true(f->spectrum[i] >= 0.0 && (i == 0 || f->spectrum[i] <= f->spectrum[i - 1]));
  }
  free(product);
  free(dense);
}

static void check_case(case_kind kind, lrp_dtype in, int m, int n, int rank, lrp_method method,
                       lrp_dtype out, double eps) {
  const int offset = in == LRP_F32 ? 2 : 1;
  lrp_matrix w = case_create(kind, in, m, n, offset);
  lrp_factors f;
  assert_int_equal(lrp_decompose("a tensor", &w, rank, method, out, &scratch, &f), LRP_OK);
  assert_int_equal(f.solver, LRP_SOLVER_GESDD);
  assert_int_equal(f.method, method);
  assert_int_equal(f.dtype, out);
  assert_true(f.m == m && f.n == n && f.rank == rank && f.k == (m < n ? m : n));
  check_factors(&w, &f, eps);
  lrp_factors_free(&f);
  case_free(&w, offset);
}

/* float32 cannot hold the singular values of denormals to full precision. */
static double roundoff(case_kind kind) {
  return kind == CASE_DENORMAL ? 1e-3 : 0x1p-24 * 4;
}

static void test_all_cases(void **state) {
  (void)state;
  for (int kind = 0; kind < CASE_COUNT; kind++) {
    for (int s = 0; s < shape_count; s++) {
      const int m = shapes[s][0];
      const int n = shapes[s][1];
      const int k = m < n ? m : n;
      const double eps = roundoff((case_kind)kind);
      check_case((case_kind)kind, LRP_F32, m, n, 1, LRP_TUCKER, LRP_F32, eps);
      check_case((case_kind)kind, LRP_F32, m, n, (k + 1) / 2, LRP_SVD, LRP_F32, eps);
      check_case((case_kind)kind, LRP_F32, m, n, k, LRP_TUCKER, LRP_F32, eps);
    }
  }
}

static void test_16_bit_types(void **state) {
  (void)state;
  for (int s = 0; s < shape_count; s++) {
    const int m = shapes[s][0];
    const int n = shapes[s][1];
    const int r = (m < n ? m : n) / 2 + 1 < 5 ? 1 : 5;
    check_case(CASE_RANDOM, LRP_F16, m, n, r, LRP_SVD, LRP_F16, 0x1p-11);
    check_case(CASE_RANDOM, LRP_BF16, m, n, r, LRP_TUCKER, LRP_BF16, 0x1p-8);
    check_case(CASE_OUTLIER, LRP_BF16, m, n, r, LRP_SVD, LRP_BF16, 0x1p-8);
    check_case(CASE_RANDOM, LRP_BF16, m, n, r, LRP_SVD, LRP_F32, 0x1p-22);
    check_case(CASE_ZERO, LRP_F16, m, n, r, LRP_TUCKER, LRP_BF16, 0x1p-8);
  }
}

/* A 16-bit matrix gives what the same numbers give as floats: alignment and type do not matter. */
static void test_input_type_does_not_matter(void **state) {
  lrp_matrix w = case_create(CASE_RANDOM, LRP_BF16, 33, 20, 1);
  float *wide = malloc(33 * 20 * sizeof *wide);
  lrp_factors a, b;
  (void)state;
  assert_non_null(wide);
  lrp_matrix_to_f32(wide, &w);
  const lrp_matrix v = {wide, LRP_F32, 33, 20, 20};
  assert_int_equal(lrp_decompose("bf16", &w, 9, LRP_SVD, LRP_F32, &scratch, &a), LRP_OK);
  assert_int_equal(lrp_decompose("f32", &v, 9, LRP_SVD, LRP_F32, &scratch, &b), LRP_OK);
  assert_memory_equal(a.left, b.left, 33 * 9 * sizeof(float));
  assert_memory_equal(a.spectrum, b.spectrum, 20 * sizeof(double));
  lrp_factors_free(&a);
  lrp_factors_free(&b);
  free(wide);
  case_free(&w, 1);
}

/* A view whose rows lie apart. */
static void test_leading_dimension(void **state) {
  lrp_matrix w = case_create(CASE_DIAGONAL, LRP_F32, 9, 12, 0);
  const lrp_matrix v = lrp_matrix_slice(w, 9, 6);
  lrp_factors f;
  (void)state;
  assert_int_equal(lrp_decompose("slice", &v, 6, LRP_SVD, LRP_F32, &scratch, &f), LRP_OK);
  for (int i = 0; i < 6; i++) assert_true(fabs(f.spectrum[i] - (i < 3 ? 5.0 : 4.0)) < 1e-14);
  assert_true(f.certificate.relative_error < 1e-6);
  lrp_factors_free(&f);
  case_free(&w, 0);
}

static void test_known_values(void **state) {
  const float w[] = {3, 0, 0, 0, 0, -4, 0, 0, 0, 0, 0, 0}; /* 3 x 4; s = 4, 3, 0 */
  const lrp_matrix view = {w, LRP_F32, 3, 4, 4};
  lrp_factors f;
  (void)state;
  assert_int_equal(lrp_decompose("known", &view, 2, LRP_TUCKER, LRP_F32, &scratch, &f), LRP_OK);
  const float *u = f.left;
  const float *vt = f.right;
  assert_true(fabs(f.spectrum[0] - 4) < 1e-14 && fabs(f.spectrum[1] - 3) < 1e-14);
  assert_true(fabs(f.spectrum[2]) < 1e-14);
  assert_true(fabsf(u[2] - 1.0f) < 1e-6f && fabsf(u[1] - 1.0f) < 1e-6f); /* columns e_2, e_1 */
  assert_true(fabsf(vt[1] + 1.0f) < 1e-6f && fabsf(vt[4] - 1.0f) < 1e-6f);
  assert_true(fabsf(f.middle[0] - 4.0f) < 1e-6f && fabsf(f.middle[3] - 3.0f) < 1e-6f);
  assert_true(f.middle[1] == 0.0f && f.middle[2] == 0.0f);
  lrp_factors_free(&f);
}

/* Of two entries of the same magnitude the first decides the sign. */
static void test_sign_of_a_tie(void **state) {
  const float w[] = {-1, 1}; /* u = (1, -1) / sqrt(2), vt = -1 */
  const lrp_matrix view = {w, LRP_F32, 2, 1, 1};
  lrp_factors f;
  (void)state;
  assert_int_equal(lrp_decompose("tie", &view, 1, LRP_SVD, LRP_F32, &scratch, &f), LRP_OK);
  const float *u = f.left;
  assert_true(u[0] > 0.0f && u[1] < 0.0f && *(float *)f.right < 0.0f);
  lrp_factors_free(&f);
}

/* One decomposition serves every rank: the factors of rank 3 are the leading part of those of
 * rank 7, to the bit. */
static void test_nested_ranks(void **state) {
  lrp_matrix w = case_create(CASE_RANDOM, LRP_F32, 40, 31, 0);
  lrp_factors a, b;
  (void)state;
  assert_int_equal(lrp_decompose("3", &w, 3, LRP_TUCKER, LRP_BF16, &scratch, &a), LRP_OK);
  assert_int_equal(lrp_decompose("7", &w, 7, LRP_TUCKER, LRP_BF16, &scratch, &b), LRP_OK);
  for (int i = 0; i < 40; i++) {
    assert_memory_equal((uint16_t *)a.left + 3 * i, (uint16_t *)b.left + 7 * i, 3 * 2);
  }
  assert_memory_equal(a.right, b.right, 3 * 31 * 2);
  for (int i = 0; i < 3; i++) assert_true(a.middle[4 * i] == b.middle[8 * i]);
  assert_memory_equal(a.spectrum, b.spectrum, 31 * sizeof(double));
  lrp_factors_free(&a);
  lrp_factors_free(&b);
  case_free(&w, 0);
}

static void test_singular_value_beyond_float32(void **state) {
  float w[35];
  const lrp_matrix view = {w, LRP_F32, 7, 5, 5};
  lrp_factors f;
  (void)state;
  for (int i = 0; i < 35; i++) w[i] = 3e38f; /* s_1 = sqrt(35) 3e38 */
  assert_int_equal(lrp_decompose("blk.7.weight", &view, 2, LRP_SVD, LRP_F32, &scratch, &f), LRP_ERR_DATA);
  assert_null(f.left);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_DATA), "blk.7.weight"));
  lrp_failure_clear();
}

/* A NaN is against the contract, but must end in a message, not in factors. */
static void test_no_solver_passes(void **state) {
  lrp_matrix w = case_create(CASE_RANDOM, LRP_F32, 12, 9, 0);
  lrp_factors f;
  (void)state;
  ((float *)(uintptr_t)w.data)[40] = NAN;
  assert_int_equal(lrp_decompose("blk.3.weight", &w, 2, LRP_SVD, LRP_F32, &scratch, &f), LRP_ERR_NUM);
  assert_null(f.left);
  assert_null(f.spectrum);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_NUM), "blk.3.weight"));
  lrp_failure_clear();
  case_free(&w, 0);
}

static void test_bad_arguments(void **state) {
  const float w[6] = {1, 2, 3, 4, 5, 6};
  const lrp_matrix view = {w, LRP_F32, 2, 3, 3};
  const lrp_matrix vast = {w, LRP_F32, INT64_C(1) << 32, 3, 3};
  const lrp_matrix wide = {w, LRP_F32, 1000, 3000000, 3000000};
  lrp_factors f;
  (void)state;
  assert_int_equal(lrp_decompose("x", &view, 3, LRP_SVD, LRP_F32, &scratch, &f), LRP_ERR_BUG);
  lrp_failure_clear();
  assert_int_equal(lrp_decompose("x", &view, 0, LRP_SVD, LRP_F32, &scratch, &f), LRP_ERR_BUG);
  lrp_failure_clear();
  assert_int_equal(lrp_decompose("x", &vast, 1, LRP_SVD, LRP_F32, &scratch, &f), LRP_ERR_NUM);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_NUM), "4294967296 x 3"));
  lrp_failure_clear();
  assert_int_equal(lrp_decompose("x", &wide, 1, LRP_SVD, LRP_F32, &scratch, &f), LRP_ERR_NUM);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_NUM), "too large"));
  lrp_failure_clear();
}

/* gesvd is reached only when gesdd fails, so it is tested by itself. */
static void test_both_solvers_agree(void **state) {
  enum { m = 17, n = 23 };
  double a[m * n], s[2][m], u[2][m * m], vt[2][m * n];
  (void)state;
  for (int solver = 0; solver < 2; solver++) {
    for (int i = 0; i < m * n; i++) a[i] = case_random(9, (uint64_t)i);
    assert_int_equal(lrp_svd((lrp_solver)solver, m, n, a, s[solver], u[solver], vt[solver]),
                     LRP_OK);
  }
  for (int i = 0; i < m; i++) {
    double product = 0.0;
    for (int j = 0; j < n; j++) product += vt[0][i + j * m] * vt[1][i + j * m];
    assert_true(fabs(s[0][i] - s[1][i]) < 1e-13);
    assert_true(fabs(fabs(product) - 1.0) < 1e-12);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_all_cases),
      cmocka_unit_test(test_16_bit_types),
      cmocka_unit_test(test_input_type_does_not_matter),
      cmocka_unit_test(test_leading_dimension),
      cmocka_unit_test(test_known_values),
      cmocka_unit_test(test_sign_of_a_tie),
      cmocka_unit_test(test_nested_ranks),
      cmocka_unit_test(test_singular_value_beyond_float32),
      cmocka_unit_test(test_no_solver_passes),
      cmocka_unit_test(test_bad_arguments),
      cmocka_unit_test(test_both_solvers_agree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
