#include "tests/bench/bench_grid.h"

#include <math.h>
#include <omp.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "kernels/linalg/grid_svd.h"
#include "tests/bench/bench_pdgesvd.h"
#include "tests/bench/bench_solve.h"
#include "tests/bench/bench_timing.h"

/* The first is compared with one process rank, the second with pdgesvd, which is cubic, too, and
 * very slow. */
static const lrp_bench_case large[] = {
    {LRP_BENCH_LLM, 4096, 4096, 2048, 0, false, {LRP_BENCH_ONE_RANK, 2.0, 0, 1e-6}},
    {LRP_BENCH_LLM, 2048, 2048, 1024, 0, false, {LRP_BENCH_PDGESVD, 0.05, 0, 1e-6}}};
static const lrp_bench_case tiny[] = {
    {LRP_BENCH_LLM, 384, 256, 128, 0, true, {LRP_BENCH_ONE_RANK, 1e6, 0, 1e-6}},
    {LRP_BENCH_LLM, 384, 256, 128, 0, true, {LRP_BENCH_PDGESVD, 1e6, 0, 1e-6}}};

enum { repeats_of_long = 3, repeats_of_short = 7 };
static const double long_s = 2.0;

/* A case while it runs. */
typedef struct {
  const lrp_bench_terms *terms;
  const lrp_bench_case *c;
  int me, size;
  int threads, all_threads; /* of a process rank; of one that has the cores of all */
  lrp_bench_matrix m;
  lrp_scratch scratch;
  lrp_bench_quality quality;
  int repeats;
  double ours[LRP_BENCH_REPEATS_MAX], theirs[LRP_BENCH_REPEATS_MAX];
  int n_ours, n_theirs;
} trial;

/* Until process rank 0 comes, too; without keeping a core busy. */
static void wait_for_first(const trial *x) {
  MPI_Request request;
  int done = 0;
  MPI_Ibarrier(MPI_COMM_WORLD, &request);
  while (!done) {
    MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    if (!done && x->me != 0) usleep(1000);
  }
}

/* Made by process rank 0 if need be, then there for all. */
static lrp_status open_matrix(trial *x) {
  const lrp_bench_case *c = x->c;
  const char *folder = x->terms->folder;
  lrp_status st = LRP_OK;
  if (x->me == 0) st = lrp_bench_matrix_open(folder, c->spectrum, c->rows, c->cols, &x->m);
  wait_for_first(x);
  st = lrp_agree(st, MPI_COMM_WORLD);
  if (st != LRP_OK) return st;
  if (x->me != 0) st = lrp_bench_matrix_open(folder, c->spectrum, c->rows, c->cols, &x->m);
  return lrp_agree(st, MPI_COMM_WORLD);
}

static lrp_status solve_on_grid(const trial *x, lrp_precision precision, lrp_triplets *t) {
  lrp_status st = LRP_OK;
  lrp_grid grid;
  int nprow, npcol;

  *t = (lrp_triplets){0};
  lrp_grid_shape(x->size, x->c->cols, &nprow, &npcol);
  lrp_grid_init(&grid, MPI_COMM_WORLD, nprow, npcol);
  if (grid.comm != MPI_COMM_NULL) st = lrp_grid_svd(&x->m.w, x->c->rank, precision, &grid, t);
  lrp_grid_free(&grid);
  return lrp_agree(st, MPI_COMM_WORLD);
}

/* As lrp_decompose_grid() does it, without the certificate. */
static lrp_status call_grid(trial *x, bool look, double *seconds) {
  lrp_status st = LRP_ERR_NUM;
  lrp_triplets t = {0};

  MPI_Barrier(MPI_COMM_WORLD);
  const double start = lrp_bench_clock();
  if (x->c->cols > LRP_EXACT_SIDE) st = solve_on_grid(x, LRP_SINGLE, &t);
  if (st == LRP_ERR_NUM) st = solve_on_grid(x, LRP_DOUBLE, &t);
  *seconds = lrp_bench_clock() - start;
  if (st == LRP_ERR_NUM) st = lrp_fail(st, "%s: the grid does not converge", x->m.path);
  if (st == LRP_OK && look && x->me == 0) {
    st = lrp_bench_check_triplets(&x->m, &t, &x->quality);
  }
  wait_for_first(x);
  lrp_triplets_free(&t);
  return lrp_agree(st, MPI_COMM_WORLD);
}

