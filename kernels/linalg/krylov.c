#include "kernels/linalg/krylov.h"

#include <math.h>
#include <string.h>

#include "kernels/linalg/lapack.h"
#include "kernels/linalg/norm.h"
#include "kernels/linalg/ortho.h"
#include "kernels/linalg/outliers.h"
#include "kernels/linalg/ritz.h"
#include "kernels/linalg/weight_product.h"

/* Orthogonality of a block: the space has no more, see remove_known. */
static const double basis_enough = 1e-4;

/* A space of that size costs little whatever the matrix. */
enum { small_limit = 256 };

/* Part of the energy that must be left: of less, what bfloat16 rounds in the space may be most. */
static const double rest_min = 1e-5;

/* A space under way. A is the tall one of W and W^T: p x k with p >= k. */
typedef struct {
  lrp_operand a;
  int64_t p, k;
  lrp_triplets out; /* outliers of W, rank 0 for none: the space is that of what is left of it */
  int rank;         /* wanted besides them */
  int block;        /* vectors that are added at a time */
  int size;         /* of the space */
  int capacity;     /* leading dimension of basis and image */
  float *basis;     /* k x capacity: K, nearly orthonormal */
  float *image;     /* p x capacity: A K, as bfloat16 makes it */
  float *next;      /* k x block: A^T A of the last block, then what of it is new */
  double energy;    /* |W|_F^2, without them; an estimate to begin with */
  bool energy_is_exact;
  lrp_scratch *scratch;
} space;

static int round_up(int a, int b) {
  return (a + b - 1) / b * b;
}

/* Twice the size where the vectors have grown: a multiple of 16, but of no power of two, so that
 * rows do not fall on each other in the caches. */
static lrp_status reserve(space *x, int size) {
  if (size <= x->capacity) return LRP_OK;
  const int capacity = round_up(size + size / 2, 64) + 16;
  lrp_status st = LRP_OK;
  float *basis = lrp_scratch_take(x->scratch, &st, x->k, capacity, sizeof *basis);
  float *image = lrp_scratch_take(x->scratch, &st, x->p, capacity, sizeof *image);
  if (st != LRP_OK) return st;
  for (int64_t i = 0; x->size > 0 && i < x->k; i++) {
    memcpy(basis + i * capacity, x->basis + i * x->capacity, (size_t)x->size * sizeof *basis);
  }
  for (int64_t i = 0; x->size > 0 && i < x->p; i++) {
    memcpy(image + i * capacity, x->image + i * x->capacity, (size_t)x->size * sizeof *image);
  }
  x->basis = basis;
  x->image = image;
  x->capacity = capacity;
  return LRP_OK;
}

/* Take the outliers out of a block of the short or the long side. */
static lrp_status remove_outliers(space *x, bool of_short, int64_t rows, float *block, int64_t ld) {
  const bool of_rows = of_short == x->a.transposed; /* the side of W's rows */
  if (x->out.rank == 0) return LRP_OK;
  return lrp_remove(rows, x->out.rank, of_rows ? x->out.u : x->out.vt, !of_rows, x->block, block,
                    ld, x->scratch);
}

/* next -= K (K^T next); *left = what is left of |next|^2. */
static lrp_status project(space *x, double *left) {
  const float one = 1.0f, zero = 0.0f, minus_one = -1.0f;
  const int k = (int)x->k;
  const size_t mark = lrp_scratch_mark(x->scratch);
  lrp_status st = remove_outliers(x, true, x->k, x->next, x->block);
  float *h = lrp_scratch_take(x->scratch, &st, x->size + 1, x->block, sizeof *h);
  *left = lrp_sum_of_squares(x->next, x->k * x->block);
  if (st == LRP_OK && x->size > 0) {
    sgemm_("N", "T", &x->size, &x->block, &k, &one, x->basis, &x->capacity, x->next, &x->block,
           &zero, h, &x->size, 1, 1);
    sgemm_("T", "N", &x->block, &k, &x->size, &minus_one, h, &x->size, x->basis, &x->capacity, &one,
           x->next, &x->block, 1, 1);
    *left -= lrp_sum_of_squares(h, (int64_t)x->size * x->block);
  }
  lrp_scratch_release(x->scratch, mark);
  return st;
}

