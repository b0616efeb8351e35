/** @file kernels/linalg/certificate_parts.h
 *  The sums behind certificates, in two arithmetics. Local. */
#ifndef LRP_KERNELS_LINALG_CERTIFICATE_PARTS_H
#define LRP_KERNELS_LINALG_CERTIFICATE_PARTS_H

#include "kernels/linalg/certificate.h"
#include "kernels/linalg/factors.h"

/** What both files of parts implement. All return LRP_OK or LRP_ERR_MEM. */
typedef struct {
  /** *error2 = |W - u diag(s) vt|_F^2, *norm2 = |W|_F^2 */
  lrp_status (*error)(const lrp_matrix *w, const lrp_product *p, lrp_scratch *scratch,
                      double *error2, double *norm2);
  /** |A^T A - I|_max of A: length x r row-major, or r x length if transposed */
  lrp_status (*deviation)(const float *a, int r, int length, bool transposed, lrp_scratch *scratch,
                          double *max);
  /** max_i |W^T u_i - s_i v_i|_2 */
  lrp_status (*residual)(const lrp_matrix *w, const lrp_triplets *t, lrp_scratch *scratch,
                         double *max);
} lrp_certificate_parts;

extern const lrp_certificate_parts lrp_certificate_f64; /* all in double */
extern const lrp_certificate_parts lrp_certificate_f32; /* panels in float32, sums in double */

/** The larger one; NaN if one is NaN, unlike fmax(). Local. */
double lrp_larger(double a, double b);

#endif
