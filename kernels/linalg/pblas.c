#include "kernels/linalg/pblas.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "kernels/linalg/scalapack.h"

static const int one = 1; /* Fortran's first index */

/* The hook by which ScaLAPACK is tuned: columns of a panel that PBLAS multiplies at a time.
 * Debian's library says 32, too few for a processor's matrix product to be at its best: 4096 x 4096
 * are decomposed 1.2 times as fast with 512. */
enum { logical_block = 512 };

int pilaenv_(const int *ictxt, const char *precision, size_t length) {
  (void)ictxt, (void)precision, (void)length;
  return logical_block;
}

void lrp_pblas_gram(double alpha, bool transposed, const lrp_dmat *a, lrp_dmat *c) {
  const char *op = transposed ? "T" : "N";
  const int k = transposed ? a->m : a->n;
  if (a->precision == LRP_SINGLE) {
    const float s_alpha = (float)alpha, beta = 0.0f;
    pssyrk_("L", op, &c->n, &k, &s_alpha, a->loc, &one, &one, a->desc, &beta, c->loc, &one, &one,
            c->desc);
  } else {
    const double beta = 0.0;
    pdsyrk_("L", op, &c->n, &k, &alpha, a->loc, &one, &one, a->desc, &beta, c->loc, &one, &one,
            c->desc);
  }
}

void lrp_pblas_multiply(bool transposed, const lrp_dmat *a, const lrp_dmat *b, lrp_dmat *c) {
  const char *op = transposed ? "T" : "N";
  const int k = transposed ? a->m : a->n;
  if (a->precision == LRP_SINGLE) {
    const float alpha = 1.0f, beta = 0.0f;
    psgemm_(op, "N", &c->m, &c->n, &k, &alpha, a->loc, &one, &one, a->desc, b->loc, &one, &one,
            b->desc, &beta, c->loc, &one, &one, c->desc);
  } else {
    const double alpha = 1.0, beta = 0.0;
    pdgemm_(op, "N", &c->m, &c->n, &k, &alpha, a->loc, &one, &one, a->desc, b->loc, &one, &one,
            b->desc, &beta, c->loc, &one, &one, c->desc);
  }
}

lrp_status lrp_pblas_work_init(lrp_pblas_work *w, lrp_precision precision, double query, int iquery,
                               double spare) {
  const double rounding = precision == LRP_SINGLE ? 1e-6 * query : 0.0;
  const double size = ceil(query + rounding + spare);
  const double isize = iquery + spare;

  *w = (lrp_pblas_work){.lwork = 0};
  if (!(size >= 1.0 && size <= INT_MAX && isize <= INT_MAX)) return LRP_ERR_NUM;
  w->lwork = (int)size;
  w->liwork = (int)isize;
  const size_t bytes = (size_t)w->lwork * lrp_precision_size(precision);
  const size_t ibytes = (size_t)(w->liwork + 1) * sizeof *w->iwork;
  w->work = malloc(bytes);
  w->iwork = malloc(ibytes);
  if (w->work && w->iwork) return LRP_OK;
  lrp_pblas_work_free(w);
  return lrp_fail_memory(bytes + ibytes, "the work of ScaLAPACK");
}

void lrp_pblas_work_free(lrp_pblas_work *w) {
  free(w->iwork);
  free(w->work);
  *w = (lrp_pblas_work){.lwork = 0};
}
