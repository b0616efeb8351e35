#include "pipeline/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linalg/decompose.h"
#include "kernels/linalg/eigh.h"
#include "kernels/linalg/gram.h"
#include "kernels/linalg/weight_product.h"

/* A measurement is repeated until it has taken this share of the time for all. */
enum { repeats_max = 3 };
static const double share = 1.0 / 12.0;

/* Of a test matrix: triplets that are more than noise, of which the first stick out; and how far
 * its beginning is from a multiple of 64 bytes, as a weight in a mapped file may be. */
enum { signal_rank = 128, outliers = 2, misaligned = 56 };

/* What is measured with: one matrix of each type, and one measurement's arguments. */
typedef struct {
  const lrp_topology *topo;
  lrp_cost *cost;
  double budget_s;
  double once_s; /* sum of the middle times */
  lrp_scratch scratch;
  void *elements; /* owned: those of w */
  lrp_matrix w;
  float *g, *eigen; /* owned: k x k, k */
  float *v;         /* owned: k x rank_max */
  int k, rank;
} bench;

typedef lrp_status (*piece)(bench *b);

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Middle of several times of work, of the slowest process rank each; prepare (or NULL) is not
 * timed. Collective; the same on every process rank. */
static lrp_status time_piece(bench *b, piece prepare, piece work, double *seconds) {
  double all[repeats_max], total = 0.0;
  int n = 0;
  lrp_status st = LRP_OK;

  while (st == LRP_OK && n < repeats_max && (n == 0 || total < share * b->budget_s)) {
    if (prepare) st = prepare(b);
    MPI_Barrier(b->topo->comm);
    const double start = MPI_Wtime();
    if (st == LRP_OK) st = work(b);
    all[n] = MPI_Wtime() - start;
    MPI_Allreduce(MPI_IN_PLACE, &all[n], 1, MPI_DOUBLE, MPI_MAX, b->topo->comm);
    total += all[n++];
    st = lrp_agree(st, b->topo->comm);
  }
  qsort(all, (size_t)n, sizeof *all, compare);
  *seconds = all[(n - 1) / 2];
  b->once_s += *seconds;
  return st;
}

/* ---- Test matrices ---- */

static uint64_t next_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

/* Of standard deviation scale, near enough to a normal distribution: the sum of four numbers. */
static float random_number(uint64_t *state, float scale) {
  const uint64_t bits = next_random(state);
  const int sum = (int)(bits & 0xffff) + (int)(bits >> 16 & 0xffff) + (int)(bits >> 32 & 0xffff) +
                  (int)(bits >> 48);
  return scale * ((float)sum - 131070.0F) * 2.6429e-5F;
}

/* i-th singular value of the signal, in units of the noise's root mean square. */
static float signal_value(int i) {
  return i < outliers ? 60.0F - 10.0F * (float)i : 6.0F / sqrtf((float)(i - outliers + 1));
}

/* Like a layer of a language model: outliers, a signal that falls off slowly, and noise. */
static lrp_status fill_matrix(bench *b, float *w) {
  const float noise = 0.02F;
  const int k = b->k, r = signal_rank;
  const float column = 1.0F / sqrtf((float)k);
  uint64_t state = 88172645463325252ULL;
  lrp_status st = LRP_OK;
  const size_t mark = lrp_scratch_mark(&b->scratch);
  float *u = lrp_scratch_take(&b->scratch, &st, k, r, sizeof *u);
  float *vt = lrp_scratch_take(&b->scratch, &st, r, k, sizeof *vt);

  if (st == LRP_OK) {
    for (int64_t i = 0; i < (int64_t)k * r; i++) u[i] = random_number(&state, column);
    for (int64_t i = 0; i < (int64_t)k * r; i++) { /* of length noise sqrt(k), the noise's value */
      vt[i] = random_number(&state, noise * signal_value((int)(i / k)));
    }
    const lrp_matrix left = {u, LRP_F32, k, r, r};
    st = lrp_weight_product((lrp_operand){&left, false}, k, vt, k, w, k, &b->scratch);
  }
  for (int64_t i = 0; st == LRP_OK && i < (int64_t)k * k; i++) {
    w[i] += random_number(&state, noise);
  }
  lrp_scratch_release(&b->scratch, mark);
  return st;
}

static void *allocate(lrp_status *st, size_t count, size_t size) {
  void *p = *st == LRP_OK ? malloc(count * size) : NULL;
  if (!p && *st == LRP_OK) *st = lrp_fail_memory(count * size, "a calibration");
  return p;
}

