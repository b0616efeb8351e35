#include "kernels/linalg/grid_outlier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the root mean square of the other singular values: what single precision bears, and what
 * vectors in float bear. */
static const double outlier_min = 27.0;
static const double outlier_max = 3e4;

/* Iterations after which the largest value is known well enough to say whether it is an outlier,
 * and those that an outlier gets until its residual is converged. */
enum { iterations_min = 8, iterations_max = 60 };
static const double converged = 1e-10;

/* Distance from the next value at which an outlier is put. */
static const double first_step = 1.3;
static const double next_step = 1.1;

typedef struct {
  lrp_dmat *b; /* borrowed */
  bool right;
  int k, longer;
  double *x;     /* owned, k each: vectors of the outliers, then of the value in question */
  double *y;     /* part of x, longer each: W x, where W is b or its transpose */
  double *z;     /* part of x, k: W^T W x */
  double *local; /* part of x, b->locr */
} search;

/* out = b in, or b^T in; vectors are whole on every process rank. */
static void multiply(const search *t, bool transposed, const double *in, double *out) {
  const lrp_dmat *b = t->b;
  double *local = t->local;
  const int n = transposed ? b->n : b->m;

  memset(out, 0, (size_t)n * sizeof *out);
  for (int i = 0; i < b->locr; i++) local[i] = transposed ? in[lrp_dmat_global_row(b, i)] : 0.0;
  for (int j = 0; j < b->locc; j++) {
    const float *column = (const float *)b->loc + (size_t)j * (size_t)b->lld;
    const int64_t at = lrp_dmat_global_column(b, j);
    if (transposed) {
      double sum = 0.0;
      for (int i = 0; i < b->locr; i++) sum += column[i] * local[i];
      out[at] = sum;
    } else {
      for (int i = 0; i < b->locr; i++) local[i] += column[i] * in[at];
    }
  }
  for (int i = 0; !transposed && i < b->locr; i++) out[lrp_dmat_global_row(b, i)] = local[i];
  lrp_grid_sum(b->grid, out, n);
}

/* b += factor times the part of outlier i. */
static void add(const search *t, double factor, int i) {
  lrp_dmat *b = t->b;
  const double *x = t->x + (size_t)i * (size_t)t->k;
  const double *y = t->y + (size_t)i * (size_t)t->longer;
  const double *of_row = t->right ? y : x, *of_column = t->right ? x : y;

  for (int l = 0; l < b->locr; l++) t->local[l] = factor * of_row[lrp_dmat_global_row(b, l)];
  for (int j = 0; j < b->locc; j++) {
    float *column = (float *)b->loc + (size_t)j * (size_t)b->lld;
    const double c = of_column[lrp_dmat_global_column(b, j)];
    for (int l = 0; l < b->locr; l++) column[l] = (float)(column[l] + t->local[l] * c);
  }
}

static double length(const double *x, int n) {
  double sum = 0.0;
  for (int i = 0; i < n; i++) sum += x[i] * x[i];
  return sqrt(sum);
}

/* Any vector that is not likely to be orthogonal to another, the same everywhere. */
static void begin(double *x, int n) {
  uint64_t state = 1;
  for (int i = 0; i < n; i++) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    x[i] = state >> 63 ? 1.0 : -1.0;
  }
}

/* The largest singular value of what is left of b, with its vectors at place at: exactly if it is
 * at least limit, else roughly. LRP_ERR_NUM if it is, and does not converge. */
static lrp_status largest(const search *t, int at, double limit, double *s) {
  double *x = t->x + (size_t)at * (size_t)t->k;
  double *y = t->y + (size_t)at * (size_t)t->longer;

  begin(x, t->k);
  for (int step = 0; step < iterations_max; step++) {
    const double scale = 1.0 / length(x, t->k);
    for (int i = 0; i < t->k; i++) x[i] *= scale;
    multiply(t, !t->right, x, y);
    *s = length(y, t->longer);
    if (*s == 0.0 || (step >= iterations_min && *s < limit)) return LRP_OK;
    multiply(t, t->right, y, t->z);
    double residual = 0.0;
    for (int i = 0; i < t->k; i++) {
      residual += (t->z[i] - *s * *s * x[i]) * (t->z[i] - *s * *s * x[i]);
    }
    if (sqrt(residual) <= converged * *s * *s) return LRP_OK;
    memcpy(x, t->z, (size_t)t->k * sizeof *x);
  }
  return *s < limit ? LRP_OK : LRP_ERR_NUM;
}

/* |b|_F^2; norm has room for b->n. */
static double energy(const lrp_dmat *b, double *norm) {
  double sum = 0.0;
  lrp_dmat_column_norms(b, b->n, norm);
  for (int j = 0; j < b->n; j++) sum += norm[j] * norm[j];
  return sum;
}

/* Take outliers out of b one after the other; *next is the largest value of what is left. */
static lrp_status take_out(const search *t, lrp_outliers *o, double *next) {
  for (;;) {
    const double others = t->k - o->count - 1;
    if (others < 1.0) return LRP_ERR_NUM;
    const double sum = energy(t->b, t->y + (size_t)o->count * (size_t)t->longer);
    /* s^2 > outlier_min^2 (sum - s^2) / others */
    const double squared = outlier_min * outlier_min;
    const double limit = sqrt(squared * sum / (others + squared));
    const lrp_status st = largest(t, o->count, limit, next);
    if (st != LRP_OK) return st;
    if (*next < limit || *next == 0.0) return LRP_OK;
    const double mean = sqrt(fmax(sum - *next * *next, 0.0) / others);
    if (o->count == LRP_OUTLIERS_MAX || *next > outlier_max * mean) return LRP_ERR_NUM;
    o->s[o->count] = *next;
    add(t, -1.0, o->count++);
  }
}

/* Smaller, and in the same order. */
static void put_back(const search *t, const lrp_outliers *o, double next) {
  double s = first_step * next;
  for (int i = o->count - 1; i >= 0; i--) {
    add(t, s < o->s[i] ? s / o->s[i] : 1.0, i);
    s *= next_step;
  }
}

lrp_status lrp_grid_tame(lrp_dmat *b, bool right, lrp_outliers *o) {
  search t = {.b = b, .right = right, .k = right ? b->n : b->m, .longer = right ? b->m : b->n};
  const size_t k = (size_t)t.k, longer = (size_t)t.longer, room = LRP_OUTLIERS_MAX + 1;
  double next;

  *o = (lrp_outliers){.count = 0};
  const size_t count = room * (k + longer) + k + (size_t)b->locr;
  t.x = malloc(count * sizeof *t.x);
  lrp_status st = t.x ? LRP_OK : lrp_fail_memory(count * sizeof *t.x, "vectors of outliers");
  st = lrp_agree(st, b->grid->comm);
  if (st == LRP_OK) {
    t.y = t.x + room * k;
    t.z = t.y + room * longer;
    t.local = t.z + k;
    st = take_out(&t, o, &next);
  }
  if (st == LRP_OK) put_back(&t, o, next);
  free(t.x);
  return st;
}
