#include "kernels/linalg/outliers.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "kernels/clones.h"
#include "kernels/linalg/lapack.h"
#include "kernels/linalg/ortho.h"
#include "kernels/linalg/ritz.h"
#include "kernels/linalg/weight_product.h"

static const double outlier_ratio = 40.0;

static const double right_enough = 1e-7;

enum {
  probe_last = 256, /* vectors iterated on, at most */
  iterations_max = 8
};

/* splitmix64 of the index. */
void lrp_fill_signs(float *x, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    uint64_t z = (uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    x[i] = (z ^ z >> 31) >> 63 ? 1.0f : -1.0f;
  }
}

lrp_status lrp_remove(int64_t n, int rank, const float *q, bool transposed, int cols, float *x,
                      int64_t ldx, lrp_scratch *scratch) {
  const float one = 1.0f, zero = 0.0f, minus_one = -1.0f;
  const int rows = (int)n, ld = (int)ldx, ldq = transposed ? rows : rank;
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  float *h = lrp_scratch_take(scratch, &st, rank, cols, sizeof *h);
  if (st == LRP_OK) { /* x is cols x n to BLAS, q is rank x n or n x rank */
    sgemm_("N", transposed ? "N" : "T", &cols, &rank, &rows, &one, x, &ld, q, &ldq, &zero, h, &cols,
           1, 1);
    sgemm_("N", transposed ? "T" : "N", &cols, &rows, &rank, &minus_one, h, &cols, q, &ldq, &one, x,
           &ld, 1, 1);
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

void lrp_place(int64_t n, int rank, const float *q, bool transposed, float *dst, int64_t ld) {
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < rank; j++)
      dst[i * ld + j] = transposed ? q[j * n + i] : q[i * rank + j];
  }
}

/* The image of random signs holds s_i^2 in proportion: its largest direction stands for s_1, the
 * lower half of them for what does not stick out. An estimate: what passes the limit by little, and
 * is missed, does no harm. */
