/* The parts of the grid path, in both precisions, and PDGESVD as an oracle. */
#include "tests/mpi_test.h"

#include <sys/resource.h>

#include "kernels/linalg/grid_ortho.h"
#include "kernels/linalg/grid_svd.h"
#include "kernels/linalg/pblas.h"
#include "tests/kernels/linalg/cases.h"

void pdgesvd_(const char *jobu, const char *jobvt, const int *m, const int *n, double *a,
              const int *ia, const int *ja, const int *desca, double *s, double *u, const int *iu,
              const int *ju, const int *descu, double *vt, const int *ivt, const int *jvt,
              const int *descvt, double *work, const int *lwork, int *info, size_t, size_t);

static const lrp_precision precisions[] = {LRP_SINGLE, LRP_DOUBLE};

static int me, size;
static lrp_scratch scratch;

/* A grid over all process ranks that a short side of k allows. */
static lrp_grid make_grid(int k) {
  lrp_grid grid;
  int p, q;
  lrp_grid_shape(size, k, &p, &q);
  lrp_grid_init(&grid, MPI_COMM_WORLD, p, q);
  return grid;
}

/* Uneven shares: w^T goes to the grid and comes back as w, with its rows in another order. */
static bool collects(lrp_precision precision, const lrp_grid *grid) {
  enum { m = 13, n = 79, kept = 11 };
  static const int place[kept] = {4, 0, 10, 7, 1, 2, 9, 3, 8, 5, 6};
  float rows[kept * n], columns[n * kept];
  lrp_matrix w = case_create(CASE_RANDOM, LRP_BF16, m, n, 1);
  double *dense = case_doubles(w.data, LRP_BF16, m, n);
  lrp_dmat *a = NULL;

  bool ok = lrp_dmat_create(grid, precision, n, m, 3, &a) == LRP_OK;
  if (ok) {
    lrp_dmat_load_transposed(a, &w);
    ok = lrp_dmat_collect(a, kept, place, rows, 1, n) == LRP_OK &&
         lrp_dmat_collect(a, kept, place, columns, kept, 1) == LRP_OK;
    for (int i = 0; i < kept && me == 0; i++) {
      for (int j = 0; j < n; j++) {
        ok = ok && rows[place[i] * n + j] == (float)dense[i * n + j] &&
             columns[j * kept + place[i]] == (float)dense[i * n + j];
      }
    }
  }
  lrp_dmat_destroy(&a);
  free(dense);
  case_free(&w, 1);
  return ok;
}

static void test_collect(void **state) {
  lrp_grid grid = make_grid(13);
  (void)state;
  for (int i = 0; i < 2; i++) {
    assert_all_ranks(grid.comm == MPI_COMM_NULL || collects(precisions[i], &grid));
  }
  lrp_grid_free(&grid);
}

/* Known entries: what every process rank is told of the whole. */
static bool measures(lrp_precision precision, const lrp_grid *grid) {
  enum { m = 17, n = 23 };
  double norm[m], diagonal[m], factor[m];
  lrp_matrix w = case_create(CASE_RANDOM, LRP_F32, m, n, 0);
  const float *entry = w.data;
  lrp_dmat *a = NULL;

  bool ok = lrp_dmat_create(grid, precision, n, m, 4, &a) == LRP_OK;
  if (!ok) return false;
  lrp_dmat_load_transposed(a, &w);
  for (int j = 0; j < m; j++) factor[j] = 3.0 * (j + 1);
  lrp_dmat_scale_columns(a, m, factor);
  const double scale = lrp_dmat_normalize(a); /* the largest entry is just below 3 * 17 = 51 */
  lrp_dmat_column_norms(a, m, norm);
  lrp_dmat_diagonal(a, diagonal);
  for (int j = 0; j < m; j++) {
    double sum = 0.0;
    for (int i = 0; i < n; i++) sum += (double)entry[j * n + i] * entry[j * n + i];
    ok = ok && fabs(norm[j] * scale - factor[j] * sqrt(sum)) < 1e-4 &&
         fabs(diagonal[j] * scale - factor[j] * entry[j * n + j]) < 1e-4;
  }
  ok = ok && scale == 64.0;
  memset(a->loc, 0, (size_t)a->lld * (size_t)a->locc * lrp_precision_size(precision));
  ok = ok && lrp_dmat_normalize(a) == 1.0;
  lrp_dmat_destroy(&a);
  case_free(&w, 0);
  return ok;
}

