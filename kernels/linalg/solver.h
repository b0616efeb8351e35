/** @file kernels/linalg/solver.h
 *  Which method a weight matrix is decomposed with. */
#ifndef LRP_KERNELS_LINALG_SOLVER_H
#define LRP_KERNELS_LINALG_SOLVER_H

#include "kernels/linalg/factors.h"

/** The method that is tried first for rank triplets of an m x n matrix, rank <= min(m, n); a
 *  spectrum that does not suit it may need another one. Local, pure.
 *  gesdd up to LRP_EXACT_SIDE; krylov for few triplets; gram for many. */
lrp_solver lrp_solver_for(int64_t m, int64_t n, int rank);

#endif