/* Leave in next what is new: once, as the space needs no more orthogonality than bfloat16 has; once
 * more where so little is left that rounding shows. */
static lrp_status remove_known(space *x) {
  const double little = 0.02 * 0.02;
  const double before = lrp_sum_of_squares(x->next, x->k * x->block);
  double left;
  lrp_status st = project(x, &left);
  if (st == LRP_OK && !(left > little * before)) st = project(x, &left);
  return st;
}

/* Take next, orthonormal, into the space, which has room; next becomes A^T A of it. */
static lrp_status add_block(space *x) {
  const size_t bytes = (size_t)x->block * sizeof *x->next;
  float *at = x->basis + x->size;
  for (int64_t i = 0; i < x->k; i++) memcpy(at + i * x->capacity, x->next + i * x->block, bytes);
  float *image = x->image + x->size;
  const lrp_status st = lrp_normal_product(x->a, x->block, at, x->capacity, image, x->capacity,
                                           x->next, x->block, x->scratch);
  x->size += x->block;
  return st == LRP_OK ? remove_outliers(x, false, x->p, image, x->capacity) : st;
}

/* next = A^T Omega; it shows, too, how large A is, to some per cent, and whether there may be
 * outliers. Source: Hutchinson, Commun. Stat. Simul. Comput. 18 (1989), 1059-1076. */
static lrp_status begin(space *x, bool *suspected) {
  const lrp_operand back = {x->a.w, !x->a.transposed};
  const size_t mark = lrp_scratch_mark(x->scratch);
  lrp_status st = LRP_OK;
  float *omega = lrp_scratch_take(x->scratch, &st, x->p, x->block, sizeof *omega);
  if (st == LRP_OK) {
    lrp_fill_signs(omega, x->p * x->block);
    st = lrp_rough_product(back, x->block, omega, x->block, x->next, x->block, x->scratch);
  }
  if (st == LRP_OK) {
    x->energy = lrp_sum_of_squares(x->next, x->k * x->block) / x->block;
    st = lrp_outliers_suspected(x->k, x->k, x->block, x->next, x->scratch, suspected);
  }
  lrp_scratch_release(x->scratch, mark);
  return st;
}

/* |W|_F^2 without the outliers, exactly. */
static lrp_status measure_energy(space *x) {
  const lrp_status st = lrp_squared_norm(x->a.w, &x->energy);
  x->energy_is_exact = true;
  for (int i = 0; i < x->out.rank; i++) x->energy -= x->out.s[i] * x->out.s[i];
  return st;
}

static lrp_status find_outliers(space *x) {
  lrp_status st = measure_energy(x);
  if (st == LRP_OK) st = lrp_outliers(x->a.w, x->energy, x->scratch, &x->out);
  for (int i = 0; i < x->out.rank; i++) x->energy -= x->out.s[i] * x->out.s[i];
  x->rank -= x->out.rank;
  return st;
}

/* By how much the error may still exceed the best one, relatively. A Ritz value theta_i with
 * residual rho_i misses at most rho_i^2 / gap; the gap is that to the values that are not wanted:
 * to the largest of them, or, times a factor seen on many spectra, to their middle.
 * Source: Parlett, The Symmetric Eigenvalue Problem, SIAM 1998, section 11.7. */
