#include "kernels/linalg/gram_svd.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/linalg/eigh.h"
#include "kernels/linalg/gram.h"
#include "kernels/linalg/lapack.h"
#include "kernels/linalg/norm.h"
#include "kernels/linalg/ortho.h"
#include "kernels/linalg/outliers.h"
#include "kernels/linalg/panel.h"
#include "kernels/linalg/transpose.h"
#include "kernels/linalg/weight_product.h"

enum {
  panel_side = 256,   /* rows or columns of W in float32 at a time */
  transpose_cols = 64 /* of a thread at a time */
};

typedef struct {
  const lrp_matrix *w;
  bool wide; /* m < n: the short side are the rows */
  int m, n, k;
  int rank;
  lrp_triplets out; /* outliers; rank 0: none */
  lrp_scratch *scratch;
} run;

/* Whether a look at W Omega makes outliers likely. */
static lrp_status suspect(const run *x, bool *suspected) {
  enum { cols = LRP_OUTLIERS_PROBE };
  const lrp_operand a = {x->w, false};
  lrp_status st = LRP_OK;
  float *omega = lrp_scratch_take(x->scratch, &st, x->n, cols, sizeof *omega);
  float *image = lrp_scratch_take(x->scratch, &st, x->m, cols, sizeof *image);
  if (st != LRP_OK) return st;
  lrp_fill_signs(omega, (int64_t)x->n * cols);
  st = lrp_split_product(a, cols, omega, cols, image, cols, x->scratch);
  if (st != LRP_OK) return st;
  return lrp_outliers_suspected(x->k, x->m, cols, image, x->scratch, suspected);
}

static lrp_status find_outliers(run *x) {
  const size_t mark = lrp_scratch_mark(x->scratch);
  bool suspected = false;
  double energy;
  lrp_status st = suspect(x, &suspected);
  lrp_scratch_release(x->scratch, mark);
  if (st != LRP_OK || !suspected) return st;
  st = lrp_squared_norm(x->w, &energy);
  if (st == LRP_OK) st = lrp_outliers(x->w, energy, x->scratch, &x->out);
  if (st == LRP_OK && x->out.rank >= x->rank) lrp_triplets_truncate(&x->out, x->rank - 1);
  return st;
}

/* ---- Gram matrix ---- */

/* panel (rows i.. of W if tall, columns if wide; rows x cols, dense) -= the outliers' part. */
static void subtract_outliers(const run *x, int64_t first, int rows, int cols, float *panel) {
  const float one = 1.0f, minus_one = -1.0f;
  const lrp_triplets *t = &x->out;
  const float *u = x->wide ? t->u : t->u + first * t->rank;
  const float *vt = x->wide ? t->vt + first : t->vt;
  sgemm_("N", "N", &cols, &rows, &t->rank, &minus_one, vt, &x->n, u, &t->rank, &one, panel, &cols,
         1, 1);
}

/* G of W without its outliers, by panels in float32. */
static lrp_status deflated_gram(run *x, float *g) {
  const float one = 1.0f;
  const size_t mark = lrp_scratch_mark(x->scratch);
  const int longer = x->wide ? x->n : x->m;
  lrp_status st = LRP_OK;
  float *f = lrp_scratch_take(x->scratch, &st, panel_side, x->k, sizeof *f);
  for (int i = 0; st == LRP_OK && i < longer; i += panel_side) {
    const int side = longer - i < panel_side ? longer - i : panel_side;
    const float beta = i == 0 ? 0.0f : 1.0f;
    const int rows = x->wide ? x->m : side, cols = x->wide ? side : x->n;
    const lrp_matrix panel =
        x->wide ? lrp_panel(x->w, 0, i, rows, cols) : lrp_panel(x->w, i, 0, rows, cols);
    lrp_panel_to_f32(f, &panel);
    subtract_outliers(x, i, rows, cols, f);
    ssyrk_("L", x->wide ? "T" : "N", &x->k, &side, &one, f, &cols, &beta, g, &x->k, 1, 1);
  }
  lrp_scratch_release(x->scratch, mark);
  return st;
}

/* The outliers' s_i, so that U diag(s) is their left factor; and back. */
static void scale_outliers(run *x, bool back) {
  lrp_triplets *t = &x->out;
  for (int64_t i = 0; i < t->m; i++) {
    for (int j = 0; j < t->rank; j++) {
      float *u = &t->u[i * t->rank + j];
      *u = (float)(back ? *u / t->s[j] : *u * t->s[j]);
    }
  }
}

static lrp_status gram(run *x, float *g) {
  if (x->out.rank == 0) return lrp_gram(x->w, g, x->scratch);
  scale_outliers(x, false);
  const lrp_status st = deflated_gram(x, g);
  scale_outliers(x, true);
  return st;
}

/* ---- factors ---- */

static int descending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x < y) - (x > y);
}

