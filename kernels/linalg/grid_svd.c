#include "kernels/linalg/grid_svd.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linalg/dmat.h"
#include "kernels/linalg/scalapack.h"
#include "kernels/linalg/svd.h"

static const int one = 1; /* Fortran's first index */
static const double d_one = 1.0;
static const double d_zero = 0.0;

/* The block size that is best for large matrices. */
enum { block_max = 64 };

/* A decomposition under way. B = W^T (n x m) is kept because a row of w is a column of it. */
typedef struct {
  const lrp_grid *grid;
  bool is_root;
  int nb;
  int rank;
  int longer, k; /* the sides of w, k = min(m, n) */
  bool tall;     /* B is longer x k, else k x longer */
  double *eig;   /* owned, k, ascending: eigenvalues of the Gram matrix */
  lrp_dmat *b;   /* owned */
  lrp_dmat *v;   /* owned, k x k, eigenvectors in the order of eig */
  lrp_dmat *q;   /* owned, longer x rank: W V and then its orthonormal factor */
  double *s;     /* owned, rank, on the root: singular values of R = P diag(s) ZT */
  double *p;     /* owned, rank x rank, on the root: first R, then P */
  double *zt;    /* owned, rank x rank, on the root */
} run;

static double *allocate(lrp_status *st, int64_t rows, int64_t cols, const char *what) {
  const size_t bytes = (size_t)rows * (size_t)cols * sizeof(double);
  double *p = *st == LRP_OK ? malloc(bytes) : NULL;
  if (!p && *st == LRP_OK) *st = lrp_fail_memory(bytes, what);
  return p;
}

/* Work space of a ScaLAPACK routine by its query; NUM if its length is not an int. */
static double *work_space(lrp_status *st, double query, double spare, int *lwork) {
  const double size = ceil(query) + spare;
  if (*st == LRP_OK && !(size >= 1.0 && size <= INT_MAX)) *st = LRP_ERR_NUM;
  if (*st != LRP_OK) return NULL;
  *lwork = (int)size;
  return allocate(st, *lwork, 1, "the work of ScaLAPACK");
}

static int syevd(lrp_dmat *g, double *eig, lrp_dmat *v, double *work, int lwork, int *iwork,
                 int liwork) {
  int info;
  pdsyevd_("V", "L", &g->n, g->loc, &one, &one, g->desc, eig, v->loc, &one, &one, v->desc, work,
           &lwork, iwork, &liwork, &info, 1, 1);
  return info;
}

/* G = V diag(eig) V^T from the lower triangle of G, which is overwritten. The query forgets what
 * PDLASRT needs when a process rank has few columns (local rows x (block + local columns)), and
 * too little of it ends in a hang, so there is that much and more to spare. */
static lrp_status eigenvectors(lrp_dmat *g, double *eig, lrp_dmat *v) {
  const double locr = g->locr;
  const double spare = 2.0 * locr * (g->nb + g->locc) + 8.0 * g->n + 4.0 * block_max * block_max;
  lrp_status st = LRP_OK;
  double query = 0.0;
  int iquery = 0;
  int lwork = 0;

  if (syevd(g, eig, v, &query, -1, &iquery, -1) != 0) st = LRP_ERR_NUM;
  double *work = work_space(&st, query, spare, &lwork);
  const int liwork = iquery + 4 * g->n + 4 * g->nb;
  int *iwork = malloc((size_t)liwork * sizeof *iwork);
  if (!iwork && st == LRP_OK) {
    st = lrp_fail_memory((size_t)liwork * sizeof *iwork, "the work of ScaLAPACK");
  }
  st = lrp_agree(st, g->grid->comm);
  if (st == LRP_OK) {
    if (syevd(g, eig, v, work, lwork, iwork, liwork) != 0) st = LRP_ERR_NUM;
    st = lrp_agree(st, g->grid->comm);
  }
  free(iwork);
  free(work);
  return st;
}

/* Gram matrix of the short side and its eigenvectors. */
static lrp_status decompose_gram(run *x) {
  lrp_dmat *g = NULL;
  lrp_status st = lrp_dmat_create(x->grid, x->k, x->k, x->nb, &g);
  if (st == LRP_OK) st = lrp_dmat_create(x->grid, x->k, x->k, x->nb, &x->v);
  if (st == LRP_OK) {
    pdsyrk_("L", x->tall ? "T" : "N", &x->k, &x->longer, &d_one, x->b->loc, &one, &one, x->b->desc,
            &d_zero, g->loc, &one, &one, g->desc);
    st = eigenvectors(g, x->eig, x->v);
  }
  lrp_dmat_destroy(&g);
  return st;
}

