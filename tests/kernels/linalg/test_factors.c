#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>

#include "kernels/linalg/certificate.h"
#include "kernels/linalg/svd.h"
#include "tests/kernels/linalg/cases.h"

static lrp_scratch scratch;

static void test_break_even(void **state) {
  (void)state;
  assert_int_equal(lrp_break_even_rank(LRP_TUCKER, 4096, 4096), 1696);
  assert_int_equal(lrp_break_even_rank(LRP_TUCKER, 4096, 11008), 2553);
  assert_int_equal(lrp_break_even_rank(LRP_TUCKER, 11008, 4096), 2553);
  assert_int_equal(lrp_break_even_rank(LRP_TUCKER, 768, 768), 318);
  assert_int_equal(lrp_break_even_rank(LRP_TUCKER, 768, 3072), 538);
  assert_int_equal(lrp_break_even_rank(LRP_SVD, 4096, 4096), 2048);
  assert_int_equal(lrp_break_even_rank(LRP_SVD, 4096, 11008), 2985);
  assert_int_equal(lrp_break_even_rank(LRP_TUCKER, 1, 1), 1);
  assert_int_equal(lrp_break_even_rank(LRP_SVD, 1, 1000), 1);
}

static void test_parameters(void **state) {
  (void)state;
  assert_int_equal(lrp_factor_parameters(LRP_TUCKER, 7, 5, 3), 3 * 12 + 9);
  assert_int_equal(lrp_factor_parameters(LRP_SVD, 7, 5, 3), 3 * 12);
  assert_int_equal(lrp_factor_parameters(LRP_SVD, 100000, 300000, 100000), INT64_C(40000000000));
  assert_true(lrp_factor_parameters(LRP_TUCKER, INT64_MAX / 2, INT64_MAX, 3) == INT64_MAX);
}

static void test_rank_for_budget(void **state) {
  (void)state;
  assert_int_equal(lrp_rank_for_budget(LRP_SVD, 7, 5, 36.0), 3);
  assert_int_equal(lrp_rank_for_budget(LRP_SVD, 7, 5, 35.999), 2);
  assert_int_equal(lrp_rank_for_budget(LRP_SVD, 7, 5, 36.5), 3);
  assert_int_equal(lrp_rank_for_budget(LRP_TUCKER, 7, 5, 45.0), 3);
  assert_int_equal(lrp_rank_for_budget(LRP_TUCKER, 7, 5, 44.0), 2);
  assert_int_equal(lrp_rank_for_budget(LRP_SVD, 7, 5, 1e9), 5); /* at most min(m, n) */
  assert_int_equal(lrp_rank_for_budget(LRP_SVD, 7, 5, INFINITY), 5);
  assert_int_equal(lrp_rank_for_budget(LRP_SVD, 7, 5, 11.0), 1); /* none fits */
  assert_int_equal(lrp_rank_for_budget(LRP_SVD, 7, 5, 0.0), 1);
  assert_int_equal(lrp_rank_for_budget(LRP_SVD, 7, 5, -INFINITY), 1);
  assert_int_equal(lrp_rank_for_budget(LRP_SVD, 7, 5, NAN), 1);
  /* 2^53 - 1 = r (m + n) exactly: r = 6361, m + n = 69431 x 20394401 */
  const int64_t side = INT64_C(69431) * 20394401;
  assert_int_equal(lrp_rank_for_budget(LRP_SVD, side - 7000, 7000, 0x1.fffffffffffffp52), 6361);
  assert_int_equal(lrp_rank_for_budget(LRP_SVD, side - 7000, 7000, 0x1.ffffffffffffep52), 6360);
  /* counts beyond int64: 3 (m + n) > 2^61 */
  assert_int_equal(lrp_rank_for_budget(LRP_TUCKER, INT64_MAX / 4, INT64_MAX / 4, 0x1p61), 1);
  assert_int_equal(lrp_rank_for_budget(LRP_SVD, INT64_MAX / 8, INT64_MAX / 8, 0x1.8p61), 1);
  assert_int_equal(lrp_rank_for_budget(LRP_SVD, INT64_MAX / 16, INT64_MAX / 16, 0x1.8p61), 3);
}

