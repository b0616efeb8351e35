/** @file kernels/linalg/dmat.h
 *  Dense matrix of floats or doubles, distributed block-cyclically over a process grid. */
#ifndef LRP_KERNELS_LINALG_DMAT_H
#define LRP_KERNELS_LINALG_DMAT_H

#include "kernels/linalg/grid.h"
#include "kernels/matrix.h"
#include "kernels/status.h"

/** Type of the elements: float or double. */
typedef enum { LRP_SINGLE, LRP_DOUBLE } lrp_precision;

/** 4 or 8 bytes. Local. */
size_t lrp_precision_size(lrp_precision precision);

/** Column-major; the process rank at (myrow, mycol) holds locr x locc entries. */
typedef struct {
  const lrp_grid *grid; /* borrowed */
  lrp_precision precision;
  int desc[9];         /* ScaLAPACK descriptor */
  int m, n;            /* global rows and columns */
  int nb;              /* square block size */
  int locr, locc, lld; /* local rows and columns, leading dimension max(1, locr) */
  void *loc;           /* owned, lld x locc, never NULL */
} lrp_dmat;

/** Create a zero m x n matrix (all >= 1). Collective over grid->comm. The caller owns *a; it is
 * NULL on error.
 *  @return LRP_OK, LRP_ERR_MEM; LRP_ERR_NUM, not recorded as a failure, if a local part is too
 * large for 32-bit ScaLAPACK. The same on every process rank of the grid. */
lrp_status lrp_dmat_create(const lrp_grid *grid, lrp_precision precision, int m, int n, int nb,
                           lrp_dmat **a);

/** Release *a and set it to NULL. Local; accepts a NULL *a. */
void lrp_dmat_destroy(lrp_dmat **a);

/** a = w^T, each process rank reading its own part of w (a->m = w->cols, a->n = w->rows). Local. */
void lrp_dmat_load_transposed(lrp_dmat *a, const lrp_matrix *w);

/** Global index of a local row or column. Local. */
int64_t lrp_dmat_global_row(const lrp_dmat *a, int i);
int64_t lrp_dmat_global_column(const lrp_dmat *a, int j);

/** x[0 .. n - 1] summed over the process ranks of grid, the same bits on all of them. Collective.
 */
void lrp_grid_sum(const lrp_grid *grid, double *x, int n);

/** Divide a by the power of two that brings its largest magnitude into [0.5, 1), which is exact,
 *  and return that power; 1 for a = 0. Collective over the grid, the same on every process rank. */
double lrp_dmat_normalize(lrp_dmat *a);

/** norm[j] = |a(:, j)|_2, j < cols, on every process rank of the grid. Collective. */
void lrp_dmat_column_norms(const lrp_dmat *a, int cols, double *norm);

/** diagonal[j] = a(j, j), min(m, n) of them, on every process rank of the grid. Collective. */
void lrp_dmat_diagonal(const lrp_dmat *a, double *diagonal);

/** a(:, j) *= factor[j], j < cols. Local. */
void lrp_dmat_scale_columns(lrp_dmat *a, int cols, const double *factor);

/** dst[i * row_step + place[j] * column_step] = a(i, j) on process rank 0 of the grid, for
 *  j < cols; place is a permutation of 0 .. cols - 1. Both are ignored elsewhere. Collective over
 *  the grid; moves panels of columns, which need 64 MiB on process rank 0.
 *  @return LRP_OK, LRP_ERR_MEM; the same on every process rank of the grid */
lrp_status lrp_dmat_collect(const lrp_dmat *a, int cols, const int *place, float *dst,
                            size_t row_step, size_t column_step);

#endif
