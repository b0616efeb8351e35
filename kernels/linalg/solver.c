#include "kernels/linalg/solver.h"

/* Above this many triplets the full eigenvalue problem is faster than subspaces that converge. */
static int64_t krylov_rank_max(int64_t k) {
  return k / 20;
}

lrp_solver lrp_solver_for(int64_t m, int64_t n, int rank) {
  const int64_t k = m < n ? m : n;
  if (k <= LRP_EXACT_SIDE) return LRP_SOLVER_GESDD;
  return rank <= krylov_rank_max(k) ? LRP_SOLVER_KRYLOV : LRP_SOLVER_GRAM;
}
