#include "tests/mpi_test.h"

#include <sys/resource.h>

#include "kernels/linalg/decompose.h"
#include "kernels/linalg/dmat.h"
#include "kernels/linalg/grid.h"
#include "tests/kernels/linalg/cases.h"

static lrp_scratch scratch;

static int me, size;

static void test_shape(void **state) {
  int p, q;
  (void)state;
  const int expected[][4] = {/* size, k, nprow, npcol */
                             {1, 4096, 1, 1},    {2, 4096, 1, 2}, {3, 4096, 1, 3}, {4, 4096, 2, 2},
                             {5, 4096, 2, 2},    {6, 4096, 2, 3}, {8, 4096, 2, 4}, {64, 4096, 8, 8},
                             {64, 8, 2, 2},      {3, 8, 1, 2},    {64, 3, 1, 1},   {16, 12, 3, 3},
                             {128, 4096, 11, 11}};
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
    lrp_grid_shape(expected[i][0], expected[i][1], &p, &q);
    assert_all_ranks(p == expected[i][2] && q == expected[i][3]);
  }
}

/* A grid of fewer process ranks than there are: the others are told so. */
static void test_members(void **state) {
  lrp_grid grid;
  (void)state;
  lrp_grid_init(&grid, MPI_COMM_WORLD, 1, size > 1 ? size - 1 : 1);
  const bool in = me == 0 || me < size - 1;
  assert_all_ranks(in == (grid.comm != MPI_COMM_NULL));
  assert_all_ranks((me == 0) == (grid.ictxt_root >= 0));
  assert_all_ranks(!in || (grid.myrow == 0 && grid.mycol == me && grid.nprow == 1));
  lrp_grid_free(&grid);
  assert_all_ranks(grid.comm == MPI_COMM_NULL);
}

/* On process rank 0: f is right by itself, and agrees with what one process rank computes. */
static bool agrees(const lrp_matrix *w, const lrp_factors *f, const char *what) {
  lrp_factors g;
  bool ok = true;
  if (lrp_decompose("local", w, f->rank, f->method, f->dtype, &scratch, &g) != LRP_OK) return false;
  double *mine = case_product(f);
  double *theirs = case_product(&g);
  double *dense = case_doubles(w->data, w->dtype, w->rows, w->cols);
  const double s1 = g.spectrum[0] > 0.0 ? g.spectrum[0] : 1.0;
  const double error = case_distance(mine, dense, w->rows * w->cols);
  double gap = 0.0;
  for (int i = 0; i < f->k; i++) gap = fmax(gap, fabs(f->spectrum[i] - g.spectrum[i]) / s1);
  for (int i = 1; i < f->k; i++) ok = ok && f->spectrum[i] <= f->spectrum[i - 1];
  ok = ok && f->solver == LRP_SOLVER_GRID && gap <= 1e-7 &&
       fabs(error - f->certificate.relative_error) <= 1e-7 &&
       fabs(f->certificate.relative_error - g.certificate.relative_error) <= 1e-6 &&
       f->certificate.orthogonality <= 1e-6 && f->certificate.residual <= 1e-6 &&
       case_orthogonality(f) <= 1e-5 && case_signs_fixed(f);
  /* The product is unique only where s_rank > s_rank+1. */
  const double next = f->rank < f->k ? g.spectrum[f->rank] : 0.0;
  const bool unique = g.spectrum[f->rank - 1] - next > 1e-3 * s1 || f->rank == f->k;
  if (unique) ok = ok && case_distance(mine, theirs, w->rows * w->cols) <= 1e-5;
  if (!ok) {
    print_error(
        "%s %d x %d rank %d: solver %s, s differs by %g, error %g %g %g, product by %g, "
        "orthogonality %g, residual %g\n",
        what, f->m, f->n, f->rank, lrp_solver_name(f->solver), gap, error,
        f->certificate.relative_error, g.certificate.relative_error,
        case_distance(mine, theirs, w->rows * w->cols), f->certificate.orthogonality,
        f->certificate.residual);
  }
  free(dense);
  free(theirs);
  free(mine);
  lrp_factors_free(&g);
  return ok;
}

static bool check(case_kind kind, int m, int n, int rank, lrp_method method, MPI_Comm comm) {
  lrp_matrix w = case_create(kind, LRP_F32, m, n, 2);
  lrp_factors f;
  int mine;
  MPI_Comm_rank(comm, &mine);
  bool ok = lrp_decompose_grid("t", &w, rank, method, LRP_F32, comm, &scratch, &f) == LRP_OK;
  if (mine == 0) {
    ok = ok && agrees(&w, &f, case_name(kind));
  } else {
    ok = ok && !f.left && !f.right && !f.middle && !f.spectrum && f.m == 0;
  }
  lrp_factors_free(&f);
  case_free(&w, 2);
  return ok;
}

