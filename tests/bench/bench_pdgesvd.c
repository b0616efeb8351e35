#include "tests/bench/bench_pdgesvd.h"

#include <limits.h>
#include <stdlib.h>

#include "kernels/linalg/scalapack.h"
#include "tests/bench/bench_timing.h"

void pdgesvd_(const char *jobu, const char *jobvt, const int *m, const int *n, double *a,
              const int *ia, const int *ja, const int *desca, double *s, double *u, const int *iu,
              const int *ju, const int *descu, double *vt, const int *ivt, const int *jvt,
              const int *descvt, double *work, const int *lwork, int *info, size_t, size_t);

static const int first = 1;
static const int none = 0;
static const int block = 64;

/* Column-major, block-cyclic. */
typedef struct {
  int m, n, locr, locc, desc[9];
  double *loc; /* owned */
} part;

static lrp_status create(const lrp_grid *grid, int m, int n, part *p) {
  int info;
  *p = (part){.m = m,
              .n = n,
              .locr = numroc_(&m, &block, &grid->myrow, &none, &grid->nprow),
              .locc = numroc_(&n, &block, &grid->mycol, &none, &grid->npcol)};
  const int lld = p->locr > 1 ? p->locr : 1;
  descinit_(p->desc, &m, &n, &block, &block, &none, &none, &grid->ictxt, &lld, &info);
  const size_t count = (size_t)lld * (size_t)(p->locc > 1 ? p->locc : 1);
  p->loc = calloc(count, sizeof *p->loc);
  return p->loc ? LRP_OK : lrp_fail_memory(count * sizeof *p->loc, "pdgesvd");
}

static int global(int local, int me, int count) {
  return (local / block * count + me) * block + local % block;
}

/* Column by column: each is a row of w^T. */
static lrp_status load(const lrp_grid *grid, const lrp_bench_matrix *m, part *a) {
  double *row = malloc((size_t)a->n * sizeof *row);
  if (!row) return lrp_fail_memory((size_t)a->n * sizeof *row, "pdgesvd");
  for (int i = 0; i < a->locr; i++) {
    lrp_matrix view = m->w;
    view.data = lrp_matrix_row(&m->w, global(i, grid->myrow, grid->nprow));
    view.rows = 1;
    lrp_matrix_to_f64(row, &view);
    for (int j = 0; j < a->locc; j++) {
      a->loc[(size_t)j * (size_t)a->locr + (size_t)i] = row[global(j, grid->mycol, grid->npcol)];
    }
  }
  free(row);
  return LRP_OK;
}

static int solve(part *a, double *s, part *u, part *vt, double *work, int lwork) {
  int info;
  pdgesvd_("V", "V", &a->m, &a->n, a->loc, &first, &first, a->desc, s, u->loc, &first, &first,
           u->desc, vt->loc, &first, &first, vt->desc, work, &lwork, &info, 1, 1);
  return info;
}

/* Asks for the work space, then solves. */
static lrp_status run(const lrp_grid *grid, part *a, double *s, part *u, part *vt,
                      double *seconds) {
  double query[16] = {0}; /* it writes more than the first */
  double *work = NULL;
  lrp_status st = LRP_OK;

  if (solve(a, s, u, vt, query, -1) != 0 || query[0] > INT_MAX - block) {
    st = lrp_fail(LRP_ERR_NUM, "pdgesvd: %d x %d: no work space fits", a->m, a->n);
  }
  const int lwork = st == LRP_OK ? (int)query[0] + block : 0;
  if (st == LRP_OK) work = malloc((size_t)lwork * sizeof *work);
  if (st == LRP_OK && !work) st = lrp_fail_memory((size_t)lwork * sizeof *work, "pdgesvd");
  st = lrp_agree(st, grid->comm);
  if (st == LRP_OK) {
    const double start = lrp_bench_clock();
    const int info = solve(a, s, u, vt, work, lwork);
    if (info != 0) st = lrp_fail(LRP_ERR_NUM, "pdgesvd: info %d", info);
    st = lrp_agree(st, grid->comm);
    *seconds = lrp_bench_clock() - start;
  }
  free(work);
  return st;
}

lrp_status lrp_bench_pdgesvd(const lrp_bench_matrix *m, const lrp_grid *grid, double *seconds) {
  const int rows = (int)m->w.rows;
  const int cols = (int)m->w.cols;
  part a = {0}, u = {0}, vt = {0};
  double *s = malloc((size_t)cols * sizeof *s);

  lrp_status st = s ? LRP_OK : lrp_fail_memory((size_t)cols * sizeof *s, "pdgesvd");
  if (st == LRP_OK) st = create(grid, rows, cols, &a);
  if (st == LRP_OK) st = create(grid, rows, cols, &u);
  if (st == LRP_OK) st = create(grid, cols, cols, &vt);
  if (st == LRP_OK) st = load(grid, m, &a);
  st = lrp_agree(st, grid->comm);
  if (st == LRP_OK) st = run(grid, &a, s, &u, &vt, seconds);
  free(vt.loc);
  free(u.loc);
  free(a.loc);
  free(s);
  return st;
}
