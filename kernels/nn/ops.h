/** @file kernels/nn/ops.h
 *  The small operations of a transformer, row by row: each row of a result depends on its own row
 *  alone, bitwise. All local; they cannot fail. */
#ifndef LRP_KERNELS_NN_OPS_H
#define LRP_KERNELS_NN_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/matrix.h"

/** y = x / sqrt(mean(x^2) + eps) * weight for t rows of n elements; the sum in double. y is float32
 *  and may be x, or is rounded to bfloat16. Source: Zhang and Sennrich, arXiv:1910.07467. */
void lrp_rms_norm(const float *x, int64_t t, int64_t n, const float *weight, double eps,
                  lrp_dtype type, void *y);

/** y = silu(gate) * up for t rows of n elements; silu(a) = a / (1 + exp(-a)). y is float32 and may
 *  be gate, or is rounded to bfloat16. */
void lrp_swiglu(const float *gate, const float *up, int64_t t, int64_t n, lrp_dtype type, void *y);

/** y = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias for t rows of n elements; mean and
 *  variance in double. y may be x. Source: Ba et al., arXiv:1607.06450. */
void lrp_layer_norm(const float *x, int64_t t, int64_t n, const float *weight, const float *bias,
                    double eps, float *y);

/** Activations of feed-forward layers: x Phi(x) with the normal distribution function Phi; the same
 *  by tanh, x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))); max(x, 0).
 *  Source: Hendrycks and Gimpel, arXiv:1606.08415. */
typedef enum { LRP_GELU, LRP_GELU_TANH, LRP_RELU } lrp_activation;

/** x = activation(x + bias) for t rows of n elements. */
void lrp_activate(lrp_activation activation, float *x, int64_t t, int64_t n, const float *bias);

/** What the log-probabilities of a row of logits have in common: log p(i) = x(i) - max - log_sum.
 */
typedef struct {
  float max;
  double log_sum; /* log of the sum of exp(x(i) - max), which is summed in double */
} lrp_softmax;

lrp_softmax lrp_softmax_of(const float *logits, int64_t n);

/** log softmax(logits)[chosen], with of = lrp_softmax_of(logits).
 *  @param[out] greedy  whether chosen is the first index of the largest logit */
double lrp_log_probability(const float *logits, const lrp_softmax *of, int64_t chosen,
                           bool *greedy);

/** Both of them, where one log-probability is wanted. */
double lrp_log_softmax(const float *logits, int64_t n, int64_t chosen, bool *greedy);

/** First index of the largest of n logits; -1 if one is not finite. */
int64_t lrp_argmax(const float *logits, int64_t n);

/** row[j] = exp(scale (row[j] - max row)) for j < n; returns the sum, in double. */
double lrp_exp_row(float *row, int64_t n, float scale);

#endif
