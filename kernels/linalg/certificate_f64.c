#include <math.h>

#include "kernels/linalg/certificate_parts.h"
#include "kernels/linalg/lapack.h"
#include "kernels/linalg/panel.h"

/* Doubles in a panel: 64 MiB. */
enum { panel_max = 8 << 20 };

/* Rows (or columns) of the given length that a panel holds: at least one, at most count. */
static int panel_rows(int64_t length, int64_t count) {
  const int64_t rows = panel_max / length;
  if (rows < 1) return 1;
  return (int)(rows < count ? rows : count);
}

/* Rows first .. first + rows - 1 of a. */
static void load_rows(double *dst, const lrp_matrix *a, int64_t first, int64_t rows) {
  const lrp_matrix view = lrp_panel(a, first, 0, rows, a->cols);
  lrp_matrix_to_f64(dst, &view);
}

/* The same rows of u diag(s). */
static void load_left(double *dst, const lrp_product *p, int64_t first, int64_t rows) {
  load_rows(dst, &p->u, first, rows);
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < p->rank; j++) dst[i * p->rank + j] *= p->s[j];
  }
}

/* Sums of squares are taken by rows, so that the partial sums stay short. */
static double sum_of_squares(const double *a, int64_t rows, int64_t cols) {
  double sum = 0.0;
  for (int64_t i = 0; i < rows; i++) {
    double row = 0.0;
    for (int64_t j = 0; j < cols; j++) row += a[i * cols + j] * a[i * cols + j];
    sum += row;
  }
  return sum;
}

static lrp_status error_f64(const lrp_matrix *w, const lrp_product *p, lrp_scratch *scratch,
                            double *error2, double *norm2) {
  const double one = 1.0, minus_one = -1.0;
  const int n = (int)w->cols, rows = panel_rows(w->cols, w->rows);
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  double *panel = lrp_scratch_take(scratch, &st, rows, n, sizeof *panel);
  double *left = lrp_scratch_take(scratch, &st, rows, p->rank, sizeof *left);
  double *vt = lrp_scratch_take(scratch, &st, p->rank, n, sizeof *vt);

  *error2 = *norm2 = 0.0;
  if (st == LRP_OK) lrp_matrix_to_f64(vt, &p->vt);
  for (int64_t i = 0; st == LRP_OK && i < w->rows; i += rows) {
    const int here = (int)(w->rows - i < rows ? w->rows - i : rows);
    load_rows(panel, w, i, here);
    load_left(left, p, i, here);
    *norm2 += sum_of_squares(panel, here, n);
    /* panel -= left vt; row-major, hence transposed and in reverse order for BLAS */
    dgemm_("N", "N", &n, &here, &p->rank, &minus_one, vt, &n, left, &p->rank, &one, panel, &n, 1,
           1);
    *error2 += sum_of_squares(panel, here, n);
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

/* By panels of columns of the upper triangle. */
static lrp_status deviation_f64(const float *a, int r, int length, bool transposed,
                                lrp_scratch *scratch, double *max) {
  const double one = 1.0, zero = 0.0;
  const char *trans = transposed ? "T" : "N"; /* row-major for BLAS */
  const int lda = transposed ? length : r;
  const size_t step = transposed ? (size_t)length : 1; /* from one of the r vectors to the next */
  const int cols = panel_rows(r, r);
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  double *wide = lrp_scratch_take(scratch, &st, r, length, sizeof *wide);
  double *product = lrp_scratch_take(scratch, &st, r, cols, sizeof *product);

  *max = 0.0;
  for (int64_t i = 0; st == LRP_OK && i < (int64_t)r * length; i++) wide[i] = (double)a[i];
  for (int j = 0; st == LRP_OK && j < r; j += cols) {
    const int here = r - j < cols ? r - j : cols;
    const int rows = j + here;
    dgemm_(trans, transposed ? "N" : "T", &rows, &here, &length, &one, wide, &lda,
           wide + (size_t)j * step, &lda, &zero, product, &rows, 1, 1);
    for (int c = 0; c < here; c++) {
      for (int i = 0; i <= j + c; i++) {
        const double expected = i == j + c ? 1.0 : 0.0;
        *max = lrp_larger(*max, fabs(product[(size_t)c * (size_t)rows + (size_t)i] - expected));
      }
    }
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

static double distance(int64_t n, const double *image, double s, const float *v) {
  double sum = 0.0;
  for (int64_t j = 0; j < n; j++) {
    const double d = image[j] - s * (double)v[j];
    sum += d * d;
  }
  return sqrt(sum);
}

static lrp_status residual_f64(const lrp_matrix *w, const lrp_triplets *t, lrp_scratch *scratch,
                               double *max) {
  const double one = 1.0;
  const int rows = panel_rows(t->n, t->m);
  const lrp_matrix u = {t->u, LRP_F32, t->m, t->rank, t->rank};
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  double *panel = lrp_scratch_take(scratch, &st, rows, t->n, sizeof *panel);
  double *left = lrp_scratch_take(scratch, &st, rows, t->rank, sizeof *left);
  double *image = lrp_scratch_take(scratch, &st, t->rank, t->n, sizeof *image); /* (W^T u)^T */

  *max = 0.0;
  for (int i = 0; st == LRP_OK && i < t->m; i += rows) {
    const int here = t->m - i < rows ? t->m - i : rows;
    const double beta = i == 0 ? 0.0 : 1.0;
    load_rows(panel, w, i, here);
    load_rows(left, &u, i, here);
    dgemm_("N", "T", &t->n, &t->rank, &here, &one, panel, &t->n, left, &t->rank, &beta, image,
           &t->n, 1, 1);
  }
  for (int64_t i = 0; st == LRP_OK && i < t->rank; i++) {
    *max = lrp_larger(*max, distance(t->n, image + i * t->n, t->s[i], t->vt + i * t->n));
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

const lrp_certificate_parts lrp_certificate_f64 = {error_f64, deviation_f64, residual_f64};
