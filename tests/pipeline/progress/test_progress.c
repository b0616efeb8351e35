/* Process ranks say what they have done: lines in a log, numbers in progress.json. */
#include "pipeline/progress.h"

#include <jansson.h>
#include <time.h>

#include "kernels/log.h"
#include "pipeline/board.h"
#include "pipeline/progress_file.h"
#include "tests/io/base/temp_dir.h"
#include "tests/mpi_test.h"

enum { items = 40 };

static lrp_topology topo;

static int count(const char *text, const char *part) {
  int n = 0;
  for (const char *at = text; (at = strstr(at, part)); at++) n++;
  return n;
}

/* ---- the board ---- */

static void test_board(void **state) {
  lrp_board *board;
  lrp_remark r;
  (void)state;
  assert_all_ranks(lrp_board_create(topo.node, true, &board) == LRP_OK);
  lrp_board_add(board, (lrp_tally){.items = 2, .cost = topo.me, .seconds = 0.5});
  r = (lrp_remark){.done = true, .item = topo.me};
  snprintf(r.text, sizeof r.text, "said by %d", topo.me);
  lrp_board_say(board, &r);
  MPI_Barrier(topo.node);
  const lrp_tally sum = lrp_board_sum(board);
  const int size = lrp_board_size(board);
  assert_all_ranks(sum.items == 2 * size && sum.cost == 0.5 * size * (size - 1) &&
                   sum.seconds == 0.5 * size);
  bool ok = true;
  for (int i = 0; topo.me == 0 && i < size; i++) {
    char text[32];
    snprintf(text, sizeof text, "said by %d", i);
    ok = ok && lrp_board_take(board, i, &r) && r.done && r.item == i && r.tally.items == 2;
    ok = ok && strcmp(r.text, text) == 0 && !lrp_board_take(board, i, &r);
  }
  assert_all_ranks(ok);
  lrp_board_reset(board);
  assert_all_ranks(lrp_board_sum(board).items == 0 && lrp_board_sum(board).cost == 0.0);
  lrp_board_destroy(&board);
  assert_all_ranks(board == NULL);
}

/* Nobody waits where remarks are not taken: the first ones are there, the others are lost, their
 * numbers are not. */
static void test_board_is_full(void **state) {
  lrp_board *board;
  lrp_remark r = {.item = -1};
  int n = 0;
  (void)state;
  assert_all_ranks(lrp_board_create(topo.node, true, &board) == LRP_OK);
  for (int i = 0; i < 1000; i++) {
    lrp_board_add(board, (lrp_tally){.items = 1});
    r.item = i;
    lrp_board_say(board, &r);
  }
  MPI_Barrier(topo.node);
  bool in_order = true;
  while (topo.me == 0 && lrp_board_take(board, lrp_board_size(board) - 1, &r)) {
    in_order = in_order && r.item == n && r.tally.items == n + 1;
    n++;
  }
  assert_all_ranks(topo.me != 0 || (in_order && n > 0 && n < 1000));
  assert_all_ranks(lrp_board_sum(board).items == 1000 * lrp_board_size(board));
  lrp_board_destroy(&board);
}

/* ---- a stage ---- */

/* This process rank takes its share of the items. */
static void work(lrp_progress *p) {
  for (int i = topo.me; i < items; i += topo.size) {
    lrp_progress_work(p, "item %d", i);
    lrp_progress_advance(p, 1, 2.0);
    lrp_progress_line(p, i, "did item %d", i);
  }
}

static bool every_line_is_there(const char *log) {
  bool ok = count(log, "did item ") == items;
  for (int i = 0; i < items; i++) {
    char line[64];
    snprintf(line, sizeof line, " did item %d, ", i);
    ok = ok && count(log, line) == 1;
  }
  char last[64];
  snprintf(last, sizeof last, ", %d of %d things (100 %%)", items + 3, items + 3);
  return ok && strstr(log, last);
}

static char *read_log(void) {
  static char text[1 << 16];
  FILE *f = fopen(temp_path("run.log"), "r");
  const size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
  if (f) fclose(f);
  text[n] = '\0';
  return text;
}

