#include "kernels/linalg/decompose.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linalg/grid.h"
#include "kernels/linalg/grid_svd.h"
#include "kernels/linalg/svd.h"
#include "kernels/log.h"

/* Columns whose signs are found in one pass over u. */
enum { sign_block = 64 };

/* Magnitudes that differ by less, relatively, count as equal. */
static const double tie_tol = 1e-6;

/* What is asked for, and what became of the solvers that were tried. */
typedef struct {
  const char *name;
  const lrp_matrix *w;
  int rank;
  lrp_method method;
  lrp_dtype dtype;
  bool certified;         /* a solver converged, but its certificate does not pass */
  lrp_certificate failed; /* that certificate, the last one */
} request;

static lrp_status check(const request *q) {
  const int64_t m = q->w->rows;
  const int64_t n = q->w->cols;
  if (m > INT_MAX || n > INT_MAX) {
    return lrp_fail(LRP_ERR_NUM,
                    "%s: %lld x %lld: too large for 32-bit LAPACK; leave it out of the job",
                    q->name, (long long)m, (long long)n);
  }
  if (q->rank < 1 || q->rank > m || q->rank > n) {
    return lrp_fail(LRP_ERR_BUG, "%s: rank %d of a %lld x %lld matrix", q->name, q->rank,
                    (long long)m, (long long)n);
  }
  return LRP_OK;
}

/* The first entry of column j of u that is as large as any becomes positive. The two entries of a
 * pair of equal rows, say, differ by rounding only, which must not decide: hence a tolerance. */
static void fix_signs(lrp_triplets *t) {
  const size_t m = (size_t)t->m;
  const size_t n = (size_t)t->n;
  const size_t r = (size_t)t->rank;
  for (size_t first = 0; first < r; first += sign_block) {
    const size_t cols = r - first < sign_block ? r - first : sign_block;
    double largest[sign_block] = {0};
    double sign[sign_block] = {0};
    for (size_t i = 0; i < m; i++) {
      const double *row = t->u + i * r + first;
      for (size_t j = 0; j < cols; j++) largest[j] = fmax(largest[j], fabs(row[j]));
    }
    for (size_t i = 0; i < m; i++) {
      double *row = t->u + i * r + first;
      for (size_t j = 0; j < cols; j++) {
        if (sign[j] == 0.0 && fabs(row[j]) >= (1.0 - tie_tol) * largest[j]) {
          sign[j] = row[j] < 0.0 ? -1.0 : 1.0;
        }
      }
    }
    for (size_t i = 0; i < m; i++) {
      for (size_t j = 0; j < cols; j++) t->u[i * r + first + j] *= sign[j];
    }
    for (size_t j = 0; j < cols; j++) {
      for (size_t i = 0; i < n; i++) t->vt[(first + j) * n + i] *= sign[j];
    }
  }
}

/* Keep the leading rank columns of t->u and rows of t->vt, which hold k. */
static void keep_leading(lrp_triplets *t) {
  const size_t r = (size_t)t->rank;
  const size_t k = (size_t)t->k;
  if (r == k) return;
  for (size_t i = 1; i < (size_t)t->m; i++) memmove(t->u + i * r, t->u + i * k, r * sizeof *t->u);
  double *u = realloc(t->u, (size_t)t->m * r * sizeof *u);
  double *vt = realloc(t->vt, r * (size_t)t->n * sizeof *vt);
  if (u) t->u = u; /* else the larger one stays */
  if (vt) t->vt = vt;
}

/* Triplets by LAPACK; NUM without a record if the solver is not up to it. */
static lrp_status solve(const request *q, lrp_solver solver, lrp_triplets *t) {
  const int m = (int)q->w->rows;
  const int n = (int)q->w->cols;
  const int k = m < n ? m : n;
  lrp_status st = LRP_OK;

  *t = (lrp_triplets){.m = m, .n = n, .rank = q->rank, .k = k};
  if (!lrp_svd_fits(solver, n, m)) return LRP_ERR_NUM;
  const size_t count = (size_t)m * (size_t)n;
  double *a = malloc(count * sizeof *a);
  t->s = malloc((size_t)k * sizeof *t->s);
  t->u = malloc((size_t)m * (size_t)k * sizeof *t->u);
  t->vt = malloc((size_t)k * (size_t)n * sizeof *t->vt);
  if (!a || !t->s || !t->u || !t->vt) {
    st = lrp_fail_memory((count + (size_t)k * (size_t)(m + n + 1)) * sizeof *a, q->name);
  }
  if (st == LRP_OK) {
    lrp_matrix_to_f64(a, q->w);
    st = lrp_svd(solver, n, m, a, t->s, t->vt, t->u); /* of w^T: see svd.h */
  }
  free(a);
  if (st == LRP_OK) {
    keep_leading(t);
  } else {
    lrp_triplets_free(t);
  }
  return st;
}

/* Factors from triplets, if the certificate passes; else NUM without a record. */
static lrp_status conclude(request *q, lrp_solver solver, lrp_triplets *t, lrp_factors *out) {
  lrp_certificate c;

  fix_signs(t);
  lrp_status st = lrp_certify(q->w, t, &c);
  if (st != LRP_OK) return st;
  if (!lrp_certificate_passes(&c)) {
    q->certified = true;
    q->failed = c;
    return LRP_ERR_NUM;
  }
  if (!isfinite((float)t->s[0])) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: largest singular value %g is beyond float32, in which it is stored; check "
                    "the tensor's values",
                    q->name, t->s[0]);
  }
  st = lrp_factors_init(out, q->w, t, &c, q->method, q->dtype);
  if (st == LRP_OK) out->solver = solver;
  return st;
}