static void test_rank_for_energy(void **state) {
  const double s[] = {4.0, 2.0, 1.0, 0.0}; /* squares 16, 4, 1; sum 21 */
  const double unknown[] = {4.0, 2.0, NAN, NAN};
  const double nothing[] = {0.0, 0.0};
  (void)state;
  assert_int_equal(lrp_rank_for_energy(s, 4, 16.0 / 32.0, 32.0), 1);
  assert_int_equal(lrp_rank_for_energy(s, 4, 0.5001, 32.0), 2);
  assert_int_equal(lrp_rank_for_energy(s, 4, 0.625, 32.0), 2);
  assert_int_equal(lrp_rank_for_energy(s, 4, 0.63, 32.0), 3);
  assert_int_equal(lrp_rank_for_energy(s, 4, 1.0, 21.0), 3);
  assert_int_equal(lrp_rank_for_energy(s, 4, 1.0, 22.0), 4);
  assert_int_equal(lrp_rank_for_energy(s, 4, 1e-9, 21.0), 1);
  assert_int_equal(lrp_rank_for_energy(unknown, 4, 0.9, 21.0), 2);
  assert_int_equal(lrp_rank_for_energy(unknown, 4, 0.99, 21.0), 4);
  assert_int_equal(lrp_rank_for_energy(nothing, 2, 0.9, 0.0), 1);
}

static void test_sizes_for_lapack(void **state) {
  (void)state;
  assert_true(lrp_svd_fits(LRP_SOLVER_GESDD, 1, 1));
  assert_true(lrp_svd_fits(LRP_SOLVER_GESDD, 11008, 4096));
  assert_true(lrp_svd_fits(LRP_SOLVER_GESDD, 4096, 128256));
  assert_false(lrp_svd_fits(LRP_SOLVER_GESDD, 32000, 32000)); /* 4 k^2 > 2^31 */
  assert_true(lrp_svd_fits(LRP_SOLVER_GESVD, 32000, 32000));
  assert_false(lrp_svd_fits(LRP_SOLVER_GESVD, 46341, 46341));
  assert_false(lrp_svd_fits(LRP_SOLVER_GESVD, INT64_C(1) << 40, 1));
  assert_false(lrp_svd_fits(LRP_SOLVER_GESVD, INT64_MAX, INT64_MAX));
  assert_false(lrp_svd_fits(LRP_SOLVER_GESVD, 0, 5));
}

/* W = diag(3, 2, 1) in 4 x 3 with its exact leading triplets. */
typedef struct {
  float w[12];
  double s[3];
  float u[8], vt[6];
  lrp_matrix view;
  lrp_triplets t;
} example;

static void make_example(example *e) {
  *e = (example){.w = {3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0},
                 .s = {3, 2, 1},
                 .u = {1, 0, 0, 1, 0, 0, 0, 0},
                 .vt = {1, 0, 0, 0, 1, 0}};
  e->view = (lrp_matrix){e->w, LRP_F32, 4, 3, 3};
  e->t = (lrp_triplets){.m = 4, .n = 3, .rank = 2, .k = 3, .s = e->s, .u = e->u, .vt = e->vt};
}

static bool example_passes(example *e, lrp_certificate *c) {
  assert_int_equal(lrp_certify(&e->view, &e->t, &scratch, c), LRP_OK);
  return lrp_certificate_passes(c);
}

static void test_certificate_of_exact_triplets(void **state) {
  example e;
  lrp_certificate c;
  (void)state;
  make_example(&e);
  assert_true(example_passes(&e, &c));
  assert_true(fabs(c.relative_error - 1.0 / sqrt(14.0)) < 1e-15);
  assert_true(fabs(c.predicted - 1.0 / sqrt(14.0)) < 1e-15);
  assert_true(c.orthogonality == 0.0 && c.residual == 0.0);
  e.s[2] = NAN; /* not computed, and not looked at */
  assert_true(example_passes(&e, &c));
}

