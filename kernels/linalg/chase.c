#include "kernels/linalg/chase.h"

#include <limits.h>
#include <math.h>
#include <omp.h>
#include <sched.h>
#include <string.h>

enum { width = LRP_BAND, ld = LRP_BAND_LD - 1, spins_before_yield = 2000 };

/* Below this a column counts as zero: the matrix is scaled to 1. */
static const double negligible = 1e-28;

/* Steps that the last sweep of a group has done; alone on its cache line. */
typedef union {
  int done;
  char line[64];
} progress;

typedef struct {
  int n;
  float *band, *diamonds;
  progress *groups;
} chase;

/* H = I - tau v v^T, v[0] = 1, which makes (beta, 0, 0, ...) of a column. */
typedef struct {
  _Alignas(64) float v[width];
  float tau, beta;
} reflector;

int64_t lrp_chase_diamonds(int n, int group) {
  int64_t sum = 0;
  for (int64_t g = 0; g < group; g++) sum += lrp_chase_steps(n, g * LRP_SWEEPS);
  return sum;
}

typedef float v8 __attribute__((vector_size(32)));
typedef float v4 __attribute__((vector_size(16)));

static inline __attribute__((always_inline)) float sum_of(const lrp_v16 *y) {
  const lrp_v16 x = *y;
  const v8 a = __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7) +
               __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
  const v4 b =
      __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
  return (b[0] + b[1]) + (b[2] + b[3]);
}

static inline __attribute__((always_inline)) void reflect(const float *x, reflector *h) {
  lrp_v16 a = *(const lrp_v16_any *)x;
  const lrp_v16 b = *(const lrp_v16_any *)(x + 16);
  const double alpha = (double)x[0];
  float scale = 0.0f;
  a[0] = 0.0f;
  a = a * a + b * b;
  const double norm2 = (double)sum_of(&a);
  h->tau = 0.0f;
  h->beta = x[0];
  if (norm2 > negligible) {
    const double beta = -copysign(sqrt(alpha * alpha + norm2), alpha);
    h->tau = (float)((beta - alpha) / beta);
    h->beta = (float)beta;
    scale = (float)(1.0 / (alpha - beta));
  }
  for (int i = 1; i < width; i++) h->v[i] = scale * x[i];
  h->v[0] = 1.0f;
}

/* y = A v for a block of the band. */
static inline __attribute__((always_inline)) void multiply(const float *a, const float *v,
                                                           lrp_v16 *y) {
  lrp_v16 sum[4][2] = {{{0}}};
  for (int c = 0; c < width; c += 4) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
      const lrp_v16_any *column = (const lrp_v16_any *)(a + (c + k) * ld);
      sum[k][0] += v[c + k] * column[0];
      sum[k][1] += v[c + k] * column[1];
    }
  }
  for (int i = 0; i < 2; i++) y[i] = (sum[0][i] + sum[1][i]) + (sum[2][i] + sum[3][i]);
}

/* H A H for a diagonal block: A - v w^T - w v^T with w = tau A v - tau^2 / 2 (v^T A v) v. */
static inline __attribute__((always_inline)) void from_both_sides(float *a, const reflector *h) {
  const lrp_v16 v0 = *(const lrp_v16_any *)h->v, v1 = *(const lrp_v16_any *)(h->v + 16);
  float w[width];
  lrp_v16 y[2];
  multiply(a, h->v, y);
  const lrp_v16 vav = y[0] * v0 + y[1] * v1;
  const float half = 0.5f * h->tau * h->tau * sum_of(&vav);
  const lrp_v16 w0 = h->tau * y[0] - half * v0, w1 = h->tau * y[1] - half * v1;
  *(lrp_v16_any *)w = w0;
  *(lrp_v16_any *)(w + 16) = w1;
  for (int c = 0; c < width; c++) {
    lrp_v16_any *column = (lrp_v16_any *)(a + c * ld);
    column[0] -= w[c] * v0 + h->v[c] * w0;
    column[1] -= w[c] * v1 + h->v[c] * w1;
  }
}

/* The block below: A H makes it full; next N is what makes the first column of N A H one number.
 * upper: where the first row is kept as a column, too. */
static inline __attribute__((always_inline)) void chase_bulge(float *a, float *upper,
                                                              const reflector *h, reflector *next) {
  lrp_v16 y[2];
  float x[width] = {0.0f};
  multiply(a, h->v, y);
  const lrp_v16 y0 = h->tau * y[0], y1 = h->tau * y[1];
  *(lrp_v16_any *)x = *(const lrp_v16_any *)a - y0;
  *(lrp_v16_any *)(x + 16) = *(const lrp_v16_any *)(a + 16) - y1;
  reflect(x, next);
  const lrp_v16 v0 = *(const lrp_v16_any *)next->v, v1 = *(const lrp_v16_any *)(next->v + 16);
  memset(a, 0, width * sizeof *a);
  a[0] = next->beta;
  for (int c = 1; c < width; c++) {
    lrp_v16_any *column = (lrp_v16_any *)(a + c * ld);
    const lrp_v16 b0 = column[0] - h->v[c] * y0, b1 = column[1] - h->v[c] * y1;
    const lrp_v16 vb = b0 * v0 + b1 * v1;
    const float z = next->tau * sum_of(&vb);
    const lrp_v16 first = b0 - z * v0;
    column[0] = first;
    column[1] = b1 - z * v1;
    upper[c] = first[0];
  }
}

