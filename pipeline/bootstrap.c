#include "pipeline/bootstrap.h"

#include <math.h>
#include <stdlib.h>

#include "pipeline/python_random.h"

/* Mean of n values drawn with replacement. */
static double resample(const double *x, int64_t n, lrp_random *random) {
  double sum = 0.0;
  for (int64_t done = 0; done < n;) {
    int count;
    const double *draws = lrp_random_take(random, n - done, &count);
    for (int i = 0; i < count; i++) sum += x[(int64_t)(draws[i] * (double)n)];
    done += count;
  }
  return sum / (double)n;
}

static double standard_deviation(const double *x, int64_t n) {
  double sum = 0.0, squares = 0.0;
  for (int64_t i = 0; i < n; i++) sum += x[i];
  for (int64_t i = 0; i < n; i++) squares += (x[i] - sum / (double)n) * (x[i] - sum / (double)n);
  return sqrt(squares / (double)(n - 1));
}

lrp_status lrp_bootstrap_perplexity(const double *x, int64_t n, int64_t replicates, double *error) {
  const int64_t chunk = replicates < 1000 ? replicates : 1000;
  const int64_t chunks = chunk > 0 ? replicates / chunk : 0;

  *error = NAN;
  if (n < 2 || chunks * chunk < 2) return LRP_OK;
  double *values = malloc((size_t)(chunks * chunk) * sizeof *values);
  if (!values) return lrp_fail_memory((size_t)(chunks * chunk) * sizeof *values, "a bootstrap");

#pragma omp parallel for schedule(dynamic)
  for (int64_t c = 0; c < chunks; c++) {
    lrp_random random;
    lrp_random_seed(&random, (uint32_t)c);
    for (int64_t i = 0; i < chunk; i++) values[c * chunk + i] = exp(-resample(x, n, &random));
  }
  *error = standard_deviation(values, chunks * chunk);
  free(values);
  return LRP_OK;
}