static void log_escalation(const request *q, lrp_solver solver, const char *next) {
  if (q->certified) {
    lrp_log_local(
        "%s: the certificate of %s fails (error %.9g, predicted %.9g, orthogonality %.3g, "
        "residual %.3g); trying %s",
        q->name, lrp_solver_name(solver), q->failed.relative_error, q->failed.predicted,
        q->failed.orthogonality, q->failed.residual, next);
  } else {
    lrp_log_local("%s: %s does not converge, or not at this size; trying %s", q->name,
                  lrp_solver_name(solver), next);
  }
}

static lrp_status fail(const request *q) {
  const lrp_certificate *c = &q->failed;
  const int m = (int)q->w->rows;
  const int n = (int)q->w->cols;
  if (!lrp_svd_fits(LRP_SOLVER_GESVD, n, m)) {
    return lrp_fail(LRP_ERR_NUM,
                    "%s: %d x %d: too large for 32-bit LAPACK; leave it out of the job", q->name, m,
                    n);
  }
  if (!q->certified) {
    return lrp_fail(LRP_ERR_NUM,
                    "%s: %d x %d: neither gesdd nor gesvd converges; leave it out of the job",
                    q->name, m, n);
  }
  return lrp_fail(LRP_ERR_NUM,
                  "%s: %d x %d, rank %d: no solver passes the certificate: relative error %.9g, "
                  "predicted %.9g, orthogonality %.3g, residual %.3g; leave it out of the job",
                  q->name, m, n, q->rank, c->relative_error, c->predicted, c->orthogonality,
                  c->residual);
}

static lrp_status decompose_local(request *q, lrp_factors *out) {
  static const lrp_solver solvers[] = {LRP_SOLVER_GESDD, LRP_SOLVER_GESVD};
  lrp_triplets t;

  q->certified = false;
  for (int i = 0; i < 2; i++) {
    lrp_status st = solve(q, solvers[i], &t);
    if (st == LRP_OK) st = conclude(q, solvers[i], &t, out);
    lrp_triplets_free(&t);
    if (st != LRP_ERR_NUM) return st;
    if (i == 0) log_escalation(q, solvers[0], lrp_solver_name(solvers[1]));
  }
  return fail(q);
}

lrp_status lrp_decompose(const char *name, const lrp_matrix *w, int rank, lrp_method method,
                         lrp_dtype dtype, lrp_factors *out) {
  request q = {.name = name, .w = w, .rank = rank, .method = method, .dtype = dtype};

  *out = (lrp_factors){0};
  lrp_status st = check(&q);
  if (st == LRP_OK) st = decompose_local(&q, out);
  if (st != LRP_OK) lrp_factors_free(out);
  return st;
}

/* Triplets on process rank 0 of comm. NUM without a record, the same on every process rank, if the
 * grid cannot do it. */
static lrp_status solve_on_grid(const request *q, MPI_Comm comm, lrp_triplets *t) {
  const int64_t k = q->w->rows < q->w->cols ? q->w->rows : q->w->cols;
  lrp_status st = LRP_OK;
  lrp_grid grid;
  int size, nprow, npcol;

  *t = (lrp_triplets){0};
  if (k < LRP_GRID_SIDE_MIN) return LRP_ERR_NUM;
  MPI_Comm_size(comm, &size);
  lrp_grid_shape(size, (int)k, &nprow, &npcol);
  lrp_grid_init(&grid, comm, nprow, npcol);
  if (grid.comm != MPI_COMM_NULL) st = lrp_grid_svd(q->w, q->rank, &grid, t);
  lrp_grid_free(&grid);
  return lrp_agree(st, comm); /* the process ranks outside of the grid learn it here */
}

/* What process rank 0 does alone. */
static lrp_status conclude_grid(request *q, lrp_status st, lrp_triplets *t, lrp_factors *out) {
  if (st == LRP_OK) st = conclude(q, LRP_SOLVER_GRID, t, out);
  lrp_triplets_free(t);
  if (st != LRP_ERR_NUM) return st;
  if (q->w->rows >= LRP_GRID_SIDE_MIN && q->w->cols >= LRP_GRID_SIDE_MIN) {
    log_escalation(q, LRP_SOLVER_GRID, "one process rank");
  }
  return decompose_local(q, out);
}

lrp_status lrp_decompose_grid(const char *name, const lrp_matrix *w, int rank, lrp_method method,
                              lrp_dtype dtype, MPI_Comm comm, lrp_factors *out) {
  request q = {.name = name, .w = w, .rank = rank, .method = method, .dtype = dtype};
  lrp_triplets t;
  int me;

  *out = (lrp_factors){0};
  lrp_status st = check(&q); /* of arguments that are the same everywhere */
  if (st != LRP_OK) return st;
  MPI_Comm_rank(comm, &me);
  st = solve_on_grid(&q, comm, &t);
  if (me == 0 && (st == LRP_OK || st == LRP_ERR_NUM)) st = conclude_grid(&q, st, &t, out);
  if (me != 0 && st == LRP_ERR_NUM) st = LRP_OK; /* process rank 0 tries again */
  st = lrp_agree(st, comm);
  if (st != LRP_OK) lrp_factors_free(out);
  return st;
}
