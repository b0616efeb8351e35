#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <omp.h>
#include <string.h>

#include "kernels/linalg/eigh.h"
#include "kernels/linalg/lapack.h"
#include "tests/kernels/linalg/cases.h"

void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w,
             double *work, const int *lwork, int *iwork, const int *liwork, int *info, size_t,
             size_t);

/* A symmetric matrix, what double says of it, and what lrp_eigh() says. */
typedef struct {
  int n, rank;
  float *g;     /* n x n, both triangles */
  double *w;    /* n, descending */
  float *found; /* n */
  float *v;     /* n x rank */
} eigen;

static lrp_scratch scratch;

static void *alloc(size_t count, size_t size) {
  void *p = calloc(count, size);
  assert_non_null(p);
  return p;
}

static eigen create(int n, int rank) {
  const size_t order = (size_t)n;
  return (eigen){.n = n,
                 .rank = rank,
                 .g = alloc(order * order, sizeof(float)),
                 .w = alloc(order, sizeof(double)),
                 .found = alloc(order, sizeof(float)),
                 .v = alloc(order * (size_t)(rank > 0 ? rank : 1), sizeof(float))};
}

static void destroy(eigen *x) {
  free(x->g);
  free(x->w);
  free(x->found);
  free(x->v);
}

static void set(eigen *x, int i, int j, double value) {
  x->g[(size_t)j * (size_t)x->n + (size_t)i] = (float)value;
  x->g[(size_t)i * (size_t)x->n + (size_t)j] = (float)value;
}

static eigen create_random(int n, int rank) {
  eigen x = create(n, rank);
  for (int j = 0; j < n; j++) {
    for (int i = j; i < n; i++) set(&x, i, j, case_random(1, (uint64_t)j * 100000 + (uint64_t)i));
  }
  return x;
}

static void solve_in_double(eigen *x) {
  const int n = x->n, lwork = 1 + 6 * n + 2 * n * n, liwork = 3 + 5 * n;
  double *a = alloc((size_t)n * (size_t)n, sizeof *a), *work = alloc((size_t)lwork, sizeof *work);
  double *w = alloc((size_t)n, sizeof *w);
  int *iwork = alloc((size_t)liwork, sizeof *iwork), info;
  for (size_t i = 0; i < (size_t)n * (size_t)n; i++) a[i] = (double)x->g[i];
  dsyevd_("N", "L", &n, a, &n, w, work, &lwork, iwork, &liwork, &info, 1, 1);
  assert_int_equal(info, 0);
  for (int i = 0; i < n; i++) x->w[i] = w[n - 1 - i];
  free(a);
  free(work);
  free(w);
  free(iwork);
}

/* Run lrp_eigh() on a copy whose upper triangle is not to be read. */
static void solve(eigen *x) {
  const size_t n = (size_t)x->n;
  float *g = alloc(n * n, sizeof *g);
  memcpy(g, x->g, n * n * sizeof *g);
  for (size_t j = 0; j < n; j++) {
    for (size_t i = 0; i < j; i++) g[j * n + i] = NAN;
  }
  assert_int_equal(lrp_eigh(x->n, g, x->rank, x->found, x->rank > 0 ? x->v : NULL, &scratch),
                   LRP_OK);
  free(g);
  for (int i = 1; i < x->n; i++) assert_true(x->found[i] <= x->found[i - 1]);
}

static double norm_of(const eigen *x) {
  const double a = fabs(x->w[0]), b = fabs(x->w[x->n - 1]);
  return a > b ? a : b;
}

static void check_values(const eigen *x) {
  const double tol = 3e-6 * norm_of(x);
  for (int i = 0; i < x->n; i++) {
    if (!(fabs((double)x->found[i] - x->w[i]) <= tol)) {
      fail_msg("n %d: eigenvalue %d is %g, not %g", x->n, i, (double)x->found[i], x->w[i]);
    }
  }
}

