/** @file kernels/linalg/krylov.h
 *  Few leading singular triplets, from a block Krylov space. */
#ifndef LRP_KERNELS_LINALG_KRYLOV_H
#define LRP_KERNELS_LINALG_KRYLOV_H

#include "kernels/linalg/factors.h"
#include "kernels/linalg/scratch.h"

/** Leading rank triplets of w. Local, on the OpenMP threads; deterministic.
 *
 *  The space of (A^T A)^i A^T Omega, Omega of random signs, is built with products in bfloat16:
 *  what rounding adds to it are further directions, and the answer is as good as the space.
 *  Rayleigh-Ritz gives U; then C = W^T U, in float32, and an SVD of C in double give s and V, so
 *  that W^T u = s v holds to rounding. The space grows until the energy that it still misses is
 *  estimated, from residuals and gaps, to raise the error by no more than LRP_KRYLOV_EXCESS times
 *  the best one.
 *  @param[out] t  owned by the caller; zeroed on error. s beyond rank is NaN
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded: w has fewer than rank directions, or
 *          hardly more; or the space grew beyond what another method costs
 *  Source: Musco & Musco, NIPS 2015; Halko, Martinsson & Tropp, SIAM Rev. 53 (2011), 217-288. */
lrp_status lrp_krylov(const lrp_matrix *w, int rank, lrp_scratch *scratch, lrp_triplets *t);

/** Relative excess of the error over the optimum that is aimed at; a tenth of it up to rank 8,
 * twice as much up to 32. */
#define LRP_KRYLOV_EXCESS 1e-4

#endif
