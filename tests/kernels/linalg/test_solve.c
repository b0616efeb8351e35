#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/linalg/krylov.h"
#include "kernels/linalg/ortho.h"
#include "kernels/linalg/solve.h"
#include "tests/kernels/linalg/cases.h"

static lrp_scratch scratch;

/* Spectra of a known kind: s_i, times random vectors that are nearly orthogonal, and noise. */
typedef enum { DECAY, FLAT, OUTLIERS, STEEP } spectrum;

static double value(spectrum kind, int i) {
  switch (kind) {
    case DECAY:
      return 20.0 / sqrt(i + 1.0);
    case FLAT:
      return 0.0;
    case OUTLIERS: /* two of them, far out */
      return i == 0 ? 400.0 : i == 1 ? 250.0 : 20.0 / sqrt(i + 1.0);
    case STEEP:
      return 1e3 * pow(0.3, i);
  }
  return 0.0;
}

static lrp_matrix create(spectrum kind, lrp_dtype dtype, int m, int n) {
  enum { signal = 48 };
  float *a = malloc((size_t)m * (size_t)n * sizeof *a);
  unsigned char *data = malloc((size_t)m * (size_t)n * 4);
  assert_true(a && data);
  for (int i = 0; i < m; i++) {
    for (int j = 0; j < n; j++) {
      const uint64_t at = (uint64_t)i * (uint64_t)n + (uint64_t)j;
      double x = 0.05 * case_random(9, at);
      for (int q = 0; q < signal; q++) {
        const double u = case_random(11, (uint64_t)(i * signal + q));
        const double v = case_random(12, (uint64_t)(j * signal + q));
        x += 3.0 * value(kind, q) * u * v / sqrt((double)m * n);
      }
      a[(size_t)i * (size_t)n + (size_t)j] = (float)x;
    }
  }
  lrp_from_f32(data, dtype, a, (size_t)m * (size_t)n);
  free(a);
  return (lrp_matrix){data, dtype, m, n, n};
}

/* t against the exact triplets: orthonormal, of nearly the least error, s right. */
static void check(const lrp_matrix *w, int rank, lrp_solver solver, double excess, double s_tol) {
  lrp_triplets t, exact;
  lrp_certificate c, best;
  assert_int_equal(lrp_solve(w, rank, solver, &scratch, &t), LRP_OK);
  assert_int_equal(lrp_solve(w, rank, LRP_SOLVER_GESDD, &scratch, &exact), LRP_OK);
  assert_int_equal(lrp_certify(w, &t, &scratch, &c), LRP_OK);
  assert_int_equal(lrp_certify(w, &exact, &scratch, &best), LRP_OK);
  assert_true(lrp_certificate_passes(&c));
  assert_true(lrp_certificate_passes(&best));
  assert_true(c.relative_error <= best.relative_error * (1.0 + excess) + 1e-7);
  assert_true(c.orthogonality <= 1e-5);
  for (int i = 0; i < t.k; i++) {
    if (solver == LRP_SOLVER_KRYLOV && i >= rank) {
      assert_true(isnan(t.s[i]));
    } else {
      assert_true(i == 0 || t.s[i] <= t.s[i - 1]);
      assert_true(fabs(t.s[i] - exact.s[i]) <= s_tol * exact.s[0]);
    }
  }
  lrp_triplets_free(&t);
  lrp_triplets_free(&exact);
}

static void check_shape(int m, int n, lrp_dtype dtype) {
  for (spectrum kind = DECAY; kind <= OUTLIERS; kind++) {
    lrp_matrix w = create(kind, dtype, m, n);
    const int k = m < n ? m : n;
    check(&w, 1, LRP_SOLVER_KRYLOV, 1e-4, 1e-4);
    check(&w, 7, LRP_SOLVER_KRYLOV, 1e-4, 5e-3);
    check(&w, 1, LRP_SOLVER_GRAM, 1e-6, 1e-3);
    check(&w, k / 3, LRP_SOLVER_GRAM, 1e-6, 1e-3);
    check(&w, k - k / 4, LRP_SOLVER_GRAM, 1e-3, 1e-3);
    free((void *)w.data);
  }
}

static void test_tall(void **state) {
  (void)state;
  check_shape(401, 300, LRP_BF16);
  check_shape(401, 300, LRP_F32);
}

static void test_wide(void **state) {
  (void)state;
  check_shape(290, 403, LRP_BF16);
  check_shape(290, 403, LRP_F16);
}

static void test_square(void **state) {
  (void)state;
  check_shape(333, 333, LRP_BF16);
}

/* A spectrum that falls below what float32 resolves of its largest: not for the Gram matrix. */
static void test_steep(void **state) {
  lrp_matrix w = create(STEEP, LRP_F32, 300, 280);
  (void)state;
  check(&w, 6, LRP_SOLVER_KRYLOV, 5e-4, 1e-4);
  free((void *)w.data);
}

static void check_deficient(const lrp_matrix *w, int rank, lrp_solver solver) {
  lrp_triplets t;
  const lrp_status st = lrp_solve(w, rank, solver, &scratch, &t);
  assert_true(st == LRP_ERR_NUM || st == LRP_OK);
  if (st == LRP_OK) {
    lrp_certificate c;
    assert_int_equal(lrp_certify(w, &t, &scratch, &c), LRP_OK);
    assert_true(!lrp_certificate_passes(&c) || c.relative_error <= 1e-5);
  } else {
    assert_true(!t.u && !t.vt && !t.s);
  }
  lrp_triplets_free(&t);
}