static void test_measures(void **state) {
  lrp_grid grid = make_grid(17);
  (void)state;
  for (int i = 0; i < 2; i++) {
    assert_all_ranks(grid.comm == MPI_COMM_NULL || measures(precisions[i], &grid));
  }
  lrp_grid_free(&grid);
}

/* 30 x 10 with the singular values 10, 9, .. 1: nearly orthogonal columns of these lengths, tilted
 * by tilt, the last one a multiple of the one before if dependent. */
static lrp_matrix columns_of(double tilt, bool dependent) {
  enum { m = 10, n = 30 };
  float *x = calloc(m * n, sizeof *x);
  if (!x) abort();
  for (int i = 0; i < m; i++) {
    x[i * n + 2 * i] = (float)(m - i);
    for (int j = 0; j < n; j++)
      x[i * n + j] += (float)(tilt * case_random(7, (uint64_t)(i * n + j)));
  }
  for (int j = 0; dependent && j < n; j++) x[9 * n + j] = x[8 * n + j] / 2;
  return (lrp_matrix){x, LRP_F32, m, n, n};
}

/* |Q^T Q - I|_max of the columns of q, on process rank 0. */
static double skew(const lrp_dmat *q) {
  enum { n = 10 };
  static const int place[n] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  float x[n * 30];
  double max = 0.0;
  if (lrp_dmat_collect(q, n, place, x, 1, 30) != LRP_OK) return INFINITY;
  for (int i = 0; i < n && me == 0; i++) {
    for (int j = 0; j <= i; j++) {
      double e = i == j ? -1.0 : 0.0;
      for (int l = 0; l < 30; l++) e += (double)x[i * 30 + l] * x[j * 30 + l];
      max = fmax(max, fabs(e));
    }
  }
  return max;
}

static lrp_status orthonormalize(lrp_precision precision, double tilt, bool dependent,
                                 const lrp_grid *grid, double *s, double *how_skew) {
  lrp_matrix w = columns_of(tilt, dependent);
  lrp_dmat *b = NULL;
  lrp_status st = lrp_dmat_create(grid, precision, 30, 10, 2, &b);
  if (st == LRP_OK) {
    lrp_dmat_load_transposed(b, &w);
    st = lrp_grid_orthonormalize(b, s);
    *how_skew = skew(b);
  }
  lrp_dmat_destroy(&b);
  free((void *)w.data);
  return st;
}

static void test_orthonormalize(void **state) {
  lrp_grid grid = make_grid(10);
  const bool out = grid.comm == MPI_COMM_NULL;
  double s[10], t[10], e;
  (void)state;

  for (int i = 0; i < 2; i++) {
    lrp_precision p = precisions[i];
    assert_all_ranks(out || (orthonormalize(p, 1e-3, false, &grid, s, &e) == LRP_OK && e < 1e-6));
    for (int j = 0; j < 10; j++) assert_all_ranks(out || fabs(s[j] - (10 - j)) < 0.02);
  }
  /* Far from orthogonal: single precision refuses, double takes it, also where it is singular. */
  assert_all_ranks(out || orthonormalize(LRP_SINGLE, 0.3, false, &grid, s, &e) == LRP_ERR_NUM);
  assert_all_ranks(out || orthonormalize(LRP_SINGLE, 1e-3, true, &grid, s, &e) == LRP_ERR_NUM);
  assert_all_ranks(out ||
                   (orthonormalize(LRP_DOUBLE, 0.3, false, &grid, s, &e) == LRP_OK && e < 1e-6));
  assert_all_ranks(out ||
                   (orthonormalize(LRP_DOUBLE, 1e-3, true, &grid, t, &e) == LRP_OK && e < 1e-6));
  assert_all_ranks(out || (fabs(t[9]) < 1e-6 && s[9] > 0.1));
  lrp_grid_free(&grid);
}

