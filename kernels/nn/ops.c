#include "kernels/nn/ops.h"

#include <math.h>

#include "kernels/nn/vector.h"

enum {
  lanes = 16,                 /* partial sums of a reduction, added up in order at the end */
  parallel_elements = 1 << 14 /* below, threads cost more than they save */
};

static double sum_lanes(const double lane[lanes]) {
  double sum = 0.0;
  for (int l = 0; l < lanes; l++) sum += lane[l];
  return sum;
}

LRP_VECTOR_CLONES static double sum_of_squares(const float *x, int64_t n) {
  double lane[lanes] = {0.0};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (int l = 0; l < lanes; l++) lane[l] += (double)x[i + l] * x[i + l];
  }
  for (int l = 0; i + l < n; l++) lane[l] += (double)x[i + l] * x[i + l];
  return sum_lanes(lane);
}

void lrp_rms_norm(const float *x, int64_t t, int64_t n, const float *weight, double eps, float *y) {
#pragma omp parallel for if (t * n > parallel_elements)
  for (int64_t i = 0; i < t; i++) {
    const float *row = x + i * n;
    const float scale = (float)(1.0 / sqrt(sum_of_squares(row, n) / (double)n + eps));
    for (int64_t j = 0; j < n; j++) y[i * n + j] = row[j] * scale * weight[j];
  }
}

LRP_VECTOR_CLONES static void swiglu_row(float *gate, const float *up, int64_t n) {
#pragma omp simd
  for (int64_t j = 0; j < n; j++) gate[j] = gate[j] / (1.0f + lrp_exp(-gate[j])) * up[j];
}

void lrp_swiglu(float *gate, const float *up, int64_t t, int64_t n) {
#pragma omp parallel for if (t * n > parallel_elements)
  for (int64_t i = 0; i < t; i++) swiglu_row(gate + i * n, up + i * n, n);
}

/* A maximum does not depend on the order of its comparisons. */
LRP_VECTOR_CLONES static float largest(const float *x, int64_t n) {
  float lane[lanes];
  float max = x[0];
  int64_t i = 0;
  for (int l = 0; l < lanes; l++) lane[l] = x[0];
  for (; i + lanes <= n; i += lanes) {
    for (int l = 0; l < lanes; l++) lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
  }
  for (; i < n; i++) max = x[i] > max ? x[i] : max;
  for (int l = 0; l < lanes; l++) max = lane[l] > max ? lane[l] : max;
  return max;
}

LRP_VECTOR_CLONES static double sum_of_exponentials(const float *x, int64_t n, float max) {
  double lane[lanes] = {0.0};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (int l = 0; l < lanes; l++) lane[l] += (double)lrp_exp(x[i + l] - max);
  }
  for (int l = 0; i + l < n; l++) lane[l] += (double)lrp_exp(x[i + l] - max);
  return sum_lanes(lane);
}

double lrp_log_softmax(const float *logits, int64_t n, int64_t chosen, bool *greedy) {
  const float max = largest(logits, n);
  *greedy = logits[chosen] == max;
  for (int64_t i = 0; i < chosen && *greedy; i++) {
    if (logits[i] == max) *greedy = false;
  }
  return (double)logits[chosen] - (double)max - log(sum_of_exponentials(logits, n, max));
}

LRP_VECTOR_CLONES double lrp_exp_row(float *row, int64_t n, float scale) {
  const float max = largest(row, n);
  double lane[lanes] = {0.0};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (int l = 0; l < lanes; l++) {
      row[i + l] = lrp_exp(scale * (row[i + l] - max));
      lane[l] += (double)row[i + l];
    }
  }
  for (int l = 0; i + l < n; l++) {
    row[i + l] = lrp_exp(scale * (row[i + l] - max));
    lane[l] += (double)row[i + l];
  }
  return sum_lanes(lane);
}
