#include "tests/bench/bench_check.h"

#include <math.h>
#include <stdlib.h>

#include "tests/bench/bench_lapack.h"

enum { panel_rows = 1024 };

static const double one = 1.0;
static const double zero = 0.0;

static lrp_matrix rows_of(const lrp_matrix *a, int64_t first) {
  lrp_matrix part = *a;
  part.data = lrp_matrix_row(a, first);
  part.rows = a->rows - first < panel_rows ? a->rows - first : panel_rows;
  return part;
}

static double sum_of_squares(const double *a, size_t count) {
  double sum = 0.0;
#pragma omp parallel for reduction(+ : sum)
  for (size_t i = 0; i < count; i++) sum += a[i] * a[i];
  return sum;
}

/* max |A - I| over the lower triangle of the column-major r x r matrix; NaN if there is one. */
static double distance_from_identity(const double *a, size_t r) {
  double most = 0.0;
  for (size_t j = 0; j < r; j++) {
    for (size_t i = j; i < r; i++) {
      const double d = fabs(a[j * r + i] - (i == j ? 1.0 : 0.0));
      if (!(d <= most)) most = d;
      if (isnan(most)) return most;
    }
  }
  return most;
}

/* One panel of rows: *error2 += |W - u diag(s) vt|^2; gram += u^T u. w and u are work space. */
static void add_panel(const lrp_bench_matrix *m, const lrp_bench_factors *f, const double *vt,
                      int64_t first, double *w, double *u, double *gram, double *error2) {
  const lrp_matrix w_part = rows_of(&m->w, first);
  const lrp_matrix u_part = rows_of(&f->u, first);
  const int here = (int)w_part.rows;
  const int n = (int)m->w.cols;
  const int r = f->rank;
  const double minus_one = -1.0;

  lrp_matrix_to_f64(w, &w_part);
  lrp_matrix_to_f64(u, &u_part);
  dsyrk_("L", "N", &r, &here, &one, u, &r, first == 0 ? &zero : &one, gram, &r, 1, 1);
  for (int i = 0; i < here; i++) {
    for (int j = 0; j < r; j++) u[(size_t)i * (size_t)r + (size_t)j] *= f->s[j];
  }
  dgemm_("N", "N", &n, &here, &r, &minus_one, vt, &n, u, &r, &one, w, &n, 1, 1);
  *error2 += sum_of_squares(w, (size_t)here * (size_t)n);
}

lrp_status lrp_bench_check(const lrp_bench_matrix *m, const lrp_bench_factors *f,
                           lrp_bench_quality *q) {
  const size_t r = (size_t)f->rank;
  const int n = (int)m->w.cols;
  const size_t bytes = ((panel_rows + r) * (size_t)n + panel_rows * r + r * r) * sizeof(double);
  double *space = malloc(bytes);
  if (!space) return lrp_fail_memory(bytes, "a check");
  double *w = space;
  double *vt = w + panel_rows * (size_t)n;
  double *u = vt + r * (size_t)n;
  double *gram = u + panel_rows * r;
  double error2 = 0.0;

  lrp_matrix_to_f64(vt, &f->vt);
  for (int64_t i = 0; i < m->w.rows; i += panel_rows) {
    add_panel(m, f, vt, i, w, u, gram, &error2);
  }
  const double of_u = distance_from_identity(gram, r);
  dsyrk_("L", "T", &f->rank, &n, &one, vt, &n, &zero, gram, &f->rank, 1, 1);
  const double of_vt = distance_from_identity(gram, r);
  q->excess = sqrt(error2) / lrp_bench_optimum(m, f->rank) - 1.0;
  q->orthogonality = isnan(of_u) || of_u > of_vt ? of_u : of_vt;
  free(space);
  return LRP_OK;
}
