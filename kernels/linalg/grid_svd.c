#include "kernels/linalg/grid_svd.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/linalg/grid_eigh.h"
#include "kernels/linalg/grid_ortho.h"
#include "kernels/linalg/grid_outlier.h"
#include "kernels/linalg/pblas.h"

/* The block size that is best for large matrices. */
enum { block_max = 64 };

/* The Gram matrix in single precision is wrong by eps = 6e-8 of its norm s_1^2, which tilts the
 * vectors of s_rank by eps (s_1 / s_rank)^2: this much, at most, is mended afterwards. */
static const double single_eps = 6e-8;
static const double tilt_max = 1.6e-4;

/* A decomposition under way. B = W^T (n x m) is kept because a row of w is a column of it. */
typedef struct {
  const lrp_grid *grid;
  lrp_precision precision;
  bool is_root;
  int nb;
  int rank;
  int longer, k;         /* the sides of w, k = min(m, n) */
  bool tall;             /* B is longer x k, else k x longer */
  double scale;          /* B is W^T / scale */
  lrp_outliers outliers; /* of B, which are smaller in it than here */
  double *eig; /* owned, k, ascending: eigenvalues of -G, the Gram matrix with its sign changed */
  double *s;   /* owned, rank: lengths of the columns of W V */
  int *place;  /* owned, rank: where each column goes, so that s descends */
  lrp_dmat *b; /* owned */
  lrp_dmat *v; /* owned, k x k, the first rank columns are eigenvectors */
  lrp_dmat *q; /* owned, longer x rank: W V and then its orthonormal factor */
} run;

/* Everything but the matrices of the steps. */
static lrp_status start(run *x, const lrp_matrix *w) {
  const int widest = x->grid->nprow > x->grid->npcol ? x->grid->nprow : x->grid->npcol;
  const int share = (x->k + widest - 1) / widest;
  lrp_status st = LRP_OK;

  x->nb = share < block_max ? share : block_max;
  x->eig = malloc((size_t)x->k * sizeof *x->eig);
  x->s = malloc((size_t)x->rank * sizeof *x->s);
  x->place = malloc((size_t)x->rank * sizeof *x->place);
  if (!x->eig || !x->s || !x->place) {
    st = lrp_fail_memory((size_t)x->k * 3 * sizeof *x->eig, "singular values");
  }
  st = lrp_agree(st, x->grid->comm);
  if (st == LRP_OK) {
    st = lrp_dmat_create(x->grid, x->precision, (int)w->cols, (int)w->rows, x->nb, &x->b);
  }
  if (st != LRP_OK) return st;
  lrp_dmat_load_transposed(x->b, w);
  x->scale = lrp_dmat_normalize(x->b); /* squares neither overflow nor vanish */
  return x->precision == LRP_SINGLE ? lrp_grid_tame(x->b, x->tall, &x->outliers) : LRP_OK;
}

/* Eigenvectors of the Gram matrix of the short side; of -G, so that the leading ones come first. */
static lrp_status decompose_gram(run *x) {
  lrp_dmat *g = NULL;
  lrp_status st = lrp_dmat_create(x->grid, x->precision, x->k, x->k, x->nb, &g);
  if (st == LRP_OK) {
    lrp_pblas_gram(-1.0, x->tall, x->b, g);
    st = lrp_grid_eigh(g, x->rank, x->eig, &x->v);
  }
  lrp_dmat_destroy(&g);
  return st;
}

/* Whether the spectrum suits the precision: process rank 0 decides, for all. */
static lrp_status judge(const run *x) {
  const double largest = -x->eig[0], last = -x->eig[x->rank - 1];
  int ok = x->precision == LRP_DOUBLE || single_eps * largest <= tilt_max * last;
  MPI_Bcast(&ok, 1, MPI_INT, 0, x->grid->comm);
  return ok ? LRP_OK : LRP_ERR_NUM;
}

/* q = B V or B^T V. B is released: nothing needs it any more. The eigensolver leaves lengths of
 * vectors that are a few roundings from 1, which would be part of singular values. */
