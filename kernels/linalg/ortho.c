#include "kernels/linalg/ortho.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <omp.h>

#include "kernels/linalg/lapack.h"

enum {
  chunk_rows = 256, /* rows converted to double at a time */
  passes_max = 5,
  tile = 32 /* columns of a block */
};

/* BLAS on one thread while work, in multiply-adds, is less than it costs to wake the others.
 * Returns the number of threads to go back to. */
static int quiet_threads(double work) {
  const int threads = omp_get_max_threads();
  if (work < 3e7) omp_set_num_threads(1);
  return threads;
}

lrp_status lrp_gram_f64(int64_t n, int l, const float *x, int64_t ldx, double *g,
                        lrp_scratch *scratch) {
  const double one = 1.0;
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  double *chunk = lrp_scratch_take(scratch, &st, chunk_rows, l, sizeof *chunk);
  const int threads = quiet_threads(0.5 * (double)n * l * l);
  for (int64_t i = 0; st == LRP_OK && i < n; i += chunk_rows) {
    const int rows = (int)(n - i < chunk_rows ? n - i : chunk_rows);
    const double beta = i == 0 ? 0.0 : 1.0;
    for (int r = 0; r < rows; r++) {
      for (int j = 0; j < l; j++) chunk[(int64_t)r * l + j] = x[(i + r) * ldx + j];
    }
    dsyrk_("L", "N", &l, &rows, &one, chunk, &l, &beta, g, &l, 1, 1);
  }
  omp_set_num_threads(threads);
  lrp_scratch_release(scratch, mark);
  return st;
}

lrp_status lrp_eigen_f64(int n, double *g, double *w, lrp_scratch *scratch) {
  lrp_status st = LRP_OK;
  int info;
  if (1 + 6 * (int64_t)n + 2 * (int64_t)n * n > INT_MAX) return LRP_ERR_NUM; /* 32-bit LAPACK */
  const int lwork = 1 + 6 * n + 2 * n * n, liwork = 3 + 5 * n; /* as dsyevd documents */
  double *work = lrp_scratch_take(scratch, &st, lwork, 1, sizeof *work);
  int *iwork = lrp_scratch_take(scratch, &st, liwork, 1, sizeof *iwork);
  if (st != LRP_OK) return st;
  const int threads = quiet_threads(4.0 * (double)n * n * n);
  dsyevd_("V", "L", &n, g, &n, w, work, &lwork, iwork, &liwork, &info, 1, 1);
  omp_set_num_threads(threads);
  return info == 0 ? LRP_OK : LRP_ERR_NUM;
}

/* Cholesky factor of g = L L^T in its lower triangle; g grows by a shift where it is singular to
 * rounding. Returns whether there is one. */
static bool factor(int64_t n, int l, double *g, double *copy) {
  double trace = 0.0;
  int info;
  for (int64_t i = 0; i < (int64_t)l * l; i++) copy[i] = g[i];
  for (int64_t j = 0; j < l; j++) trace += g[j * l + j];
  if (!(trace > 0.0) || !isfinite(trace)) return false;
  dpotrf_("L", &l, g, &l, &info, 1);
  if (info == 0) return true;
  const double shift = 11.0 * ((double)n + l) * DBL_EPSILON * trace;
  for (int64_t i = 0; i < (int64_t)l * l; i++) g[i] = copy[i];
  for (int64_t j = 0; j < l; j++) g[j * l + j] += shift;
  dpotrf_("L", &l, g, &l, &info, 1);
  return info == 0;
}

/* X = X L^-T: rows of X are columns of L^-1 X^T. */
static void divide(int64_t n, int l, float *x, int64_t ldx, const double *g, float *g32) {
  const float one = 1.0f;
  const int cols = (int)n, ld = (int)ldx;
  for (int64_t i = 0; i < (int64_t)l * l; i++) g32[i] = (float)g[i];
  strsm_("L", "L", "N", "N", &l, &cols, &one, g32, &l, x, &ld, 1, 1, 1, 1);
}

