#include "kernels/linalg/back.h"

#include <omp.h>
#include <string.h>

#include "kernels/linalg/transpose.h"

enum { columns = LRP_BACK_COLUMNS, lanes = LRP_BACK_LANES };

typedef struct {
  int n, rank;
  lrp_band_q q;
  const float *diamonds;
  const float *z;
  const int *order;
  float *v;
} back;

/* Columns from..to of v, the rows of c in between. */
static void back_panel(const back *s, int from, int to, float *c) {
  const int wide = (to - from + lanes - 1) / lanes;
  const int64_t n = s->n;
  memset(c, 0, (size_t)(n + LRP_BACK_SPARE) * columns * sizeof *c);
  for (int j = from; j < to; j++) {
    const float *z = s->z + s->order[j] * n;
    for (int64_t i = 0; i < n; i++) c[i * columns + j - from] = z[i];
  }
  lrp_back_chase(s->n, s->diamonds, c, wide);
  lrp_back_band(s->n, s->q, c, wide);
  lrp_transpose(to - from, n, c, columns, s->v + from * n, n);
}

/* First column of a thread: whole vectors for each. */
static int first_column(int rank, int thread) {
  const int64_t threads = omp_get_num_threads();
  const int64_t vectors = ((int64_t)rank + lanes - 1) / lanes;
  const int64_t column = vectors * thread / threads * lanes;
  return column < rank ? (int)column : rank;
}

lrp_status lrp_back(int n, lrp_band_q q, float *diamonds, int rank, const float *z,
                    const int *order, float *v, lrp_scratch *scratch) {
  const size_t mark = lrp_scratch_mark(scratch);
  const int64_t all = lrp_chase_diamonds(n, lrp_chase_groups(n));
  const int64_t size = ((int64_t)n + LRP_BACK_SPARE) * columns;
  const back s = {n, rank, q, diamonds, z, order, v};
  lrp_status st = LRP_OK;
  float *c = lrp_scratch_take(scratch, &st, omp_get_max_threads(), size, sizeof *c);
  if (st != LRP_OK) return st;

#pragma omp parallel
  {
    const int me = omp_get_thread_num(), end = first_column(rank, me + 1);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < all; i++) lrp_diamond_complete(diamonds + i * LRP_DIAMOND_SIZE);
    for (int from = first_column(rank, me), to; from < end; from = to) {
      to = end - from < columns ? end : from + columns;
      back_panel(&s, from, to, c + me * size);
    }
  }
  lrp_scratch_release(scratch, mark);
  return LRP_OK;
}
