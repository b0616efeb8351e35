#include "kernels/linalg/certificate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linalg/factors.h"
#include "kernels/linalg/lapack.h"

/* Limits of lrp_certificate_passes(). */
static const double error_tol = 1e-5;
static const double orthogonality_tol = 1e-5;
static const double residual_tol = 1e-4;

/* Doubles in a panel: 64 MiB. */
enum { panel_max = 8 << 20 };

/* Rows (or columns) of the given length that a panel holds: at least one, at most count. */
static int panel_rows(int64_t length, int64_t count) {
  const int64_t rows = panel_max / length;
  if (rows < 1) return 1;
  return (int)(rows < count ? rows : count);
}

static lrp_status allocate(double **a, int64_t rows, int64_t cols) {
  const size_t bytes = (size_t)rows * (size_t)cols * sizeof **a;
  *a = calloc(1, bytes);
  return *a ? LRP_OK : lrp_fail_memory(bytes, "a certificate");
}

/* Rows first .. first + rows - 1 of a, as doubles. */
static void load_rows(double *dst, const lrp_matrix *a, int64_t first, int64_t rows) {
  lrp_matrix view = *a;
  view.data = lrp_matrix_row(a, first);
  view.rows = rows;
  lrp_matrix_to_f64(dst, &view);
}

