#include <math.h>
#include <omp.h>
#include <string.h>

#include "kernels/linalg/certificate_parts.h"
#include "kernels/linalg/lapack.h"
#include "kernels/linalg/norm.h"
#include "kernels/linalg/panel.h"
#include "kernels/linalg/weight_product.h"

enum {
  error_rows = 64,       /* of W at a time: they stay in the cache from conversion to sum */
  deviation_rows = 1024, /* summed in float32 before the sums go on in double */
  residual_cols = 64
};

/* One panel of rows: *error2 = |W_p - u_p diag(s) vt|^2, *norm2 = |W_p|^2. */
static void panel_error(const lrp_matrix *w, const lrp_product *p, const float *vt, int64_t first,
                        float *panel, float *left, double *error2, double *norm2) {
  const float one = 1.0f, minus_one = -1.0f;
  const int64_t rest = w->rows - first;
  const int rows = (int)(rest < error_rows ? rest : error_rows), n = (int)w->cols;
  const lrp_matrix of_w = lrp_panel(w, first, 0, rows, n);
  const lrp_matrix of_u = lrp_panel(&p->u, first, 0, rows, p->rank);
  lrp_matrix_to_f32(panel, &of_w);
  lrp_matrix_to_f32(left, &of_u);
  for (int64_t i = 0; i < (int64_t)rows * p->rank; i++) left[i] *= (float)p->s[i % p->rank];
  *norm2 = lrp_sum_of_squares(panel, (int64_t)rows * n);
  sgemm_("N", "N", &n, &rows, &p->rank, &minus_one, vt, &n, left, &p->rank, &one, panel, &n, 1, 1);
  *error2 = lrp_sum_of_squares(panel, (int64_t)rows * n);
}

/* Panels are dealt to the threads, and their sums added in order. */
static lrp_status error_f32(const lrp_matrix *w, const lrp_product *p, lrp_scratch *scratch,
                            double *error2, double *norm2) {
  const int threads = omp_get_max_threads();
  const int64_t panels = (w->rows + error_rows - 1) / error_rows;
  const int64_t panel_size = error_rows * w->cols, left_size = error_rows * (int64_t)p->rank;
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  float *panel = lrp_scratch_take(scratch, &st, threads, panel_size, sizeof *panel);
  float *left = lrp_scratch_take(scratch, &st, threads, left_size, sizeof *left);
  double *sums = lrp_scratch_take(scratch, &st, 2, panels, sizeof *sums);
  const float *vt = p->vt.data;
  if (p->vt.dtype != LRP_F32) {
    float *wide = lrp_scratch_take(scratch, &st, p->rank, w->cols, sizeof *wide);
    if (st == LRP_OK) lrp_matrix_to_f32(wide, &p->vt);
    vt = wide;
  }
  *error2 = *norm2 = 0.0;
  if (st == LRP_OK) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < panels; i++) {
      const int64_t me = omp_get_thread_num();
      panel_error(w, p, vt, i * error_rows, panel + me * panel_size, left + me * left_size,
                  &sums[2 * i], &sums[2 * i + 1]);
    }
    for (int64_t i = 0; i < panels; i++) {
      *error2 += sums[2 * i];
      *norm2 += sums[2 * i + 1];
    }
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

/* max |E - I| of the lower triangle. */
static double deviation_of(int64_t r, const double *e) {
  double worst = 0.0;
  for (int64_t j = 0; j < r; j++) {
    for (int64_t i = j; i < r; i++) {
      worst = lrp_larger(worst, fabs(e[j * r + i] - (i == j ? 1.0 : 0.0)));
    }
  }
  return worst;
}

static lrp_status deviation_f32(const float *a, int r, int length, bool transposed,
                                lrp_scratch *scratch, double *max) {
  const float one = 1.0f, zero = 0.0f;
  const int lda = transposed ? length : r;
  const size_t step = transposed ? 1 : (size_t)r; /* from one entry of a vector to the next */
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  float *part = lrp_scratch_take(scratch, &st, r, r, sizeof *part);
  double *e = lrp_scratch_take(scratch, &st, r, r, sizeof *e);

  if (st == LRP_OK) memset(e, 0, (size_t)r * (size_t)r * sizeof *e);
  for (int i = 0; st == LRP_OK && i < length; i += deviation_rows) {
    const int here = length - i < deviation_rows ? length - i : deviation_rows;
    ssyrk_("L", transposed ? "T" : "N", &r, &here, &one, a + (size_t)i * step, &lda, &zero, part,
           &r, 1, 1);
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < r; j++) {
      for (int64_t l = j; l < r; l++) e[j * r + l] += (double)part[j * r + l];
    }
  }
  if (st == LRP_OK) *max = deviation_of(r, e);
  lrp_scratch_release(scratch, mark);
  return st;
}

/* d[j] = |W^T u_j - s_j v_j|^2 of some columns; image is W^T u, n x rank. */
static void column_distances(const lrp_triplets *t, const float *image, int64_t first, double *d) {
  const int64_t rest = t->rank - first, cols = rest < residual_cols ? rest : residual_cols;
  for (int64_t j = 0; j < cols; j++) d[j] = 0.0;
  for (int64_t i = 0; i < t->n; i++) {
    for (int64_t j = 0; j < cols; j++) {
      const double x = (double)image[i * t->rank + first + j] -
                       t->s[first + j] * (double)t->vt[(first + j) * t->n + i];
      d[j] += x * x;
    }
  }
}

static lrp_status residual_f32(const lrp_matrix *w, const lrp_triplets *t, lrp_scratch *scratch,
                               double *max) {
  const lrp_operand back = {w, true};
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  float *image = lrp_scratch_take(scratch, &st, t->n, t->rank, sizeof *image);
  double *d = lrp_scratch_take(scratch, &st, t->rank, 1, sizeof *d);
  if (st == LRP_OK) {
    st = lrp_weight_product(back, t->rank, t->u, t->rank, image, t->rank, scratch);
  }
  *max = 0.0;
  if (st == LRP_OK) {
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < t->rank; j += residual_cols) column_distances(t, image, j, d + j);
    for (int i = 0; i < t->rank; i++) *max = lrp_larger(*max, sqrt(d[i]));
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

const lrp_certificate_parts lrp_certificate_f32 = {error_f32, deviation_f32, residual_f32};
