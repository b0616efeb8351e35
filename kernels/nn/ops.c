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

void lrp_rope_table(int64_t positions, int64_t head_dim, double theta, float *table) {
  const int64_t half = head_dim / 2;
#pragma omp parallel for if (positions * head_dim > parallel_elements)
  for (int64_t p = 0; p < positions; p++) {
    for (int64_t i = 0; i < half; i++) {
      const double angle = (double)p * pow(theta, -2.0 * (double)i / (double)head_dim);
      table[p * head_dim + i] = (float)cos(angle);
      table[p * head_dim + half + i] = (float)sin(angle);
    }
  }
}

static void rotate(float *x, int64_t half, const float *cosine, const float *sine) {
  for (int64_t i = 0; i < half; i++) {
    const float a = x[i];
    const float b = x[i + half];
    x[i] = a * cosine[i] - b * sine[i];
    x[i + half] = b * cosine[i] + a * sine[i];
  }
}

void lrp_rope(float *x, int64_t t, int64_t heads, int64_t head_dim, const int64_t *positions,
              const float *table) {
#pragma omp parallel for if (t * heads * head_dim > parallel_elements)
  for (int64_t i = 0; i < t; i++) {
    const float *cosine = table + positions[i] * head_dim;
    for (int64_t h = 0; h < heads; h++) {
      rotate(x + (i * heads + h) * head_dim, head_dim / 2, cosine, cosine + head_dim / 2);
    }
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