/* The spectrum does not matter to what is promised; what cannot be promised is refused. */
static void test_deficient(void **state) {
  static const case_kind kinds[] = {CASE_ZERO, CASE_RANK_ONE, CASE_RANK_TWO};
  (void)state;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    for (int wide = 0; wide < 2; wide++) {
      lrp_matrix w = case_create(kinds[i], LRP_F32, wide ? 250 : 260, wide ? 260 : 250, 0);
      for (int rank = 2; rank <= 5; rank += 3) {
        check_deficient(&w, rank, LRP_SOLVER_KRYLOV);
        check_deficient(&w, rank, LRP_SOLVER_GRAM);
      }
      case_free(&w, 0);
    }
  }
}

/* Of rank 8 in float32, but not in bfloat16: what rounding adds must not pass for the answer. */
static void test_low_rank(void **state) {
  enum { m = 300, n = 400, rank = 8 };
  float *x = calloc(m * n, sizeof *x);
  const lrp_matrix w = {x, LRP_F32, m, n, n};
  (void)state;
  assert_non_null(x);
  for (uint64_t i = 0; i < m * n; i++) {
    for (uint64_t q = 0; q < rank; q++) {
      x[i] += (float)(case_random(2, i / n * rank + q) * case_random(3, i % n * rank + q) /
                      (double)(q + 1));
    }
  }
  check_deficient(&w, rank, LRP_SOLVER_KRYLOV);
  free(x);
}

/* The same bits from the same number of threads. */
static void test_repeatable(void **state) {
  lrp_matrix w = create(DECAY, LRP_BF16, 310, 420);
  const int before = omp_get_max_threads();
  (void)state;
  for (int threads = 1; threads <= 3; threads++) {
    omp_set_num_threads(threads);
    for (int s = 0; s < 2; s++) {
      lrp_triplets a, b;
      const lrp_solver solver = s ? LRP_SOLVER_GRAM : LRP_SOLVER_KRYLOV;
      assert_int_equal(lrp_solve(&w, 8, solver, &scratch, &a), LRP_OK);
      lrp_scratch_free(&scratch);
      assert_int_equal(lrp_solve(&w, 8, solver, &scratch, &b), LRP_OK);
      assert_memory_equal(a.u, b.u, 310 * 8 * sizeof *a.u);
      assert_memory_equal(a.vt, b.vt, 420 * 8 * sizeof *a.vt);
      lrp_triplets_free(&a);
      lrp_triplets_free(&b);
    }
  }
  omp_set_num_threads(before);
  free((void *)w.data);
}

/* Too many triplets for a space of a quarter of the side. */
static void test_krylov_gives_up(void **state) {
  lrp_matrix w = create(FLAT, LRP_BF16, 200, 200);
  lrp_triplets t;
  (void)state;
  assert_int_equal(lrp_krylov(&w, 40, &scratch, &t), LRP_ERR_NUM);
  assert_null(t.u);
  free((void *)w.data);
}

static void test_choice(void **state) {
  (void)state;
  assert_int_equal(lrp_solver_for(1024, 11008, 3), LRP_SOLVER_GESDD);
  assert_int_equal(lrp_solver_for(4096, 4096, 16), LRP_SOLVER_KRYLOV);
  assert_int_equal(lrp_solver_for(4096, 11008, 2048), LRP_SOLVER_GRAM);
}

static void test_orthonormalize(void **state) {
  enum { n = 500, l = 20 };
  float x[n * l];
  double g[l * l];
  (void)state;
  for (int i = 0; i < n * l; i++) { /* columns from 1 to 1e-19 in size, nearly parallel */
    const int j = i % l;
    x[i] = (float)((case_random(1, (uint64_t)(i / l)) + 1e-3 * case_random(2, (uint64_t)i)) *
                   pow(10.0, -j));
  }
  assert_int_equal(lrp_orthonormalize(n, l, x, l, LRP_ORTHONORMAL, &scratch), LRP_OK);
  assert_int_equal(lrp_gram_f64(n, l, x, l, g, &scratch), LRP_OK);
  for (int j = 0; j < l; j++) {
    for (int i = j; i < l; i++) assert_true(fabs(g[j * l + i] - (i == j)) < 2e-6);
  }
  for (int i = 0; i < n * l; i++) x[i] = 0.0f;
  assert_int_equal(lrp_orthonormalize(n, l, x, l, LRP_ORTHONORMAL, &scratch), LRP_ERR_NUM);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tall),       cmocka_unit_test(test_wide),
      cmocka_unit_test(test_square),     cmocka_unit_test(test_steep),
      cmocka_unit_test(test_deficient),  cmocka_unit_test(test_low_rank),
      cmocka_unit_test(test_repeatable), cmocka_unit_test(test_krylov_gives_up),
      cmocka_unit_test(test_choice),     cmocka_unit_test(test_orthonormalize),
  };
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  lrp_scratch_free(&scratch);
  return failed;
}
