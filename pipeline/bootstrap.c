#include "pipeline/bootstrap.h"

#include <math.h>
#include <stdlib.h>

#include "pipeline/python_random.h"

/* What is resampled: n values of x; score NULL: their perplexity. */
typedef struct {
  const double *x;
  int64_t n;
  double (*score)(const int64_t count[4]);
} sample;

/* Mean of n values drawn with replacement. */
static double mean_of_draws(const double *x, int64_t n, lrp_random *random) {
  double sum = 0.0;
  for (int64_t done = 0; done < n;) {
    int count;
    const double *draws = lrp_random_take(random, n - done, &count);
    for (int i = 0; i < count; i++) sum += x[(int64_t)(draws[i] * (double)n)];
    done += count;
  }
  return sum / (double)n;
}

/* How often each value was drawn. */
static void count_draws(const double *x, int64_t n, lrp_random *random, int64_t count[4]) {
  for (int64_t done = 0; done < n;) {
    int taken;
    const double *draws = lrp_random_take(random, n - done, &taken);
    for (int i = 0; i < taken; i++) count[(int)x[(int64_t)(draws[i] * (double)n)]]++;
    done += taken;
  }
}

static double replicate(const sample *s, lrp_random *random) {
  int64_t count[4] = {0};
  if (!s->score) return exp(-mean_of_draws(s->x, s->n, random));
  count_draws(s->x, s->n, random, count);
  return s->score(count);
}

static double standard_deviation(const double *x, int64_t n) {
  double sum = 0.0, squares = 0.0;
  for (int64_t i = 0; i < n; i++) sum += x[i];
  for (int64_t i = 0; i < n; i++) squares += (x[i] - sum / (double)n) * (x[i] - sum / (double)n);
  return sqrt(squares / (double)(n - 1));
}

static lrp_status bootstrap(const sample *s, int64_t replicates, double *error) {
  const int64_t chunk = replicates < 1000 ? replicates : 1000;
  const int64_t chunks = chunk > 0 ? replicates / chunk : 0;

  *error = NAN;
  if (s->n < 2 || chunks * chunk < 2) return LRP_OK;
  double *values = malloc((size_t)(chunks * chunk) * sizeof *values);
  if (!values) return lrp_fail_memory((size_t)(chunks * chunk) * sizeof *values, "a bootstrap");

#pragma omp parallel for schedule(dynamic)
  for (int64_t c = 0; c < chunks; c++) {
    lrp_random random;
    lrp_random_seed(&random, (uint32_t)c);
    for (int64_t i = 0; i < chunk; i++) values[c * chunk + i] = replicate(s, &random);
  }
  *error = standard_deviation(values, chunks * chunk);
  free(values);
  return LRP_OK;
}

lrp_status lrp_bootstrap_perplexity(const double *x, int64_t n, int64_t replicates, double *error) {
  return bootstrap(&(sample){.x = x, .n = n}, replicates, error);
}

lrp_status lrp_bootstrap_confusion(const double *x, int64_t n, int64_t replicates,
                                   double (*score)(const int64_t count[4]), double *error) {
  return bootstrap(&(sample){.x = x, .n = n, .score = score}, replicates, error);
}
