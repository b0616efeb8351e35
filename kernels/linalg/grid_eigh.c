#include "kernels/linalg/grid_eigh.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/linalg/pblas.h"
#include "kernels/linalg/scalapack.h"

static const int one = 1; /* Fortran's first index */
static const int ask = -1;

/* G = Q T Q^T under way; arrays are of the precision of g. */
typedef struct {
  lrp_dmat *g; /* borrowed; after the reduction it holds Q */
  void *tau;   /* owned, locc: more of Q */
  void *d, *e; /* owned, n: diagonal of T, then eigenvalues; what is below it */
} reduction;

static int sytrd(reduction *x, void *d, void *e, void *work, int lwork) {
  lrp_dmat *g = x->g;
  int info;
  if (g->precision == LRP_SINGLE) {
    pssytrd_("L", &g->n, g->loc, &one, &one, g->desc, d, e, x->tau, work, &lwork, &info, 1);
  } else {
    pdsytrd_("L", &g->n, g->loc, &one, &one, g->desc, d, e, x->tau, work, &lwork, &info, 1);
  }
  return info;
}

static int stedc(reduction *x, lrp_dmat *v, void *work, int lwork, int *iwork, int liwork) {
  int info;
  if (v->precision == LRP_SINGLE) {
    psstedc_("I", &v->n, x->d, x->e, v->loc, &one, &one, v->desc, work, &lwork, iwork, &liwork,
             &info, 1);
  } else {
    pdstedc_("I", &v->n, x->d, x->e, v->loc, &one, &one, v->desc, work, &lwork, iwork, &liwork,
             &info, 1);
  }
  return info;
}

static int ormtr(const reduction *x, int rank, lrp_dmat *v, void *work, int lwork) {
  const lrp_dmat *g = x->g;
  int info;
  if (v->precision == LRP_SINGLE) {
    psormtr_("L", "L", "N", &v->m, &rank, g->loc, &one, &one, g->desc, x->tau, v->loc, &one, &one,
             v->desc, work, &lwork, &info, 1, 1, 1);
  } else {
    pdormtr_("L", "L", "N", &v->m, &rank, g->loc, &one, &one, g->desc, x->tau, v->loc, &one, &one,
             v->desc, work, &lwork, &info, 1, 1, 1);
  }
  return info;
}

/* What a query left in its one element of work space. */
typedef union {
  float single;
  double full;
} answer;

static double value_of(lrp_precision precision, const answer *a) {
  return precision == LRP_SINGLE ? (double)a->single : a->full;
}

/* The entries that belong to the columns of g, held by each process column, on all process ranks:
 * each is added to zeros, so all have the same bits. */
static void replicate(const lrp_dmat *g, const void *mine, void *whole) {
  const lrp_grid *grid = g->grid;
  const size_t size = lrp_precision_size(g->precision);
  memset(whole, 0, (size_t)g->n * size);
  for (int j = 0; grid->myrow == 0 && j < g->locc; j++) {
    const size_t at =
        ((size_t)(j / g->nb) * (size_t)grid->npcol + (size_t)grid->mycol) * (size_t)g->nb +
        (size_t)(j % g->nb);
    memcpy((char *)whole + at * size, (const char *)mine + (size_t)j * size, size);
  }
  MPI_Allreduce(MPI_IN_PLACE, whole, g->n, g->precision == LRP_SINGLE ? MPI_FLOAT : MPI_DOUBLE,
                MPI_SUM, grid->comm);
}

