#include "kernels/linalg/factors.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linalg/certificate.h"

const char *lrp_method_name(lrp_method method) {
  return method == LRP_TUCKER ? "tucker" : "svd";
}

const char *lrp_solver_name(lrp_solver solver) {
  switch (solver) {
    case LRP_SOLVER_GESDD:
      return "gesdd";
    case LRP_SOLVER_GESVD:
      return "gesvd";
    case LRP_SOLVER_GRID:
      return "grid";
    case LRP_SOLVER_KRYLOV:
      return "krylov";
    case LRP_SOLVER_GRAM:
      return "gram";
  }
  return "?";
}

void lrp_triplets_free(lrp_triplets *t) {
  free(t->s);
  free(t->u);
  free(t->vt);
  *t = (lrp_triplets){0};
}

lrp_status lrp_triplets_create(lrp_triplets *t, int m, int n, int rank) {
  const size_t r = (size_t)rank;
  *t = (lrp_triplets){.m = m, .n = n, .rank = rank, .k = m < n ? m : n};
  t->s = malloc((size_t)t->k * sizeof *t->s);
  t->u = malloc((size_t)m * r * sizeof *t->u);
  t->vt = malloc(r * (size_t)n * sizeof *t->vt);
  if (t->s && t->u && t->vt) return LRP_OK;
  lrp_triplets_free(t);
  return lrp_fail_memory(((size_t)m + (size_t)n) * r * sizeof(float), "singular vectors");
}

void lrp_triplets_truncate(lrp_triplets *t, int rank) {
  const size_t kept = (size_t)rank * sizeof *t->u;
  for (int64_t i = 0; i < t->m; i++) memmove(t->u + i * rank, t->u + i * t->rank, kept);
  t->rank = rank;
}

void lrp_factors_free(lrp_factors *f) {
  free(f->spectrum);
  free(f->left);
  free(f->middle);
  free(f->right);
  *f = (lrp_factors){0};
}

static void *allocate(lrp_status *st, int64_t rows, int64_t cols, size_t size) {
  const size_t bytes = (size_t)rows * (size_t)cols * size;
  void *p = *st == LRP_OK ? calloc(1, bytes) : NULL;
  if (!p && *st == LRP_OK) *st = lrp_fail_memory(bytes, "factors");
  return p;
}

/* relative_error of what f holds. */
static lrp_status measure(lrp_factors *f, const lrp_matrix *w, lrp_scratch *scratch) {
  const int64_t step = f->method == LRP_TUCKER ? (int64_t)f->rank + 1 : 1;
  lrp_status st = LRP_OK;
  lrp_product p = {.rank = f->rank,
                   .u = {f->left, f->dtype, f->m, f->rank, f->rank},
                   .vt = {f->right, f->dtype, f->rank, f->n, f->n}};
  double error, norm;

  double *s = allocate(&st, f->rank, 1, sizeof *s);
  if (st == LRP_OK) {
    for (int i = 0; i < f->rank; i++) s[i] = f->middle[i * step];
    p.s = s;
    st = lrp_product_error(w, &p, scratch, &error, &norm);
  }
  if (st == LRP_OK) f->certificate.relative_error = lrp_relative(error, norm);
  free(s);
  return st;
}

/* A float array as the stored type: taken over, or rounded. */
static void *store(lrp_status *st, float **x, int64_t rows, int64_t cols, lrp_dtype dtype) {
  void *p = *x;
  if (dtype == LRP_F32) {
    *x = NULL;
    return p;
  }
  p = allocate(st, rows, cols, lrp_dtype_size(dtype));
  if (p) lrp_from_f32(p, dtype, *x, (size_t)rows * (size_t)cols);
  return p;
}

lrp_status lrp_factors_init(lrp_factors *out, const lrp_matrix *w, lrp_triplets *t,
                            const lrp_certificate *c, lrp_method method, lrp_dtype dtype,
                            lrp_scratch *scratch) {
  const int64_t r = t->rank;
  const int64_t step = method == LRP_TUCKER ? r + 1 : 1; /* core is diagonal */
  lrp_status st = LRP_OK;

  *out = (lrp_factors){.method = method, .dtype = dtype, .m = t->m, .n = t->n, .rank = t->rank};
  out->k = t->k;
  out->certificate = *c;
  out->spectrum = allocate(&st, t->k, 1, sizeof *out->spectrum);
  out->middle = allocate(&st, r, method == LRP_TUCKER ? r : 1, sizeof *out->middle);
  out->left = store(&st, &t->u, t->m, r, dtype);
  out->right = store(&st, &t->vt, r, t->n, dtype);
  if (st == LRP_OK) {
    memcpy(out->spectrum, t->s, (size_t)t->k * sizeof *t->s);
    for (int64_t i = 0; i < r; i++) out->middle[i * step] = (float)t->s[i];
    /* Rounding s to float32 changes nothing that the certificate of a large matrix could see. */
    if (dtype != LRP_F32 || t->k <= LRP_EXACT_SIDE) st = measure(out, w, scratch);
  }
  if (st != LRP_OK) lrp_factors_free(out);
  return st;
}

static int64_t times(int64_t a, int64_t b) {
  int64_t c;
  return __builtin_mul_overflow(a, b, &c) ? INT64_MAX : c;
}

static int64_t plus(int64_t a, int64_t b) {
  int64_t c;
  return __builtin_add_overflow(a, b, &c) ? INT64_MAX : c;
}

int64_t lrp_factor_parameters(lrp_method method, int64_t m, int64_t n, int64_t rank) {
  const int64_t sides = times(rank, plus(m, n));
  return method == LRP_TUCKER ? plus(sides, times(rank, rank)) : sides;
}

/* By bisection: the number of parameters grows with the rank. */
static int rank_within(lrp_method method, int64_t m, int64_t n, int64_t budget) {
  int64_t low = 1;
  int64_t high = m < n ? m : n;
  if (high > INT_MAX) high = INT_MAX;
  while (low < high) {
    const int64_t middle = high - (high - low) / 2;
    if (lrp_factor_parameters(method, m, n, middle) <= budget) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return (int)low;
}

int lrp_rank_for_budget(lrp_method method, int64_t m, int64_t n, double budget) {
  if (!(budget >= 1.0)) return 1; /* also NaN */
  /* The count is an integer, so it is within the budget if it is within its integer part. */
  return rank_within(method, m, n, budget < 0x1p62 ? (int64_t)budget : INT64_MAX);
}

int lrp_break_even_rank(lrp_method method, int64_t m, int64_t n) {
  return rank_within(method, m, n, times(m, n));
}

int lrp_rank_for_energy(const double *s, int k, double energy, double total) {
  double sum = 0.0;
  for (int i = 0; i < k; i++) {
    sum += s[i] * s[i];
    if (sum >= energy * total) return i + 1;
  }
  return k;
}