/* Norms, then square roots of the other eigenvalues. Neighbours that rounding has exchanged differ
 * by less than the certificate sees. */
static void fill_spectrum(const run *x, const float *eig, double *s) {
  qsort(s, (size_t)x->rank, sizeof *s, descending);
  for (int i = x->rank; i < x->k; i++) {
    const float w = eig[i - x->out.rank];
    s[i] = fmin(w > 0.0f ? sqrt((double)w) : 0.0, s[i - 1]);
  }
}

/* short_side (k x rank) and long_side (p x rank), row-major: the vectors of the short side are
 * known, those of the long side are W times them, made orthonormal. */
static lrp_status complete(const run *x, const float *short_side, float *long_side, double *s) {
  const int o = x->out.rank;
  const int64_t longer = x->wide ? x->n : x->m;
  const lrp_operand a = {x->w, x->wide};
  lrp_status st = lrp_weight_product(a, x->rank - o, short_side + o, x->rank, long_side + o,
                                     x->rank, x->scratch);
  if (st != LRP_OK) return st;
  for (int j = 0; j < o; j++) s[j] = x->out.s[j];
  st = lrp_normalize_columns(longer, x->rank - o, long_side + o, x->rank, x->scratch, s + o);
  if (st != LRP_OK) return st;
  return lrp_reorthonormalize(longer, x->rank, long_side, x->rank, x->scratch);
}

/* dst (cols x rows, leading dimension ldd) = src^T, src being rows x cols; both row-major. */
static void transpose(float *dst, int64_t ldd, const float *src, int64_t rows, int64_t cols) {
#pragma omp parallel for schedule(static)
  for (int64_t j = 0; j < cols; j += transpose_cols) {
    const int64_t here = cols - j < transpose_cols ? cols - j : transpose_cols;
    lrp_transpose(here, rows, src + j, cols, dst + j * ldd, ldd);
  }
}

/* Factors from eigenvectors v: k x (rank - out.rank), column-major. */
static lrp_status make_factors(const run *x, float *v, lrp_triplets *t) {
  const int o = x->out.rank, rest = x->rank - o;
  const int64_t longer = x->wide ? x->n : x->m;
  const float *of_short = x->wide ? x->out.u : x->out.vt;
  const float *of_long = x->wide ? x->out.vt : x->out.u;
  lrp_status st = LRP_OK;
  float *other = lrp_scratch_take(x->scratch, &st, x->n, x->rank, sizeof *other); /* V */
  float *near = x->wide ? t->u : other, *far = x->wide ? other : t->u;
  if (st != LRP_OK) return st;
  transpose(near + o, x->rank, v, rest, x->k);
  if (o > 0) st = lrp_remove(x->k, o, of_short, !x->wide, rest, near + o, x->rank, x->scratch);
  if (st == LRP_OK) {
    st = lrp_normalize_columns(x->k, rest, near + o, x->rank, x->scratch, NULL);
  }
  lrp_place(x->k, o, of_short, !x->wide, near, x->rank);
  lrp_place(longer, o, of_long, x->wide, far, x->rank);
  if (st == LRP_OK) st = complete(x, near, far, t->s);
  if (st == LRP_OK) transpose(t->vt, x->n, other, x->n, x->rank);
  return st;
}

static lrp_status solve(run *x, lrp_triplets *t) {
  const int rest = x->rank - x->out.rank;
  lrp_status st = LRP_OK;
  float *eig = lrp_scratch_take(x->scratch, &st, x->k, 1, sizeof *eig);
  float *v = lrp_scratch_take(x->scratch, &st, x->k, rest, sizeof *v);
  const size_t mark = lrp_scratch_mark(x->scratch);
  float *g = lrp_scratch_take(x->scratch, &st, x->k, x->k, sizeof *g);
  if (st == LRP_OK) st = gram(x, g);
  if (st == LRP_OK) st = lrp_eigh(x->k, g, rest, eig, v, x->scratch);
  lrp_scratch_release(x->scratch, mark);
  if (st == LRP_OK) st = make_factors(x, v, t);
  if (st == LRP_OK) fill_spectrum(x, eig, t->s);
  return st;
}

lrp_status lrp_gram_svd(const lrp_matrix *w, int rank, lrp_scratch *scratch, lrp_triplets *t) {
  const size_t mark = lrp_scratch_mark(scratch);
  run x = {.w = w,
           .wide = w->rows < w->cols,
           .m = (int)w->rows,
           .n = (int)w->cols,
           .rank = rank,
           .scratch = scratch};
  x.k = x.wide ? x.m : x.n;
  lrp_status st = lrp_triplets_create(t, x.m, x.n, rank);
  if (st == LRP_OK) st = find_outliers(&x);
  if (st == LRP_OK) st = solve(&x, t);
  lrp_triplets_free(&x.out);
  lrp_scratch_release(scratch, mark);
  if (st != LRP_OK) lrp_triplets_free(t);
  return st;
}
