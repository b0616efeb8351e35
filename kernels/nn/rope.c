#include "kernels/nn/rope.h"

#include <math.h>

#include "kernels/clones.h"

enum { parallel_elements = 1 << 14 }; /* below, threads cost more than they save */

static double llama3_frequency(double f, const lrp_rope_scaling *s) {
  const double pi = 3.14159265358979323846;
  const double turns = s->original_max_position_embeddings * f / (2.0 * pi); /* n / w */
  if (turns > s->high_freq_factor) return f;
  if (turns < s->low_freq_factor) return f / s->factor;
  const double smooth = (turns - s->low_freq_factor) / (s->high_freq_factor - s->low_freq_factor);
  return (1.0 - smooth) * f / s->factor + smooth * f;
}

double lrp_rope_frequency(double theta, const lrp_rope_scaling *scaling, int64_t head_dim,
                          int64_t i) {
  const double f = pow(theta, -2.0 * (double)i / (double)head_dim);
  switch (scaling->type) {
    case LRP_ROPE_DEFAULT:
      return f;
    case LRP_ROPE_LINEAR:
      return f / scaling->factor;
    case LRP_ROPE_LLAMA3:
      return llama3_frequency(f, scaling);
  }
  return f;
}

void lrp_rope_table(int64_t positions, int64_t head_dim, double theta,
                    const lrp_rope_scaling *scaling, float *table) {
  const int64_t half = head_dim / 2;
#pragma omp parallel for if (positions * head_dim > parallel_elements)
  for (int64_t i = 0; i < half; i++) {
    const double frequency = lrp_rope_frequency(theta, scaling, head_dim, i);
    for (int64_t p = 0; p < positions; p++) {
      const double angle = (double)p * frequency;
      table[p * head_dim + i] = (float)cos(angle);
      table[p * head_dim + half + i] = (float)sin(angle);
    }
  }
}

/* Both halves of a head are disjoint, and the table is none of them. */
LRP_VECTOR_CLONES static void rotate(float *x, int64_t heads, int64_t half, const float *cosine,
                                     const float *sine) {
  for (int64_t h = 0; h < heads; h++, x += 2 * half) {
#pragma omp simd
    for (int64_t i = 0; i < half; i++) {
      const float a = x[i];
      const float b = x[i + half];
      x[i] = a * cosine[i] - b * sine[i];
      x[i + half] = b * cosine[i] + a * sine[i];
    }
  }
}

void lrp_rope(float *x, int64_t t, int64_t heads, int64_t head_dim, const int64_t *positions,
              const float *table) {
#pragma omp parallel for if (t * heads * head_dim > parallel_elements)
  for (int64_t i = 0; i < t; i++) {
    const float *cosine = table + positions[i] * head_dim;
    rotate(x + i * heads * head_dim, heads, head_dim / 2, cosine, cosine + head_dim / 2);
  }
}
