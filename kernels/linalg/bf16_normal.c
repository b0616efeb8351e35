#include "kernels/linalg/bf16_normal.h"

#include <omp.h>
#include <string.h>

#include "kernels/linalg/bf16.h"
#include "kernels/linalg/bf16_vector.h"
#include "kernels/linalg/panel.h"

#ifdef LRP_HAVE_BF16_TARGET

/* Rows of W that stay in the second cache between their two uses; even. */
enum { panel_rows = LRP_BF16_ROWS };

/* One product. Of the work space of threads, thread me has part me. */
typedef struct {
  const lrp_matrix *w;
  int l, lp; /* columns of x, and of padded blocks */
  const float *x;
  float *t, *y;
  int64_t ldx, ldt, ldy;
  uint32_t *wide_pairs;  /* x or t, as many rows as W has columns; shared */
  uint32_t *panel_pairs; /* the other of the two for a panel of rows */
  float *panel;          /* W x of a panel */
  uint16_t *weights;     /* a panel in bfloat16, where W is not */
  float *sums;           /* W^T of the panels of a thread times something, in tiles */
  int64_t sum_size;
} job;

typedef struct {
  int64_t begin, end;
} range;

/* Part me of size of [0, count), in whole steps. */
static range share(int64_t count, int64_t step, int me, int size) {
  const int64_t steps = (count + step - 1) / step;
  const range r = {steps * me / size * step, steps * (me + 1) / size * step};
  return (range){r.begin < count ? r.begin : count, r.end < count ? r.end : count};
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* Rows j .. j + rows - 1 of the sum over the tiles of count threads, stride apart. */
static void untile(float *dst, int64_t ldd, const float *tiles, int64_t stride, int count, int lp,
                   int64_t rows, int l) {
  for (int64_t j = 0; j < rows; j++) {
    const float *z = tiles + j / LRP_BF16_TILE * LRP_BF16_TILE * lp + lrp_bf16_place(j);
    for (int c = 0; c < l; c++) {
      float sum = z[c * LRP_BF16_TILE];
      for (int k = 1; k < count; k++) sum += z[k * stride + c * LRP_BF16_TILE];
      dst[j * ldd + c] = sum;
    }
  }
}

/* This thread's share of x or t in pairs. */
static void pack_wide(const job *b, const float *x, int64_t ldx, int me, int size) {
  const range r = share(b->w->cols, 2, me, size);
  lrp_bf16_pack(b->wide_pairs + r.begin / 2 * b->lp, b->lp, x + r.begin * ldx, ldx, r.end - r.begin,
                b->l);
}

/* dst = the sums of all threads, in their order; this thread's share of the rows. */
static void add_sums(const job *b, float *dst, int64_t ldd, int me, int size) {
  const range r = share(b->w->cols, LRP_BF16_TILE, me, size);
  untile(dst + r.begin * ldd, ldd, b->sums + r.begin * b->lp, b->sum_size, size, b->lp,
         r.end - r.begin, b->l);
}

/* The panel of rows i .. end - 1 at most in bfloat16: itself, or a copy. */
static lrp_matrix panel_at(const job *b, int64_t i, int64_t end, int me) {
  const lrp_matrix panel = lrp_panel(b->w, i, 0, least(panel_rows, end - i), b->w->cols);
  uint16_t *copy = b->weights + me * panel_rows * b->w->cols;
  if (panel.dtype == LRP_BF16) return panel;
  lrp_bf16_from_matrix(copy, panel.cols, &panel);
  return (lrp_matrix){copy, LRP_BF16, panel.rows, panel.cols, panel.cols};
}

/* dst = W x of a panel, by way of a padded block. */
static void forward(const job *b, const lrp_matrix *panel, float *padded, float *dst, int64_t ldd) {
  lrp_bf16_times(panel, b->wide_pairs, b->lp, padded, true);
  for (int64_t i = 0; i < panel->rows; i++) {
    memcpy(dst + i * ldd, padded + i * b->lp, (size_t)b->l * sizeof *dst);
  }
}

/* The sum of W^T t over the panels of this thread. For A = W the rows of t = W x of a panel are
 * made while it is in the cache; for A = W^T what is called t here is x. */
static void sum_pass(const job *b, bool transposed, int me, int size) {
  const range r = share(b->w->rows, panel_rows, me, size);
  float *padded = b->panel + (int64_t)me * panel_rows * b->lp;
  uint32_t *pairs = b->panel_pairs + (int64_t)me * panel_rows / 2 * b->lp;
  float *sum = b->sums + me * b->sum_size;

  if (r.begin == r.end) memset(sum, 0, (size_t)b->sum_size * sizeof *sum);
  for (int64_t i = r.begin; i < r.end; i += panel_rows) {
    const lrp_matrix panel = panel_at(b, i, r.end, me);
    const bool more = b->w->dtype == LRP_BF16 && i + panel.rows < r.end;
    if (transposed) {
      lrp_bf16_pack(pairs, b->lp, b->x + i * b->ldx, b->ldx, panel.rows, b->l);
    } else {
      forward(b, &panel, padded, b->t + i * b->ldt, b->ldt);
      lrp_bf16_pack(pairs, b->lp, padded, b->lp, panel.rows, b->lp);
    }
    lrp_bf16_transposed_times(&panel, pairs, b->lp, sum, i == r.begin, more);
  }
}

/* y = W t for A = W^T, backwards: the last rows are still in the cache. */
static void back_pass(const job *b, int me, int size) {
  const range r = share(b->w->rows, panel_rows, me, size);
  float *padded = b->panel + (int64_t)me * panel_rows * b->lp;
  const int64_t panels = (r.end - r.begin + panel_rows - 1) / panel_rows;

  for (int64_t p = panels - 1; p >= 0; p--) {
    const int64_t i = r.begin + p * panel_rows;
    const lrp_matrix panel = panel_at(b, i, r.end, me);
    forward(b, &panel, padded, b->y + i * b->ldy, b->ldy);
  }
}

static lrp_status take(job *b, int threads, lrp_scratch *scratch) {
  const lrp_matrix *w = b->w;
  const int64_t panels = (int64_t)threads * panel_rows;
  const int64_t copies = w->dtype == LRP_BF16 ? 0 : panels;
  lrp_status st = LRP_OK;
  b->sum_size = (w->cols + LRP_BF16_TILE - 1) / LRP_BF16_TILE * LRP_BF16_TILE * b->lp;
  b->wide_pairs = lrp_scratch_take(scratch, &st, (w->cols + 1) / 2, b->lp, sizeof(uint32_t));
  b->panel_pairs = lrp_scratch_take(scratch, &st, panels / 2, b->lp, sizeof(uint32_t));
  b->panel = lrp_scratch_take(scratch, &st, panels, b->lp, sizeof(float));
  b->weights = lrp_scratch_take(scratch, &st, copies, w->cols, sizeof(uint16_t));
  b->sums = lrp_scratch_take(scratch, &st, threads, b->sum_size, sizeof(float));
  return st;
}

/* What each of size threads does. */
static void multiply(const job *b, bool transposed, int me, int size) {
  if (transposed) {
    sum_pass(b, true, me, size);
#pragma omp barrier
    add_sums(b, b->t, b->ldt, me, size);
#pragma omp barrier
    pack_wide(b, b->t, b->ldt, me, size);
#pragma omp barrier
    back_pass(b, me, size);
  } else {
    pack_wide(b, b->x, b->ldx, me, size);
#pragma omp barrier
    sum_pass(b, false, me, size);
#pragma omp barrier
    add_sums(b, b->y, b->ldy, me, size);
  }
}

/* The first half of it, y = A x. */
static void multiply_half(const job *b, bool transposed, int me, int size) {
  if (transposed) {
    sum_pass(b, true, me, size);
#pragma omp barrier
    add_sums(b, b->y, b->ldy, me, size);
  } else {
    pack_wide(b, b->x, b->ldx, me, size);
#pragma omp barrier
    back_pass(b, me, size);
  }
}

/* Run one of the two on all threads. */
static lrp_status run(job b, bool transposed, void (*work)(const job *, bool, int, int),
                      lrp_scratch *scratch) {
  const int threads = omp_get_max_threads();
  const size_t mark = lrp_scratch_mark(scratch);
  b.lp = (b.l + LRP_BF16_LANES - 1) / LRP_BF16_LANES * LRP_BF16_LANES;
  const lrp_status st = take(&b, threads, scratch);

  if (st == LRP_OK) {
#pragma omp parallel num_threads(threads)
    work(&b, transposed, omp_get_thread_num(), omp_get_num_threads());
  }
  lrp_scratch_release(scratch, mark);
  return st;
}

lrp_status lrp_bf16_half_product(lrp_operand a, int l, const float *x, int64_t ldx, float *y,
                                 int64_t ldy, lrp_scratch *scratch) {
  const job b = {.w = a.w, .l = l, .x = x, .ldx = ldx, .y = y, .ldy = ldy};
  return run(b, a.transposed, multiply_half, scratch);
}

lrp_status lrp_bf16_normal_product(lrp_operand a, int l, const float *x, int64_t ldx, float *t,
                                   int64_t ldt, float *y, int64_t ldy, lrp_scratch *scratch) {
  const job b = {.w = a.w, .l = l, .x = x, .ldx = ldx, .t = t, .ldt = ldt, .y = y, .ldy = ldy};
  return run(b, a.transposed, multiply, scratch);
}

#else

/* Never called: lrp_bf16_available() says so. */
lrp_status lrp_bf16_normal_product(lrp_operand a, int l, const float *x, int64_t ldx, float *t,
                                   int64_t ldt, float *y, int64_t ldy, lrp_scratch *scratch) {
  return lrp_f32_normal_product(a, l, x, ldx, t, ldt, y, ldy, scratch);
}

lrp_status lrp_bf16_half_product(lrp_operand a, int l, const float *x, int64_t ldx, float *y,
                                 int64_t ldy, lrp_scratch *scratch) {
  return lrp_weight_product(a, l, x, ldx, y, ldy, scratch);
}

#endif
