#include "pipeline/choice_loss.h"

#include <math.h>

static bool is_right(int c, int gold, const bool *truth) {
  return truth ? truth[c] : c == gold;
}

/* ln sum exp(ll) over the choices that are right, or over those that are not. */
static double log_sum(const double *ll, int n, int gold, const bool *truth, bool right) {
  double most = -INFINITY, sum = 0.0;
  for (int c = 0; c < n; c++) {
    if (is_right(c, gold, truth) == right) most = fmax(most, ll[c]);
  }
  if (isinf(most)) return most;
  for (int c = 0; c < n; c++) {
    if (is_right(c, gold, truth) == right) sum += exp(ll[c] - most);
  }
  return most + log(sum);
}

/* ln(1 + exp(d)) of d = ln(wrong / right), without exp() of a large number. */
double lrp_choice_loss(const double *ll, int n, int gold, const bool *truth) {
  for (int c = 0; c < n; c++) {
    if (isnan(ll[c])) return NAN;
  }
  const double d = log_sum(ll, n, gold, truth, false) - log_sum(ll, n, gold, truth, true);
  return d > 0.0 ? d + log1p(exp(-d)) : log1p(exp(d));
}

bool lrp_doc_has_choice_loss(const lrp_task_kind *kind, const lrp_doc *doc) {
  if (kind->output != LRP_MULTIPLE_CHOICE) return false;
  if (!doc->truth) return true;
  for (int c = 0; c < doc->n; c++) {
    if (doc->truth[c]) return true;
  }
  return false;
}
