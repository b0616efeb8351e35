/** @file kernels/linalg/outliers.h
 *  Singular values that stick out of a spectrum, found first so that the others can be computed in
 *  float32: its rounding is relative to the largest. Layers of language models have them. */
#ifndef LRP_KERNELS_LINALG_OUTLIERS_H
#define LRP_KERNELS_LINALG_OUTLIERS_H

#include "kernels/linalg/factors.h"
#include "kernels/linalg/scratch.h"

/** Number of random signs in a row of Omega for lrp_outliers_suspected. */
enum { LRP_OUTLIERS_PROBE = 16 };

/** The triplets of w with s_i > 40 times the root mean square of the values after them, so that
 *  eps32 (s_i / s_j)^2 < 1e-4 among the others: what float32 loses of their squares. Local,
 *  deterministic. Costs one pass over w where there are none, and some 8 passes where there are.
 *  Their vectors are right to float32.
 *  @param energy   |W|_F^2
 *  @param[out] t   owned by the caller; t->rank may be 0, then nothing is owned; zeroed on error
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_outliers(const lrp_matrix *w, double energy, lrp_scratch *scratch, lrp_triplets *t);

/** Whether W may have outliers, from image = W Omega or W^T Omega with random signs Omega (rows x
 *  cols, row-major): costs next to nothing.
 *  @param k  the short side of W. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_outliers_suspected(int64_t k, int64_t rows, int cols, const float *image,
                                  lrp_scratch *scratch, bool *suspected);

/** x (n x cols, leading dimension ldx) -= Q (Q^T x), Q being n x rank: row-major, or its transpose.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_remove(int64_t n, int rank, const float *q, bool transposed, int cols, float *x,
                      int64_t ldx, lrp_scratch *scratch);

/** dst (n x cols, leading dimension ld), cols = rank, gets Q. Local. */
void lrp_place(int64_t n, int rank, const float *q, bool transposed, float *dst, int64_t ld);

/** Random signs, the same on every machine. Local. */
void lrp_fill_signs(float *x, int64_t count);

#endif
