/** @file kernels/linalg/certificate.h
 *  Distance of a low-rank product from the matrix that it stands for. */
#ifndef LRP_KERNELS_LINALG_CERTIFICATE_H
#define LRP_KERNELS_LINALG_CERTIFICATE_H

#include "kernels/matrix.h"
#include "kernels/status.h"

/** u diag(s) vt, where u may still be in the type it is stored in. */
typedef struct {
  int rank;
  const double *u; /* borrowed, m x rank, row-major; NULL: it is stored_u */
  lrp_matrix stored_u;
  const double *s;  /* borrowed, rank */
  const double *vt; /* borrowed, rank x n, row-major */
} lrp_product;

/** *error = |W - u diag(s) vt|_F and *norm = |W|_F in double, by panels of rows. Local.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_product_error(const lrp_matrix *w, const lrp_product *p, double *error,
                             double *norm);

/** error / norm; for W = 0: 0 if the product is zero, too, else Inf. Local. */
double lrp_relative(double error, double norm);

#endif