/* q = B V or B^T V of the last rank eigenvectors, those of the largest eigenvalues. B is released:
 * nothing needs it any more. */
static lrp_status project(run *x) {
  const int first = x->k - x->rank + 1;
  const lrp_status st = lrp_dmat_create(x->grid, x->longer, x->rank, x->nb, &x->q);
  if (st == LRP_OK) {
    pdgemm_(x->tall ? "N" : "T", "N", &x->longer, &x->rank, &x->k, &d_one, x->b->loc, &one, &one,
            x->b->desc, x->v->loc, &one, &first, x->v->desc, &d_zero, x->q->loc, &one, &one,
            x->q->desc);
  }
  lrp_dmat_destroy(&x->b);
  return st;
}

/* The triangle of the Householder form of Q R; R below the diagonal is zero. */
static void gather_r(run *x) {
  const size_t r = (size_t)x->rank;
  lrp_dmat_gather(x->q, x->rank, x->p);
  for (size_t j = 0; x->is_root && j < r; j++) {
    for (size_t i = j + 1; i < r; i++) x->p[j * r + i] = 0.0;
  }
}

/* q = Q R: q becomes Q, R goes to x->p on the root. */
static lrp_status orthonormalize(run *x) {
  lrp_dmat *q = x->q;
  lrp_status st = LRP_OK;
  double query_qrf = 0.0;
  double query_gqr = 0.0;
  const int ask = -1;
  int lwork = 0;
  int info_qrf, info_gqr;

  double *tau = allocate(&st, q->locc + 1, 1, "the work of ScaLAPACK");
  pdgeqrf_(&q->m, &q->n, q->loc, &one, &one, q->desc, tau, &query_qrf, &ask, &info_qrf);
  pdorgqr_(&q->m, &q->n, &q->n, q->loc, &one, &one, q->desc, tau, &query_gqr, &ask, &info_gqr);
  if (st == LRP_OK && (info_qrf != 0 || info_gqr != 0)) st = LRP_ERR_NUM;
  double *work = work_space(&st, fmax(query_qrf, query_gqr), 0.0, &lwork);
  st = lrp_agree(st, x->grid->comm);
  if (st == LRP_OK) {
    pdgeqrf_(&q->m, &q->n, q->loc, &one, &one, q->desc, tau, work, &lwork, &info_qrf);
    gather_r(x);
    pdorgqr_(&q->m, &q->n, &q->n, q->loc, &one, &one, q->desc, tau, work, &lwork, &info_gqr);
    if (info_qrf != 0 || info_gqr != 0) st = LRP_ERR_NUM;
    st = lrp_agree(st, x->grid->comm);
  }
  free(work);
  free(tau);
  return st;
}

/* R = P diag(s) ZT on the root, so that all process ranks use the same rotation whatever their
 * processors. */
static lrp_status decompose_r(run *x) {
  const size_t r = (size_t)x->rank;
  lrp_status st = LRP_OK;
  if (x->is_root) {
    double *u = allocate(&st, x->rank, x->rank, "a small SVD");
    if (st == LRP_OK && !lrp_svd_fits(LRP_SOLVER_GESVD, x->rank, x->rank)) st = LRP_ERR_NUM;
    if (st == LRP_OK) {
      const lrp_solver solver =
          lrp_svd_fits(LRP_SOLVER_GESDD, x->rank, x->rank) ? LRP_SOLVER_GESDD : LRP_SOLVER_GESVD;
      st = lrp_svd(solver, x->rank, x->rank, x->p, x->s, u, x->zt);
    }
    if (st == LRP_OK) memcpy(x->p, u, r * r * sizeof *u);
    free(u);
  }
  return lrp_agree(st, x->grid->comm);
}

/* dst (rows x rank, column-major, on the root) = a(:, first : first + rank - 1) op(rotation). */
static lrp_status rotate(run *x, const lrp_dmat *a, int first, const double *rotation,
                         const char *op, double *dst) {
  lrp_dmat *c = NULL;
  lrp_dmat *small = NULL;
  lrp_status st = lrp_dmat_create(x->grid, x->rank, x->rank, x->nb, &small);
  if (st == LRP_OK) st = lrp_dmat_create(x->grid, a->m, x->rank, x->nb, &c);
  if (st == LRP_OK) {
    lrp_dmat_scatter(small, rotation);
    pdgemm_("N", op, &a->m, &x->rank, &x->rank, &d_one, a->loc, &one, &first, a->desc, small->loc,
            &one, &one, small->desc, &d_zero, c->loc, &one, &one, c->desc);
    lrp_dmat_gather(c, a->m, dst);
  }
  lrp_dmat_destroy(&c);
  lrp_dmat_destroy(&small);
  return st;
}

