/* Each process rank is a node with its part of the layers: a "layer" adds one, and the process
 * rank's number to every activation that it passes. */
#include "pipeline/spread.h"

#include <stdlib.h>

#include "tests/mpi_test.h"

enum {
  items = 23, /* more than may be on their way */
  rows = 700, /* rows x cols does not fit in one message */
  cols = 501,
  configurations = 5,
  failing_item = 9
};

static lrp_column *column;
static int me, size;
static float *x;

/* ---- ranges ---------------------------------------------------------------------------------- */

static int64_t largest(const int64_t *cost, const int *first, int parts) {
  int64_t most = 0;
  for (int p = 0; p < parts; p++) {
    int64_t sum = 0;
    for (int i = first[p]; i < first[p + 1]; i++) sum += cost[i];
    if (sum > most) most = sum;
  }
  return most;
}

/* The best of all ways to cut, one after the other. */
static int64_t best(const int64_t *cost, int n, int parts) {
  int64_t sum = 0, least = INT64_MAX;
  if (parts == 1) {
    for (int i = 0; i < n; i++) sum += cost[i];
    return sum;
  }
  for (int i = 0; i <= n; i++) {
    const int64_t rest = best(cost + i, n - i, parts - 1);
    const int64_t most = sum > rest ? sum : rest;
    if (most < least) least = most;
    if (i < n) sum += cost[i];
  }
  return least;
}

static void test_ranges(void **state) {
  static const int64_t costs[][7] = {
      {1, 1, 1, 1, 1, 1, 1}, {9, 1, 1, 1, 1, 1, 9}, {1, 2, 3, 4, 5, 6, 7},
      {7, 0, 0, 0, 0, 0, 7}, {5, 1, 4, 1, 3, 1, 2}, {INT64_MAX / 8, 1, 1, 1, 1, 1, INT64_MAX / 8}};
  (void)state;
  for (size_t c = 0; c < sizeof costs / sizeof *costs; c++) {
    for (int n = 1; n <= 7; n++) {
      for (int parts = 1; parts <= 8; parts++) {
        int first[9];
        lrp_spread_ranges(costs[c], n, parts, first);
        assert_int_equal(first[0], 0);
        assert_int_equal(first[parts], n);
        for (int p = 0; p < parts; p++) {
          assert_true(first[p] < first[p + 1] || (parts > n && first[p] == first[p + 1]));
        }
        assert_int_equal(largest(costs[c], first, parts), best(costs[c], n, parts));
        assert_int_equal(lrp_spread_largest(costs[c], n, parts), best(costs[c], n, parts));
      }
    }
  }
}

/* ---- a column -------------------------------------------------------------------------------- */

static float value(int64_t item, int part, int64_t i) {
  return (float)(item * 1000 + part * 100) + (float)(i % 97) / 128.0f;
}

/* What the process ranks before p add. */
static float added(int p) {
  return (float)(p * (p + 1) / 2);
}

/* The part of an item that has just come is right. */
static bool arrived(int64_t item, int part, const int *set, int n) {
  bool ok = n == 1 + part;
  for (int i = 0; i < n; i++) ok = ok && set[i] == (int)item + i;
  for (int64_t i = 0; i < (int64_t)rows * cols; i++) {
    ok = ok && x[i] == value(item, part, i) + added(me);
  }
  return ok;
}

static void compute(void) {
  for (int64_t i = 0; i < (int64_t)rows * cols; i++) x[i] += (float)(me + 1);
}

/* Items that were right up to here; the process rank `failing` fails in the middle of one. */
typedef struct {
  int failing;
  int done, wrong;
  lrp_status st; /* of the end */
} course;

static lrp_status fails(const course *run, int64_t item, int part) {
  return me == run->failing && item == failing_item && part == 1 ? LRP_ERR_IO : LRP_OK;
}

static lrp_status lead_item(course *run, int64_t item) {
  int set[configurations];
  for (int part = 0; part < 3; part++) {
    const lrp_status st = fails(run, item, part);
    if (st != LRP_OK) return st;
    for (int i = 0; i <= part; i++) set[i] = (int)item + i;
    for (int64_t i = 0; i < (int64_t)rows * cols; i++) x[i] = value(item, part, i);
    compute();
    lrp_spread_send(column, LRP_OK, set, part + 1, x, rows, cols);
  }
  run->done++;
  return LRP_OK;
}

static lrp_status follow_item(course *run, int64_t item) {
  int set[configurations], n, part = 0;
  while (lrp_spread_receive(column, set, configurations, &n, x, rows, cols)) {
    if (lrp_spread_status(column) != LRP_OK) continue;
    const lrp_status st = fails(run, item, part);
    if (st != LRP_OK) return st; /* what is still to come is not taken */
    run->wrong += !arrived(item, part++, set, n);
    compute();
    lrp_spread_send(column, LRP_OK, set, n, x, rows, cols);
  }
  run->done += lrp_spread_status(column) == LRP_OK;
  return LRP_OK;
}

static course travel(int failing) {
  course run = {.failing = failing};
  lrp_status st = LRP_OK;
  int64_t item = 0;
  if (me == 0) {
    for (; item < items && lrp_spread_begin(column, item); item++) {
      st = lead_item(&run, item);
      lrp_spread_end(column, st);
    }
  } else {
    while (lrp_spread_take(column, &item)) {
      st = follow_item(&run, item);
      lrp_spread_end(column, st);
    }
  }
  run.st = lrp_spread_finish(column, st);
  return run;
}

static void test_all_arrive(void **state) {
  (void)state;
  for (int again = 0; again < 2; again++) {
    const course run = travel(-1);
    assert_all_ranks(run.st == LRP_OK && run.wrong == 0 && run.done == items);
  }
}