static lrp_status call_one_rank(trial *x, double *seconds) {
  lrp_bench_result result;
  lrp_status st = LRP_OK;
  if (x->me == 0) {
    omp_set_num_threads(x->all_threads);
    st = lrp_bench_solve(&x->m, x->c->rank, &x->scratch, false, seconds, &result);
    omp_set_num_threads(x->threads);
  }
  wait_for_first(x);
  return lrp_agree(st, MPI_COMM_WORLD);
}

static lrp_status call_pdgesvd(trial *x, double *seconds) {
  lrp_status st = LRP_OK;
  lrp_grid grid;
  int nprow, npcol;

  lrp_grid_shape(x->size, x->c->cols, &nprow, &npcol);
  lrp_grid_init(&grid, MPI_COMM_WORLD, nprow, npcol);
  if (grid.comm != MPI_COMM_NULL) st = lrp_bench_pdgesvd(&x->m, &grid, seconds);
  lrp_grid_free(&grid);
  return lrp_agree(st, MPI_COMM_WORLD);
}

/* The first call warms up, except pdgesvd, which takes minutes and is called once. */
static lrp_status take_turns(trial *x) {
  const bool with_peer = !x->terms->peers || *x->terms->peers != '\0';
  lrp_status st = LRP_OK;
  double seconds = NAN;

  x->repeats = 1;
  for (int i = 0; st == LRP_OK && i <= x->repeats; i++) {
    st = call_grid(x, i == 0, &seconds);
    if (i == 0) {
      x->repeats = seconds > long_s ? repeats_of_long : repeats_of_short;
      if (x->terms->repeats > 0) x->repeats = x->terms->repeats;
      MPI_Bcast(&x->repeats, 1, MPI_INT, 0, MPI_COMM_WORLD);
    }
    x->n_ours = i;
    if (i > 0) x->ours[i - 1] = seconds;
    if (st != LRP_OK || !with_peer) continue;
    if (x->c->goal.against == LRP_BENCH_ONE_RANK) {
      st = call_one_rank(x, &seconds);
      if (i > 0) x->theirs[x->n_theirs++] = seconds;
    } else if (i == x->repeats) {
      st = call_pdgesvd(x, &seconds);
      x->theirs[x->n_theirs++] = seconds;
    }
  }
  return st;
}

/* Of what was measured, as it is printed. */
typedef struct {
  char name[64], goal[128];
  double ours, theirs;
  lrp_bench_verdict verdict;
} summary;

static summary summarize(trial *x) {
  const lrp_bench_goal *goal = &x->c->goal;
  char name[64];
  summary s = {.ours = lrp_bench_median(x->ours, x->n_ours),
               .theirs = lrp_bench_median(x->theirs, x->n_theirs)};
  lrp_bench_case_name(x->c, name, sizeof name);
  snprintf(s.name, sizeof s.name, "grid%s", strchr(name, '-'));
  lrp_bench_goal_text(goal, s.goal, sizeof s.goal);
  s.verdict = lrp_bench_judge(goal, goal->ratio, &x->quality, s.ours, s.theirs);
  return s;
}

