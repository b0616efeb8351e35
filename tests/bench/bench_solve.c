#include "tests/bench/bench_solve.h"

#include <stdlib.h>

#include "kernels/linalg/solve.h"
#include "tests/bench/bench_timing.h"

lrp_status lrp_bench_check_triplets(const lrp_bench_matrix *m, const lrp_triplets *t,
                                    lrp_bench_quality *q) {
  const size_t r = (size_t)t->rank;
  float *s = malloc(r * sizeof *s);
  if (!s) return lrp_fail_memory(r * sizeof *s, "a check");
  for (size_t i = 0; i < r; i++) s[i] = (float)t->s[i];
  const lrp_bench_factors f = {
      .rank = t->rank,
      .u = {.data = t->u, .dtype = LRP_F32, .rows = t->m, .cols = t->rank, .ld = t->rank},
      .s = s,
      .vt = {.data = t->vt, .dtype = LRP_F32, .rows = t->rank, .cols = t->n, .ld = t->n}};
  const lrp_status st = lrp_bench_check(m, &f, q);
  free(s);
  return st;
}

/* What lrp_decompose() tries next; itself at the end. */
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

/* One solver and its certificate, if it came to an end. *t is to be released. */
static lrp_status attempt(const lrp_bench_matrix *m, int rank, lrp_scratch *scratch,
                          lrp_bench_result *result, double *seconds, lrp_triplets *t) {
  lrp_certificate certificate;
  const double start = lrp_bench_clock();
  lrp_status st = lrp_solve(&m->w, rank, result->solver, scratch, t);
  const double solved = lrp_bench_clock();
  *seconds += solved - start;
  if (st != LRP_OK) return st;
  st = lrp_certify(&m->w, t, scratch, &certificate);
  result->certificate_s += lrp_bench_clock() - solved;
  return st == LRP_OK && !lrp_certificate_passes(&certificate) ? LRP_ERR_NUM : st;
}

lrp_status lrp_bench_solve(const lrp_bench_matrix *m, int rank, lrp_scratch *scratch, bool look,
                           double *seconds, lrp_bench_result *result) {
  lrp_triplets t = {0};
  lrp_status st = LRP_ERR_NUM;

  result->solver = lrp_solver_for(m->w.rows, m->w.cols, rank);
  result->certificate_s = 0.0;
  *seconds = 0.0;
  for (;;) {
    st = attempt(m, rank, scratch, result, seconds, &t);
    if (st != LRP_ERR_NUM || result->solver == LRP_SOLVER_GESVD) break;
    lrp_triplets_free(&t);
    result->solver = stronger(result->solver);
  }
  if (st == LRP_ERR_NUM) st = lrp_fail(st, "%s: rank %d: no solver does it", m->path, rank);
  if (st == LRP_OK && look) st = lrp_bench_check_triplets(m, &t, &result->quality);
  lrp_triplets_free(&t);
  return st;
}