/* A strong signal of rank terms in weak noise: the best product of that rank is unique. */
static lrp_matrix signal(int m, int n, int rank, double noise) {
  float *x = malloc((size_t)m * (size_t)n * sizeof *x);
  if (!x) abort();
  for (int i = 0; i < m; i++) {
    for (int j = 0; j < n; j++) {
      double sum = noise * case_random(1, (uint64_t)(i * n + j));
      for (int l = 0; l < rank; l++) {
        sum += case_random(2, (uint64_t)(i * rank + l)) * case_random(3, (uint64_t)(j * rank + l));
      }
      x[i * n + j] = (float)sum;
    }
  }
  return (lrp_matrix){x, LRP_F32, m, n, n};
}

/* u diag(s) vt by plain loops: owned. */
static double *product_of(const lrp_triplets *t) {
  double *p = calloc((size_t)t->m * (size_t)t->n, sizeof *p);
  if (!p) abort();
  for (int i = 0; i < t->m; i++) {
    for (int l = 0; l < t->rank; l++) {
      const double x = t->u[i * t->rank + l] * t->s[l];
      for (int j = 0; j < t->n; j++) p[i * t->n + j] += x * t->vt[l * t->n + j];
    }
  }
  return p;
}

/* Single and double precision agree to 1e-5, and single meets what grid_svd.h says. */
static bool precisions_agree(int m, int n, int rank) {
  lrp_matrix w = signal(m, n, rank, 1e-2);
  lrp_grid grid = make_grid(m < n ? m : n);
  lrp_triplets t[2] = {{0}, {0}};
  lrp_certificate c;
  bool ok = true;

  for (int i = 0; i < 2 && grid.comm != MPI_COMM_NULL; i++) {
    ok = ok && lrp_grid_svd(&w, rank, precisions[i], &grid, &t[i]) == LRP_OK;
  }
  if (ok && me == 0) {
    double *single = product_of(&t[0]), *full = product_of(&t[1]);
    ok = case_distance(single, full, m * n) <= 1e-5 &&
         lrp_certify(&w, &t[0], &scratch, &c) == LRP_OK && lrp_certificate_passes(&c) &&
         c.orthogonality <= 5e-6;
    for (int i = 0; i < rank; i++) ok = ok && fabs(t[0].s[i] / t[1].s[i] - 1.0) < 1e-5;
    for (int i = 1; i < t->k; i++) ok = ok && t[0].s[i] <= t[0].s[i - 1];
    if (!ok) {
      print_error("%d x %d: differ by %g, orthogonality %g, residual %g, error %.9g of %.9g\n", m,
                  n, case_distance(single, full, m * n), c.orthogonality, c.residual,
                  c.relative_error, c.predicted);
    }
    free(full);
    free(single);
  }
  for (int i = 0; i < 2; i++) lrp_triplets_free(&t[i]);
  lrp_grid_free(&grid);
  free((void *)w.data);
  return ok;
}

static void test_precisions_agree(void **state) {
  (void)state;
  assert_all_ranks(precisions_agree(200, 160, 12));
  assert_all_ranks(precisions_agree(90, 301, 9));
  assert_all_ranks(precisions_agree(301, 90, 1));
  assert_all_ranks(precisions_agree(16, 16, 5));
}

/* 64 x 80 with 20 singular values of 1, 20 of small, the others 0.001, some strong ones first. */
static lrp_matrix stairs(float small, const float *strong, int n_strong) {
  enum { m = 64, n = 80 };
  float *x = calloc(m * n, sizeof *x);
  if (!x) abort();
  for (int i = 0; i < m; i++) {
    const float s = i < n_strong ? strong[i] : i < 20 ? 1.0f : i < 40 ? small : 0.001f;
    x[i * n + (7 * i + 3) % n] = s;
  }
  return (lrp_matrix){x, LRP_F32, m, n, n};
}