/* Both sides' singular vectors to the root: u_columns is U column-major, t->vt is V column-major,
 * which is V^T row-major. */
static lrp_status collect(run *x, double *u_columns, lrp_triplets *t) {
  double *of_longer = x->tall ? t->vt : u_columns;
  double *of_shorter = x->tall ? u_columns : t->vt;
  lrp_status st = rotate(x, x->q, 1, x->p, "N", of_longer);
  lrp_dmat_destroy(&x->q);
  if (st == LRP_OK) st = rotate(x, x->v, x->k - x->rank + 1, x->zt, "T", of_shorter);
  lrp_dmat_destroy(&x->v);
  return st;
}

/* The refined values, then the square roots of the other eigenvalues, forced to descend. */
static void fill_spectrum(const run *x, double *s) {
  memcpy(s, x->s, (size_t)x->rank * sizeof *s);
  for (int i = x->rank; i < x->k; i++) {
    const double eig = x->eig[x->k - 1 - i];
    s[i] = fmin(eig > 0.0 ? sqrt(eig) : 0.0, s[i - 1]);
  }
}

static void transpose(double *dst, const double *src, size_t rows, size_t cols) {
  for (size_t i = 0; i < rows; i++) {
    for (size_t j = 0; j < cols; j++) dst[i * cols + j] = src[j * rows + i];
  }
}

/* The triplets on the root. */
static lrp_status finish(run *x, lrp_triplets *t) {
  lrp_status st = LRP_OK;
  double *u_columns = NULL;
  if (x->is_root) {
    u_columns = allocate(&st, t->m, t->rank, "singular vectors");
    t->u = allocate(&st, t->m, t->rank, "singular vectors");
    t->vt = allocate(&st, t->rank, t->n, "singular vectors");
    t->s = allocate(&st, t->k, 1, "singular values");
  }
  st = lrp_agree(st, x->grid->comm);
  if (st == LRP_OK) st = collect(x, u_columns, t);
  if (st == LRP_OK && x->is_root) {
    fill_spectrum(x, t->s);
    transpose(t->u, u_columns, (size_t)t->m, (size_t)t->rank);
  }
  free(u_columns);
  return st;
}

/* Everything but the matrices of the steps. */
static lrp_status start(run *x, const lrp_matrix *w) {
  const int widest = x->grid->nprow > x->grid->npcol ? x->grid->nprow : x->grid->npcol;
  const int share = (x->k + widest - 1) / widest;
  const lrp_grid *grid = x->grid;
  lrp_status st = LRP_OK;

  x->nb = share < block_max ? share : block_max;
  x->eig = allocate(&st, x->k, 1, "eigenvalues");
  if (x->is_root) {
    x->s = allocate(&st, x->rank, 1, "singular values");
    x->p = allocate(&st, x->rank, x->rank, "a small SVD");
    x->zt = allocate(&st, x->rank, x->rank, "a small SVD");
  }
  st = lrp_agree(st, grid->comm);
  if (st == LRP_OK) st = lrp_dmat_create(grid, (int)w->cols, (int)w->rows, x->nb, &x->b);
  if (st == LRP_OK) lrp_dmat_load_transposed(x->b, w);
  return st;
}

static void release(run *x) {
  lrp_dmat_destroy(&x->q);
  lrp_dmat_destroy(&x->v);
  lrp_dmat_destroy(&x->b);
  free(x->zt);
  free(x->p);
  free(x->s);
  free(x->eig);
}

lrp_status lrp_grid_svd(const lrp_matrix *w, int rank, const lrp_grid *grid, lrp_triplets *t) {
  const int m = (int)w->rows;
  const int n = (int)w->cols;
  run x = {.grid = grid, .is_root = grid->ictxt_root >= 0, .rank = rank, .tall = n > m};
  x.longer = x.tall ? n : m;
  x.k = x.tall ? m : n;
  *t = (lrp_triplets){.m = m, .n = n, .rank = rank, .k = x.k};

  lrp_status st = start(&x, w);
  if (st == LRP_OK) st = decompose_gram(&x);
  if (st == LRP_OK) st = project(&x);
  if (st == LRP_OK) st = orthonormalize(&x);
  if (st == LRP_OK) st = decompose_r(&x);
  if (st == LRP_OK) st = finish(&x, t);
  release(&x);
  if (st != LRP_OK || !x.is_root) lrp_triplets_free(t);
  return st;
}