static void test_stage(void **state) {
  lrp_progress *p;
  lrp_progress_state s;
  bool said[items] = {false}, ok = true;
  (void)state;
  if (topo.me == 0) assert_int_equal(lrp_log_open(temp_path("run.log")), LRP_OK);
  assert_all_ranks(lrp_progress_open(temp_dir, &topo, &p) == LRP_OK);
  assert_all_ranks(lrp_progress_attempt(p) == 1);
  lrp_progress_later(p, 1000.0);
  lrp_progress_begin(p, &(lrp_progress_stage){.name = "test",
                                              .items = "things",
                                              .total = items + 3,
                                              .done = 3,
                                              .cost = 2.0 * items,
                                              .seconds_per_cost = 10.0,
                                              .workers = topo.size,
                                              .said = said});
  if (topo.me == 0) {
    ok = lrp_progress_read(temp_path("progress.json"), &s);
    ok = ok && strcmp(s.state, "running") == 0 && strcmp(s.stage, "test") == 0;
    ok = ok && strcmp(s.items, "things") == 0 && s.done == 3 && s.total == items + 3;
    const double predicted = 20.0 * items / topo.size + 1000.0;
    ok = ok && s.eta_s > predicted - 5.0 && s.eta_s <= predicted;
  }
  assert_all_ranks(ok);
  MPI_Barrier(MPI_COMM_WORLD); /* nothing was done while it was read */
  work(p);
  MPI_Barrier(MPI_COMM_WORLD);
  lrp_progress_settle(p, items + 3);
  lrp_progress_end(p);
  if (topo.me == 0) {
    ok = every_line_is_there(read_log());
    for (int i = 0; i < items; i++) ok = ok && said[i];
  }
  assert_all_ranks(ok);
  assert_all_ranks(lrp_progress_close(&p, LRP_OK, NULL) == LRP_OK && p == NULL);
  if (topo.me == 0) {
    assert_int_equal(lrp_log_close(), LRP_OK);
    ok = lrp_progress_read(temp_path("progress.json"), &s);
    ok = ok && strcmp(s.state, "complete") == 0 && s.done == items + 3 && s.eta_s == 0.0;
    ok = ok && s.what[0] == '\0' && s.stopped_by[0] == '\0';
  }
  assert_all_ranks(ok);
}

/* Process ranks of other nodes leave no line and no number until their items are known. */
static void test_other_nodes(void **state) {
  lrp_topology alone = topo;
  lrp_progress *p;
  lrp_progress_state s;
  bool said[items] = {false}, ok = true;
  (void)state;
  alone.node = MPI_COMM_SELF;
  alone.node_index = topo.me;
  alone.n_nodes = topo.size;
  if (topo.me == 0) {
    unlink(temp_path("run.log"));
    assert_int_equal(lrp_log_open(temp_path("run.log")), LRP_OK);
  }
  assert_all_ranks(lrp_progress_open(temp_dir, &alone, &p) == LRP_OK);
  assert_all_ranks(lrp_progress_attempt(p) == 2);
  lrp_progress_begin(
      p, &(lrp_progress_stage){
             .name = "test", .items = "things", .total = items + 3, .done = 3, .said = said});
  work(p);
  MPI_Barrier(MPI_COMM_WORLD);
  lrp_progress_settle(p, items + 3);
  for (int i = 0; topo.me == 0 && i < items; i++) {
    ok = ok && (topo.size == 1 || said[i] == (i % topo.size == 0));
    if (!said[i]) lrp_progress_line(p, i, "did item %d", i);
  }
  lrp_progress_end(p);
  if (topo.me == 0) ok = ok && every_line_is_there(read_log());
  assert_all_ranks(ok);
  assert_all_ranks(lrp_progress_close(&p, LRP_STOPPED, "time") == LRP_OK);
  if (topo.me == 0) {
    assert_int_equal(lrp_log_close(), LRP_OK);
    ok = lrp_progress_read(temp_path("progress.json"), &s);
    ok = ok && strcmp(s.state, "stopped") == 0 && strcmp(s.stopped_by, "time") == 0;
    ok = ok && s.done == items + 3;
  }
  assert_all_ranks(ok);
}

/* Remarks that were lost, as nobody took them: whoever knows what was done says the lines again,
 * and counts are right. */
