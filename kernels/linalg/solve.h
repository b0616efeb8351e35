/** @file kernels/linalg/solve.h
 *  Leading singular triplets of one matrix by one method, on one process rank. */
#ifndef LRP_KERNELS_LINALG_SOLVE_H
#define LRP_KERNELS_LINALG_SOLVE_H

#include "kernels/linalg/solver.h"

/** The leading rank triplets of w. Local, on the OpenMP threads; the same bits for the same number
 *  of threads. w must be finite; rank in [1, min(m, n)]. Signs are fixed: the entry of largest
 *  magnitude of each column of u is positive (the first of those within 1e-6 of the largest).
 *  @param solver  any but LRP_SOLVER_GRID; see lrp_solver_for
 *  @param[out] t  owned by the caller; zeroed on error
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded as a failure: the method is not up to
 *          this matrix (size, spectrum, convergence) */
lrp_status lrp_solve(const lrp_matrix *w, int rank, lrp_solver solver, lrp_scratch *scratch,
                     lrp_triplets *t);

/** Fix the signs as lrp_solve does. Local. */
void lrp_triplets_fix_signs(lrp_triplets *t);

#endif