/* Everything for matrices k x k; g holds the matrix in float32 at first. */
static lrp_status bench_init(bench *b, int k) {
  const size_t n = (size_t)k * (size_t)k;
  lrp_status st = LRP_OK;

  b->k = k;
  b->elements = st == LRP_OK ? aligned_alloc(64, (n * 2 / 64 + 2) * 64) : NULL;
  if (!b->elements) st = lrp_fail_memory(n * 2, "a calibration");
  void *w = b->elements ? (char *)b->elements + misaligned : NULL;
  b->w = (lrp_matrix){w, LRP_BF16, k, k, k};
  b->g = allocate(&st, n, sizeof *b->g);
  b->eigen = allocate(&st, (size_t)k, sizeof *b->eigen);
  b->v = allocate(&st, n / 2, sizeof *b->v);
  if (st == LRP_OK) st = fill_matrix(b, b->g);
  if (st == LRP_OK) lrp_from_f32(w, LRP_BF16, b->g, n);
  return lrp_agree(st, b->topo->comm);
}

static void bench_free(bench *b) {
  free(b->elements);
  free(b->g);
  free(b->eigen);
  free(b->v);
  lrp_scratch_free(&b->scratch);
}

/* ---- Pieces of work ---- */

static lrp_status gram_of_bf16(bench *b) {
  return lrp_gram(&b->w, b->g, &b->scratch);
}

static lrp_status gram_of_f32(bench *b) {
  const size_t n = (size_t)b->k * (size_t)b->k;
  lrp_status st = LRP_OK;
  const size_t mark = lrp_scratch_mark(&b->scratch);
  float *copy = lrp_scratch_take(&b->scratch, &st, b->k, b->k, sizeof *copy);

  if (st == LRP_OK) {
    const lrp_matrix w = {copy, LRP_F32, b->k, b->k, b->k};
    lrp_to_f32(copy, b->w.data, LRP_BF16, n);
    st = lrp_gram(&w, b->g, &b->scratch);
  }
  lrp_scratch_release(&b->scratch, mark);
  return st;
}

static lrp_status eigenvectors(bench *b) {
  const lrp_status st = lrp_eigh(b->k, b->g, b->rank, b->eigen, b->v, &b->scratch);
  return st == LRP_ERR_NUM ? lrp_fail(st, "calibration: no eigenvectors of the test matrix") : st;
}

static lrp_status decompose(bench *b) {
  lrp_factors f;
  const lrp_status st =
      lrp_decompose("calibration", &b->w, b->rank, LRP_SVD, LRP_F32, &b->scratch, &f);
  if (st == LRP_OK) lrp_factors_free(&f);
  return st;
}

/* ---- Stages ---- */

static lrp_cost_task task_of(const bench *b) {
  return (lrp_cost_task){.m = b->k,
                         .n = b->k,
                         .rank = b->rank,
                         .method = LRP_SVD,
                         .weights = LRP_BF16,
                         .factors = LRP_F32};
}

static void learn(bench *b, lrp_cost_stage stage, int i, double work, double seconds) {
  const double shortest = 1e-9;
  if (!(work > 0.0)) return; /* this size is for another method: the guess stays */
  b->cost->speed[stage][i] = work / (seconds > shortest ? seconds : shortest);
}

static lrp_status measure_gram(bench *b, int i) {
  const double work = (double)b->k * b->k * b->k;
  double seconds;
  lrp_status st = time_piece(b, NULL, gram_of_f32, &seconds);
  if (st == LRP_OK) learn(b, LRP_COST_GRAM_F32, i, work, seconds);
  if (st == LRP_OK) st = time_piece(b, NULL, gram_of_bf16, &seconds);
  if (st == LRP_OK) learn(b, LRP_COST_GRAM_BF16, i, work, seconds);
  return st;
}

/* Two ranks tell what all eigenvectors share from what each of them takes. */
static lrp_status measure_eigen(bench *b, int i) {
  double few_s = 0.0, many_s = 0.0;
  b->rank = b->k / 8;
  const lrp_cost_task few = task_of(b);
  lrp_status st = time_piece(b, gram_of_bf16, eigenvectors, &few_s);
  b->rank = b->k / 2;
  const lrp_cost_task many = task_of(b);
  if (st == LRP_OK) st = time_piece(b, gram_of_bf16, eigenvectors, &many_s);
  if (st != LRP_OK) return st;

  const double more = lrp_cost_work(LRP_COST_BACK, &many) - lrp_cost_work(LRP_COST_BACK, &few);
  const double least = 0.05 * many_s; /* where noise hides the difference */
  learn(b, LRP_COST_BACK, i, more, many_s - few_s > least ? many_s - few_s : least);
  const double back_s = lrp_cost_stage_seconds(b->cost, LRP_COST_BACK, &few);
  learn(b, LRP_COST_EIGEN, i, lrp_cost_work(LRP_COST_EIGEN, &few),
        few_s - back_s > least ? few_s - back_s : least);
  return LRP_OK;
}

