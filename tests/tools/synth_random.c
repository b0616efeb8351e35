#include "tests/tools/synth_random.h"

#include <math.h>
#include <stdlib.h>

enum {
  most_directions = 64,      /* of the decaying part */
  most_large_directions = 16 /* of a matrix that is large, where every direction costs time */
};
static const int64_t large = (int64_t)1 << 20;
static const uint64_t golden = 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio, odd */

/* The output function of SplitMix64: Steele, Lea, Flood, OOPSLA 2014. */
static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static uint64_t at(uint64_t key, int64_t i) {
  return mix(key + ((uint64_t)i + 1) * golden);
}

/* Mean 0, variance 1, nearly normal: a sum of four uniform integers. Unlike a logarithm and a
 * cosine it gives the same bits with every mathematics library. */
static float nearly_normal(uint64_t h) {
  const int sum =
      (int)(h & 0xffff) + (int)(h >> 16 & 0xffff) + (int)(h >> 32 & 0xffff) + (int)(h >> 48);
  return (float)(sum - 2 * 65535) * (1.0f / 37837.2f); /* 2 sqrt((2^32 - 1) / 12) */
}

static uint64_t tensor_key(const char *name, int64_t seed) {
  uint64_t key = at(0, seed);
  for (; *name; name++) key = at(key, (unsigned char)*name);
  return key;
}

static int count_directions(const lrp_synth_tensor *t, int outliers) {
  const int64_t k = t->rows < t->cols ? t->rows : t->cols;
  const int64_t most = t->rows * t->cols > large ? most_large_directions : most_directions;
  const int64_t signal = k / 4 < most ? k / 4 : most;
  return outliers + (int)signal;
}

/* Singular value d of the low-rank part, in units of (sqrt(rows) + sqrt(cols)) / 2, which is about
 * the median of the entries' own singular values. */
static double relative_singular_value(int d, int outliers) {
  if (d < outliers) return 50.0 - 30.0 * d / outliers;
  return 6.0 / sqrt(d - outliers + 1.0);
}

static void fill_directions(const lrp_synth_tensor *t, int outliers, lrp_synth_sampler *s) {
  const double size = (double)t->rows * (double)t->cols;
  const double unit = (sqrt((double)t->rows) + sqrt((double)t->cols)) / 2.0;
  double energy = size;
  for (int d = 0; d < s->directions; d++) {
    const double sigma = unit * relative_singular_value(d, outliers);
    const uint64_t v_key = at(s->key, 2 * d + 2);
    s->u_keys[d] = at(s->key, 2 * d + 1);
    s->s[d] = (float)(sigma / sqrt(size));
    for (int64_t j = 0; j < s->cols; j++) s->v[d * s->cols + j] = nearly_normal(at(v_key, j));
    energy += sigma * sigma;
  }
  s->scale = (float)(t->gain / sqrt((double)t->cols) * sqrt(size / energy));
}

static lrp_status init_linear(const lrp_synth_tensor *t, int64_t outliers, lrp_synth_sampler *s) {
  const int64_t k = t->rows < t->cols ? t->rows : t->cols;
  const int used = (int)(outliers < k ? outliers : k);
  const size_t n = (size_t)count_directions(t, used);
  if (n > 0) {
    s->u_keys = malloc(n * sizeof *s->u_keys);
    s->s = malloc(n * sizeof *s->s);
    s->v = malloc(n * (size_t)t->cols * sizeof *s->v);
    if (!s->u_keys || !s->s || !s->v) {
      lrp_synth_sampler_free(s);
      return lrp_fail_memory(n * (size_t)t->cols * sizeof *s->v, t->name);
    }
  }
  s->directions = (int)n;
  fill_directions(t, used, s);
  return LRP_OK;
}

lrp_status lrp_synth_sampler_init(const lrp_synth_tensor *t, int64_t seed, int64_t outliers,
                                  lrp_synth_sampler *out) {
  *out = (lrp_synth_sampler){.key = tensor_key(t->name, seed), .cols = t->cols};
  switch (t->kind) {
    case LRP_SYNTH_LINEAR:
      return init_linear(t, outliers, out);
    case LRP_SYNTH_TABLE:
      out->scale = (float)(t->gain / sqrt((double)t->cols));
      break;
    case LRP_SYNTH_NORM:
      out->mean = 1.0f;
      out->scale = 0.05f;
      break;
    case LRP_SYNTH_BIAS:
      out->scale = 0.02f;
      break;
  }
  return LRP_OK;
}

void lrp_synth_sampler_free(lrp_synth_sampler *s) {
  free(s->v);
  free(s->s);
  free(s->u_keys);
  *s = (lrp_synth_sampler){0};
}

void lrp_synth_sampler_row(const lrp_synth_sampler *s, int64_t i, float *row) {
  const uint64_t key = at(at(s->key, 0), i);
  const int64_t n = s->cols;
  for (int64_t j = 0; j < n; j++) row[j] = nearly_normal(at(key, j));
  for (int d = 0; d < s->directions; d++) {
    const float c = s->s[d] * nearly_normal(at(s->u_keys[d], i));
    const float *v = s->v + d * n;
    for (int64_t j = 0; j < n; j++) row[j] += c * v[j];
  }
  for (int64_t j = 0; j < n; j++) row[j] = row[j] * s->scale + s->mean;
}
