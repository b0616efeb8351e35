#include "kernels/linalg/solve.h"

#include <assert.h>
#include <math.h>

#include "kernels/linalg/gram_svd.h"
#include "kernels/linalg/krylov.h"
#include "kernels/linalg/svd.h"

/* Columns whose signs are found in one pass over u. */
enum { sign_block = 32 };

/* Magnitudes that differ by less, relatively, count as equal. */
static const float tie_tol = 1e-6f;

/* sign[j] of columns first + j of u. */
static void find_signs(const lrp_triplets *t, int64_t first, int64_t cols, float *sign) {
  const int64_t r = t->rank;
  float largest[sign_block] = {0};
  for (int64_t i = 0; i < t->m; i++) {
    const float *row = t->u + i * r + first;
    for (int64_t j = 0; j < cols; j++) largest[j] = fmaxf(largest[j], fabsf(row[j]));
  }
  for (int64_t i = 0; i < t->m; i++) {
    const float *row = t->u + i * r + first;
    for (int64_t j = 0; j < cols; j++) {
      if (sign[j] == 0.0f && fabsf(row[j]) >= (1.0f - tie_tol) * largest[j]) {
        sign[j] = row[j] < 0.0f ? -1.0f : 1.0f;
      }
    }
  }
}

/* The first entry of column j of u that is as large as any becomes positive. The two entries of a
 * pair of equal rows, say, differ by rounding only, which must not decide: hence a tolerance. */
void lrp_triplets_fix_signs(lrp_triplets *t) {
  const int64_t r = t->rank;
#pragma omp parallel for schedule(static)
  for (int64_t first = 0; first < r; first += sign_block) {
    const int64_t cols = r - first < sign_block ? r - first : sign_block;
    float sign[sign_block] = {0};
    find_signs(t, first, cols, sign);
    for (int64_t i = 0; i < t->m; i++) {
      for (int64_t j = 0; j < cols; j++) t->u[i * r + first + j] *= sign[j];
    }
    for (int64_t j = 0; j < cols; j++) {
      if (sign[j] > 0.0f) continue;
      for (int64_t i = 0; i < t->n; i++) t->vt[(first + j) * t->n + i] *= sign[j];
    }
  }
}

/* By LAPACK in double, of w^T: see svd.h. */
static lrp_status solve_f64(const lrp_matrix *w, lrp_solver solver, lrp_scratch *scratch,
                            lrp_triplets *t) {
  const int64_t r = t->rank, k = t->k;
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  if (!lrp_svd_fits(solver, t->n, t->m)) return LRP_ERR_NUM;
  double *a = lrp_scratch_take(scratch, &st, t->m, t->n, sizeof *a);
  double *u = lrp_scratch_take(scratch, &st, t->m, k, sizeof *u);
  double *vt = lrp_scratch_take(scratch, &st, k, t->n, sizeof *vt);
  if (st == LRP_OK) {
    lrp_matrix_to_f64(a, w);
    st = lrp_svd(solver, t->n, t->m, a, t->s, vt, u);
  }
  if (st == LRP_OK) {
    for (int64_t i = 0; i < t->m; i++) {
      for (int64_t j = 0; j < r; j++) t->u[i * r + j] = (float)u[i * k + j];
    }
    for (int64_t i = 0; i < r * t->n; i++) t->vt[i] = (float)vt[i];
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

static lrp_status solve_exactly(const lrp_matrix *w, int rank, lrp_solver solver,
                                lrp_scratch *scratch, lrp_triplets *t) {
  lrp_status st = lrp_triplets_create(t, (int)w->rows, (int)w->cols, rank);
  if (st == LRP_OK) st = solve_f64(w, solver, scratch, t);
  if (st != LRP_OK) lrp_triplets_free(t);
  return st;
}

lrp_status lrp_solve(const lrp_matrix *w, int rank, lrp_solver solver, lrp_scratch *scratch,
                     lrp_triplets *t) {
  lrp_status st = LRP_ERR_NUM;
  *t = (lrp_triplets){0};
  switch (solver) {
    case LRP_SOLVER_KRYLOV:
      st = lrp_krylov(w, rank, scratch, t);
      break;
    case LRP_SOLVER_GRAM:
      st = lrp_gram_svd(w, rank, scratch, t);
      break;
    case LRP_SOLVER_GESDD:
    case LRP_SOLVER_GESVD:
      st = solve_exactly(w, rank, solver, scratch, t);
      break;
    case LRP_SOLVER_GRID:
      assert(false); /* lrp_decompose_grid */
      break;
  }
  if (st == LRP_OK) lrp_triplets_fix_signs(t);
  return st;
}
