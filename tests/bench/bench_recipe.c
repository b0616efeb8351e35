#include "tests/bench/bench_recipe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench_lapack.h"

/* What numbers are drawn for; an outlier matrix is the llm matrix and something else. */
enum { for_left = 1, for_right, for_noise, for_outlier_left, for_outlier_right };

static const double noise_level = 0.02;
static const double signal_level = 20.0;    /* at 4096 x 4096, as the next one */
static const double outlier_level = 2000.0; /* about 1800 times the value in the middle */

/* The output function of SplitMix64: Steele, Lea, Flood, OOPSLA 2014. */
static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* In (0, 1). */
static double uniform(uint64_t key, uint64_t i) {
  const uint64_t h = mix(key + (i + 1) * 0x9e3779b97f4a7c15u);
  return ((double)(h >> 11) + 0.5) * 0x1p-53;
}

/* Standard normal number i: Box & Muller, Ann. Math. Statist. 29 (1958), 610-611. */
static double normal(uint64_t key, uint64_t i) {
  const double two_pi = 6.283185307179586;
  return sqrt(-2.0 * log(uniform(key, 2 * i))) * cos(two_pi * uniform(key, 2 * i + 1));
}

/* q = orthonormal columns, column-major m x n, which span a random subspace. */
static lrp_status draw_orthonormal(int purpose, int m, int n, double *q) {
  const uint64_t key = mix((uint64_t)purpose);
  const int lwork = 64 * n;
  double *tau = malloc((size_t)n * sizeof *tau);
  double *work = malloc((size_t)lwork * sizeof *work);
  lrp_status st = LRP_OK;
  int info = 0;

  if (!tau || !work) st = lrp_fail_memory((size_t)lwork * sizeof *work, "a random matrix");
  if (st == LRP_OK) {
#pragma omp parallel for
    for (int64_t i = 0; i < (int64_t)m * n; i++) q[i] = normal(key, (uint64_t)i);
    dgeqrf_(&m, &n, q, &m, tau, work, &lwork, &info);
    if (info == 0) dorgqr_(&m, &n, &n, q, &m, tau, work, &lwork, &info);
    if (info != 0) st = lrp_fail(LRP_ERR_NUM, "QR of a random matrix: info %d", info);
  }
  free(work);
  free(tau);
  return st;
}

/* Column i of left times the singular value i. */
static void scale_left(const lrp_bench_recipe *r, int decaying, lrp_bench_signal *s) {
  const double unit = sqrt((double)r->rows * r->cols) / 4096.0;
  for (int i = 0; i < s->count; i++) {
    double value = signal_level * unit / sqrt(i + 1.0);
    if (i == 0) value *= 2.0;
    if (i >= decaying) value = outlier_level * unit;
    double *column = s->left + (size_t)i * (size_t)r->rows;
    for (int j = 0; j < r->rows; j++) column[j] *= value;
  }
}

lrp_status lrp_bench_signal_init(const lrp_bench_recipe *r, lrp_bench_signal *out) {
  const int decaying = r->spectrum == LRP_BENCH_GAUSS ? 0 : r->cols / 4;
  const int outliers = r->spectrum == LRP_BENCH_OUTLIER ? 1 : 0;
  const int count = decaying + outliers;
  const size_t rows = (size_t)r->rows;
  const size_t cols = (size_t)r->cols;
  const size_t bytes = (rows + cols) * (size_t)count * sizeof(double);

  *out = (lrp_bench_signal){.count = count};
  if (count == 0) return LRP_OK;
  out->left = malloc(rows * (size_t)count * sizeof *out->left);
  out->right = malloc(cols * (size_t)count * sizeof *out->right);
  lrp_status st = LRP_OK;
  if (!out->left || !out->right) st = lrp_fail_memory(bytes, "a signal");
  if (st == LRP_OK) st = draw_orthonormal(for_left, r->rows, decaying, out->left);
  if (st == LRP_OK) st = draw_orthonormal(for_right, r->cols, decaying, out->right);
  if (st == LRP_OK && outliers > 0) {
    double *x = out->left + rows * (size_t)decaying;
    double *y = out->right + cols * (size_t)decaying;
    st = draw_orthonormal(for_outlier_left, r->rows, outliers, x);
    if (st == LRP_OK) st = draw_orthonormal(for_outlier_right, r->cols, outliers, y);
  }
  if (st == LRP_OK) {
    scale_left(r, decaying, out);
  } else {
    lrp_bench_signal_free(out);
  }
  return st;
}

void lrp_bench_signal_free(lrp_bench_signal *s) {
  free(s->left);
  free(s->right);
  *s = (lrp_bench_signal){0};
}

void lrp_bench_rows(const lrp_bench_recipe *r, const lrp_bench_signal *s, int first, int count,
                    double *panel) {
  const uint64_t key = mix(for_noise);
  const double one = 1.0;
  const int64_t before = (int64_t)first * r->cols;

#pragma omp parallel for
  for (int64_t i = 0; i < (int64_t)count * r->cols; i++) {
    panel[i] = noise_level * normal(key, (uint64_t)(before + i));
  }
  if (s->count == 0) return;
  /* row-major, hence panel^T += right left^T */
  dgemm_("N", "T", &r->cols, &count, &s->count, &one, s->right, &r->cols, s->left + first, &r->rows,
         &one, panel, &r->cols, 1, 1);
}

/* Lower triangle of W^T W, column-major. */
static lrp_status form_gram(const lrp_matrix *w, double *gram) {
  enum { panel_rows = 1024 };
  const int n = (int)w->cols;
  const double one = 1.0;
  double *panel = malloc((size_t)panel_rows * (size_t)n * sizeof *panel);
  if (!panel) return lrp_fail_memory((size_t)panel_rows * (size_t)n * sizeof *panel, "a panel");
  for (int64_t i = 0; i < w->rows; i += panel_rows) {
    lrp_matrix part = *w;
    part.data = lrp_matrix_row(w, i);
    part.rows = w->rows - i < panel_rows ? w->rows - i : panel_rows;
    const int here = (int)part.rows;
    const double beta = i == 0 ? 0.0 : 1.0;
    lrp_matrix_to_f64(panel, &part);
    dsyrk_("L", "N", &n, &here, &one, panel, &n, &beta, gram, &n, 1, 1);
  }
  free(panel);
  return LRP_OK;
}

lrp_status lrp_bench_tails(const lrp_matrix *w, double *tails) {
  const int n = (int)w->cols;
  const int lwork = 64 * n; /* the blocks of dsytrd */
  const int liwork = 1;
  const size_t bytes = (size_t)n * (size_t)(n + 65) * sizeof(double);
  double *gram = malloc(bytes);
  lrp_status st = LRP_OK;
  int iwork, info;

  if (!gram) return lrp_fail_memory(bytes, "a Gram matrix");
  double *values = gram + (size_t)n * (size_t)n;
  st = form_gram(w, gram);
  if (st == LRP_OK) {
    dsyevd_("N", "L", &n, gram, &n, values, values + n, &lwork, &iwork, &liwork, &info, 1, 1);
    if (info != 0) st = lrp_fail(LRP_ERR_NUM, "dsyevd of a Gram matrix: info %d", info);
  }
  if (st == LRP_OK) {
    tails[n] = 0.0;
    for (int i = 0; i < n; i++) { /* ascending */
      tails[n - 1 - i] = tails[n - i] + fmax(values[i], 0.0);
    }
  }
  free(gram);
  return st;
}