/* Single precision knows its limit: s_1 / s_rank of 50, or of 53. */
static void test_single_refuses(void **state) {
  lrp_grid grid = make_grid(64);
  (void)state;
  for (int i = 0; i < 2; i++) {
    lrp_matrix w = stairs(i == 0 ? 1.0f / 50.0f : 1.0f / 53.0f, NULL, 0);
    lrp_triplets t = {0};
    const lrp_status expected = i == 0 ? LRP_OK : LRP_ERR_NUM;
    assert_all_ranks(grid.comm == MPI_COMM_NULL ||
                     lrp_grid_svd(&w, 30, LRP_SINGLE, &grid, &t) == expected);
    assert_all_ranks(!t.s || (fabs(t.s[0] - 1.0) < 1e-5 && fabs(t.s[29] - 0.02) < 1e-5));
    assert_all_ranks((t.s != NULL) == (me == 0 && expected == LRP_OK));
    lrp_triplets_free(&t);
    free((void *)w.data);
  }
  lrp_grid_free(&grid);
}

/* Strong directions that single precision could not have beside the others, some of them not among
 * the triplets asked for; those that are as strong as each other are refused. */
static void test_outliers(void **state) {
  static const float strong[] = {2000.0f, 300.0f, 40.0f};
  static const float equal[] = {1000.0f, 999.9f};
  static const int ranks[] = {1, 2, 15};
  lrp_grid grid = make_grid(64);
  lrp_matrix w = stairs(0.03f, strong, 3), v = stairs(0.03f, equal, 2);
  lrp_triplets t = {0};
  (void)state;
  for (int l = 0; l < 3; l++) {
    lrp_certificate c;
    bool ok =
        grid.comm == MPI_COMM_NULL || lrp_grid_svd(&w, ranks[l], LRP_SINGLE, &grid, &t) == LRP_OK;
    if (me == 0 && ok) {
      ok = lrp_certify(&w, &t, &scratch, &c) == LRP_OK && lrp_certificate_passes(&c) &&
           fabs(c.relative_error / c.predicted - 1.0) < 1e-5;
      for (int i = 0; i < 20; i++) {
        const double s = i < 3 ? (double)strong[i] : 1.0;
        ok = ok && fabs(t.s[i] / s - 1.0) < 1e-5;
      }
    }
    assert_all_ranks(ok);
    lrp_triplets_free(&t);
  }
  assert_all_ranks(grid.comm == MPI_COMM_NULL ||
                   lrp_grid_svd(&v, 5, LRP_SINGLE, &grid, &t) == LRP_ERR_NUM);
  lrp_grid_free(&grid);
  free((void *)w.data);
  free((void *)v.data);
}

/* PDGESVD of w^T: its s (k of them), and its product of that rank on process rank 0, n x m. */
static double *oracle(const lrp_matrix *w, int rank, const lrp_grid *grid, double *s) {
  const int m = (int)w->cols, n = (int)w->rows, k = m < n ? m : n, one = 1, nb = 16, ask = -1;
  lrp_dmat *a = NULL, *u = NULL, *vt = NULL;
  lrp_triplets t = {0};
  double query;
  int info = 1;

  if (lrp_dmat_create(grid, LRP_DOUBLE, m, n, nb, &a) != LRP_OK ||
      lrp_dmat_create(grid, LRP_DOUBLE, m, k, nb, &u) != LRP_OK ||
      lrp_dmat_create(grid, LRP_DOUBLE, k, n, nb, &vt) != LRP_OK ||
      lrp_triplets_create(&t, n, m, k) != LRP_OK) {
    abort();
  }
  lrp_dmat_load_transposed(a, w);
  pdgesvd_("V", "V", &m, &n, a->loc, &one, &one, a->desc, s, u->loc, &one, &one, u->desc, vt->loc,
           &one, &one, vt->desc, &query, &ask, &info, 1, 1);
  const int lwork = (int)query + 4096;
  double *work = malloc((size_t)lwork * sizeof *work);
  int *place = malloc((size_t)(m > n ? m : n) * sizeof *place);
  if (!work || !place) abort();
  for (int i = 0; i < m || i < n; i++) place[i] = i;
  pdgesvd_("V", "V", &m, &n, a->loc, &one, &one, a->desc, s, u->loc, &one, &one, u->desc, vt->loc,
           &one, &one, vt->desc, work, &lwork, &info, 1, 1);
  /* w = V diag(s) U^T */
  if (info != 0 || lrp_dmat_collect(u, k, place, t.vt, 1, (size_t)m) != LRP_OK ||
      lrp_dmat_collect(vt, n, place, t.u, 1, (size_t)k) != LRP_OK) {
    abort();
  }
  memcpy(t.s, s, (size_t)k * sizeof *s);
  double *product = NULL;
  if (me == 0) { /* t.u came as the rows of vt^T, n x k */
    lrp_triplets_truncate(&t, rank);
    product = product_of(&t);
  }
  lrp_triplets_free(&t);
  free(place);
  free(work);
  lrp_dmat_destroy(&vt);
  lrp_dmat_destroy(&u);
  lrp_dmat_destroy(&a);
  return product;
}

