/** @file kernels/linalg/grid.h
 *  Two-dimensional process grid (BLACS contexts) over some process ranks of a communicator. */
#ifndef LRP_KERNELS_LINALG_GRID_H
#define LRP_KERNELS_LINALG_GRID_H

#include <mpi.h>

typedef struct {
  MPI_Comm comm;    /* owned; the nprow * npcol process ranks of the grid, row by row */
  int ictxt;        /* context of the grid */
  int ictxt_root;   /* 1 x 1 context of process rank 0; negative on the others */
  int nprow, npcol; /* process rows and columns */
  int myrow, mycol; /* coordinates of this process rank */
} lrp_grid;

/** Near-square grid, nprow <= npcol, of at most size process ranks for matrices whose short side is
 *  k: every process row and column gets some rows or columns. Local. */
void lrp_grid_shape(int size, int k, int *nprow, int *npcol);

/** Grid over the first nprow * npcol process ranks of comm. Collective over comm. On the others
 *  grid->comm is MPI_COMM_NULL and nothing but lrp_grid_free() may be called. */
void lrp_grid_init(lrp_grid *grid, MPI_Comm comm, int nprow, int npcol);

/** Release the contexts and the communicator. Collective over grid->comm; accepts a grid that this
 *  process rank is not part of. */
void lrp_grid_free(lrp_grid *grid);

#endif
