/** @file kernels/linalg/back.h
 *  Eigenvectors of a tridiagonal matrix -> those of the matrix that it was made of. */
#ifndef LRP_KERNELS_LINALG_BACK_H
#define LRP_KERNELS_LINALG_BACK_H

#include "kernels/linalg/band.h"
#include "kernels/linalg/chase.h"

/** Column j of v = Q_band Q_chase (column order[j] of z). Local, on the OpenMP threads, which share
 *  the columns: each takes LRP_BACK_COLUMNS at a time, which stay in its cache all the way.
 *  The same bits whatever their number.
 *  @param q        of lrp_band_reduce()
 *  @param[in,out] diamonds  of lrp_chase(); their T is completed
 *  @param z        n rows, column-major, leading dimension n;  @param order  rank columns of it
 *  @param[out] v   n x rank, column-major, leading dimension n; not z
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_back(int n, lrp_band_q q, float *diamonds, int rank, const float *z,
                    const int *order, float *v, lrp_scratch *scratch);

/** The parts of it: a panel c has LRP_BACK_COLUMNS columns and is row-major; wide vectors of
 *  LRP_BACK_LANES columns are in use. Behind its n rows are LRP_BACK_SPARE rows of zero. */
enum { LRP_BACK_COLUMNS = 48, LRP_BACK_LANES = 16, LRP_BACK_SPARE = LRP_DIAMOND_ROWS + 1 };

/** Complete the T of a diamond. Local. */
void lrp_diamond_complete(float *diamond);

/** c = Q_chase c. Local, one thread. */
void lrp_back_chase(int n, const float *diamonds, float *c, int wide);

/** c = Q_band c. Local, one thread. */
void lrp_back_band(int n, lrp_band_q q, float *c, int wide);

#endif