static double dot(int n, const float *a, const float *b) {
  double sum = 0.0;
  for (int i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

/* Orthonormal, and G v = w v; some columns only where there are many. */
static void check_vectors(const eigen *x) {
  const int n = x->n, step = x->rank > 60 ? x->rank / 31 : 1;
  const double tol = 4e-6 * norm_of(x);
  for (int j = 0; j < x->rank; j += step) {
    const float *v = x->v + (size_t)j * (size_t)n;
    for (int k = 0; k <= j; k++) {
      const double error = dot(n, v, x->v + (size_t)k * (size_t)n) - (j == k ? 1.0 : 0.0);
      if (!(fabs(error) <= 3e-6)) fail_msg("n %d: columns %d, %d: %g", n, j, k, error);
    }
    double sum = 0.0;
    for (int i = 0; i < n; i++) {
      const double r = dot(n, x->g + (size_t)i * (size_t)n, v) - (double)x->found[j] * (double)v[i];
      sum += r * r;
    }
    if (!(sqrt(sum) <= tol)) fail_msg("n %d: residual %d: %g > %g", n, j, sqrt(sum), tol);
  }
}

static void check(eigen *x) {
  solve_in_double(x);
  solve(x);
  check_values(x);
  check_vectors(x);
}

static void test_orders(void **state) {
  const int orders[] = {1,   2,   3,   4,   31,  32,  33,  34,  65,  100, 255,
                        256, 257, 258, 259, 289, 290, 300, 321, 511, 513, 700};
  (void)state;
  for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
    const int n = orders[k];
    const int ranks[] = {n, (n + 1) / 2, 1};
    for (int r = 0; r < 3; r++) {
      eigen x = create_random(n, ranks[r]);
      check(&x);
      destroy(&x);
    }
  }
}

static void test_values_only(void **state) {
  (void)state;
  for (int n = 255; n <= 259; n++) {
    eigen x = create_random(n, 0);
    check(&x);
    destroy(&x);
  }
}

/* Ranks on both sides of what one thread and one vector of columns hold. */
static void test_ranks(void **state) {
  const int ranks[] = {15, 16, 17, 32, 33, 47, 48, 49, 95, 96, 97, 129};
  (void)state;
  for (size_t k = 0; k < sizeof ranks / sizeof *ranks; k++) {
    eigen x = create_random(300, ranks[k]);
    check(&x);
    destroy(&x);
  }
}

static void test_same_bits_for_same_threads(void **state) {
  const int before = omp_get_max_threads();
  (void)state;
  for (int threads = 1; threads <= 4; threads++) {
    eigen x = create_random(389, 200), y = create_random(389, 200);
    omp_set_num_threads(threads);
    check(&x);
    solve(&y);
    assert_memory_equal(x.found, y.found, (size_t)x.n * sizeof *x.found);
    assert_memory_equal(x.v, y.v, (size_t)x.n * (size_t)x.rank * sizeof *x.v);
    destroy(&x);
    destroy(&y);
  }
  omp_set_num_threads(before);
}

/* diag(values) and special shapes, large enough for both stages. */
static void test_zero(void **state) {
  (void)state;
  eigen x = create(300, 300);
  check(&x);
  for (int i = 0; i < x.n; i++) assert_true(x.found[i] == 0.0f);
  destroy(&x);
}

static void test_diagonal(void **state) {
  (void)state;
  for (int kind = 0; kind < 3; kind++) { /* ascending, descending, groups of equal ones */
    eigen x = create(331, 331);
    for (int i = 0; i < x.n; i++) {
      set(&x, i, i, kind == 0 ? i - 100 : kind == 1 ? 100 - i : i % 4);
    }
    check(&x);
    destroy(&x);
  }
}

static void test_rank_one(void **state) {
  (void)state;
  eigen x = create(301, 301);
  for (int j = 0; j < x.n; j++) {
    for (int i = j; i < x.n; i++) {
      set(&x, i, j, case_random(7, (uint64_t)i) * case_random(7, (uint64_t)j));
    }
  }
  check(&x);
  destroy(&x);
}

/* Few different eigenvalues: a reflection of diag(1, ..., 1, 3, ..., 3). */
static void test_repeated(void **state) {
  (void)state;
  eigen x = create(400, 150);
  double norm2 = 0.0;
  for (int i = 0; i < x.n; i++) norm2 += pow(case_random(9, (uint64_t)i), 2.0);
  for (int j = 0; j < x.n; j++) {
    for (int i = j; i < x.n; i++) {
      double sum = 0.0;
      for (int k = 0; k < x.n; k++) {
        const double u = case_random(9, (uint64_t)k) * 2.0 / norm2;
        const double hi = (i == k) - case_random(9, (uint64_t)i) * u;
        const double hj = (j == k) - case_random(9, (uint64_t)j) * u;
        sum += hi * hj * (k < 100 ? 3.0 : 1.0);
      }
      set(&x, i, j, sum);
    }
  }
  check(&x);
  destroy(&x);
}

/* (-1, 2, -1): 2 - 2 cos(k pi / (n + 1)); already tridiagonal. */
static void test_second_difference(void **state) {
  (void)state;
  eigen x = create(600, 600);
  for (int i = 0; i < x.n; i++) {
    set(&x, i, i, 2.0);
    if (i > 0) set(&x, i, i - 1, -1.0);
  }
  check(&x);
  for (int k = 1; k <= x.n; k++) {
    const double exact = 2.0 + 2.0 * cos(k * acos(-1.0) / (x.n + 1));
    assert_true(fabs((double)x.found[k - 1] - exact) <= 4e-6);
  }
  destroy(&x);
}

/* Blocks that do not touch: merges with nothing to do. */
static void test_blocks(void **state) {
  (void)state;
  eigen x = create_random(600, 100);
  for (int j = 0; j < 300; j++) {
    for (int i = 300; i < 600; i++) set(&x, i, j, 0.0);
  }
  check(&x);
  destroy(&x);
}

/* Scaling by a power of two changes nothing but the eigenvalues. */
static void test_scale(void **state) {
  const int exponents[] = {-120, -60, 60, 110};
  (void)state;
  eigen x = create_random(300, 20);
  check(&x);
  for (int k = 0; k < 4; k++) {
    eigen y = create_random(300, 20);
    for (int i = 0; i < 300 * 300; i++) y.g[i] = ldexpf(y.g[i], exponents[k]);
    solve(&y);
    for (int i = 0; i < 300; i++) {
      const float back = ldexpf(y.found[i], -exponents[k]);
      assert_true(fabsf(back - x.found[i]) <= 1e-5f * x.found[0]);
    }
    for (int i = 0; i < 300 * 20; i++) assert_true(fabsf(y.v[i] - x.v[i]) <= 1e-4f);
    destroy(&y);
  }
  destroy(&x);
}

/* Denormal numbers, which no float32 brings to 1. */
static void test_denormal(void **state) {
  (void)state;
  eigen x = create_random(300, 20);
  for (int i = 0; i < 300 * 300; i++) x.g[i] = ldexpf(x.g[i], -130);
  check(&x);
  destroy(&x);
}

/* Beyond 32-bit LAPACK: refused before anything is touched. */
static void test_too_large(void **state) {
  (void)state;
  assert_int_equal(lrp_eigh(46339, NULL, 0, NULL, NULL, &scratch), LRP_ERR_NUM);
  assert_null(lrp_failure_message(LRP_ERR_NUM));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_orders),
      cmocka_unit_test(test_values_only),
      cmocka_unit_test(test_ranks),
      cmocka_unit_test(test_same_bits_for_same_threads),
      cmocka_unit_test(test_zero),
      cmocka_unit_test(test_diagonal),
      cmocka_unit_test(test_rank_one),
      cmocka_unit_test(test_repeated),
      cmocka_unit_test(test_second_difference),
      cmocka_unit_test(test_blocks),
      cmocka_unit_test(test_scale),
      cmocka_unit_test(test_denormal),
      cmocka_unit_test(test_too_large),
  };
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  lrp_scratch_free(&scratch);
  return failed;
}
