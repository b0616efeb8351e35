/** @file kernels/linalg/dmat.h
 *  Dense matrix of doubles, distributed block-cyclically over a process grid. */
#ifndef LRP_KERNELS_LINALG_DMAT_H
#define LRP_KERNELS_LINALG_DMAT_H

#include "kernels/linalg/grid.h"
#include "kernels/matrix.h"
#include "kernels/status.h"

/** Column-major; the process rank at (myrow, mycol) holds locr x locc entries. */
typedef struct {
  const lrp_grid *grid; /* borrowed */
  int desc[9];          /* ScaLAPACK descriptor */
  int m, n;             /* global rows and columns */
  int nb;               /* square block size */
  int locr, locc, lld;  /* local rows and columns, leading dimension max(1, locr) */
  double *loc;          /* owned, lld x locc, never NULL */
} lrp_dmat;

/** Create a zero m x n matrix (all >= 1). Collective over grid->comm. The caller owns *a; it is
 * NULL on error.
 *  @return LRP_OK, LRP_ERR_MEM; LRP_ERR_NUM, not recorded as a failure, if a local part is too
 * large for 32-bit ScaLAPACK. The same on every process rank of the grid. */
lrp_status lrp_dmat_create(const lrp_grid *grid, int m, int n, int nb, lrp_dmat **a);

/** Release *a and set it to NULL. Local; accepts a NULL *a. */
void lrp_dmat_destroy(lrp_dmat **a);

/** a = w^T, each process rank reading its own part of w (a->m = w->cols, a->n = w->rows). Local. */
void lrp_dmat_load_transposed(lrp_dmat *a, const lrp_matrix *w);

/** Copy the first rows rows of a to dst on process rank 0 of the grid, column-major, rows x a->n.
 *  dst is ignored elsewhere. Collective over the grid. */
void lrp_dmat_gather(const lrp_dmat *a, int rows, double *dst);

/** a = src, column-major a->m x a->n, on process rank 0 of the grid; src is ignored elsewhere.
 *  Collective over the grid. */
void lrp_dmat_scatter(lrp_dmat *a, const double *src);

#endif