static void test_lost_lines(void **state) {
  enum { many = 3000 };
  static bool said[many];
  lrp_progress *p;
  bool ok = true;
  (void)state;
  memset(said, 0, sizeof said);
  if (topo.me == 0) {
    unlink(temp_path("run.log"));
    assert_int_equal(lrp_log_open(temp_path("run.log")), LRP_OK);
  }
  assert_all_ranks(lrp_progress_open(temp_dir, &topo, &p) == LRP_OK);
  lrp_progress_begin(p, &(lrp_progress_stage){.name = "test", .total = many, .said = said});
  for (int i = topo.me; i < many; i += topo.size) {
    lrp_progress_advance(p, 1, 0.0);
    lrp_progress_line(p, i, "item %d", i);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  lrp_progress_settle(p, many);
  for (int i = 0; topo.me == 0 && i < many; i++) {
    if (!said[i]) lrp_progress_line(p, i, "item %d", i);
  }
  lrp_progress_end(p);
  if (topo.me == 0) {
    FILE *f = fopen(temp_path("run.log"), "r");
    char line[256], last[256] = "";
    int n = 0;
    while (f && fgets(line, sizeof line, f)) {
      n++;
      memcpy(last, line, sizeof last);
    }
    if (f) fclose(f);
    ok = n == many && strstr(last, ", 3000 of 3000 items (100 %)");
    assert_int_equal(lrp_log_close(), LRP_OK);
  }
  assert_all_ranks(ok);
  assert_all_ranks(lrp_progress_close(&p, LRP_OK, NULL) == LRP_OK);
}

/* A file of an earlier version, a damaged one, none. */
static void test_files(void **state) {
  lrp_progress_state s;
  (void)state;
  if (topo.me != 0) return;
  temp_text("old.json", "{\"state\": \"running\", \"attempt\": 7, \"done\": 1, \"total\": 2}");
  assert_true(lrp_progress_read(temp_path("old.json"), &s));
  assert_int_equal(s.attempt, 7);
  assert_true(s.eta_s < 0.0 && s.what[0] == '\0' && s.items[0] == '\0');
  temp_text("bad.json", "{\"state\": \"runn");
  assert_false(lrp_progress_read(temp_path("bad.json"), &s));
  temp_text("list.json", "[1]");
  assert_false(lrp_progress_read(temp_path("list.json"), &s));
  assert_int_equal(s.attempt, 0);
  assert_false(lrp_progress_read(temp_path("absent.json"), &s));
  temp_text("wrong.json", "{\"attempt\": -5, \"eta_seconds\": \"soon\", \"what\": 3}");
  assert_true(lrp_progress_read(temp_path("wrong.json"), &s));
  assert_int_equal(s.attempt, 0);
  assert_true(s.eta_s < 0.0);
  /* A name that is not UTF-8, a time that is not known. */
  s = (lrp_progress_state){.state = "running", .what = "\xff", .eta_s = -1.0, .attempt = 3};
  assert_int_equal(lrp_progress_write(temp_path("new.json"), &s), LRP_OK);
  assert_true(lrp_progress_read(temp_path("new.json"), &s));
  assert_true(s.attempt == 3 && s.what[0] == '\0' && s.eta_s < 0.0);
}

static int setup(void **state) {
  (void)state;
  if (topo.me == 0 && temp_setup(NULL) != 0) return -1;
  MPI_Bcast(temp_dir, sizeof temp_dir, MPI_CHAR, 0, MPI_COMM_WORLD);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  MPI_Barrier(MPI_COMM_WORLD);
  if (topo.me == 0) temp_remove(temp_dir);
  return 0;
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_board),      cmocka_unit_test(test_board_is_full),
      cmocka_unit_test(test_stage),      cmocka_unit_test(test_other_nodes),
      cmocka_unit_test(test_lost_lines), cmocka_unit_test(test_files),
  };
  MPI_Init(&argc, &argv);
  int failed = lrp_topology_init(&topo, MPI_COMM_WORLD) != LRP_OK;
  lrp_log_init(topo.me, true);
  if (!failed) failed = cmocka_run_group_tests(tests, setup, teardown);
  lrp_topology_free(&topo);
  MPI_Finalize();
  return failed;
}
