/** @file kernels/linalg/norm.h
 *  Frobenius norm of a weight matrix. */
#ifndef LRP_KERNELS_LINALG_NORM_H
#define LRP_KERNELS_LINALG_NORM_H

#include "kernels/matrix.h"
#include "kernels/status.h"

/** *sum = |W|_F^2, to some 1e-7 relatively, in one pass at the speed of memory. Local, on the
 *  OpenMP threads; the same bits whatever their number. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_squared_norm(const lrp_matrix *w, double *sum);

/** x_1^2 + .. + x_count^2 in double. Local, one thread. */
double lrp_sum_of_squares(const float *x, int64_t count);

#endif