static lrp_status print_json(const trial *x, const summary *s) {
  const lrp_bench_case *c = x->c;
  json_t *peers = json_object();
  json_t *line =
      json_pack("{s:s, s:i, s:i, s:i, s:s, s:s, s:i}", "case", s->name, "m", c->rows, "n", c->cols,
                "rank", c->rank, "spectrum", lrp_bench_spectrum_name(c->spectrum), "dtype",
                lrp_dtype_name(LRP_BF16), "ranks", x->size);
  lrp_bench_add_machine(line, x->threads);
  json_object_set_new(line, "method", json_string(lrp_solver_name(LRP_SOLVER_GRID)));
  json_object_set_new(line, "seconds", lrp_bench_real(s->ours));
  json_object_set_new(line, "excess", lrp_bench_real(x->quality.excess));
  json_object_set_new(line, "orthogonality", lrp_bench_real(x->quality.orthogonality));
  if (x->n_theirs > 0) {
    json_object_set_new(peers, lrp_bench_peer_name(c->goal.against),
                        json_pack("{s:o, s:o, s:i}", "seconds", lrp_bench_real(s->theirs), "ratio",
                                  lrp_bench_real(s->ours / s->theirs), "repeats", x->n_theirs));
  }
  json_object_set_new(line, "peers", peers);
  json_object_set_new(line, "goal", json_string(s->goal));
  json_object_set_new(line, "reached", lrp_bench_json_verdict(s->verdict));
  return lrp_bench_print_line(line);
}

static void print_table(const trial *x, const summary *s) {
  char text[64];
  snprintf(text, sizeof text, "lrpipe (grid of %d)", x->size);
  lrp_bench_print_row(s->name, text, s->ours, &x->quality, 0.0);
  if (x->n_theirs > 0) {
    lrp_bench_print_row("", lrp_bench_peer_name(x->c->goal.against), s->theirs, NULL,
                        s->ours / s->theirs);
  }
  lrp_bench_print_goal(&x->c->goal, s->verdict);
}

static lrp_status print(trial *x, lrp_bench_score *score) {
  const summary s = summarize(x);
  lrp_bench_count(score, s.verdict);
  print_table(x, &s);
  return print_json(x, &s);
}

/* Cores that the process ranks have together; fails if process rank 0 may not use all of them. */
static lrp_status count_cores(int me, int *cores) {
  cpu_set_t mine, all;
  lrp_status st = LRP_OK;

  CPU_ZERO(&mine);
  if (sched_getaffinity(0, sizeof mine, &mine) != 0) CPU_SET(0, &mine);
  MPI_Allreduce(&mine, &all, (int)sizeof all, MPI_BYTE, MPI_BOR, MPI_COMM_WORLD);
  *cores = CPU_COUNT(&all);
  if (me == 0 && !CPU_EQUAL(&mine, &all)) {
    st = lrp_fail(LRP_ERR_USAGE,
                  "--grid: process ranks are bound to cores, so that one cannot have those of all; "
                  "use mpirun --bind-to none");
  }
  return lrp_agree(st, MPI_COMM_WORLD);
}

lrp_status lrp_bench_grid(const lrp_bench_terms *terms, int threads, bool small,
                          lrp_bench_score *score) {
  const lrp_bench_case *cases = small ? tiny : large;
  trial x = {.terms = terms, .threads = threads};
  int cores;

  MPI_Comm_rank(MPI_COMM_WORLD, &x.me);
  MPI_Comm_size(MPI_COMM_WORLD, &x.size);
  lrp_status st = count_cores(x.me, &cores);
  x.all_threads = threads * x.size < cores ? threads * x.size : cores;
  if (st == LRP_OK && x.me == 0) lrp_bench_print_head();
  for (int i = 0; st == LRP_OK && i < 2; i++) {
    x.c = &cases[i];
    x.n_ours = x.n_theirs = 0;
    st = open_matrix(&x);
    if (st == LRP_OK) st = take_turns(&x);
    if (st == LRP_OK && x.me == 0) st = print(&x, score);
    st = lrp_agree(st, MPI_COMM_WORLD);
    lrp_bench_matrix_free(&x.m);
  }
  lrp_scratch_free(&x.scratch);
  return st;
}