/* The same rows of u diag(s). */
static void load_left(double *dst, const lrp_product *p, int64_t first, int64_t rows) {
  const size_t r = (size_t)p->rank;
  if (p->u) {
    memcpy(dst, p->u + (size_t)first * r, (size_t)rows * r * sizeof *dst);
  } else {
    load_rows(dst, &p->stored_u, first, rows);
  }
  for (size_t i = 0; i < (size_t)rows; i++) {
    for (size_t j = 0; j < r; j++) dst[i * r + j] *= p->s[j];
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

lrp_status lrp_product_error(const lrp_matrix *w, const lrp_product *p, double *error,
                             double *norm) {
  const double one = 1.0;
  const double minus_one = -1.0;
  const int n = (int)w->cols;
  const int rows = panel_rows(w->cols, w->rows);
  double *panel = NULL;
  double *left = NULL;
  double error2 = 0.0;
  double norm2 = 0.0;

  lrp_status st = allocate(&panel, rows, n);
  if (st == LRP_OK) st = allocate(&left, rows, p->rank);
  for (int64_t i = 0; st == LRP_OK && i < w->rows; i += rows) {
    const int here = (int)(w->rows - i < rows ? w->rows - i : rows);
    load_rows(panel, w, i, here);
    load_left(left, p, i, here);
    norm2 += sum_of_squares(panel, here, n);
    /* panel -= left vt; row-major, hence transposed and in reverse order for BLAS */
    dgemm_("N", "N", &n, &here, &p->rank, &minus_one, p->vt, &n, left, &p->rank, &one, panel, &n, 1,
           1);
    error2 += sum_of_squares(panel, here, n);
  }
  *error = sqrt(error2);
  *norm = sqrt(norm2);
  free(left);
  free(panel);
  return st;
}

double lrp_relative(double error, double norm) {
  return norm > 0.0 || error != 0.0 ? error / norm : 0.0;
}

/* The larger one; NaN if one is NaN, unlike fmax(). */
static double larger(double a, double b) {
  return isnan(a) || a >= b ? a : b;
}

/* |A A^T - I|_max of a column-major r x length A ("N"), or |A^T A - I|_max of a length x r one
 * ("T"), by panels of columns of the upper triangle. */
static lrp_status deviation(const char *trans, int r, int length, const double *a, double *max) {
  const double one = 1.0;
  const double zero = 0.0;
  const int lda = *trans == 'N' ? r : length;
  const size_t step =
      *trans == 'N' ? 1 : (size_t)length; /* from one of the r vectors to the next */
  const int cols = panel_rows(r, r);
  double *product;

  *max = 0.0;
  const lrp_status st = allocate(&product, r, cols);
  for (int j = 0; st == LRP_OK && j < r; j += cols) {
    const int here = r - j < cols ? r - j : cols;
    const int rows = j + here;
    dgemm_(trans, *trans == 'N' ? "T" : "N", &rows, &here, &length, &one, a, &lda,
           a + (size_t)j * step, &lda, &zero, product, &rows, 1, 1);
    for (int c = 0; c < here; c++) {
      for (int i = 0; i <= j + c; i++) {
        const double expected = i == j + c ? 1.0 : 0.0;
        *max = larger(*max, fabs(product[(size_t)c * (size_t)rows + (size_t)i] - expected));
      }
    }
  }
  free(product);
  return st;
}

/* max_i |W^T u_i - s_i v_i|_2 */
static lrp_status residual(const lrp_matrix *w, const lrp_triplets *t, double *max) {
  const double one = 1.0;
  const int rows = panel_rows(t->n, t->m);
  const size_t n = (size_t)t->n;
  double *panel = NULL;
  double *image = NULL; /* (W^T u)^T, rank x n */

  *max = 0.0;
  lrp_status st = allocate(&panel, rows, t->n);
  if (st == LRP_OK) st = allocate(&image, t->rank, t->n);
  for (int i = 0; st == LRP_OK && i < t->m; i += rows) {
    const int here = t->m - i < rows ? t->m - i : rows;
    load_rows(panel, w, i, here);
    dgemm_("N", "T", &t->n, &t->rank, &here, &one, panel, &t->n, t->u + (size_t)i * (size_t)t->rank,
           &t->rank, &one, image, &t->n, 1, 1);
  }
  for (size_t i = 0; st == LRP_OK && i < (size_t)t->rank; i++) {
    double sum = 0.0;
    for (size_t j = 0; j < n; j++) {
      const double d = image[i * n + j] - t->s[i] * t->vt[i * n + j];
      sum += d * d;
    }
    *max = larger(*max, sqrt(sum));
  }
  free(image);
  free(panel);
  return st;
}

/* sqrt(1 - sum s_i^2 / |W|^2): what the best approximation of this rank leaves. */
static double predict(const lrp_triplets *t, double norm) {
  double kept = 0.0;
  for (int i = 0; i < t->rank; i++) kept += t->s[i] * t->s[i];
  if (norm == 0.0) return lrp_relative(sqrt(kept), norm);
  const double rest = 1.0 - kept / (norm * norm);
  return rest < 0.0 ? 0.0 : sqrt(rest); /* fmax(0, rest) would hide NaN */
}

lrp_status lrp_certify(const lrp_matrix *w, const lrp_triplets *t, lrp_certificate *c) {
  const lrp_product product = {.rank = t->rank, .u = t->u, .s = t->s, .vt = t->vt};
  double error, norm, of_u, of_vt, worst;

  *c = (lrp_certificate){NAN, NAN, NAN, NAN, NAN};
  lrp_status st = lrp_product_error(w, &product, &error, &norm);
  if (st == LRP_OK) st = deviation("N", t->rank, t->m, t->u, &of_u);
  if (st == LRP_OK) st = deviation("T", t->rank, t->n, t->vt, &of_vt);
  if (st == LRP_OK) st = residual(w, t, &worst);
  if (st != LRP_OK) return st;

  c->relative_error = lrp_relative(error, norm);
  c->predicted = predict(t, norm);
  c->orthogonality = larger(of_u, of_vt);
  c->residual = lrp_relative(worst, fabs(t->s[0]));
  c->norm = norm;
  return LRP_OK;
}

bool lrp_certificate_passes(const lrp_certificate *c) {
  return fabs(c->relative_error - c->predicted) <= error_tol &&
         c->orthogonality <= orthogonality_tol && c->residual <= residual_tol;
}
