#include "kernels/nn/ops.h"

#include <math.h>
#include <string.h>

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

LRP_VECTOR_CLONES static void weigh(const float *x, int64_t n, float scale, const float *weight,
                                    float *y) {
#pragma omp simd
  for (int64_t j = 0; j < n; j++) y[j] = x[j] * scale * weight[j];
}

LRP_VECTOR_CLONES static void weigh_bf16(const float *x, int64_t n, float scale,
                                         const float *weight, uint16_t *y) {
#pragma omp simd
  for (int64_t j = 0; j < n; j++) y[j] = lrp_bf16_bits(x[j] * scale * weight[j]);
}

void lrp_rms_norm(const float *x, int64_t t, int64_t n, const float *weight, double eps,
                  lrp_dtype type, void *y) {
#pragma omp parallel for if (t * n > parallel_elements)
  for (int64_t i = 0; i < t; i++) {
    const float *row = x + i * n;
    const float scale = (float)(1.0 / sqrt(sum_of_squares(row, n) / (double)n + eps));
    if (type == LRP_BF16) {
      weigh_bf16(row, n, scale, weight, (uint16_t *)y + i * n);
    } else {
      weigh(row, n, scale, weight, (float *)y + i * n);
    }
  }
}

static inline float silu(float a) {
  return a / (1.0f + lrp_exp(-a));
}

LRP_VECTOR_CLONES static void swiglu(const float *gate, const float *up, int64_t n, float *y) {
#pragma omp simd
  for (int64_t j = 0; j < n; j++) y[j] = silu(gate[j]) * up[j];
}

LRP_VECTOR_CLONES static void swiglu_bf16(const float *gate, const float *up, int64_t n,
                                          uint16_t *y) {
#pragma omp simd
  for (int64_t j = 0; j < n; j++) y[j] = lrp_bf16_bits(silu(gate[j]) * up[j]);
}

void lrp_swiglu(const float *gate, const float *up, int64_t t, int64_t n, lrp_dtype type, void *y) {
#pragma omp parallel for if (t * n > parallel_elements)
  for (int64_t i = 0; i < t; i++) {
    if (type == LRP_BF16) {
      swiglu_bf16(gate + i * n, up + i * n, n, (uint16_t *)y + i * n);
    } else {
      swiglu(gate + i * n, up + i * n, n, (float *)y + i * n);
    }
  }
}

LRP_VECTOR_CLONES static double sum_of(const float *x, int64_t n) {
  double lane[lanes] = {0.0};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (int l = 0; l < lanes; l++) lane[l] += (double)x[i + l];
  }
  for (int l = 0; i + l < n; l++) lane[l] += (double)x[i + l];
  return sum_lanes(lane);
}

LRP_VECTOR_CLONES static double sum_of_deviations(const float *x, int64_t n, double mean) {
  double lane[lanes] = {0.0};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (int l = 0; l < lanes; l++) lane[l] += (x[i + l] - mean) * (x[i + l] - mean);
  }
  for (int l = 0; i + l < n; l++) lane[l] += (x[i + l] - mean) * (x[i + l] - mean);
  return sum_lanes(lane);
}

LRP_VECTOR_CLONES static void scale_row(const float *x, int64_t n, float mean, float scale,
                                        const float *weight, const float *bias, float *y) {
  for (int64_t j = 0; j < n; j++) y[j] = (x[j] - mean) * scale * weight[j] + bias[j];
}

void lrp_layer_norm(const float *x, int64_t t, int64_t n, const float *weight, const float *bias,
                    double eps, float *y) {
#pragma omp parallel for if (t * n > parallel_elements)
  for (int64_t i = 0; i < t; i++) {
    const float *row = x + i * n;
    const double mean = sum_of(row, n) / (double)n;
    const double variance = sum_of_deviations(row, n, mean) / (double)n;
    const float scale = (float)(1.0 / sqrt(variance + eps));
    scale_row(row, n, (float)mean, scale, weight, bias, y + i * n);
  }
}