static void test_all_cases(void **state) {
  static const int shapes[][2] = {{8, 8},    {9, 8},    {8, 11},   {33, 70},
                                  {172, 64}, {64, 172}, {100, 60}, {130, 131}};
  (void)state;
  for (int kind = 0; kind < CASE_COUNT; kind++) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
      const int m = shapes[i][0];
      const int n = shapes[i][1];
      const int k = m < n ? m : n;
      const int r = (kind + (int)i) % 2 ? 1 : k / 3 + 1;
      assert_all_ranks(check((case_kind)kind, m, n, r, LRP_TUCKER, MPI_COMM_WORLD));
      assert_all_ranks(check((case_kind)kind, m, n, k, LRP_SVD, MPI_COMM_WORLD));
    }
  }
}

/* As agrees(), by certificates, for matrices whose products take long by plain loops. */
static bool large_agrees(const lrp_matrix *w, const lrp_factors *f, const char *what) {
  lrp_factors g;
  if (lrp_decompose("local", w, f->rank, f->method, f->dtype, &scratch, &g) != LRP_OK) return false;
  double gap = 0.0;
  for (int i = 0; i < f->rank; i++) {
    gap = fmax(gap, fabs(f->spectrum[i] - g.spectrum[i]) / g.spectrum[0]);
  }
  const double errors = fabs(f->certificate.relative_error - g.certificate.relative_error);
  const bool ok = f->solver == LRP_SOLVER_GRID && gap <= 1e-5 && errors <= 1e-5 &&
                  f->certificate.orthogonality <= 5e-6;
  if (!ok) {
    print_error("%s rank %d: solver %s, s differs by %g, error by %g, orthogonality %g\n", what,
                f->rank, lrp_solver_name(f->solver), gap, errors, f->certificate.orthogonality);
  }
  lrp_factors_free(&g);
  return ok;
}

/* Beyond LRP_EXACT_SIDE: in single precision; in double where the spectrum speaks against it. */
static void test_large(void **state) {
  static const struct {
    case_kind kind;
    int m, n, rank;
  } cases[] = {{CASE_RANDOM, 1100, 1030, 40},
               {CASE_DUPLICATES, 1026, 1500, 300},
               {CASE_OUTLIER, 1030, 1040, 2},
               {CASE_RANK_TWO, 1040, 1030, 3},
               {CASE_ZERO, 1025, 1025, 1}};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lrp_matrix w = case_create(cases[i].kind, LRP_BF16, cases[i].m, cases[i].n, 2);
    lrp_factors f;
    bool ok = lrp_decompose_grid("t", &w, cases[i].rank, LRP_SVD, LRP_F32, MPI_COMM_WORLD, &scratch,
                                 &f) == LRP_OK;
    if (me == 0) ok = ok && large_agrees(&w, &f, case_name(cases[i].kind));
    assert_all_ranks(ok);
    lrp_factors_free(&f);
    case_free(&w, 2);
  }
}

/* Too small for ScaLAPACK: solved by process rank 0, and nobody waits for ever. */
static void test_tiny(void **state) {
  static const int shapes[][2] = {{1, 1}, {1, 2}, {2, 1}, {1, 9}, {7, 7}, {7, 300}, {40, 3}};
  (void)state;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    lrp_matrix w = case_create(CASE_RANDOM, LRP_F32, shapes[i][0], shapes[i][1], 0);
    lrp_factors f;
    assert_all_ranks(
        lrp_decompose_grid("t", &w, 1, LRP_SVD, LRP_F32, MPI_COMM_WORLD, &scratch, &f) == LRP_OK);
    assert_all_ranks(me != 0 || (f.solver == LRP_SOLVER_GESDD && f.certificate.residual < 1e-6));
    assert_all_ranks((me == 0) == (f.left != NULL));
    lrp_factors_free(&f);
    case_free(&w, 0);
  }
}

/* Two groups work at the same time on different matrices, each on its communicator. */
static void test_sub_communicators(void **state) {
  MPI_Comm half;
  (void)state;
  MPI_Comm_split(MPI_COMM_WORLD, me % 2, -me, &half);
  for (int i = 0; i < 3; i++) {
    const int m = me % 2 ? 40 : 65;
    assert_all_ranks(check(CASE_RANDOM, m, 50, 10, LRP_TUCKER, half));
  }
  MPI_Comm_free(&half);
}

/* Process ranks that were left out of one grid are part of the next. PBLAS keeps settings from call
 * to call; at 3 process ranks this hung before lrp_grid_init() reset them. */
