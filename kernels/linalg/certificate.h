/** @file kernels/linalg/certificate.h
 *  Distance of a low-rank product from the matrix that it stands for. */
#ifndef LRP_KERNELS_LINALG_CERTIFICATE_H
#define LRP_KERNELS_LINALG_CERTIFICATE_H

#include "kernels/linalg/scratch.h"
#include "kernels/matrix.h"
#include "kernels/status.h"

/** u diag(s) vt, all borrowed. */
typedef struct {
  int rank;
  lrp_matrix u;    /* m x rank */
  const double *s; /* rank */
  lrp_matrix vt;   /* rank x n */
} lrp_product;

/** *error = |W - u diag(s) vt|_F and *norm = |W|_F by panels of rows; arithmetic as lrp_certify.
 *  Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_product_error(const lrp_matrix *w, const lrp_product *p, lrp_scratch *scratch,
                             double *error, double *norm);

/** error / norm; for W = 0: 0 if the product is zero, too, else Inf. Local. */
double lrp_relative(double error, double norm);

#endif