/* erfc(z) / 2 for z >= 0 to 3e-7 relative: t / 2 exp(-z^2 + P(t)) with t = 1 / (1 + z / 2); P is
 * the Chebyshev fit of degree 9 to log(erfc(z) / t) + z^2 on 0 < t <= 1. */
static inline float half_erfc(float z) {
  const float t = 1.0f / (1.0f + 0.5f * z);
  float p = 0.17087278f;
  p = p * t - 0.82215223f;
  p = p * t + 1.48851589f;
  p = p * t - 1.135204f;
  p = p * t + 0.27886808f;
  p = p * t - 0.18628806f;
  p = p * t + 0.09678419f;
  p = p * t + 0.37409196f;
  p = p * t + 1.00002368f;
  p = p * t - 1.26551223f;
  return 0.5f * t * lrp_exp(p - z * z);
}

/* Phi(x) = erfc(-x / sqrt(2)) / 2, and Phi(x) = 1 - Phi(-x) */
LRP_VECTOR_CLONES static void gelu(float *x, int64_t n, const float *bias) {
#pragma omp simd
  for (int64_t j = 0; j < n; j++) {
    const float y = x[j] + bias[j];
    const float tail = half_erfc(0.707106781f * fabsf(y));
    x[j] = y * (y < 0.0f ? tail : 1.0f - tail);
  }
}

/* (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)) */
LRP_VECTOR_CLONES static void gelu_tanh(float *x, int64_t n, const float *bias) {
#pragma omp simd
  for (int64_t j = 0; j < n; j++) {
    const float y = x[j] + bias[j];
    const float u = 0.797884561f * (y + 0.044715f * y * y * y);
    x[j] = y / (1.0f + lrp_exp(-2.0f * u));
  }
}

/* A NaN stays one. */
LRP_VECTOR_CLONES static void relu(float *x, int64_t n, const float *bias) {
#pragma omp simd
  for (int64_t j = 0; j < n; j++) {
    const float y = x[j] + bias[j];
    x[j] = y < 0.0f ? 0.0f : y;
  }
}

void lrp_activate(lrp_activation activation, float *x, int64_t t, int64_t n, const float *bias) {
#pragma omp parallel for if (t * n > parallel_elements)
  for (int64_t i = 0; i < t; i++) {
    switch (activation) {
      case LRP_GELU:
        gelu(x + i * n, n, bias);
        break;
      case LRP_GELU_TANH:
        gelu_tanh(x + i * n, n, bias);
        break;
      case LRP_RELU:
        relu(x + i * n, n, bias);
        break;
    }
  }
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

lrp_softmax lrp_softmax_of(const float *logits, int64_t n) {
  const float max = largest(logits, n);
  return (lrp_softmax){.max = max, .log_sum = log(sum_of_exponentials(logits, n, max))};
}

double lrp_log_probability(const float *logits, const lrp_softmax *of, int64_t chosen,
                           bool *greedy) {
  *greedy = logits[chosen] == of->max;
  for (int64_t i = 0; i < chosen && *greedy; i++) {
    if (logits[i] == of->max) *greedy = false;
  }
  return (double)logits[chosen] - (double)of->max - of->log_sum;
}

double lrp_log_softmax(const float *logits, int64_t n, int64_t chosen, bool *greedy) {
  const lrp_softmax of = lrp_softmax_of(logits, n);
  return lrp_log_probability(logits, &of, chosen, greedy);
}

/* An exponent of ones: infinite or not a number. */
LRP_VECTOR_CLONES static bool all_finite(const float *x, int64_t n) {
  uint32_t found = 0;
  for (int64_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, sizeof bits);
    found |= (uint32_t)((bits & 0x7f800000u) == 0x7f800000u);
  }
  return found == 0;
}

int64_t lrp_argmax(const float *logits, int64_t n) {
  if (!all_finite(logits, n)) return -1;
  const float max = largest(logits, n);
  int64_t i = 0;
  while (logits[i] != max) i++;
  return i;
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
