#include "kernels/linalg/norm.h"

#include <stdlib.h>

#include "kernels/clones.h"

enum { lanes = 32, chunk = 1024 };

/* Several sums at once, which vector registers hold. */
LRP_VECTOR_CLONES double lrp_sum_of_squares(const float *x, int64_t count) {
  double part[lanes] = {0}, sum = 0.0;
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (int j = 0; j < lanes; j++) part[j] += (double)x[i + j] * (double)x[i + j];
  }
  for (int j = 0; j < lanes; j++) sum += part[j];
  for (; i < count; i++) sum += (double)x[i] * (double)x[i];
  return sum;
}

static double sum_row(const lrp_matrix *w, int64_t i) {
  const char *row = lrp_matrix_row(w, i);
  const size_t n = (size_t)w->cols;
  float x[chunk];
  double sum = 0.0;
  for (size_t j = 0; j < n; j += chunk) {
    const size_t count = n - j < chunk ? n - j : chunk;
    lrp_to_f32(x, row + j * lrp_dtype_size(w->dtype), w->dtype, count);
    sum += lrp_sum_of_squares(x, (int64_t)count);
  }
  return sum;
}

lrp_status lrp_squared_norm(const lrp_matrix *w, double *sum) {
  double *rows = malloc((size_t)w->rows * sizeof *rows);
  *sum = 0.0;
  if (!rows) return lrp_fail_memory((size_t)w->rows * sizeof *rows, "a norm");
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < w->rows; i++) rows[i] = sum_row(w, i);
  for (int64_t i = 0; i < w->rows; i++) *sum += rows[i];
  free(rows);
  return LRP_OK;
}