static lrp_status estimate_missing(space *x, const lrp_ritz *z, double *missing) {
  const double from_middle = 6.0;
  const int middle = x->rank + (x->size - x->rank) / 2;
  const double edge = x->rank < x->size ? z->theta[x->rank] : 0.0;
  const double center = middle < x->size ? z->theta[middle] : 0.0;
  double to_edge = 0.0, to_middle = 0.0, kept = 0.0;
  lrp_status st = LRP_OK;

  for (int i = 0; i < x->rank; i++) {
    const double rho2 = z->rho[i] * z->rho[i];
    to_edge += rho2 / fmax(fmax(z->theta[i] - edge, z->rho[i]), 1e-300);
    to_middle += rho2 / fmax(fmax(z->theta[i] - center, z->rho[i]), 1e-300);
    kept += z->theta[i];
  }
  if (!x->energy_is_exact && kept > 0.5 * x->energy) st = measure_energy(x);
  const double rest = fmax(x->energy - kept, 1e-7 * x->energy); /* both are rounded */
  *missing = fmin(to_edge, from_middle * to_middle) / (2.0 * rest);
  return st;
}

/* The left factor's space, m x cols, orthonormal: the outliers', then A X for a tall W, K X for a
 * wide one. */
static lrp_status left_block(const space *x, const lrp_ritz *z, int cols, float *u) {
  const float one = 1.0f, zero = 0.0f;
  const int m = (int)x->a.w->rows, o = x->out.rank;
  const float *from = x->a.transposed ? x->basis : x->image;
  lrp_place(m, o, x->out.u, false, u, cols);
  sgemm_("T", "N", &z->cols, &m, &x->size, &one, z->vectors, &x->size, from, &x->capacity, &zero,
         u + o, &cols, 1, 1);
  const lrp_status st = lrp_orthonormalize(m, cols, u, cols, LRP_ORTHONORMAL, x->scratch);
  return st == LRP_OK ? lrp_normalize_columns(m, cols, u, cols, x->scratch, NULL) : st;
}

/* Whether the error is large enough not to be one of bfloat16: of other weights it rounds the
 * outliers, too. */
static bool is_credible(const space *x, const lrp_triplets *t) {
  double rest = x->energy, rounded = x->energy;
  for (int i = x->out.rank; i < t->rank; i++) rest -= t->s[i] * t->s[i];
  for (int i = 0; i < x->out.rank && x->a.w->dtype != LRP_BF16; i++) {
    rounded += x->out.s[i] * x->out.s[i];
  }
  return !x->energy_is_exact || rest > rest_min * rounded;
}

static lrp_status finish(const space *x, const lrp_ritz *z, lrp_triplets *t) {
  const lrp_operand back = {x->a.w, true}; /* W^T */
  const int cols = x->out.rank + z->cols;
  lrp_status st = LRP_OK;
  float *u = lrp_scratch_take(x->scratch, &st, t->m, cols, sizeof *u);
  float *c = lrp_scratch_take(x->scratch, &st, t->n, cols, sizeof *c);
  if (st == LRP_OK) st = left_block(x, z, cols, u);
  if (st == LRP_OK) st = lrp_split_product(back, cols, u, cols, c, cols, x->scratch);
  if (st == LRP_OK) st = lrp_ritz_finish(cols, u, c, t, x->scratch);
  for (int i = 0; st == LRP_OK && i < x->out.rank; i++) t->s[i] = x->out.s[i]; /* more exact */
  return st == LRP_OK && !is_credible(x, t) ? LRP_ERR_NUM : st;
}

/* The outliers are all that is asked for. */
static lrp_status finish_outliers(const space *x, lrp_triplets *t) {
  memcpy(t->s, x->out.s, (size_t)t->rank * sizeof *t->s);
  for (int i = t->rank; i < t->k; i++) t->s[i] = NAN;
  for (int64_t i = 0; i < t->m; i++) {
    memcpy(t->u + i * t->rank, x->out.u + i * x->out.rank, (size_t)t->rank * sizeof *t->u);
  }
  memcpy(t->vt, x->out.vt, (size_t)t->rank * (size_t)t->n * sizeof *t->vt);
  return LRP_OK;
}

