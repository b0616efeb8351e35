#include "kernels/linalg/grid.h"

#include "kernels/linalg/scalapack.h"

/* Rows (columns) of the short side that a process row (column) is worth having for. */
enum { share_min = 4 };

void lrp_grid_shape(int size, int k, int *nprow, int *npcol) {
  const int side_max = k / share_min > 1 ? k / share_min : 1;
  int p = 1;
  while ((p + 1) <= size / (p + 1)) p++; /* floor(sqrt(size)) */
  *nprow = p < side_max ? p : side_max;
  *npcol = size / p < side_max ? size / p : side_max;
}

/* The way PBLAS broadcasts and combines is one setting of the process, not of the context, and
 * PxORGQR leaves it changed. Process ranks that took part in different grids before would use
 * different ways in this one, and wait for each other for ever. */
static void reset_topologies(int ictxt) {
  static const char *const ops[] = {"Broadcast", "Combine"};
  static const char *const scopes[] = {"Rowwise", "Columnwise", "All"};
  for (int i = 0; i < 2; i++) {
    for (int j = 0; j < 3; j++) pb_topset_(&ictxt, ops[i], scopes[j], " ");
  }
}

void lrp_grid_init(lrp_grid *grid, MPI_Comm comm, int nprow, int npcol) {
  int me;

  *grid = (lrp_grid){.ictxt = -1, .ictxt_root = -1, .myrow = -1, .mycol = -1};
  MPI_Comm_rank(comm, &me);
  MPI_Comm_split(comm, me < nprow * npcol ? 0 : MPI_UNDEFINED, me, &grid->comm);
  if (grid->comm == MPI_COMM_NULL) return;

  const int handle = Csys2blacs_handle(grid->comm);
  grid->ictxt = handle; /* both are in: the system's handle, and out: the new context */
  grid->ictxt_root = handle;
  Cblacs_gridinit(&grid->ictxt, "Row", nprow, npcol);
  Cblacs_gridinit(&grid->ictxt_root, "Row", 1, 1);
  Cfree_blacs_system_handle(handle);
  reset_topologies(grid->ictxt);
  Cblacs_gridinfo(grid->ictxt, &grid->nprow, &grid->npcol, &grid->myrow, &grid->mycol);
}

void lrp_grid_free(lrp_grid *grid) {
  if (grid->comm != MPI_COMM_NULL) {
    if (grid->ictxt_root >= 0) Cblacs_gridexit(grid->ictxt_root);
    Cblacs_gridexit(grid->ictxt);
    MPI_Comm_free(&grid->comm);
  }
  *grid = (lrp_grid){.comm = MPI_COMM_NULL, .ictxt = -1, .ictxt_root = -1};
}
