#include "kernels/linalg/grid_ortho.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/linalg/pblas.h"
#include "kernels/linalg/scalapack.h"

static const int one = 1; /* Fortran's first index */
static const int ask = -1;

/* Length of a normalized column that must be left when its parts along those before it are taken
 * away: less is a sign of eigenvectors that the precision got wrong. */
static const double left_min = 0.99;

/* Lower triangle e = L L^T, in place. */
static int potrf(lrp_dmat *e) {
  int info;
  if (e->precision == LRP_SINGLE) {
    pspotrf_("L", &e->n, e->loc, &one, &one, e->desc, &info, 1);
  } else {
    pdpotrf_("L", &e->n, e->loc, &one, &one, e->desc, &info, 1);
  }
  return info;
}

/* b = b L^-T. */
static void trsm(lrp_dmat *b, const lrp_dmat *l) {
  if (b->precision == LRP_SINGLE) {
    const float alpha = 1.0f;
    pstrsm_("R", "L", "T", "N", &b->m, &b->n, &alpha, l->loc, &one, &one, l->desc, b->loc, &one,
            &one, b->desc);
  } else {
    const double alpha = 1.0;
    pdtrsm_("R", "L", "T", "N", &b->m, &b->n, &alpha, l->loc, &one, &one, l->desc, b->loc, &one,
            &one, b->desc);
  }
}

/* b becomes Q, left the diagonal of R: what is left of the length of each column, which was 1. In
 * L(j, j) / sqrt(e(j, j)) the rounding errors of sums cancel. space has room for b->n. */
static lrp_status by_cholesky(lrp_dmat *b, double *left, double *space) {
  lrp_dmat *e = NULL;
  lrp_status st = lrp_dmat_create(b->grid, b->precision, b->n, b->n, b->nb, &e);
  if (st == LRP_OK) {
    lrp_pblas_gram(1.0, true, b, e);
    lrp_dmat_diagonal(e, space);
    st = lrp_agree(potrf(e) == 0 ? LRP_OK : LRP_ERR_NUM, b->grid->comm);
  }
  if (st == LRP_OK) lrp_dmat_diagonal(e, left);
  for (int j = 0; st == LRP_OK && j < b->n; j++) {
    left[j] /= sqrt(space[j]);
    if (!(left[j] >= left_min)) st = LRP_ERR_NUM;
  }
  if (st == LRP_OK) trsm(b, e);
  lrp_dmat_destroy(&e);
  return st;
}

/* b, in double, becomes Q, left the magnitudes of the diagonal of R. space has room for b->n. */
static lrp_status by_householder(lrp_dmat *b, double *left, double *space) {
  lrp_pblas_work work = {.lwork = 0};
  double query_qrf = 0.0;
  double query_gqr = 0.0;
  int info_qrf, info_gqr;
  lrp_status st = LRP_OK;

  pdgeqrf_(&b->m, &b->n, b->loc, &one, &one, b->desc, space, &query_qrf, &ask, &info_qrf);
  pdorgqr_(&b->m, &b->n, &b->n, b->loc, &one, &one, b->desc, space, &query_gqr, &ask, &info_gqr);
  if (info_qrf != 0 || info_gqr != 0) st = LRP_ERR_NUM;
  if (st == LRP_OK) {
    st = lrp_pblas_work_init(&work, LRP_DOUBLE, fmax(query_qrf, query_gqr), 0, 0.0);
  }
  st = lrp_agree(st, b->grid->comm);
  if (st == LRP_OK) {
    pdgeqrf_(&b->m, &b->n, b->loc, &one, &one, b->desc, space, work.work, &work.lwork, &info_qrf);
    lrp_dmat_diagonal(b, left);
    pdorgqr_(&b->m, &b->n, &b->n, b->loc, &one, &one, b->desc, space, work.work, &work.lwork,
             &info_gqr);
    st = lrp_agree(info_qrf == 0 && info_gqr == 0 ? LRP_OK : LRP_ERR_NUM, b->grid->comm);
  }
  for (int j = 0; st == LRP_OK && j < b->n; j++) {
    space[j] = left[j] < 0.0 ? -1.0 : 1.0;
    left[j] = fabs(left[j]);
  }
  if (st == LRP_OK) lrp_dmat_scale_columns(b, b->n, space);
  lrp_pblas_work_free(&work);
  return st;
}

/* Columns of b to length 1, as far as that is possible; s is what they were divided by. */
static void normalize(lrp_dmat *b, double *s, double *space) {
  lrp_dmat_column_norms(b, b->n, s);
  for (int j = 0; j < b->n; j++) {
    if (!isfinite(1.0 / s[j])) s[j] = 1.0;
    space[j] = 1.0 / s[j];
  }
  lrp_dmat_scale_columns(b, b->n, space);
}

lrp_status lrp_grid_orthonormalize(lrp_dmat *b, double *s) {
  const size_t count = 2 * ((size_t)b->n + 1);
  double *left = malloc(count * sizeof *left);
  lrp_status st = left ? LRP_OK : lrp_fail_memory(count * sizeof *left, "singular values");

  st = lrp_agree(st, b->grid->comm);
  if (st == LRP_OK) {
    double *space = left + b->n + 1;
    normalize(b, s, space);
    st = by_cholesky(b, left, space);
    if (st == LRP_ERR_NUM && b->precision == LRP_DOUBLE) st = by_householder(b, left, space);
  }
  for (int j = 0; st == LRP_OK && j < b->n; j++) s[j] *= left[j];
  free(left);
  return st;
}
