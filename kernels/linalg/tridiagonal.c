#include "kernels/linalg/tridiagonal.h"

#include <limits.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <string.h>

#include "kernels/linalg/lapack.h"
#include "kernels/linalg/merge.h"

/* Problems of at most this order are left to xSTEDC; iwork per row, for it and for merges. */
enum { leaf_order = 256, integers = 8 };

typedef struct {
  int n, rank;
  float *d, *e, *z;
  int *order, *iwork;
  float *work;
  int64_t work_columns; /* elements of work per row */
} problem;

bool lrp_tridiagonal_fits(int n) {
  return 1 + 4 * (int64_t)n + (int64_t)n * n <= INT_MAX;
}

/* First row of a part, if there are so many. */
static int part_begin(const problem *p, int part, int parts) {
  return (int)((int64_t)p->n * part / parts);
}

/* Take the elements between the parts away: T = diag(parts) + sum rho u u^T. */
static void tear(const problem *p, int parts) {
  for (int i = 1; i < parts; i++) {
    const int row = part_begin(p, i, parts);
    p->d[row - 1] -= fabsf(p->e[row - 1]);
    p->d[row] -= fabsf(p->e[row - 1]);
  }
}

static lrp_status solve_part(const problem *p, int part, int parts) {
  const int from = part_begin(p, part, parts), n = part_begin(p, part + 1, parts) - from;
  const int lwork = 1 + 4 * n + n * n, liwork = 3 + 5 * n;
  int info = 0;
  memset(p->z + (int64_t)from * p->n, 0, (size_t)n * (size_t)p->n * sizeof *p->z);
  sstedc_("I", &n, p->d + from, p->e + from, p->z + (int64_t)from * p->n + from, &p->n,
          p->work + from * p->work_columns, &lwork, p->iwork + (int64_t)from * integers, &liwork,
          &info, 1);
  for (int i = 0; i < n; i++) p->order[from + i] = i + 1;
  return info == 0 ? LRP_OK : LRP_ERR_NUM;
}

static lrp_status solve_parts(const problem *p, int parts) {
  int worst = LRP_OK;
#pragma omp parallel for schedule(dynamic) reduction(max : worst)
  for (int i = 0; i < parts; i++) {
    const int st = (int)solve_part(p, i, parts);
    worst = st > worst ? st : worst;
  }
  return (lrp_status)worst;
}

/* Two neighbours of 2 * parts to one of parts. */
static lrp_status merge_part(const problem *p, int part, int parts) {
  const int from = part_begin(p, 2 * part, 2 * parts);
  const int middle = part_begin(p, 2 * part + 1, 2 * parts);
  const int to = part_begin(p, 2 * part + 2, 2 * parts);
  lrp_merge m = {.n = to - from,
                 .n1 = middle - from,
                 .rho = p->e[middle - 1],
                 .d = p->d + from,
                 .q = p->z + (int64_t)from * p->n + from,
                 .ld = p->n,
                 .order = p->order + from,
                 .wanted = parts == 1 ? p->rank : to - from,
                 .work = p->work + from * p->work_columns,
                 .iwork = p->iwork + (int64_t)from * integers};
  return lrp_merge_halves(&m);
}

/* Many small merges: one per thread. Few large ones: all threads work on each. */
static lrp_status merge_parts(const problem *p, int parts) {
  int worst = LRP_OK;
#pragma omp parallel for schedule(dynamic) reduction(max \
                                                     : worst) if (parts >= omp_get_max_threads())
  for (int i = 0; i < parts; i++) {
    const int st = (int)merge_part(p, i, parts);
    worst = st > worst ? st : worst;
  }
  return (lrp_status)worst;
}

/* From ascending, counted from 1. */
static void make_descending(int n, int *order) {
  for (int i = 0; i < (n + 1) / 2; i++) {
    const int last = order[n - 1 - i] - 1;
    order[n - 1 - i] = order[i] - 1;
    order[i] = last;
  }
}

/* Rows of work that both the leaves and all merges are content with. */
static int64_t work_columns(int64_t n, int64_t rank) {
  const int64_t half = n / 2 + 1;
  const int64_t last = lrp_merge_work(n, rank), others = lrp_merge_work(half, half);
  return last > others ? last : others;
}

lrp_status lrp_tridiagonal(int n, float *d, float *e, int rank, float *z, int *order,
                           lrp_scratch *scratch) {
  const size_t mark = lrp_scratch_mark(scratch);
  lrp_status st = LRP_OK;
  int parts = 1;
  problem p = {.n = n, .rank = rank, .d = d, .e = e, .z = z, .order = order};
  p.work_columns = work_columns(n, rank);
  p.work = lrp_scratch_take(scratch, &st, n, p.work_columns, sizeof *p.work);
  p.iwork = lrp_scratch_take(scratch, &st, n, integers, sizeof *p.iwork);
  if (st != LRP_OK) return st;

  while (n / parts > leaf_order) parts *= 2;
  tear(&p, parts);
  st = solve_parts(&p, parts);
  for (parts /= 2; st == LRP_OK && parts > 0; parts /= 2) st = merge_parts(&p, parts);
  make_descending(n, order);
  lrp_scratch_release(scratch, mark);
  return st;
}
