/** @file tests/bench/bench_pdgesvd.h
 *  The peer ScaLAPACK: pdgesvd on all process ranks. */
#ifndef LRP_TESTS_BENCH_PDGESVD_H
#define LRP_TESTS_BENCH_PDGESVD_H

#include "kernels/linalg/grid.h"
#include "tests/bench/bench_matrix.h"

/** Seconds of a thin SVD of the matrix by pdgesvd, singular vectors included. Collective over
 *  grid->comm; the matrix is given on every process rank. Only the routine itself is timed.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_NUM; the same on every process rank of the grid */
lrp_status lrp_bench_pdgesvd(const lrp_bench_matrix *m, const lrp_grid *grid, double *seconds);

#endif
