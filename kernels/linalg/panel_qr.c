#include <math.h>
#include <string.h>

#include "kernels/linalg/band.h"

/* Rows whose products are summed in float32, then in double. */
enum { width = LRP_BAND, chunk = 32 };

/* Below this a column counts as zero: the matrix is scaled to 1. */
static const double negligible = 1e-28;

/* H = I - tau v v^T with v = (1, scale x); the pivot becomes beta. */
typedef struct {
  float tau, scale, beta;
} reflector;

static reflector reflect(double alpha, double norm2) {
  reflector h = {0.0f, 0.0f, (float)alpha};
  if (norm2 > negligible) {
    const double beta = -copysign(sqrt(alpha * alpha + norm2), alpha);
    h.tau = (float)((beta - alpha) / beta);
    h.scale = (float)(1.0 / (alpha - beta));
    h.beta = (float)beta;
  }
  return h;
}

/* Rows from..to, below row j: subtract v t^T, with v made of column j; then the dot products of
 * column j + 1 with all. Column -1: only these. So a panel is read once per column. */
static inline __attribute__((always_inline)) void sweep_rows(int64_t from, int64_t to, float *p,
                                                             int j, float scale, const float *t,
                                                             double *dot) {
  const lrp_v16 t0 = *(const lrp_v16_any *)t, t1 = *(const lrp_v16_any *)(t + 16);
  const int next = j + 1 < width ? j + 1 : 0;
  memset(dot, 0, width * sizeof *dot);
  for (int64_t begin = from; begin < to; begin += chunk) {
    const int64_t end = to - begin < chunk ? to : begin + chunk;
    lrp_v16 sum[2] = {{0}, {0}};
    for (int64_t i = begin; i < end; i++) {
      lrp_v16_any *row = (lrp_v16_any *)(p + i * width);
      lrp_v16 a = row[0], b = row[1];
      if (j >= 0) {
        const float v = scale * p[i * width + j];
        a -= v * t0;
        b -= v * t1;
        row[0] = a;
        row[1] = b;
        p[i * width + j] = v;
      }
      const float x = p[i * width + next];
      sum[0] += x * a;
      sum[1] += x * b;
    }
    for (int c = 0; c < width; c++) dot[c] += (double)sum[c / 16][c % 16];
  }
}

#if defined(__x86_64__)
LRP_ISA_AVX512 static void sweep_avx512(int64_t from, int64_t to, float *p, int j, float scale,
                                        const float *t, double *dot) {
  sweep_rows(from, to, p, j, scale, t, dot);
}

LRP_ISA_AVX2 static void sweep_avx2(int64_t from, int64_t to, float *p, int j, float scale,
                                    const float *t, double *dot) {
  sweep_rows(from, to, p, j, scale, t, dot);
}
#endif

static void sweep(int64_t from, int64_t to, float *p, int j, float scale, const float *t,
                  double *dot) {
  switch (lrp_isa()) {
#if defined(__x86_64__)
    case LRP_ISA_HAS_AVX512:
      sweep_avx512(from, to, p, j, scale, t, dot);
      break;
    case LRP_ISA_HAS_AVX2:
      sweep_avx2(from, to, p, j, scale, t, dot);
      break;
#endif
    default:
      sweep_rows(from, to, p, j, scale, t, dot);
  }
}

/* R above, V below the diagonal. */
static void factor(int64_t m, int columns, float *p, float *r, float *tau) {
  float t[width] = {0.0f}; /* what v is multiplied with in the columns to the right */
  double dot[width];
  reflector h = {0};
  for (int j = 0; j < columns; j++) {
    const float *row = p + j * width;
    sweep(j, j + 1, p, j - 1, h.scale, t, dot);
    sweep(j + 1, m, p, j - 1, h.scale, t, dot);
    h = reflect((double)row[j], dot[j]);
    for (int c = 0; c < width; c++) {
      t[c] = c <= j ? 0.0f : h.tau * (row[c] + h.scale * (float)dot[c]);
      r[j * width + c] = c < j ? 0.0f : row[c] - t[c];
    }
    r[j * width + j] = h.beta;
    tau[j] = h.tau;
  }
  sweep(columns, m, p, columns - 1, h.scale, t, dot);
}

void lrp_panel_qr(int64_t m, float *p, float *r, float *tau) {
  const int columns = m < width ? (int)m : width;
  memset(r, 0, (size_t)width * width * sizeof *r);
  memset(tau, 0, width * sizeof *tau);
  factor(m, columns, p, r, tau);
  for (int i = 0; i < columns; i++) {
    p[i * width + i] = 1.0f;
    for (int c = i + 1; c < width; c++) p[i * width + c] = 0.0f;
  }
}