static lrp_status project(run *x) {
  lrp_dmat_column_norms(x->v, x->rank, x->s);
  for (int j = 0; j < x->rank; j++) x->s[j] = 1.0 / x->s[j];
  lrp_dmat_scale_columns(x->v, x->rank, x->s);
  const lrp_status st = lrp_dmat_create(x->grid, x->precision, x->longer, x->rank, x->nb, &x->q);
  if (st == LRP_OK) lrp_pblas_multiply(!x->tall, x->b, x->v, x->q);
  lrp_dmat_destroy(&x->b);
  return st;
}

static int compare_descending(const void *a, const void *b, void *s) {
  const double x = ((const double *)s)[*(const int *)a], y = ((const double *)s)[*(const int *)b];
  if (x != y) return x > y ? -1 : 1;
  return *(const int *)a - *(const int *)b;
}

/* On the root: s in its new order, then the square roots of the other eigenvalues, to t->s. The
 * leading ones are those of the outliers. */
static lrp_status fill_spectrum(run *x, lrp_triplets *t) {
  const size_t bytes = (size_t)x->rank * sizeof(int);
  int *order = malloc(bytes);

  if (!order) return lrp_fail_memory(bytes, "singular values");
  for (int i = 0; i < x->rank; i++) order[i] = i;
  for (int i = 0; i < x->rank && i < x->outliers.count; i++) x->s[i] = x->outliers.s[i];
  qsort_r(order, (size_t)x->rank, sizeof *order, compare_descending, x->s);
  for (int i = 0; i < x->rank; i++) {
    x->place[order[i]] = i;
    t->s[i] = x->s[order[i]] * x->scale;
  }
  for (int i = x->rank; i < x->k; i++) {
    const double s = i < x->outliers.count ? x->outliers.s[i] : sqrt(fmax(-x->eig[i], 0.0));
    t->s[i] = fmin(x->scale * s, t->s[i - 1]);
  }
  free(order);
  return LRP_OK;
}

/* Both sides' singular vectors to the root, row-major. */
static lrp_status collect(run *x, lrp_triplets *t) {
  const lrp_dmat *u = x->tall ? x->v : x->q;
  const lrp_dmat *v = x->tall ? x->q : x->v;
  lrp_status st = lrp_dmat_collect(u, x->rank, x->place, t->u, (size_t)x->rank, 1);
  if (st == LRP_OK) st = lrp_dmat_collect(v, x->rank, x->place, t->vt, 1, (size_t)t->n);
  return st;
}

/* The triplets on the root. */
static lrp_status finish(run *x, lrp_triplets *t) {
  lrp_status st = LRP_OK;
  if (x->is_root) st = lrp_triplets_create(t, t->m, t->n, x->rank);
  if (x->is_root && st == LRP_OK) st = fill_spectrum(x, t);
  st = lrp_agree(st, x->grid->comm);
  return st == LRP_OK ? collect(x, t) : st;
}

static void release(run *x) {
  lrp_dmat_destroy(&x->q);
  lrp_dmat_destroy(&x->v);
  lrp_dmat_destroy(&x->b);
  free(x->place);
  free(x->s);
  free(x->eig);
}

lrp_status lrp_grid_svd(const lrp_matrix *w, int rank, lrp_precision precision,
                        const lrp_grid *grid, lrp_triplets *t) {
  const int m = (int)w->rows;
  const int n = (int)w->cols;
  run x = {.grid = grid, .precision = precision, .rank = rank, .tall = n > m};
  x.is_root = grid->ictxt_root >= 0;
  x.longer = x.tall ? n : m;
  x.k = x.tall ? m : n;
  *t = (lrp_triplets){.m = m, .n = n, .rank = rank, .k = x.k};

  lrp_status st = start(&x, w);
  if (st == LRP_OK) st = decompose_gram(&x);
  if (st == LRP_OK) st = judge(&x);
  if (st == LRP_OK) st = project(&x);
  if (st == LRP_OK) st = lrp_grid_orthonormalize(x.q, x.s);
  if (st == LRP_OK) st = finish(&x, t);
  release(&x);
  if (st != LRP_OK || !x.is_root) lrp_triplets_free(t);
  return st;
}