static void test_one_that_fails(void **state) {
  (void)state;
  for (int failing = 0; failing < size; failing++) {
    const course run = travel(failing);
    assert_all_ranks(run.st == LRP_ERR_IO && run.wrong == 0);
    assert_all_ranks(me < failing ? run.done > failing_item : run.done == failing_item);
    assert_all_ranks(run.done < items);
  }
  const course run = travel(-1); /* and it is forgotten */
  assert_all_ranks(run.st == LRP_OK && run.done == items);
}

/* One that fails before it has begun: finish alone must do. */
static void test_absent(void **state) {
  int64_t item;
  lrp_status st;
  (void)state;
  for (int absent = 0; absent < size; absent++) {
    if (me == absent) {
      st = lrp_spread_finish(column, LRP_ERR_MEM);
    } else if (me == 0) {
      for (item = 0; item < items && lrp_spread_begin(column, item); item++) {
        lrp_spread_end(column, LRP_OK);
      }
      st = lrp_spread_finish(column, LRP_OK);
      assert_true(item < items);
    } else {
      while (lrp_spread_take(column, &item)) lrp_spread_end(column, LRP_OK);
      st = lrp_spread_finish(column, LRP_OK);
    }
    assert_all_ranks(st == LRP_ERR_MEM);
  }
}

/* The time is over: not a failure of the items. */
static void test_stop(void **state) {
  int64_t item = 4;
  bool ok = true;
  (void)state;
  if (me == 0) {
    ok = lrp_spread_begin(column, item);
    lrp_spread_end(column, LRP_OK);
  } else {
    ok = lrp_spread_take(column, &item) && item == 4;
    lrp_spread_end(column, LRP_OK);
    ok = ok && !lrp_spread_take(column, &item);
  }
  const lrp_status st = lrp_spread_finish(column, me == 0 ? LRP_STOPPED : LRP_OK);
  assert_all_ranks(ok && st == LRP_STOPPED);
}

/* No memory for x, or other sizes than were sent: what follows is not torn. */
static void test_waste(void **state) {
  static const struct {
    bool keep;
    int n_max;
    int64_t rows, cols;
    lrp_status st;
  } cases[] = {{true, configurations, rows, cols, LRP_OK},
               {false, configurations, rows, cols, LRP_OK},
               {false, 0, 0, 0, LRP_OK},
               {true, configurations - 1, rows, cols, LRP_ERR_BUG},
               {true, configurations, rows - 1, cols, LRP_ERR_BUG},
               {true, configurations, rows, cols + 1, LRP_ERR_BUG}};
  const int set[configurations] = {3, 1, 4, 1, 5};
  int64_t item = 0;
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int got[configurations], n = 0;
    if (me == 0) {
      assert_true(lrp_spread_begin(column, 1));
    } else {
      lrp_spread_take(column, &item);
      lrp_spread_receive(column, got, cases[i].n_max, &n, cases[i].keep ? x : NULL, cases[i].rows,
                         cases[i].cols);
    }
    lrp_spread_send(column, LRP_OK, set, configurations, x, rows, cols);
    lrp_spread_end(column, LRP_OK);
    const lrp_status st = lrp_spread_finish(column, LRP_OK);
    assert_all_ranks(st == (size > 1 ? cases[i].st : LRP_OK));
    lrp_failure_clear();
  }
}

/* ---- greedy decoding ------------------------------------------------------------------------- */

/* Steps of one item: each sends activations down and brings a token back. */
static int32_t decode(int steps, int failing, lrp_status *st) {
  const int set[1] = {0};
  int got[1], n;
  int32_t token = 1;
  *st = LRP_OK;
  for (int step = 0; *st == LRP_OK && step < steps; step++) {
    if (me == 0) x[0] = (float)token;
    if (me > 0) lrp_spread_receive(column, got, 1, &n, x, 1, 1);
    if (me == failing && step == 2) *st = LRP_ERR_NUM;
    x[0] += (float)(me + 1);
    lrp_spread_send(column, *st, set, 1, x, 1, 1);
    if (me + 1 == size && lrp_spread_status(column) == LRP_OK) token = (int32_t)x[0];
    *st = lrp_spread_tokens(column, *st, &token, 1);
  }
  return token;
}

static void test_tokens(void **state) {
  int64_t item = 7;
  (void)state;
  for (int failing = -1; failing < size; failing++) {
    lrp_status st;
    bool ok = me == 0 ? lrp_spread_begin(column, item) : lrp_spread_take(column, &item);
    const int32_t token = decode(5, failing, &st);
    lrp_spread_end(column, st);
    const lrp_status end = lrp_spread_finish(column, st);
    const int steps = failing < 0 ? 5 : 2;
    assert_all_ranks(ok && token == 1 + steps * size * (size + 1) / 2);
    assert_all_ranks(end == (failing < 0 ? LRP_OK : LRP_ERR_NUM));
  }
}

static int setup(void **state) {
  (void)state;
  x = malloc((size_t)rows * cols * sizeof *x);
  if (!x) return -1;
  return lrp_column_create(MPI_COMM_WORLD, &column) == LRP_OK ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  lrp_column_destroy(&column);
  free(x);
  return 0;
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ranges),         cmocka_unit_test(test_all_arrive),
      cmocka_unit_test(test_one_that_fails), cmocka_unit_test(test_absent),
      cmocka_unit_test(test_stop),           cmocka_unit_test(test_waste),
      cmocka_unit_test(test_tokens),
  };
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &me);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const int failed = cmocka_run_group_tests(tests, setup, teardown);
  MPI_Finalize();
  return failed;
}
