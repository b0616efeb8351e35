#include "pipeline/interval.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const double wanted = 0.95;

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* k of the narrowest interval that covers enough, else 1.
 *  Its coverage is the sum of C(n, i) / 2^n from i = k to n - k: from the middle outwards, so that
 *  nothing underflows. */
static int64_t choose_order(int64_t n, double *coverage) {
  const int64_t m = n / 2;
  int64_t k = n - m;
  double term = 1.0; /* C(n, k - 1) / 2^n */
  for (int64_t j = 1; j <= m; j++) term = term * (double)(2 * j - 1) / (double)(2 * j);
  if (n % 2 == 1) {
    *coverage = 0.0;
    term = term * (double)n / (double)(n + 1);
  } else {
    *coverage = term;
    term = term * (double)m / (double)(m + 1);
  }
  while (*coverage < wanted && k > 1) {
    k--;
    *coverage += 2.0 * term;
    term = term * (double)k / (double)(n - k + 1);
  }
  return k;
}

static bool any_nan(const double *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    if (isnan(x[i])) return true;
  }
  return false;
}

lrp_status lrp_interval_of(const double *samples, int64_t n, lrp_interval *out) {
  *out = (lrp_interval){.median = NAN, .low = NAN, .high = NAN, .coverage = 0.0};
  if (n <= 0 || any_nan(samples, n)) return LRP_OK;
  const size_t bytes = (size_t)n * sizeof *samples;
  double *x = malloc(bytes);
  if (!x) return lrp_fail_memory(bytes, "samples");
  memcpy(x, samples, bytes);
  qsort(x, (size_t)n, sizeof *x, compare);
  const int64_t k = choose_order(n, &out->coverage), m = n / 2;
  out->low = x[k - 1];
  out->high = x[n - k];
  out->median = n % 2 == 1 ? x[m] : 0.5 * x[m - 1] + 0.5 * x[m];
  free(x);
  return LRP_OK;
}