/* What a whole decomposition takes beyond the stages that were measured before. */
static lrp_status measure_finish(bench *b, int i) {
  double whole_s, parts_s = 0.0;
  b->rank = b->k / 2;
  const lrp_cost_task task = task_of(b);
  const lrp_status st = time_piece(b, NULL, decompose, &whole_s);
  if (st != LRP_OK) return st;

  parts_s += lrp_cost_stage_seconds(b->cost, LRP_COST_GRAM_BF16, &task);
  parts_s += lrp_cost_stage_seconds(b->cost, LRP_COST_EIGEN, &task);
  parts_s += lrp_cost_stage_seconds(b->cost, LRP_COST_BACK, &task);
  const double rest_s = whole_s - parts_s, least = 0.05 * whole_s;
  learn(b, LRP_COST_FINISH, i, lrp_cost_work(LRP_COST_FINISH, &task),
        rest_s > least ? rest_s : least);
  return LRP_OK;
}

/* A method as a whole. */
static lrp_status measure_method(bench *b, lrp_cost_stage stage, int i, int rank) {
  double seconds;
  b->rank = rank;
  const lrp_cost_task task = task_of(b);
  const lrp_status st = time_piece(b, NULL, decompose, &seconds);
  if (st == LRP_OK) learn(b, stage, i, lrp_cost_work(stage, &task), seconds);
  return st;
}

static lrp_status measure_gesdd(bench *b, int i) {
  return measure_method(b, LRP_COST_GESDD, i, b->k / 4);
}

static lrp_status measure_krylov(bench *b, int i) {
  return measure_method(b, LRP_COST_KRYLOV, i, lrp_cost_size(LRP_COST_KRYLOV, i));
}

/* The stages whose size is the side of a large matrix. Krylov is measured on the largest matrix at
 * both ranks; on a smaller one not every rank is its own. */
static lrp_status measure_large(bench *b, int i) {
  lrp_status st = measure_gram(b, i);
  if (st == LRP_OK) st = measure_eigen(b, i);
  if (st == LRP_OK) st = measure_finish(b, i);
  if (st == LRP_OK) st = measure_krylov(b, 0);
  if (st == LRP_OK && i == 1) st = measure_krylov(b, 1);
  return st;
}

/* measure() on a matrix of the i-th size of stage. */
static lrp_status with_matrix(bench *b, lrp_cost_stage stage, int i,
                              lrp_status (*measure)(bench *b, int i)) {
  const int k = lrp_cost_size(stage, i);
  lrp_status st = bench_init(b, k);
  b->once_s = 0.0;
  if (st == LRP_OK) st = measure(b, i);
  bench_free(b);
  return st;
}

/* Both sizes, the larger one where it is predicted to be done in time; the speed of the smaller one
 * is then that of both. */
static lrp_status measure_sizes(bench *b, lrp_cost_stage stage,
                                lrp_status (*measure)(bench *b, int i)) {
  const double growth = lrp_cost_size(stage, 1) / (double)lrp_cost_size(stage, 0);
  const lrp_cost before = *b->cost;
  lrp_status st = with_matrix(b, stage, 0, measure);

  if (st != LRP_OK) return st;
  for (int s = 0; s < LRP_COST_N_STAGES; s++) {
    double *speed = b->cost->speed[s];
    if (speed[0] != before.speed[s][0]) speed[1] = speed[0];
  }
  if (b->once_s * growth * growth * growth > b->budget_s) return LRP_OK;
  return with_matrix(b, stage, 1, measure);
}

lrp_status lrp_measure_computing(const lrp_topology *topo, double budget_s, lrp_cost *cost) {
  bench b = {.topo = topo, .cost = cost, .budget_s = budget_s};
  lrp_status st = measure_sizes(&b, LRP_COST_GESDD, measure_gesdd);
  if (st == LRP_OK) st = measure_sizes(&b, LRP_COST_GRAM_BF16, measure_large);
  return st;
}