static void test_certificate_of_wrong_triplets(void **state) {
  example e;
  lrp_certificate c;
  (void)state;
  make_example(&e);
  e.u[0] = 1.0001f;
  assert_false(example_passes(&e, &c));
  assert_true(c.orthogonality > 1e-5);
  make_example(&e);
  e.vt[5] = 0.001f;
  assert_false(example_passes(&e, &c));
  make_example(&e);
  e.s[1] = 2.001;
  assert_false(example_passes(&e, &c));
  assert_true(c.residual > 1e-4);
  make_example(&e);
  e.vt[0] = -1.0f; /* orthonormal still, but the wrong sign */
  assert_false(example_passes(&e, &c));
  assert_true(c.orthogonality == 0.0);
  make_example(&e);
  e.s[0] = -3.0;
  assert_false(example_passes(&e, &c));
  /* Orthonormal, and s agrees with the quotients u^T W v; but v_2 is not W^T u_2 / s_2. */
  make_example(&e);
  e.vt[4] = (float)cos(0.01);
  e.vt[5] = (float)sin(0.01);
  e.s[1] = 2.0 * cos(0.01);
  assert_false(example_passes(&e, &c));
  assert_true(c.orthogonality < 1e-7 && c.residual > 1e-4);
}

static void test_certificate_of_nan(void **state) {
  example e;
  lrp_certificate c;
  (void)state;
  make_example(&e);
  e.u[7] = NAN;
  assert_false(example_passes(&e, &c));
  make_example(&e);
  e.vt[2] = NAN;
  assert_false(example_passes(&e, &c));
  make_example(&e);
  e.s[1] = NAN;
  assert_false(example_passes(&e, &c));
  for (int i = 0; i < 4; i++) {
    double v[4] = {0.5, 0.5, 0.0, 0.0};
    v[i] = NAN;
    assert_false(lrp_certificate_passes(&(lrp_certificate){v[0], v[1], v[2], v[3], 1.0}));
  }
}

static void test_certificate_limits(void **state) {
  (void)state;
  assert_true(lrp_certificate_passes(&(lrp_certificate){0.5, 0.500009, 9e-6, 9e-5, 1.0}));
  assert_true(lrp_certificate_passes(&(lrp_certificate){0.500009, 0.5, 9e-6, 9e-5, 1.0}));
  assert_false(lrp_certificate_passes(&(lrp_certificate){0.5, 0.500011, 0, 0, 1.0}));
  assert_false(lrp_certificate_passes(&(lrp_certificate){0.500011, 0.5, 0, 0, 1.0}));
  assert_false(lrp_certificate_passes(&(lrp_certificate){0.5, 0.5, 1.1e-5, 0, 1.0}));
  assert_false(lrp_certificate_passes(&(lrp_certificate){0.5, 0.5, 0, 1.1e-4, 1.0}));
}

static void test_certificate_of_zero(void **state) {
  example e;
  lrp_certificate c;
  (void)state;
  make_example(&e);
  memset(e.w, 0, sizeof e.w);
  assert_false(example_passes(&e, &c)); /* s is not zero */
  e.s[0] = e.s[1] = 0.0;
  assert_true(example_passes(&e, &c));
  assert_true(c.relative_error == 0.0 && c.predicted == 0.0 && c.residual == 0.0);
  e.u[0] = 0.5;
  assert_false(example_passes(&e, &c));
}

