/** @file kernels/linalg/gram_svd.h
 *  Many leading singular triplets, from the Gram matrix of the short side. */
#ifndef LRP_KERNELS_LINALG_GRAM_SVD_H
#define LRP_KERNELS_LINALG_GRAM_SVD_H

#include "kernels/linalg/factors.h"
#include "kernels/linalg/scratch.h"

/** Leading rank triplets of w, and all of its singular values, in float32. Local, on the OpenMP
 *  threads; the same bits for the same number of threads.
 *
 *  G = W^T W (m >= n), eigenvectors V of G, W V = U diag(s), and a Cholesky QR of U, which is
 *  orthogonal only to eps (s_1 / s_rank)^2 before it. For m < n with the sides exchanged. Outliers
 *  (outliers.h), whose squares would drown the rest in float32, are taken out of W first.
 *  @param[out] t  owned by the caller; zeroed on error. s beyond rank: square roots of eigenvalues
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_NUM, not recorded: no convergence, or w has fewer than rank
 *          directions in float32 */
lrp_status lrp_gram_svd(const lrp_matrix *w, int rank, lrp_scratch *scratch, lrp_triplets *t);

#endif