static inline __attribute__((always_inline)) void keep(float *diamond, int c, const reflector *h) {
  for (int i = 0; i < width; i++) diamond[(c + i) * LRP_SWEEPS + c] = h->v[i];
  diamond[LRP_DIAMOND_T + c * LRP_SWEEPS + c] = h->tau;
}

/* Step k of sweep s, the c-th of its group; h is the reflector of this step, then of the next. */
static inline __attribute__((always_inline)) void step(const chase *s, int64_t sweep, int64_t k,
                                                       int c, float *diamonds, reflector *h) {
  const int64_t i = sweep + 1 + k * width;
  reflector next;
  if (k == 0) {
    float *column = lrp_band_at(s->band, i, sweep);
    reflect(column, h);
    memset(column, 0, width * sizeof *column);
    column[0] = h->beta;
  }
  if (diamonds) keep(diamonds + k * LRP_DIAMOND_SIZE, c, h);
  from_both_sides(lrp_band_at(s->band, i, i), h);
  chase_bulge(lrp_band_at(s->band, i + width, i), lrp_band_at(s->band, i, i + width), h, &next);
  *h = next;
}

static void wait_for(const progress *p, int steps) {
  unsigned spins = 0;
  while (__atomic_load_n(&p->done, __ATOMIC_ACQUIRE) < steps) {
    if (++spins % spins_before_yield == 0) sched_yield();
  }
}

/* The sweeps of a group go down the band together, each two steps behind the one before it: so they
 * find the band in the cache. Step k may begin when the sweep before has done step k + 1. */
static inline __attribute__((always_inline)) void chase_group(const chase *s, int group,
                                                              float *diamonds) {
  const int64_t first = (int64_t)group * LRP_SWEEPS;
  const int sweeps = lrp_chase_sweeps(s->n) - first < LRP_SWEEPS
                         ? (int)(lrp_chase_sweeps(s->n) - first)
                         : LRP_SWEEPS;
  const int last = sweeps - 1;
  const int64_t steps = lrp_chase_steps(s->n, first);
  reflector h[LRP_SWEEPS];

  if (diamonds) memset(diamonds, 0, (size_t)steps * LRP_DIAMOND_SIZE * sizeof *diamonds);
  for (int64_t time = 0; time < steps + 2 * last; time++) {
    if (group > 0 && time < steps) wait_for(&s->groups[group - 1], (int)time + 2);
    for (int c = 0; c < sweeps; c++) {
      const int64_t k = time - 2 * c;
      if (k < 0 || k >= lrp_chase_steps(s->n, first + c)) continue;
      step(s, first + c, k, c, diamonds, &h[c]);
    }
    const int done = (int)time - 2 * last + 1;
    if (done > 0) __atomic_store_n(&s->groups[group].done, done, __ATOMIC_RELEASE);
  }
  __atomic_store_n(&s->groups[group].done, INT_MAX, __ATOMIC_RELEASE);
}

static void chase_any(const chase *s, int group, float *diamonds) {
  chase_group(s, group, diamonds);
}

#if defined(__x86_64__)
LRP_ISA_AVX512 static void chase_avx512(const chase *s, int group, float *diamonds) {
  chase_group(s, group, diamonds);
}

LRP_ISA_AVX2 static void chase_avx2(const chase *s, int group, float *diamonds) {
  chase_group(s, group, diamonds);
}
#endif

/* The groups of this thread; the one before each is at work on another thread, or done. */
static void chase_groups(const chase *s) {
  const lrp_isa_level isa = lrp_isa();
  const int groups = lrp_chase_groups(s->n);
  for (int g = omp_get_thread_num(); g < groups; g += omp_get_num_threads()) {
    float *diamonds = s->diamonds;
    if (diamonds) diamonds += lrp_chase_diamonds(s->n, g) * LRP_DIAMOND_SIZE;
    switch (isa) {
#if defined(__x86_64__)
      case LRP_ISA_HAS_AVX512:
        chase_avx512(s, g, diamonds);
        break;
      case LRP_ISA_HAS_AVX2:
        chase_avx2(s, g, diamonds);
        break;
#endif
      default:
        chase_any(s, g, diamonds);
    }
  }
}

lrp_status lrp_chase(int n, float *band, float *d, float *e, float *diamonds,
                     lrp_scratch *scratch) {
  const size_t mark = lrp_scratch_mark(scratch);
  const int groups = lrp_chase_groups(n);
  lrp_status st = LRP_OK;
  chase s = {.n = n, .band = band, .diamonds = diamonds};
  s.groups = lrp_scratch_take(scratch, &st, groups, 1, sizeof *s.groups);
  if (st != LRP_OK) return st;
  memset(s.groups, 0, (size_t)groups * sizeof *s.groups);

#pragma omp parallel
  chase_groups(&s);

  for (int64_t j = 0; j < n; j++) {
    d[j] = *lrp_band_at(band, j, j);
    if (j + 1 < n) e[j] = *lrp_band_at(band, j + 1, j);
  }
  lrp_scratch_release(scratch, mark);
  return LRP_OK;
}
