#include "kernels/linalg/eigh.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/linalg/back.h"
#include "kernels/linalg/lapack.h"
#include "kernels/linalg/transpose.h"
#include "kernels/linalg/tridiagonal.h"

/* Up to this order xSYEVD is faster; side of the tiles that a matrix is mirrored in. */
enum { small_order = 256, tile = 32 };

/* Largest magnitude in the lower triangle. */
static float largest(int64_t n, const float *g) {
  float most = 0.0f;
#pragma omp parallel for schedule(static, 16) reduction(max : most)
  for (int64_t j = 0; j < n; j++) {
    for (int64_t i = j; i < n; i++) {
      const float x = fabsf(g[j * n + i]);
      most = x > most ? x : most;
    }
  }
  return most;
}

/* Both triangles of a = 2^-e times the lower one of g. In double: 2^149 is no float. */
static void scale_and_mirror(int64_t n, const float *g, int e, float *a, int64_t ld) {
  const double scale = ldexp(1.0, -e);
#pragma omp parallel for schedule(dynamic)
  for (int64_t j = 0; j < n; j += tile) {
    const int64_t below = j + tile < n ? j + tile : n;
    for (int64_t c = j; c < below; c++) {
      for (int64_t i = c; i < n; i++) a[c * ld + i] = (float)(scale * (double)g[c * n + i]);
    }
    lrp_mirror(below - j, a + j * ld + j, ld);
    lrp_transpose(n - below, below - j, a + j * ld + below, ld, a + below * ld + j, ld);
  }
}

static void descending(int n, const float *ascending, float *w) {
  for (int i = 0; i < n; i++) w[i] = ascending[n - 1 - i];
}

static lrp_status solve_small(int n, float *g, int rank, float *w, float *v, lrp_scratch *scratch) {
  lrp_status st = LRP_OK;
  const int lwork = 1 + 6 * n + 2 * n * n, liwork = 3 + 5 * n;
  int info = 0;
  float *d = lrp_scratch_take(scratch, &st, n, 1, sizeof *d);
  float *work = lrp_scratch_take(scratch, &st, lwork, 1, sizeof *work);
  int *iwork = lrp_scratch_take(scratch, &st, liwork, 1, sizeof *iwork);
  if (st != LRP_OK) return st;
  ssyevd_(rank > 0 ? "V" : "N", "L", &n, g, &n, d, work, &lwork, iwork, &liwork, &info, 1, 1);
  if (info != 0) return LRP_ERR_NUM;
  descending(n, d, w);
  for (int i = 0; i < rank; i++) {
    memcpy(v + (int64_t)i * n, g + (int64_t)(n - 1 - i) * n, (size_t)n * sizeof *v);
  }
  return LRP_OK;
}

/* What both stages leave for the way back, and the tridiagonal matrix. */
typedef struct {
  lrp_band_q q;
  float *diamonds;
  float *d, *e;
} reduced;

/* Space for what stays; the way back is needed for vectors only. */
static lrp_status take_reduced(int n, int rank, reduced *r, lrp_scratch *scratch) {
  const int64_t panels = lrp_band_panels(n);
  const int64_t diamonds = rank > 0 ? lrp_chase_diamonds(n, lrp_chase_groups(n)) : 0;
  lrp_status st = LRP_OK;
  r->d = lrp_scratch_take(scratch, &st, n, 1, sizeof(float));
  r->e = lrp_scratch_take(scratch, &st, n, 1, sizeof(float));
  r->q.t = lrp_scratch_take(scratch, &st, panels * LRP_BAND, LRP_BAND, sizeof(float));
  r->q.v = lrp_scratch_take(scratch, &st, lrp_band_v_rows(n, panels), LRP_BAND, sizeof(float));
  r->diamonds = lrp_scratch_take(scratch, &st, diamonds, LRP_DIAMOND_SIZE, sizeof(float));
  if (rank == 0) r->diamonds = NULL;
  return st;
}

/* Odd multiple of a cache line: else the columns of a matrix of order 4096 evict each other. */
static int leading_dimension(int n) {
  const int line = 16;
  return ((n + line - 1) / line | 1) * line;
}

/* Tridiagonal matrix of 2^-e g. */
static lrp_status reduce(int n, const float *g, int e, reduced *r, lrp_scratch *scratch) {
  const size_t mark = lrp_scratch_mark(scratch);
  const int ld = leading_dimension(n);
  lrp_status st = LRP_OK;
  float *band = lrp_scratch_take(scratch, &st, lrp_band_columns(n), LRP_BAND_LD, sizeof *band);
  float *a = lrp_scratch_take(scratch, &st, n, ld, sizeof *a);
  if (st != LRP_OK) return st;
  scale_and_mirror(n, g, e, a, ld);
  st = lrp_band_reduce(n, a, ld, band, r->q, scratch);
  if (st == LRP_OK) st = lrp_chase(n, band, r->d, r->e, r->diamonds, scratch);
  lrp_scratch_release(scratch, mark);
  return st;
}

/* Eigenvectors of the tridiagonal matrix, in z, then of the whole. */
static lrp_status vectors(int n, reduced *r, int rank, float *z, float *w, float *v,
                          lrp_scratch *scratch) {
  lrp_status st = LRP_OK;
  int *order = lrp_scratch_take(scratch, &st, n, 1, sizeof *order);
  if (st == LRP_OK) st = lrp_tridiagonal(n, r->d, r->e, rank, z, order, scratch);
  if (st != LRP_OK) return st;
  for (int i = 0; i < n; i++) w[i] = r->d[order[i]];
  return lrp_back(n, r->q, r->diamonds, rank, z, order, v, scratch);
}

/* Eigenvalues of the tridiagonal matrix only. */
static lrp_status values(int n, reduced *r, float *w) {
  int info = 0;
  ssterf_(&n, r->d, r->e, &info);
  descending(n, r->d, w);
  return info == 0 ? LRP_OK : LRP_ERR_NUM;
}

static lrp_status solve(int n, float *g, int rank, float *w, float *v, lrp_scratch *scratch) {
  reduced r;
  int e = 0;
  lrp_status st = take_reduced(n, rank, &r, scratch);
  if (st != LRP_OK) return st;
  frexpf(largest(n, g), &e);
  st = reduce(n, g, e, &r, scratch);
  if (st == LRP_OK) {
    st = rank > 0 ? vectors(n, &r, rank, g, w, v, scratch) : values(n, &r, w);
  }
  if (st != LRP_OK) return st;
  for (int i = 0; i < n; i++) w[i] = ldexpf(w[i], e);
  return LRP_OK;
}

lrp_status lrp_eigh(int n, float *g, int rank, float *w, float *v, lrp_scratch *scratch) {
  const size_t mark = lrp_scratch_mark(scratch);
  if (!lrp_tridiagonal_fits(n)) return LRP_ERR_NUM;
  const lrp_status st =
      n <= small_order ? solve_small(n, g, rank, w, v, scratch) : solve(n, g, rank, w, v, scratch);
  lrp_scratch_release(scratch, mark);
  return st;
}