/* Size at which the first look is worth while, seen on the spectra of language models. */
static int first_size(const space *x) {
  return round_up(13 * x->rank / 4 + 7 * x->block / 4, x->block);
}

/* Grow the space to size, and look at it: z, and how much is missing. */
static lrp_status advance(space *x, int size, lrp_ritz *z) {
  lrp_status st = LRP_OK;
  while (st == LRP_OK && x->size < size) {
    st = remove_known(x);
    if (st == LRP_OK) {
      st = lrp_orthonormalize(x->k, x->block, x->next, x->block, basis_enough, x->scratch);
    }
    if (st == LRP_OK) st = add_block(x);
  }
  if (st == LRP_OK) st = remove_known(x); /* what is left of next are the residuals */
  if (st != LRP_OK) return st;
  const lrp_subspace s = {.size = x->size,
                          .p = x->p,
                          .image = x->image,
                          .ld = x->capacity,
                          .k = x->k,
                          .block = x->block,
                          .residual = x->next};
  return lrp_ritz_solve(&s, x->rank, z, x->scratch);
}

/* Beyond this the Gram matrix is cheaper; and the space must leave room for a residual. */
static int size_limit(const space *x) {
  const int64_t limit = x->k / 4 > small_limit ? x->k / 4 : small_limit;
  return (int)(limit < x->k - x->block ? limit : x->k - x->block);
}

/* Ten times less is missing in a space half as large again, seen on flat spectra; sooner on others.
 */
static int next_size(const space *x, double too_much) {
  const int more = (int)(0.55 * x->size * fmin(log10(too_much), 1.0));
  return x->size + (more > x->block ? round_up(more, x->block) : x->block);
}

/* What a few triplets miss costs little to find; blocks of 16 are estimated with room to spare. */
static double excess_for(int rank) {
  if (rank <= 8) return LRP_KRYLOV_EXCESS / 10.0;
  return rank <= 32 ? LRP_KRYLOV_EXCESS * 2.0 : LRP_KRYLOV_EXCESS;
}

static lrp_status expand(space *x, int size_max, lrp_triplets *t) {
  bool suspected = false;
  lrp_status st = begin(x, &suspected);
  if (st == LRP_OK && suspected) st = find_outliers(x);
  if (st == LRP_OK && x->rank <= 0) return finish_outliers(x, t);
  int size = first_size(x);
  while (st == LRP_OK) {
    lrp_ritz z;
    double missing = INFINITY;
    if (size > size_max) return LRP_ERR_NUM;
    st = reserve(x, size);
    const size_t mark = lrp_scratch_mark(x->scratch);
    if (st == LRP_OK) st = advance(x, size, &z);
    if (st == LRP_OK) st = estimate_missing(x, &z, &missing);
    const bool enough = missing <= excess_for(x->rank);
    if (st == LRP_OK && enough) st = finish(x, &z, t);
    lrp_scratch_release(x->scratch, mark);
    if (enough) break;
    size = next_size(x, missing / excess_for(x->rank));
  }
  return st;
}

lrp_status lrp_krylov(const lrp_matrix *w, int rank, lrp_scratch *scratch, lrp_triplets *t) {
  const bool wide = w->rows < w->cols;
  const size_t mark = lrp_scratch_mark(scratch);
  space x = {.a = {w, wide}, .rank = rank, .scratch = scratch};
  x.p = wide ? w->cols : w->rows;
  x.k = wide ? w->rows : w->cols;
  x.block = rank <= 32 ? 16 : 32;

  lrp_status st = lrp_triplets_create(t, (int)w->rows, (int)w->cols, rank);
  x.next = lrp_scratch_take(scratch, &st, x.k, x.block, sizeof *x.next);
  if (st == LRP_OK) st = expand(&x, size_limit(&x), t);
  lrp_triplets_free(&x.out);
  lrp_scratch_release(scratch, mark);
  if (st != LRP_OK) lrp_triplets_free(t);
  return st;
}
