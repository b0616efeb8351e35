#include "kernels/linalg/svd.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "kernels/linalg/lapack.h"

/* No LAPACK block is larger; its optimal work space exceeds the minimal one by block x side. */
enum { block_max = 128 };

bool lrp_svd_fits(lrp_solver solver, int64_t m, int64_t n) {
  const int64_t k = m < n ? m : n;
  const int64_t longest = m < n ? n : m;
  if (k < 1 || longest > INT_MAX || m * n > INT_MAX) return false;
  const int64_t squares = solver == LRP_SOLVER_GESDD ? 4 : 2; /* of k x k in the work space */
  return squares * k * k + 7 * k + block_max * (m + n) <= INT_MAX;
}

/* One call of the solver; lwork = -1 writes the optimal size to work[0]. */
static int solve(lrp_solver solver, int m, int n, double *a, double *s, double *u, double *vt,
                 double *work, int lwork, int *iwork) {
  const int k = m < n ? m : n;
  int info;
  if (solver == LRP_SOLVER_GESDD) {
    dgesdd_("S", &m, &n, a, &m, s, u, &m, vt, &k, work, &lwork, iwork, &info, 1);
  } else {
    dgesvd_("S", "S", &m, &n, a, &m, s, u, &m, vt, &k, work, &lwork, &info, 1, 1);
  }
  return info;
}

lrp_status lrp_svd(lrp_solver solver, int m, int n, double *a, double *s, double *u, double *vt) {
  const size_t k = (size_t)(m < n ? m : n);
  lrp_status st = LRP_OK;
  double *work = NULL;
  int *iwork = NULL;
  double size = 0.0;
  int iwork_unused;

  if (solve(solver, m, n, a, s, u, vt, &size, -1, &iwork_unused) != 0) return LRP_ERR_NUM;
  size = ceil(size);
  if (!(size >= 1.0 && size <= INT_MAX)) return LRP_ERR_NUM;

  work = malloc((size_t)size * sizeof *work);
  iwork = malloc(8 * k * sizeof *iwork); /* gesdd only */
  if (!work || !iwork) {
    st = lrp_fail_memory((size_t)size * sizeof *work + 8 * k * sizeof *iwork, "the work of an SVD");
  } else if (solve(solver, m, n, a, s, u, vt, work, (int)size, iwork) != 0) {
    st = LRP_ERR_NUM;
  }
  free(iwork);
  free(work);
  return st;
}
