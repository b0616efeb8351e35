#include "pipeline/slope.h"

#include <math.h>
#include <stdbool.h>

static bool counts(double x, double y) {
  return isfinite(x) && isfinite(y) && x != 0.0;
}

lrp_slope lrp_slope_of(const double *x, const double *y, int64_t n) {
  lrp_slope s = {.slope = NAN, .error = NAN};
  double xx = 0.0, xy = 0.0, residuals = 0.0;
  for (int64_t i = 0; i < n; i++) {
    if (!counts(x[i], y[i])) continue;
    xx += x[i] * x[i];
    xy += x[i] * y[i];
    s.n++;
  }
  if (s.n > 0) s.slope = xy / xx;
  for (int64_t i = 0; i < n; i++) {
    const double miss = y[i] - s.slope * x[i];
    if (counts(x[i], y[i])) residuals += miss * miss;
  }
  if (s.n > 1) s.error = sqrt(residuals / (double)(s.n - 1) / xx);
  return s;
}

double lrp_saving_percent(double base, double value) {
  if (!isfinite(base) || !isfinite(value) || base <= 0.0) return NAN;
  return 100.0 * (1.0 - value / base);
}