lrp_status lrp_outliers_suspected(int64_t k, int64_t rows, int cols, const float *image,
                                  lrp_scratch *scratch, bool *suspected) {
  const double limit = outlier_ratio * outlier_ratio / (double)k;
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  double rest = 0.0;
  double *g = lrp_scratch_take(scratch, &st, cols, cols, sizeof *g);
  double *w = lrp_scratch_take(scratch, &st, cols, 1, sizeof *w);
  if (st == LRP_OK) st = lrp_gram_f64(rows, cols, image, cols, g, scratch);
  if (st == LRP_OK) st = lrp_eigen_f64(cols, g, w, scratch);
  for (int i = 0; st == LRP_OK && i < (cols + 1) / 2; i++) rest += 2.0 * w[i];
  *suspected = st == LRP_OK && w[cols - 1] > 1.5 * limit * rest;
  if (st == LRP_ERR_NUM) { /* then anything may be wrong with it */
    *suspected = true;
    st = LRP_OK;
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

/* The last one that sticks out of those behind it takes all before it along. */
static int count_outliers(const lrp_triplets *t, double energy) {
  const double limit = outlier_ratio * outlier_ratio;
  double rest = energy;
  int count = 0;
  for (int i = 0; i < t->rank; i++) {
    rest -= t->s[i] * t->s[i];
    const double others = fmax(rest, 1e-12 * energy) / (t->k - i);
    if (t->s[i] * t->s[i] > limit * others) count = i + 1;
  }
  return count;
}

/* How far the outliers are from right after so many products with W or W^T: the others shrink by
 * s_last / s_i each time. */
static double distance_after(const lrp_triplets *t, double energy, int times) {
  const int count = count_outliers(t, energy);
  if (count == 0) return 0.0;
  const double ratio = t->s[t->rank - 1] / t->s[count - 1];
  return pow(ratio, times);
}

/* One step: y = A x, orthonormal, and x = A^T y. */
static lrp_status step(const lrp_matrix *w, int cols, float *x, float *y, lrp_scratch *scratch) {
  const lrp_operand a = {w, false}, back = {w, true};
  lrp_status st = lrp_orthonormalize(w->cols, cols, x, cols, LRP_ORTHONORMAL, scratch);
  if (st == LRP_OK) st = lrp_split_product(a, cols, x, cols, y, cols, scratch);
  if (st == LRP_OK) st = lrp_orthonormalize(w->rows, cols, y, cols, LRP_ORTHONORMAL, scratch);
  if (st == LRP_OK) st = lrp_normalize_columns(w->rows, cols, y, cols, scratch, NULL);
  return st == LRP_OK ? lrp_split_product(back, cols, y, cols, x, cols, scratch) : st;
}

/* Subspace iteration with cols vectors until the outliers are right. */
static lrp_status iterate(const lrp_matrix *w, int cols, double energy, lrp_scratch *scratch,
                          lrp_triplets *t) {
  const lrp_operand back = {w, true};
  double distance = 1.0;
  lrp_status st = lrp_triplets_create(t, (int)w->rows, (int)w->cols, cols);
  float *omega = lrp_scratch_take(scratch, &st, w->rows, cols, sizeof *omega);
  float *x = lrp_scratch_take(scratch, &st, w->cols, cols, sizeof *x);
  float *y = lrp_scratch_take(scratch, &st, w->rows, cols, sizeof *y);
  if (st == LRP_OK) {
    lrp_fill_signs(omega, w->rows * cols);
    st = lrp_rough_product(back, cols, omega, cols, x, cols, scratch);
  }
  for (int i = 1; st == LRP_OK && distance > right_enough && i <= iterations_max; i++) {
    st = step(w, cols, x, y, scratch);
    if (st == LRP_OK) st = lrp_ritz_finish(cols, y, x, t, scratch);
    if (st == LRP_OK) distance = distance_after(t, energy, 2 * i + 1);
  }
  return st;
}

/* c (rank x w->cols) += rows [first, end) of u^T w, in double. */
LRP_VECTOR_CLONES static void add_exact_image(const lrp_triplets *t, const lrp_matrix *w,
                                              int64_t first, int64_t end, float *row, double *c) {
  for (int64_t i = first; i < end; i++) {
    lrp_to_f32(row, lrp_matrix_row(w, i), w->dtype, (size_t)w->cols);
    for (int64_t q = 0; q < t->rank; q++) {
      const double u = (double)t->u[i * t->rank + q];
      double *image = c + q * w->cols;
      for (int64_t j = 0; j < w->cols; j++) image[j] += u * (double)row[j];
    }
  }
}

/* s and v from their products. */
static void take_image(lrp_triplets *t, const double *c) {
  for (int64_t q = 0; q < t->rank; q++) {
    double sum = 0.0;
    for (int64_t j = 0; j < t->n; j++) sum += c[q * t->n + j] * c[q * t->n + j];
    t->s[q] = sqrt(sum);
    for (int64_t j = 0; j < t->n; j++) t->vt[q * t->n + j] = (float)(c[q * t->n + j] / t->s[q]);
  }
}

/* s and v once more, in double: nearly all of |W|^2 may be in them, and what the certificate
 * predicts for the others is a small difference. Each thread takes some rows; their sums are added
 * in order. */
static lrp_status refine(const lrp_matrix *w, lrp_scratch *scratch, lrp_triplets *t) {
  const int64_t threads = omp_get_max_threads(), size = (int64_t)t->rank * w->cols;
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  double *c = lrp_scratch_take(scratch, &st, threads, size, sizeof *c);
  float *rows = lrp_scratch_take(scratch, &st, threads, w->cols, sizeof *rows);
  if (st == LRP_OK) {
    memset(c, 0, (size_t)(threads * size) * sizeof *c);
#pragma omp parallel for schedule(static) num_threads((int)threads)
    for (int64_t p = 0; p < threads; p++) {
      add_exact_image(t, w, w->rows * p / threads, w->rows * (p + 1) / threads, rows + p * w->cols,
                      c + p * size);
    }
    for (int64_t p = 1; p < threads; p++) {
      for (int64_t j = 0; j < size; j++) c[j] += c[p * size + j];
    }
    take_image(t, c);
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

lrp_status lrp_outliers(const lrp_matrix *w, double energy, lrp_scratch *scratch, lrp_triplets *t) {
  const int64_t k = w->rows < w->cols ? w->rows : w->cols;
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  bool all = true; /* that were looked at stick out */
  int count = 0;
  *t = (lrp_triplets){0};
  for (int probe = LRP_OUTLIERS_PROBE; st == LRP_OK && all && probe <= probe_last && probe < k;
       probe *= 4) {
    lrp_triplets_free(t);
    st = iterate(w, probe, energy, scratch, t);
    count = st == LRP_OK ? count_outliers(t, energy) : 0;
    all = count == probe;
    lrp_scratch_release(scratch, mark);
  }
  lrp_scratch_release(scratch, mark);
  if (st == LRP_ERR_NUM) st = LRP_OK; /* of fewer directions than that: nothing to be gained */
  if (st != LRP_OK || count == 0) {
    lrp_triplets_free(t);
  } else {
    lrp_triplets_truncate(t, count);
    st = refine(w, scratch, t);
    if (st != LRP_OK) lrp_triplets_free(t);
  }
  return st;
}