static bool agrees_with_oracle(int m, int n, int rank) {
  const int k = m < n ? m : n;
  lrp_matrix w = case_create(CASE_RANDOM, LRP_F32, m, n, 0);
  lrp_grid grid = make_grid(k);
  double *s = malloc((size_t)k * sizeof *s);
  bool ok = true;

  if (!s) abort();
  if (grid.comm != MPI_COMM_NULL) {
    lrp_triplets t;
    double *expected = oracle(&w, rank, &grid, s);
    ok = lrp_grid_svd(&w, rank, LRP_DOUBLE, &grid, &t) == LRP_OK;
    if (ok && me == 0) {
      double *mine = product_of(&t);
      ok = case_distance(mine, expected, m * n) < 1e-6;
      for (int i = 0; i < k; i++) ok = ok && fabs(t.s[i] - s[i]) < 1e-9 * s[0];
      free(mine);
    }
    lrp_triplets_free(&t);
    free(expected);
  }
  lrp_grid_free(&grid);
  free(s);
  case_free(&w, 0);
  return ok;
}

static void test_oracle(void **state) {
  (void)state;
  assert_all_ranks(agrees_with_oracle(120, 120, 40));
  assert_all_ranks(agrees_with_oracle(150, 61, 20));
  assert_all_ranks(agrees_with_oracle(61, 150, 20));
}

/* The last process rank cannot get memory: all return, with its failure. A sanitizer cannot go on
 * without memory. */
#ifdef __SANITIZE_ADDRESS__
static void test_failing_rank(void **state) {
  (void)state;
  skip();
}
#else
static void test_failing_rank(void **state) {
  enum { side = 2000 };
  float *x = calloc(side * side, sizeof *x);
  const lrp_matrix w = {x, LRP_F32, side, side, side};
  lrp_grid grid = make_grid(side);
  const bool last =
      grid.comm != MPI_COMM_NULL && grid.myrow == grid.nprow - 1 && grid.mycol == grid.npcol - 1;
  struct rlimit old, low;
  lrp_triplets t;
  (void)state;

  assert_all_ranks(x != NULL && getrlimit(RLIMIT_DATA, &old) == 0);
  low = (struct rlimit){.rlim_cur = 1 << 20, .rlim_max = old.rlim_max};
  if (last) setrlimit(RLIMIT_DATA, &low);
  const lrp_status st =
      grid.comm == MPI_COMM_NULL ? LRP_ERR_MEM : lrp_grid_svd(&w, 10, LRP_DOUBLE, &grid, &t);
  if (last) setrlimit(RLIMIT_DATA, &old);
  assert_all_ranks(st == LRP_ERR_MEM);
  assert_all_ranks(!last || lrp_failure_message(LRP_ERR_MEM));
  assert_all_ranks(grid.comm == MPI_COMM_NULL || !t.u);
  lrp_failure_clear();
  lrp_grid_free(&grid);
  free(x);
}
#endif

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_collect),        cmocka_unit_test(test_measures),
      cmocka_unit_test(test_orthonormalize), cmocka_unit_test(test_precisions_agree),
      cmocka_unit_test(test_single_refuses), cmocka_unit_test(test_outliers),
      cmocka_unit_test(test_oracle),         cmocka_unit_test(test_failing_rank),
  };
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &me);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  lrp_scratch_free(&scratch);
  MPI_Finalize();
  return failed;
}
