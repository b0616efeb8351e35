#include "kernels/linalg/dmat.h"

#include <limits.h>
#include <stdlib.h>

#include "kernels/linalg/scalapack.h"

static const int zero = 0; /* process coordinates of the first block */
static const int one = 1;  /* Fortran's first index */

/* Elements redistributed in one call (256 MiB): pdgemr2d counts its buffers' bytes with an int. */
enum { panel_max = 32 << 20 };

/* PBLAS counts the bytes of a local array with an int. */
enum { local_max = INT_MAX / sizeof(double) };

enum { block_chunk = 64 };

static lrp_status allocate(lrp_dmat *a) {
  const int64_t count = (int64_t)a->lld * (a->locc > 0 ? a->locc : 1);
  if (count > local_max) return LRP_ERR_NUM;
  a->loc = calloc((size_t)count, sizeof *a->loc);
  return a->loc ? LRP_OK : lrp_fail_memory((size_t)count * sizeof *a->loc, "a distributed matrix");
}

lrp_status lrp_dmat_create(const lrp_grid *grid, int m, int n, int nb, lrp_dmat **a) {
  lrp_status st;
  int info;

  lrp_dmat *d = calloc(1, sizeof *d);
  if (d) {
    *d = (lrp_dmat){.grid = grid, .m = m, .n = n, .nb = nb};
    d->locr = numroc_(&m, &nb, &grid->myrow, &zero, &grid->nprow);
    d->locc = numroc_(&n, &nb, &grid->mycol, &zero, &grid->npcol);
    d->lld = d->locr > 0 ? d->locr : 1;
    st = allocate(d);
  } else {
    st = lrp_fail_memory(sizeof *d, "a distributed matrix");
  }
  if (st == LRP_OK) {
    descinit_(d->desc, &m, &n, &nb, &nb, &zero, &zero, &grid->ictxt, &d->lld, &info);
    if (info != 0) st = lrp_fail(LRP_ERR_BUG, "descinit: info = %d for %d x %d", info, m, n);
  }
  st = lrp_agree(st, grid->comm);
  if (st != LRP_OK) lrp_dmat_destroy(&d);
  *a = d;
  return st;
}

void lrp_dmat_destroy(lrp_dmat **a) {
  if (*a) free((*a)->loc);
  free(*a);
  *a = NULL;
}

/* Global index of the local one on process coordinate me of np. */
static int64_t global_index(int local, int nb, int me, int np) {
  return ((int64_t)(local / nb) * np + me) * nb + local % nb;
}

void lrp_dmat_load_transposed(lrp_dmat *a, const lrp_matrix *w) {
  const lrp_grid *grid = a->grid;
  const size_t size = lrp_dtype_size(w->dtype);
  float narrow[block_chunk];

  for (int j = 0; j < a->locc; j++) {
    const unsigned char *row = lrp_matrix_row(w, global_index(j, a->nb, grid->mycol, grid->npcol));
    double *column = a->loc + (size_t)j * (size_t)a->lld;
    int step; /* up to the end of the block, which is contiguous in w, too */
    for (int i = 0; i < a->locr; i += step) {
      step = a->nb - i % a->nb;
      if (step > block_chunk) step = block_chunk;
      if (step > a->locr - i) step = a->locr - i;
      const int64_t first = global_index(i, a->nb, grid->myrow, grid->nprow);
      lrp_to_f32(narrow, row + (size_t)first * size, w->dtype, (size_t)step);
      for (int l = 0; l < step; l++) column[i + l] = narrow[l];
    }
  }
}

/* Descriptor of a column-major rows x cols array on process rank 0 of the grid. */
static void root_desc(const lrp_grid *grid, int rows, int cols, int desc[9]) {
  const int values[9] = {1, grid->ictxt_root, rows, cols, rows, cols, 0, 0, rows};
  for (int i = 0; i < 9; i++) desc[i] = values[i];
}

static int panel_cols(int rows, int cols) {
  const int64_t fit = panel_max / rows > 1 ? panel_max / rows : 1;
  return fit < cols ? (int)fit : cols;
}

void lrp_dmat_gather(const lrp_dmat *a, int rows, double *dst) {
  const int cols = panel_cols(rows, a->n);
  int desc[9];
  double unused;

  for (int j = 0; j < a->n; j += cols) {
    const int here = a->n - j < cols ? a->n - j : cols;
    const int ja = j + 1;
    double *panel = a->grid->ictxt_root >= 0 ? dst + (size_t)j * (size_t)rows : &unused;
    root_desc(a->grid, rows, here, desc);
    pdgemr2d_(&rows, &here, a->loc, &one, &ja, a->desc, panel, &one, &one, desc, &a->grid->ictxt);
  }
}

void lrp_dmat_scatter(lrp_dmat *a, const double *src) {
  const int cols = panel_cols(a->m, a->n);
  int desc[9];
  const double unused = 0.0;

  for (int j = 0; j < a->n; j += cols) {
    const int here = a->n - j < cols ? a->n - j : cols;
    const int ja = j + 1;
    const double *panel = a->grid->ictxt_root >= 0 ? src + (size_t)j * (size_t)a->m : &unused;
    root_desc(a->grid, a->m, here, desc);
    pdgemr2d_(&a->m, &here, panel, &one, &one, desc, a->loc, &one, &ja, a->desc, &a->grid->ictxt);
  }
}
