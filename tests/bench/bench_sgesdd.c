#include "tests/bench/bench_sgesdd.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench_lapack.h"
#include "tests/bench/bench_timing.h"

/* A row-major rows x cols matrix is a column-major cols x rows one: what LAPACK calls U and VT are
 * our vt and u, row-major. */
typedef struct {
  int rows, cols, k;
  float *a, *s, *u, *vt, *work; /* parts of space */
  float *space;                 /* owned */
  int *iwork;                   /* owned */
  int lwork;
} svd_space;

/* LWORK is returned as a float, which may be less than what is meant: 2^24 and more are rounded. */
static lrp_status query(svd_space *x) {
  const int minus_one = -1;
  float lwork = 0.0f;
  int info, iwork;
  sgesdd_("S", &x->cols, &x->rows, NULL, &x->cols, NULL, NULL, &x->cols, NULL, &x->k, &lwork,
          &minus_one, &iwork, &info, 1);
  const double enough = (double)lwork * (1.0 + 1e-6) + 1.0;
  if (info != 0 || enough > INT_MAX) {
    return lrp_fail(LRP_ERR_NUM, "sgesdd: %d x %d: info %d", x->rows, x->cols, info);
  }
  x->lwork = (int)enough;
  return LRP_OK;
}

static lrp_status allocate(svd_space *x) {
  const size_t m = (size_t)x->rows;
  const size_t n = (size_t)x->cols;
  const size_t k = (size_t)x->k;
  const size_t bytes = (m * n + k + m * k + k * n + (size_t)x->lwork) * sizeof(float);
  x->space = malloc(bytes);
  x->iwork = malloc(8 * k * sizeof *x->iwork);
  if (!x->space || !x->iwork) return lrp_fail_memory(bytes, "sgesdd");
  memset(x->space, 0, bytes); /* no page faults while the clock runs */
  x->a = x->space;
  x->s = x->a + m * n;
  x->u = x->s + k;
  x->vt = x->u + m * k;
  x->work = x->vt + k * n;
  return LRP_OK;
}

static lrp_status run(const lrp_bench_matrix *m, svd_space *x, double *seconds) {
  int info;
  lrp_matrix_to_f32(x->a, &m->w);
  const double start = lrp_bench_clock();
  sgesdd_("S", &x->cols, &x->rows, x->a, &x->cols, x->s, x->vt, &x->cols, x->u, &x->k, x->work,
          &x->lwork, x->iwork, &info, 1);
  *seconds = lrp_bench_clock() - start;
  return info == 0 ? LRP_OK : lrp_fail(LRP_ERR_NUM, "sgesdd: info %d", info);
}

lrp_status lrp_bench_sgesdd(const lrp_bench_matrix *m, int n_ranks, const int *ranks,
                            double *seconds, lrp_bench_quality *quality) {
  svd_space x = {.rows = (int)m->w.rows, .cols = (int)m->w.cols, .k = (int)m->w.cols};

  lrp_status st = query(&x);
  if (st == LRP_OK) st = allocate(&x);
  if (st == LRP_OK) st = run(m, &x, seconds);
  for (int i = 0; st == LRP_OK && i < n_ranks; i++) {
    const lrp_bench_factors f = {
        .rank = ranks[i],
        .u = {.data = x.u, .dtype = LRP_F32, .rows = x.rows, .cols = ranks[i], .ld = x.k},
        .s = x.s,
        .vt = {.data = x.vt, .dtype = LRP_F32, .rows = ranks[i], .cols = x.cols, .ld = x.cols}};
    st = lrp_bench_check(m, &f, &quality[i]);
  }
  free(x.iwork);
  free(x.space);
  return st;
}