static double condition(int l, const double *g) {
  double least = INFINITY, most = 0.0;
  for (int64_t j = 0; j < l; j++) {
    least = fmin(least, fabs(g[j * l + j]));
    most = fmax(most, fabs(g[j * l + j]));
  }
  return most / least;
}

lrp_status lrp_orthonormalize(int64_t n, int l, float *x, int64_t ldx, double enough,
                              lrp_scratch *scratch) {
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  bool done = false;
  double *g = lrp_scratch_take(scratch, &st, l, l, sizeof *g);
  double *copy = lrp_scratch_take(scratch, &st, l, l, sizeof *copy);
  float *g32 = lrp_scratch_take(scratch, &st, l, l, sizeof *g32);

  for (int pass = 0; st == LRP_OK && !done; pass++) {
    st = lrp_gram_f64(n, l, x, ldx, g, scratch);
    if (st == LRP_OK && (pass == passes_max || !factor(n, l, g, copy))) st = LRP_ERR_NUM;
    if (st != LRP_OK) break;
    divide(n, l, x, ldx, g, g32);
    done = condition(l, g) * (double)FLT_EPSILON <= enough;
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

/* max |E - I| of the lower triangle. */
static float deviation(int l, const float *e) {
  float worst = 0.0f;
#pragma omp parallel for schedule(static) reduction(max : worst)
  for (int64_t j = 0; j < l; j++) {
    for (int64_t i = j; i < l; i++) {
      const float d = fabsf(e[j * l + i] - (i == j ? 1.0f : 0.0f));
      worst = d > worst ? d : worst;
    }
  }
  return worst;
}

lrp_status lrp_reorthonormalize(int64_t n, int l, float *x, int64_t ldx, lrp_scratch *scratch) {
  const float once = 1e-2f; /* a deviation that one pass mends */
  const float one = 1.0f, zero = 0.0f;
  const int rows = (int)n, ld = (int)ldx;
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  bool done = false;
  float *e = lrp_scratch_take(scratch, &st, l, l, sizeof *e);

  for (int pass = 0; st == LRP_OK && !done; pass++) {
    int info;
    ssyrk_("L", "N", &l, &rows, &one, x, &ld, &zero, e, &l, 1, 1);
    done = deviation(l, e) < once;
    spotrf_("L", &l, e, &l, &info, 1);
    if (info != 0 || pass == passes_max) st = LRP_ERR_NUM;
    if (st == LRP_OK) strsm_("L", "L", "N", "N", &l, &rows, &one, e, &l, x, &ld, 1, 1, 1, 1);
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

/* Columns [first, end) of x. */
static void normalize_some(int64_t n, int64_t first, int64_t end, float *x, int64_t ldx,
                           double *norms) {
  for (int64_t j = first; j < end; j++) norms[j] = 0.0;
  for (int64_t i = 0; i < n; i++) {
    const float *row = x + i * ldx;
    for (int64_t j = first; j < end; j++) norms[j] += (double)row[j] * (double)row[j];
  }
  for (int64_t j = first; j < end; j++) norms[j] = sqrt(norms[j]);
  for (int64_t i = 0; i < n; i++) {
    float *row = x + i * ldx;
    for (int64_t j = first; j < end; j++) row[j] = (float)((double)row[j] / norms[j]);
  }
}

lrp_status lrp_normalize_columns(int64_t n, int l, float *x, int64_t ldx, lrp_scratch *scratch,
                                 double *norms) {
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  if (!norms) norms = lrp_scratch_take(scratch, &st, l, 1, sizeof *norms);
  if (st == LRP_OK) {
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < l; j += tile) {
      normalize_some(n, j, j + tile < l ? j + tile : l, x, ldx, norms);
    }
    for (int j = 0; j < l; j++) st = norms[j] > 0.0 ? st : LRP_ERR_NUM;
  }
  lrp_scratch_release(scratch, mark);
  return st;
}