/* g = Q T Q^T. */
static lrp_status tridiagonalize(reduction *x) {
  const lrp_dmat *g = x->g;
  const size_t size = lrp_precision_size(g->precision);
  const size_t locc = (size_t)g->locc + 1;
  lrp_pblas_work work = {.lwork = 0};
  answer query = {.full = 0.0};

  char *mine = calloc(2 * locc, size); /* of d and of e */
  lrp_status st = mine ? LRP_OK : lrp_fail_memory(2 * locc * size, "eigenvalues");
  const int info = sytrd(x, NULL, NULL, &query, ask);
  if (st == LRP_OK && info != 0) st = LRP_ERR_NUM;
  if (st == LRP_OK)
    st = lrp_pblas_work_init(&work, g->precision, value_of(g->precision, &query), 0, 0.0);
  st = lrp_agree(st, g->grid->comm);
  if (st == LRP_OK) {
    if (sytrd(x, mine, mine + locc * size, work.work, work.lwork) != 0) st = LRP_ERR_NUM;
    replicate(g, mine, x->d);
    replicate(g, mine + locc * size, x->e);
    st = lrp_agree(st, g->grid->comm);
  }
  lrp_pblas_work_free(&work);
  free(mine);
  return st;
}

/* T = V diag(d) V^T. The query forgets what PxLASRT needs when a process rank has few columns
 * (local rows x (block + local columns)), and too little of it ends in a hang, so there is that
 * much to spare. */
static lrp_status conquer(reduction *x, lrp_dmat *v) {
  const double spare = (double)v->locr * v->nb + 4.0 * v->n + 4.0 * v->nb * v->nb;
  lrp_pblas_work work = {.lwork = 0};
  answer query = {.full = 0.0};
  int iquery = 0;
  lrp_status st = LRP_OK;

  if (stedc(x, v, &query, ask, &iquery, ask) != 0) st = LRP_ERR_NUM;
  if (st == LRP_OK) {
    st = lrp_pblas_work_init(&work, v->precision, value_of(v->precision, &query), iquery, spare);
  }
  st = lrp_agree(st, v->grid->comm);
  if (st == LRP_OK) {
    if (stedc(x, v, work.work, work.lwork, work.iwork, work.liwork) != 0) st = LRP_ERR_NUM;
    st = lrp_agree(st, v->grid->comm);
  }
  lrp_pblas_work_free(&work);
  return st;
}

/* The first rank columns of v become Q v. */
static lrp_status transform_back(const reduction *x, int rank, lrp_dmat *v) {
  lrp_pblas_work work = {.lwork = 0};
  answer query = {.full = 0.0};
  lrp_status st = LRP_OK;

  if (ormtr(x, rank, v, &query, ask) != 0) st = LRP_ERR_NUM;
  if (st == LRP_OK)
    st = lrp_pblas_work_init(&work, v->precision, value_of(v->precision, &query), 0, 0.0);
  st = lrp_agree(st, v->grid->comm);
  if (st == LRP_OK) {
    if (ormtr(x, rank, v, work.work, work.lwork) != 0) st = LRP_ERR_NUM;
    st = lrp_agree(st, v->grid->comm);
  }
  lrp_pblas_work_free(&work);
  return st;
}

static lrp_status start(reduction *x) {
  const size_t size = lrp_precision_size(x->g->precision);
  const size_t n = (size_t)x->g->n;
  x->tau = calloc((size_t)x->g->locc + 1, size);
  x->d = malloc(n * size);
  x->e = malloc(n * size);
  const bool ok = x->tau && x->d && x->e;
  return lrp_agree(ok ? LRP_OK : lrp_fail_memory(3 * n * size, "eigenvalues"), x->g->grid->comm);
}

lrp_status lrp_grid_eigh(lrp_dmat *g, int rank, double *w, lrp_dmat **v) {
  reduction x = {.g = g};

  *v = NULL;
  lrp_status st = start(&x);
  if (st == LRP_OK) st = tridiagonalize(&x);
  if (st == LRP_OK) st = lrp_dmat_create(g->grid, g->precision, g->n, g->n, g->nb, v);
  if (st == LRP_OK) st = conquer(&x, *v);
  if (st == LRP_OK) {
    for (int i = 0; i < g->n; i++) {
      w[i] = g->precision == LRP_SINGLE ? (double)((float *)x.d)[i] : ((double *)x.d)[i];
    }
    st = transform_back(&x, rank, *v);
  }
  if (st != LRP_OK) lrp_dmat_destroy(v);
  free(x.e);
  free(x.d);
  free(x.tau);
  return st;
}
