#include "kernels/linalg/norm.h"

#include <stdlib.h>

#include "kernels/clones.h"

enum { lanes = 64, chunk = 1024 };

/* Sum of squares of at most chunk floats: short sums in float, which a vector register holds. */
LRP_VECTOR_CLONES static double sum_chunk(const float *x, size_t count) {
  float part[lanes] = {0};
  double sum = 0.0;
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (size_t j = 0; j < lanes; j++) part[j] += x[i + j] * x[i + j];
  }
  for (size_t j = 0; j < lanes; j++) sum += (double)part[j];
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
    sum += sum_chunk(x, count);
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