static void test_changing_members(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    MPI_Comm first;
    assert_all_ranks(check(CASE_RANDOM, 8, 8, 4, LRP_SVD, MPI_COMM_WORLD));
    assert_all_ranks(check(CASE_RANDOM, 33, 70, 9, LRP_SVD, MPI_COMM_WORLD));
    MPI_Comm_split(MPI_COMM_WORLD, me == size - 1 ? MPI_UNDEFINED : 0, me, &first);
    assert_all_ranks(first == MPI_COMM_NULL || check(CASE_RANDOM, 40, 30, 5, LRP_SVD, first));
    if (first != MPI_COMM_NULL) MPI_Comm_free(&first);
    assert_all_ranks(check(CASE_RANDOM, 40, 30, 5, LRP_SVD, MPI_COMM_WORLD));
  }
}

static void test_16_bit_output(void **state) {
  lrp_matrix w = case_create(CASE_OUTLIER, LRP_F16, 90, 75, 1);
  lrp_factors f;
  bool ok = true;
  (void)state;
  assert_all_ranks(lrp_decompose_grid("t", &w, 20, LRP_TUCKER, LRP_BF16, MPI_COMM_WORLD, &scratch,
                                      &f) == LRP_OK);
  if (me == 0) {
    double *dense = case_doubles(w.data, w.dtype, w.rows, w.cols);
    double *product = case_product(&f);
    const double error = case_distance(product, dense, w.rows * w.cols);
    ok = f.solver == LRP_SOLVER_GRID && fabs(error - f.certificate.relative_error) < 1e-9;
    free(product);
    free(dense);
  }
  assert_all_ranks(ok);
  lrp_factors_free(&f);
  case_free(&w, 1);
}

/* What process rank 0 finds out alone, all return. */
static void test_failure_is_agreed(void **state) {
  float w[100];
  const lrp_matrix view = {w, LRP_F32, 10, 10, 10};
  lrp_factors f;
  (void)state;
  for (int i = 0; i < 100; i++) w[i] = 3e38f;
  assert_all_ranks(lrp_decompose_grid("big", &view, 2, LRP_SVD, LRP_F32, MPI_COMM_WORLD, &scratch,
                                      &f) == LRP_ERR_DATA);
  assert_all_ranks(!f.left);
  lrp_failure_clear();
  assert_all_ranks(lrp_decompose_grid("r", &view, 11, LRP_SVD, LRP_F32, MPI_COMM_WORLD, &scratch,
                                      &f) == LRP_ERR_BUG);
  lrp_failure_clear();
}

/* Always 0 under AddressSanitizer, which keeps released memory for a while. */
static long peak_kib(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
#ifdef __SANITIZE_ADDRESS__
  usage.ru_maxrss = 0;
#endif
  return usage.ru_maxrss;
}

/* Hundreds of units in one run: contexts come back, memory and communicators do not grow. */
static void test_repetition(void **state) {
  lrp_grid grid;
  MPI_Comm copy;
  (void)state;

  for (int i = 0; i < 5; i++)
    assert_all_ranks(check(CASE_RANDOM, 66, 40, 9, LRP_SVD, MPI_COMM_WORLD));
  lrp_grid_init(&grid, MPI_COMM_WORLD, 1, 1);
  const int context = grid.ictxt;
  lrp_grid_free(&grid);
  MPI_Comm_dup(MPI_COMM_WORLD, &copy);
  const MPI_Fint communicator = MPI_Comm_c2f(copy);
  MPI_Comm_free(&copy);
  const long before = peak_kib();

  for (int i = 0; i < 50; i++) {
    assert_all_ranks(check(CASE_RANDOM, 66, 40, 9, LRP_SVD, MPI_COMM_WORLD));
  }
  lrp_grid_init(&grid, MPI_COMM_WORLD, 1, 1);
  assert_all_ranks(grid.ictxt == context);
  lrp_grid_free(&grid);
  MPI_Comm_dup(MPI_COMM_WORLD, &copy);
  assert_all_ranks(MPI_Comm_c2f(copy) == communicator);
  MPI_Comm_free(&copy);
  assert_all_ranks(peak_kib() - before < 4096);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shape),
      cmocka_unit_test(test_members),
      cmocka_unit_test(test_all_cases),
      cmocka_unit_test(test_large),
      cmocka_unit_test(test_tiny),
      cmocka_unit_test(test_sub_communicators),
      cmocka_unit_test(test_changing_members),
      cmocka_unit_test(test_16_bit_output),
      cmocka_unit_test(test_failure_is_agreed),
      cmocka_unit_test(test_repetition),
  };
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &me);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