static void test_init_and_free(void **state) {
  example e;
  lrp_certificate c;
  lrp_factors f;
  (void)state;
  make_example(&e);
  e.s[1] = 2.0 + 0x1p-30; /* not a float */
  assert_true(example_passes(&e, &c));
  assert_int_equal(lrp_factors_init(&f, &e.view, &e.t, &c, LRP_TUCKER, LRP_F16, &scratch), LRP_OK);
  assert_int_equal(f.m, 4);
  assert_int_equal(f.n, 3);
  assert_int_equal(f.rank, 2);
  assert_int_equal(f.k, 3);
  assert_true(f.middle[0] == 3.0f && f.middle[1] == 0.0f && f.middle[2] == 0.0f);
  assert_true(f.middle[3] == 2.0f && f.spectrum[1] == 2.0 + 0x1p-30);
  assert_int_equal(((uint16_t *)f.left)[3], 0x3c00); /* 1.0 */
  assert_true(fabs(f.certificate.relative_error - 1.0 / sqrt(14.0)) < 1e-15);
  lrp_factors_free(&f);
  assert_null(f.left);
  lrp_factors_free(&f); /* a zeroed one */

  lrp_triplets t; /* its vectors are taken over: no copy of what may be large */
  assert_int_equal(lrp_triplets_create(&t, 4, 3, 2), LRP_OK);
  memcpy(t.s, e.s, sizeof e.s);
  memcpy(t.u, e.u, sizeof e.u);
  memcpy(t.vt, e.vt, sizeof e.vt);
  const float *u = t.u, *vt = t.vt;
  assert_int_equal(lrp_factors_init(&f, &e.view, &t, &c, LRP_SVD, LRP_F32, &scratch), LRP_OK);
  assert_true(f.left == u && f.right == vt && !t.u && !t.vt);
  lrp_triplets_free(&t);
  assert_true(f.middle[0] == 3.0f && f.middle[1] == 2.0f);
  lrp_factors_free(&f);
}

/* Rounding to bfloat16 shows in relative_error, not in what was certified before. */
static void test_error_is_that_of_the_stored_factors(void **state) {
  const float h = (float)sqrt(0.5); /* 0.70703125 in bfloat16 */
  float u[] = {h, h};
  float vt[] = {h, h};
  double s[] = {2.0, 0.0};
  const float w[] = {1, 1, 1, 1};
  const lrp_matrix view = {w, LRP_F32, 2, 2, 2};
  lrp_triplets t = {.m = 2, .n = 2, .rank = 1, .k = 2, .s = s, .u = u, .vt = vt};
  lrp_certificate c;
  lrp_factors f;
  (void)state;
  assert_int_equal(lrp_certify(&view, &t, &scratch, &c), LRP_OK);
  assert_true(c.relative_error < 1e-7);
  assert_int_equal(lrp_factors_init(&f, &view, &t, &c, LRP_SVD, LRP_BF16, &scratch), LRP_OK);
  assert_true(fabs(f.certificate.relative_error - (1.0 - 2.0 * 0.70703125 * 0.70703125)) < 1e-15);
  assert_true(f.certificate.orthogonality == c.orthogonality);
  lrp_factors_free(&f);
}

static void test_truncate(void **state) {
  example e;
  (void)state;
  make_example(&e);
  for (int i = 0; i < 8; i++) e.u[i] = (float)i;
  lrp_triplets_truncate(&e.t, 1);
  assert_int_equal(e.t.rank, 1);
  for (int i = 0; i < 4; i++) assert_true(e.u[i] == (float)(2 * i));
}

static void test_names(void **state) {
  (void)state;
  assert_string_equal(lrp_method_name(LRP_TUCKER), "tucker");
  assert_string_equal(lrp_method_name(LRP_SVD), "svd");
  assert_string_equal(lrp_solver_name(LRP_SOLVER_GESDD), "gesdd");
  assert_string_equal(lrp_solver_name(LRP_SOLVER_GESVD), "gesvd");
  assert_string_equal(lrp_solver_name(LRP_SOLVER_GRID), "grid");
  assert_string_equal(lrp_solver_name(LRP_SOLVER_KRYLOV), "krylov");
  assert_string_equal(lrp_solver_name(LRP_SOLVER_GRAM), "gram");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_break_even),
      cmocka_unit_test(test_parameters),
      cmocka_unit_test(test_rank_for_budget),
      cmocka_unit_test(test_rank_for_energy),
      cmocka_unit_test(test_sizes_for_lapack),
      cmocka_unit_test(test_certificate_of_exact_triplets),
      cmocka_unit_test(test_certificate_of_wrong_triplets),
      cmocka_unit_test(test_certificate_of_nan),
      cmocka_unit_test(test_certificate_limits),
      cmocka_unit_test(test_certificate_of_zero),
      cmocka_unit_test(test_init_and_free),
      cmocka_unit_test(test_error_is_that_of_the_stored_factors),
      cmocka_unit_test(test_truncate),
      cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
