#include "kernels/linalg/certificate.h"

#include <math.h>

#include "kernels/linalg/certificate_parts.h"
#include "kernels/linalg/factors.h"

/* Limits of lrp_certificate_passes(). */
static const double error_tol = 1e-5;
static const double orthogonality_tol = 1e-5;
static const double residual_tol = 1e-4;

double lrp_larger(double a, double b) {
  return isnan(a) || a >= b ? a : b;
}

static const lrp_certificate_parts *parts_for(const lrp_matrix *w) {
  const bool small = w->rows <= LRP_EXACT_SIDE || w->cols <= LRP_EXACT_SIDE;
  return small ? &lrp_certificate_f64 : &lrp_certificate_f32;
}

lrp_status lrp_product_error(const lrp_matrix *w, const lrp_product *p, lrp_scratch *scratch,
                             double *error, double *norm) {
  double error2 = NAN, norm2 = NAN;
  const lrp_status st = parts_for(w)->error(w, p, scratch, &error2, &norm2);
  *error = sqrt(error2);
  *norm = sqrt(norm2);
  return st;
}

double lrp_relative(double error, double norm) {
  return norm > 0.0 || error != 0.0 ? error / norm : 0.0;
}

/* sqrt(1 - sum s_i^2 / |W|^2): what the best approximation of this rank leaves. */
static double predict(const lrp_triplets *t, double norm) {
  double kept = 0.0;
  for (int i = 0; i < t->rank; i++) kept += t->s[i] * t->s[i];
  if (norm == 0.0) return lrp_relative(sqrt(kept), norm);
  const double rest = 1.0 - kept / (norm * norm);
  return rest < 0.0 ? 0.0 : sqrt(rest); /* fmax(0, rest) would hide NaN */
}

lrp_status lrp_certify(const lrp_matrix *w, const lrp_triplets *t, lrp_scratch *scratch,
                       lrp_certificate *c) {
  const lrp_certificate_parts *parts = parts_for(w);
  const lrp_product product = {.rank = t->rank,
                               .u = {t->u, LRP_F32, t->m, t->rank, t->rank},
                               .s = t->s,
                               .vt = {t->vt, LRP_F32, t->rank, t->n, t->n}};
  double error, norm, of_u, of_vt, worst;

  *c = (lrp_certificate){NAN, NAN, NAN, NAN, NAN};
  lrp_status st = lrp_product_error(w, &product, scratch, &error, &norm);
  if (st == LRP_OK) st = parts->deviation(t->u, t->rank, t->m, false, scratch, &of_u);
  if (st == LRP_OK) st = parts->deviation(t->vt, t->rank, t->n, true, scratch, &of_vt);
  if (st == LRP_OK) st = parts->residual(w, t, scratch, &worst);
  if (st != LRP_OK) return st;

  c->relative_error = lrp_relative(error, norm);
  c->predicted = predict(t, norm);
  c->orthogonality = lrp_larger(of_u, of_vt);
  c->residual = lrp_relative(worst, fabs(t->s[0]));
  c->norm = norm;
  return LRP_OK;
}

bool lrp_certificate_passes(const lrp_certificate *c) {
  return fabs(c->relative_error - c->predicted) <= error_tol &&
         c->orthogonality <= orthogonality_tol && c->residual <= residual_tol;
}
