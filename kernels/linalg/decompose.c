#include "kernels/linalg/decompose.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linalg/grid.h"
#include "kernels/linalg/grid_svd.h"
#include "kernels/linalg/solve.h"
#include "kernels/linalg/svd.h"
#include "kernels/log.h"

/* What is asked for, and what became of the solvers that were tried. */
typedef struct {
  const char *name;
  const lrp_matrix *w;
  int rank;
  lrp_method method;
  lrp_dtype dtype;
  lrp_scratch *scratch;
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

/* Factors from triplets, if the certificate passes; else NUM without a record. */
static lrp_status conclude(request *q, lrp_solver solver, lrp_triplets *t, lrp_factors *out) {
  lrp_certificate c;

  lrp_status st = lrp_certify(q->w, t, q->scratch, &c);
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
  st = lrp_factors_init(out, q->w, t, &c, q->method, q->dtype, q->scratch);
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

/* What is tried after solver; itself at the end. */
static lrp_solver stronger(lrp_solver solver) {
  switch (solver) {
    case LRP_SOLVER_KRYLOV:
      return LRP_SOLVER_GRAM;
    case LRP_SOLVER_GRAM:
      return LRP_SOLVER_GESDD;
    default:
      return LRP_SOLVER_GESVD;
  }
}

static lrp_status decompose_local(request *q, lrp_factors *out) {
  lrp_solver solver = lrp_solver_for(q->w->rows, q->w->cols, q->rank);
  lrp_triplets t;

  for (;;) {
    q->certified = false;
    lrp_status st = lrp_solve(q->w, q->rank, solver, q->scratch, &t);
    if (st == LRP_OK) st = conclude(q, solver, &t, out);
    lrp_triplets_free(&t);
    if (st != LRP_ERR_NUM) return st;
    if (solver == LRP_SOLVER_GESVD) return fail(q);
    log_escalation(q, solver, lrp_solver_name(stronger(solver)));
    solver = stronger(solver);
  }
}

lrp_status lrp_decompose(const char *name, const lrp_matrix *w, int rank, lrp_method method,
                         lrp_dtype dtype, lrp_scratch *scratch, lrp_factors *out) {
  request q = {
      .name = name, .w = w, .rank = rank, .method = method, .dtype = dtype, .scratch = scratch};

  *out = (lrp_factors){0};
  lrp_status st = check(&q);
  if (st == LRP_OK) st = decompose_local(&q, out);
  if (st != LRP_OK) lrp_factors_free(out);
  return st;
}

/* Triplets on process rank 0 of comm. NUM without a record, the same on every process rank, if the
 * grid cannot do it. */
static lrp_status solve_on_grid(const request *q, lrp_precision precision, MPI_Comm comm,
                                lrp_triplets *t) {
  const int64_t k = q->w->rows < q->w->cols ? q->w->rows : q->w->cols;
  lrp_status st = LRP_OK;
  lrp_grid grid;
  int size, nprow, npcol;

  *t = (lrp_triplets){0};
  MPI_Comm_size(comm, &size);
  lrp_grid_shape(size, (int)k, &nprow, &npcol);
  lrp_grid_init(&grid, comm, nprow, npcol);
  if (grid.comm != MPI_COMM_NULL) st = lrp_grid_svd(q->w, q->rank, precision, &grid, t);
  lrp_grid_free(&grid);
  return lrp_agree(st, comm); /* the process ranks outside of the grid learn it here */
}

/* Solve in one precision; then process rank 0 concludes alone. NUM without a record if that does
 * not do; the same on every process rank of comm. */
static lrp_status try_grid(request *q, lrp_precision precision, MPI_Comm comm, lrp_factors *out) {
  lrp_triplets t;
  int me;

  MPI_Comm_rank(comm, &me);
  q->certified = false;
  lrp_status st = solve_on_grid(q, precision, comm, &t);
  if (me == 0 && st == LRP_OK) {
    lrp_triplets_fix_signs(&t);
    st = conclude(q, LRP_SOLVER_GRID, &t, out);
  }
  lrp_triplets_free(&t);
  st = lrp_agree(st, comm);
  if (me != 0 || st != LRP_ERR_NUM) return st;
  if (precision == LRP_SINGLE && !q->certified) {
    lrp_log_local("%s: single precision does not do for its spectrum; trying double", q->name);
  } else {
    log_escalation(q, LRP_SOLVER_GRID,
                   precision == LRP_SINGLE ? "double precision" : "one process rank");
  }
  return st;
}

lrp_status lrp_decompose_grid(const char *name, const lrp_matrix *w, int rank, lrp_method method,
                              lrp_dtype dtype, MPI_Comm comm, lrp_scratch *scratch,
                              lrp_factors *out) {
  request q = {
      .name = name, .w = w, .rank = rank, .method = method, .dtype = dtype, .scratch = scratch};
  const int64_t k = w->rows < w->cols ? w->rows : w->cols;
  int me;

  *out = (lrp_factors){0};
  lrp_status st = check(&q); /* of arguments that are the same everywhere */
  if (st != LRP_OK) return st;
  MPI_Comm_rank(comm, &me);
  st = LRP_ERR_NUM;
  if (k > LRP_EXACT_SIDE) st = try_grid(&q, LRP_SINGLE, comm, out);
  if (st == LRP_ERR_NUM && k >= LRP_GRID_SIDE_MIN) st = try_grid(&q, LRP_DOUBLE, comm, out);
  if (st == LRP_ERR_NUM) st = lrp_agree(me == 0 ? decompose_local(&q, out) : LRP_OK, comm);
  if (st != LRP_OK) lrp_factors_free(out);
  return st;
}
