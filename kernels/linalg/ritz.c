#include "kernels/linalg/ritz.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "kernels/linalg/eigh.h"
#include "kernels/linalg/lapack.h"
#include "kernels/linalg/ortho.h"

/* Up to this size double costs next to nothing. */
enum { small_size = 64 };

/* Largest over smallest |A k_i|^2 of the basis from which on float32 sums are too coarse. */
static const double graded_ratio = 2e4;

static bool is_graded(int size, const float *h) {
  double least = INFINITY, most = 0.0;
  for (int64_t i = 0; i < size; i++) {
    least = fmin(least, h[i * size + i]);
    most = fmax(most, h[i * size + i]);
  }
  return !(most < graded_ratio * least);
}

/* In float32; *graded, and nothing more, where that does not do. */
static lrp_status try_f32(const lrp_subspace *s, lrp_ritz *z, lrp_scratch *scratch, bool *graded) {
  const float one = 1.0f, zero = 0.0f;
  const int p = (int)s->p;
  lrp_status st = LRP_OK;
  float *h = lrp_scratch_take(scratch, &st, s->size, s->size, sizeof *h);
  float *w = lrp_scratch_take(scratch, &st, s->size, 1, sizeof *w);
  if (st != LRP_OK) return st;
  ssyrk_("L", "N", &s->size, &p, &one, s->image, &s->ld, &zero, h, &s->size, 1, 1);
  *graded = is_graded(s->size, h);
  if (*graded) return LRP_OK;
  st = lrp_eigh(s->size, h, z->cols, w, z->vectors, scratch);
  for (int i = 0; st == LRP_OK && i < s->size; i++) z->theta[i] = (double)w[i];
  return st;
}

static lrp_status try_f64(const lrp_subspace *s, lrp_ritz *z, lrp_scratch *scratch) {
  const int64_t n = s->size;
  lrp_status st = LRP_OK;
  double *h = lrp_scratch_take(scratch, &st, n, n, sizeof *h);
  double *w = lrp_scratch_take(scratch, &st, n, 1, sizeof *w);
  if (st == LRP_OK) st = lrp_gram_f64(s->p, s->size, s->image, s->ld, h, scratch);
  if (st == LRP_OK) st = lrp_eigen_f64(s->size, h, w, scratch);
  if (st != LRP_OK) return st;
  for (int64_t i = 0; i < n; i++) z->theta[i] = w[n - 1 - i];
  for (int64_t i = 0; i < z->cols * n; i++) {
    z->vectors[i] = (float)h[(n - 1 - i / n) * n + i % n];
  }
  return LRP_OK;
}

/* rho_i = |residual x_i(last block)|. */
static lrp_status measure_residuals(const lrp_subspace *s, lrp_ritz *z, lrp_scratch *scratch) {
  const int64_t b = s->block;
  lrp_status st = LRP_OK;
  double *e = lrp_scratch_take(scratch, &st, b, b, sizeof *e);
  if (st == LRP_OK) st = lrp_gram_f64(s->k, s->block, s->residual, s->block, e, scratch);
  for (int64_t c = 0; st == LRP_OK && c < z->cols; c++) {
    const float *x = z->vectors + (c + 1) * s->size - b;
    double sum = 0.0;
    for (int64_t i = 0; i < b; i++) {
      for (int64_t j = 0; j <= i; j++) sum += (i == j ? 1.0 : 2.0) * e[j * b + i] * x[i] * x[j];
    }
    z->rho[c] = sqrt(fmax(sum, 0.0));
  }
  return st;
}

lrp_status lrp_ritz_solve(const lrp_subspace *s, int cols, lrp_ritz *z, lrp_scratch *scratch) {
  bool graded = s->size <= small_size;
  lrp_status st = LRP_OK;

  *z = (lrp_ritz){.cols = cols < s->size ? cols : s->size};
  z->theta = lrp_scratch_take(scratch, &st, s->size, 1, sizeof *z->theta);
  z->rho = lrp_scratch_take(scratch, &st, z->cols, 1, sizeof *z->rho);
  z->vectors = lrp_scratch_take(scratch, &st, s->size, z->cols, sizeof *z->vectors);
  if (st == LRP_OK && !graded) st = try_f32(s, z, scratch, &graded);
  if (st == LRP_OK && graded) st = try_f64(s, z, scratch);
  if (st == LRP_OK) st = measure_residuals(s, z, scratch);
  return st;
}

