#include "tests/bench/bench_timing.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

double lrp_bench_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a;
  const double y = *(const double *)b;
  return (x > y) - (x < y);
}

double lrp_bench_median(double *values, int n) {
  if (n < 1) return NAN;
  qsort(values, (size_t)n, sizeof *values, compare);
  return 0.5 * (values[(n - 1) / 2] + values[n / 2]);
}
