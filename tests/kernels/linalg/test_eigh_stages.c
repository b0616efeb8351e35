#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <omp.h>
#include <string.h>

#include "kernels/linalg/back.h"
#include "kernels/linalg/eigh.h"
#include "kernels/linalg/transpose.h"
#include "tests/kernels/linalg/cases.h"

/* Stands in for the one of LAPACK: nothing converges. */
void sstedc_(const char *compz, const int *n, float *d, float *e, float *z, const int *ldz,
             float *work, const int *lwork, int *iwork, const int *liwork, int *info,
             size_t length);
void sstedc_(const char *compz, const int *n, float *d, float *e, float *z, const int *ldz,
             float *work, const int *lwork, int *iwork, const int *liwork, int *info,
             size_t length) {
  (void)compz, (void)n, (void)d, (void)e, (void)z, (void)ldz, (void)work, (void)lwork;
  (void)iwork, (void)liwork, (void)length;
  *info = 1;
}

static lrp_scratch scratch;

static float *take(int64_t rows, int64_t cols) {
  lrp_status st = LRP_OK;
  float *p = lrp_scratch_take(&scratch, &st, rows, cols, sizeof *p);
  assert_int_equal(st, LRP_OK);
  memset(p, 0, (size_t)rows * (size_t)cols * sizeof *p);
  return p;
}

static float entry(int i, int j) {
  return (float)case_random(3, (uint64_t)(i < j ? i : j) * 1000 + (uint64_t)(i < j ? j : i));
}

/* Everything outside the band is gone, and it is symmetric where both sides are stored. */
static void check_band(int n, float *band) {
  for (int j = 0; j < n; j++) {
    for (int i = j; i < n && i <= j + 2 * LRP_BAND; i++) {
      const float x = *lrp_band_at(band, i, j);
      if (i - j > LRP_BAND) assert_true(x == 0.0f);
      if (i - j < LRP_BAND) assert_true(x == *lrp_band_at(band, j, i));
    }
  }
}

/* Column j of q T - G q, and of q^T q - I. */
static void check_column(int n, int j, const float *q, const float *d, const float *e) {
  for (int i = 0; i < n; i++) {
    double sum = (double)d[j] * (double)q[j * n + i], dot = i == j ? -1.0 : 0.0;
    if (j > 0) sum += (double)e[j - 1] * (double)q[(j - 1) * n + i];
    if (j + 1 < n) sum += (double)e[j] * (double)q[(j + 1) * n + i];
    for (int k = 0; k < n; k++) {
      sum -= (double)entry(i, k) * (double)q[j * n + k];
      dot += (double)q[i * n + k] * (double)q[j * n + k];
    }
    if (!(fabs(sum) <= 2e-5)) fail_msg("n %d: G Q - Q T at %d, %d is %g", n, i, j, sum);
    if (!(fabs(dot) <= 3e-6)) fail_msg("n %d: Q^T Q - I at %d, %d is %g", n, i, j, dot);
  }
}

/* G = Q T Q^T for the Q that the way back makes of the unit matrix. */
static void check_order(int n) {
  const size_t mark = lrp_scratch_mark(&scratch);
  const int panels = lrp_band_panels(n);
  float *g = take(n, n + 3), *z = take(n, n), *v = take(n, n);
  float *band = take(lrp_band_columns(n), LRP_BAND_LD), *d = take(n, 1), *e = take(n, 1);
  const lrp_band_q q = {take(lrp_band_v_rows(n, panels), LRP_BAND),
                        take(panels * LRP_BAND, LRP_BAND)};
  float *diamonds = take(lrp_chase_diamonds(n, lrp_chase_groups(n)), LRP_DIAMOND_SIZE);
  int *order = (int *)(void *)take(n, 1);
  for (int j = 0; j < n; j++) {
    for (int i = 0; i < n; i++) g[j * (n + 3) + i] = entry(i, j);
    z[(n - 1 - j) * n + j] = 1.0f;
    order[j] = n - 1 - j;
  }
  assert_int_equal(lrp_band_reduce(n, g, n + 3, band, q, &scratch), LRP_OK);
  check_band(n, band);
  assert_int_equal(lrp_chase(n, band, d, e, diamonds, &scratch), LRP_OK);
  assert_int_equal(lrp_back(n, q, diamonds, n, z, order, v, &scratch), LRP_OK);
  for (int j = 0; j < n; j++) check_column(n, j, v, d, e);
  lrp_scratch_release(&scratch, mark);
}

static void test_stages(void **state) {
  const int orders[] = {1,  2,  3,  4,  10, 11, 32, 33, 34,  35,  36,  42,  43,
                        64, 65, 66, 67, 96, 97, 98, 99, 130, 161, 162, 163, 194};
  const int before = omp_get_max_threads();
  (void)state;
  for (int threads = 1; threads <= 3; threads++) {
    omp_set_num_threads(threads);
    for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) check_order(orders[k]);
  }
  omp_set_num_threads(before);
}

static void test_transpose(void **state) {
  enum { m = 35, n = 18, lda = 40, ldb = 21 };
  float *a = take(n, lda), *b = take(m, ldb);
  (void)state;
  for (int i = 0; i < n * lda; i++) a[i] = (float)i;
  for (int i = 0; i < m * ldb; i++) b[i] = -1.0f;
  lrp_transpose(m, n, a, lda, b, ldb);
  for (int i = 0; i < m; i++) {
    for (int j = 0; j < ldb; j++) {
      assert_true(b[i * ldb + j] == (j < n ? (float)(j * lda + i) : -1.0f));
    }
  }
}

static void test_mirror(void **state) {
  enum { n = 37, ld = 40 };
  float *a = take(n, ld);
  (void)state;
  for (int j = 0; j < n; j++) {
    for (int i = 0; i < ld; i++) a[j * ld + i] = i < j ? -1.0f : (float)(j * ld + i);
  }
  lrp_mirror(n, a, ld);
  for (int j = 0; j < n; j++) {
    for (int i = 0; i < ld; i++) {
      assert_true(a[j * ld + i] == (i < j ? (float)(i * ld + j) : (float)(j * ld + i)));
    }
  }
}

static void test_no_convergence(void **state) {
  enum { n = 300 };
  float *g = take(n, n), *w = take(n, 1), *v = take(n, n);
  const size_t mark = lrp_scratch_mark(&scratch);
  (void)state;
  for (int i = 0; i < n * n; i++) g[i] = entry(i / n, i % n);
  assert_int_equal(lrp_eigh(n, g, n, w, v, &scratch), LRP_ERR_NUM);
  assert_null(lrp_failure_message(LRP_ERR_NUM));
  assert_true(lrp_scratch_mark(&scratch) == mark);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_stages),
      cmocka_unit_test(test_transpose),
      cmocka_unit_test(test_mirror),
      cmocka_unit_test(test_no_convergence),
  };
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  lrp_scratch_free(&scratch);
  return failed;
}