/* The last rank columns of P, the largest first. */
static void reverse_columns(int n, int rank, const double *g, double *p, float *p32) {
  for (int64_t j = 0; j < rank; j++) {
    for (int64_t i = 0; i < n; i++) {
      p[j * n + i] = g[(n - 1 - j) * n + i];
      p32[j * n + i] = (float)p[j * n + i];
    }
  }
}

/* Columns [first, first + rows) of t->vt = diag(1/s) P^T C^T in double. */
static void right_columns(int cols, const float *c, const double *p, int64_t first, int rows,
                          double *wide, double *product, lrp_triplets *t) {
  const double one = 1.0, zero = 0.0;
  for (int64_t i = 0; i < (int64_t)rows * cols; i++) wide[i] = (double)c[first * cols + i];
  dgemm_("T", "N", &rows, &t->rank, &cols, &one, wide, &cols, p, &cols, &zero, product, &rows, 1,
         1);
  for (int64_t j = 0; j < t->rank; j++) {
    const double scale = 1.0 / t->s[j];
    for (int64_t i = 0; i < rows; i++) {
      t->vt[j * t->n + first + i] = (float)(product[j * rows + i] * scale);
    }
  }
}

/* Each thread does some of the columns. */
static lrp_status right_factor(int cols, const float *c, const double *p, lrp_triplets *t,
                               lrp_scratch *scratch) {
  enum { chunk = 256 };
  const int64_t threads = omp_get_max_threads();
  const int64_t wide_size = (int64_t)chunk * cols, product_size = (int64_t)chunk * t->rank;
  lrp_status st = LRP_OK;
  double *wide = lrp_scratch_take(scratch, &st, threads, wide_size, sizeof *wide);
  double *product = lrp_scratch_take(scratch, &st, threads, product_size, sizeof *product);
  if (st != LRP_OK) return st;
#pragma omp parallel for schedule(static) num_threads((int)threads)
  for (int64_t first = 0; first < t->n; first += chunk) {
    const int64_t me = omp_get_thread_num(), rest = t->n - first;
    right_columns(cols, c, p, first, (int)(rest < chunk ? rest : chunk), wide + me * wide_size,
                  product + me * product_size, t);
  }
  return LRP_OK;
}

lrp_status lrp_ritz_finish(int cols, const float *u, const float *c, lrp_triplets *t,
                           lrp_scratch *scratch) {
  const float one = 1.0f, zero = 0.0f;
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  double *g = lrp_scratch_take(scratch, &st, cols, cols, sizeof *g);
  double *w = lrp_scratch_take(scratch, &st, cols, 1, sizeof *w);
  double *p = lrp_scratch_take(scratch, &st, cols, t->rank, sizeof *p);
  float *p32 = lrp_scratch_take(scratch, &st, cols, t->rank, sizeof *p32);

  if (st == LRP_OK) st = lrp_gram_f64(t->n, cols, c, cols, g, scratch);
  if (st == LRP_OK) st = lrp_eigen_f64(cols, g, w, scratch);
  if (st == LRP_OK && !(w[cols - t->rank] > DBL_EPSILON * 64.0 * w[cols - 1])) st = LRP_ERR_NUM;
  if (st == LRP_OK) {
    for (int i = 0; i < t->k; i++) t->s[i] = i < t->rank ? sqrt(w[cols - 1 - i]) : NAN;
    reverse_columns(cols, t->rank, g, p, p32);
    sgemm_("T", "N", &t->rank, &t->m, &cols, &one, p32, &cols, u, &cols, &zero, t->u, &t->rank, 1,
           1);
    st = right_factor(cols, c, p, t, scratch);
  }
  lrp_scratch_release(scratch, mark);
  return st;
}
