#include "kernels/linalg/dmat.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linalg/scalapack.h"

static const int zero = 0; /* process coordinates of the first block */
static const int one = 1;  /* Fortran's first index */

/* Bytes collected in one call: what process rank 0 needs beside the result. */
enum { panel_bytes = 64 << 20 };

/* Rows that are transposed at a time: a cache line of every column and row stays in cache. */
enum { tile = 32 };

size_t lrp_precision_size(lrp_precision precision) {
  return precision == LRP_SINGLE ? sizeof(float) : sizeof(double);
}

static lrp_status allocate(lrp_dmat *a) {
  const size_t size = lrp_precision_size(a->precision);
  const int64_t count = (int64_t)a->lld * (a->locc > 0 ? a->locc : 1);
  if (count > INT_MAX / (int64_t)size) return LRP_ERR_NUM; /* PBLAS counts its bytes with an int */
  a->loc = calloc((size_t)count, size);
  return a->loc ? LRP_OK : lrp_fail_memory((size_t)count * size, "a distributed matrix");
}

lrp_status lrp_dmat_create(const lrp_grid *grid, lrp_precision precision, int m, int n, int nb,
                           lrp_dmat **a) {
  lrp_status st;
  int info;

  lrp_dmat *d = calloc(1, sizeof *d);
  if (d) {
    *d = (lrp_dmat){.grid = grid, .precision = precision, .m = m, .n = n, .nb = nb};
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

int64_t lrp_dmat_global_row(const lrp_dmat *a, int i) {
  return global_index(i, a->nb, a->grid->myrow, a->grid->nprow);
}

int64_t lrp_dmat_global_column(const lrp_dmat *a, int j) {
  return global_index(j, a->nb, a->grid->mycol, a->grid->npcol);
}

static float *single_column(const lrp_dmat *a, int j) {
  return (float *)a->loc + (size_t)j * (size_t)a->lld;
}

static double *double_column(const lrp_dmat *a, int j) {
  return (double *)a->loc + (size_t)j * (size_t)a->lld;
}

void lrp_dmat_load_transposed(lrp_dmat *a, const lrp_matrix *w) {
  const size_t size = lrp_dtype_size(w->dtype);
  float narrow[64];

  for (int j = 0; j < a->locc; j++) {
    const unsigned char *row = lrp_matrix_row(w, lrp_dmat_global_column(a, j));
    int step; /* up to the end of the block, which is contiguous in w, too */
    for (int i = 0; i < a->locr; i += step) {
      step = a->nb - i % a->nb;
      if (step > 64) step = 64;
      if (step > a->locr - i) step = a->locr - i;
      const unsigned char *first = row + (size_t)lrp_dmat_global_row(a, i) * size;
      if (a->precision == LRP_SINGLE) {
        lrp_to_f32(single_column(a, j) + i, first, w->dtype, (size_t)step);
      } else {
        lrp_to_f32(narrow, first, w->dtype, (size_t)step);
        for (int l = 0; l < step; l++) double_column(a, j)[i + l] = narrow[l];
      }
    }
  }
}

static double largest_local(const lrp_dmat *a) {
  double largest = 0.0;
  for (int j = 0; j < a->locc; j++) {
    if (a->precision == LRP_SINGLE) {
      float of_column = 0.0f;
      for (int i = 0; i < a->locr; i++) {
        of_column = fmaxf(of_column, fabsf(single_column(a, j)[i]));
      }
      largest = fmax(largest, of_column);
    } else {
      for (int i = 0; i < a->locr; i++) largest = fmax(largest, fabs(double_column(a, j)[i]));
    }
  }
  return largest;
}

static void scale_column(lrp_dmat *a, int j, double factor) {
  if (a->precision == LRP_SINGLE) {
    float *column = single_column(a, j);
    for (int i = 0; i < a->locr; i++) column[i] = (float)(column[i] * factor);
  } else {
    double *column = double_column(a, j);
    for (int i = 0; i < a->locr; i++) column[i] *= factor;
  }
}

double lrp_dmat_normalize(lrp_dmat *a) {
  double largest = largest_local(a);
  int exponent;

  MPI_Allreduce(MPI_IN_PLACE, &largest, 1, MPI_DOUBLE, MPI_MAX, a->grid->comm);
  if (largest == 0.0) return 1.0;
  (void)frexp(largest, &exponent);
  for (int j = 0; j < a->locc; j++) scale_column(a, j, ldexp(1.0, -exponent));
  return ldexp(1.0, exponent);
}

/* By way of one process rank, so that all have its sum. */
void lrp_grid_sum(const lrp_grid *grid, double *x, int n) {
  int me;
  MPI_Comm_rank(grid->comm, &me);
  MPI_Reduce(me == 0 ? MPI_IN_PLACE : x, x, n, MPI_DOUBLE, MPI_SUM, 0, grid->comm);
  MPI_Bcast(x, n, MPI_DOUBLE, 0, grid->comm);
}

void lrp_dmat_column_norms(const lrp_dmat *a, int cols, double *norm) {
  memset(norm, 0, (size_t)cols * sizeof *norm);
  for (int j = 0; j < a->locc && lrp_dmat_global_column(a, j) < cols; j++) {
    double sum = 0.0;
    for (int i = 0; i < a->locr; i++) {
      const double x =
          a->precision == LRP_SINGLE ? (double)single_column(a, j)[i] : double_column(a, j)[i];
      sum += x * x;
    }
    norm[lrp_dmat_global_column(a, j)] = sum;
  }
  lrp_grid_sum(a->grid, norm, cols);
  for (int j = 0; j < cols; j++) norm[j] = sqrt(norm[j]);
}

void lrp_dmat_diagonal(const lrp_dmat *a, double *diagonal) {
  const int k = a->m < a->n ? a->m : a->n;
  const lrp_grid *grid = a->grid;

  memset(diagonal, 0, (size_t)k * sizeof *diagonal);
  for (int j = 0; j < a->locc; j++) {
    const int at = (int)lrp_dmat_global_column(a, j);
    const int block = at / a->nb; /* its row is at / nb / nprow blocks down on one process row */
    if (at >= k || block % grid->nprow != grid->myrow) continue;
    const int i = block / grid->nprow * a->nb + at % a->nb;
    diagonal[at] =
        a->precision == LRP_SINGLE ? (double)single_column(a, j)[i] : double_column(a, j)[i];
  }
  lrp_grid_sum(grid, diagonal, k);
}

void lrp_dmat_scale_columns(lrp_dmat *a, int cols, const double *factor) {
  for (int j = 0; j < a->locc && lrp_dmat_global_column(a, j) < cols; j++) {
    scale_column(a, j, factor[lrp_dmat_global_column(a, j)]);
  }
}

/* What lrp_dmat_collect() does with a panel on process rank 0. */
typedef struct {
  const int *place; /* borrowed */
  float *dst;       /* borrowed */
  size_t row_step, column_step;
} target;

/* rows x cols of panel, column-major, the first of which is column first, to their places. */
static void put(const target *t, lrp_precision precision, const void *panel, int rows, int first,
                int cols) {
  for (int top = 0; top < rows; top += tile) {
    const int end = top + tile < rows ? top + tile : rows;
    for (int j = 0; j < cols; j++) {
      float *dst = t->dst + (size_t)t->place[first + j] * t->column_step;
      const size_t column = (size_t)j * (size_t)rows;
      for (int i = top; i < end; i++) {
        dst[(size_t)i * t->row_step] = precision == LRP_SINGLE
                                           ? ((const float *)panel)[column + (size_t)i]
                                           : (float)((const double *)panel)[column + (size_t)i];
      }
    }
  }
}

/* Columns first .. first + cols - 1 (from 0) to panel on process rank 0. */
static void fetch(const lrp_dmat *a, int first, int cols, void *panel) {
  const int desc[9] = {1, a->grid->ictxt_root, a->m, cols, a->m, cols, 0, 0, a->m};
  const int ja = first + 1;
  if (a->precision == LRP_SINGLE) {
    psgemr2d_(&a->m, &cols, a->loc, &one, &ja, a->desc, panel, &one, &one, desc, &a->grid->ictxt);
  } else {
    pdgemr2d_(&a->m, &cols, a->loc, &one, &ja, a->desc, panel, &one, &one, desc, &a->grid->ictxt);
  }
}

lrp_status lrp_dmat_collect(const lrp_dmat *a, int cols, const int *place, float *dst,
                            size_t row_step, size_t column_step) {
  const target t = {place, dst, row_step, column_step};
  const size_t column_bytes = (size_t)a->m * lrp_precision_size(a->precision);
  const bool is_root = a->grid->ictxt_root >= 0;
  const int fit = panel_bytes / column_bytes > 1 ? (int)(panel_bytes / column_bytes) : 1;
  const int width = fit < cols ? fit : cols;
  lrp_status st = LRP_OK;

  void *panel = malloc(is_root ? column_bytes * (size_t)width : 1);
  if (!panel) st = lrp_fail_memory(column_bytes * (size_t)width, "a panel of singular vectors");
  st = lrp_agree(st, a->grid->comm);
  for (int first = 0; st == LRP_OK && first < cols; first += width) {
    const int here = cols - first < width ? cols - first : width;
    fetch(a, first, here, panel);
    if (is_root) put(&t, a->precision, panel, a->m, first, here);
  }
  free(panel);
  return st;
}
