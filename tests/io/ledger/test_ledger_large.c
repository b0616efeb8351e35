/* Sizes past 2^31 and 2^33, and writes that MPI-IO cannot count in one piece. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/ledger/ledger.h"
#include "tests/mpi_test.h"

static const char *const format = "lrpipe test";
static const int64_t tall_rows = (INT64_C(1) << 33) + 5; /* of one byte */
static const int64_t wide_cols = INT64_C(600) << 20;     /* a row is more than a piece */

static char byte_at(int64_t i) {
  return (char)(i ^ i >> 8 ^ i >> 16 ^ i >> 24);
}

static lrp_status create(const char *path) {
  const lrp_ledger_dataset datasets[] = {{"/tall", LRP_LEDGER_U8, tall_rows, 0},
                                         {"/wide", LRP_LEDGER_U8, 2, wide_cols}};
  const lrp_ledger_extent extents[] = {
      {0, 0, 3}, {0, tall_rows - 7, 7}, {0, 1000, wide_cols}, {1, 1, 1}};
  const lrp_ledger_unit units[] = {{"ends", 0, 2}, {"rows", 2, 1}, {"row", 3, 1}};
  const lrp_ledger_plan plan = {.format = format,
                                .datasets = datasets,
                                .n_datasets = 2,
                                .extents = extents,
                                .n_extents = 4,
                                .units = units,
                                .n_units = 3};
  return lrp_ledger_create(path, &plan);
}

static void test_large(void **state) {
  const char *path = *state;
  const lrp_unit_record record = {.attempt = 1};
  lrp_ledger *ledger = NULL;
  const void *ends[] = {"abc", "defghij"}, *map;
  char *data = malloc((size_t)wide_cols), back[7];
  const void *whole[] = {data};
  int64_t done, bad;

  assert_non_null(data);
  for (int64_t i = 0; i < wide_cols; i++) data[i] = byte_at(i);
  assert_int_equal(lrp_ledger_open(path, format, MPI_COMM_SELF, &ledger), LRP_OK);
  assert_int_equal(lrp_ledger_write(ledger, 0, ends, &record), LRP_OK);
  assert_int_equal(lrp_ledger_write(ledger, 1, whole, &record), LRP_OK);
  assert_int_equal(lrp_ledger_write(ledger, 2, whole, &record), LRP_OK);
  assert_int_equal(lrp_ledger_close(&ledger), LRP_OK);

  assert_int_equal(lrp_ledger_open_readonly(path, format, &ledger), LRP_OK);
  assert_int_equal(lrp_ledger_verify(ledger, &done, &bad, NULL, NULL), LRP_OK);
  assert_true(done == 3 && bad == 0);
  assert_int_equal(lrp_ledger_read(ledger, "/tall", tall_rows - 7, 7, back), LRP_OK);
  assert_memory_equal(back, "defghij", 7);
  assert_int_equal(lrp_ledger_map(ledger, "/tall", &map), LRP_OK);
  assert_int_equal(memcmp(map, "abc", 3), 0);
  assert_int_equal(memcmp((const char *)map + tall_rows - 7, "defghij", 7), 0);
  assert_int_equal(memcmp((const char *)map + 1000, data, (size_t)wide_cols), 0);
  memset(data, 0, (size_t)wide_cols);
  assert_int_equal(lrp_ledger_read(ledger, "/wide", 1, 1, data), LRP_OK);
  for (int64_t i = 0; i < wide_cols; i++) {
    if (data[i] != byte_at(i)) fail_msg("byte %lld", (long long)i);
  }
  assert_int_equal(lrp_ledger_close(&ledger), LRP_OK);
  free(data);
}

int main(int argc, char **argv) {
  char directory[] = "/tmp/test_large.XXXXXX", path[64];
  const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(test_large, path)};
  int failed = 1;
  lrp_status st;

  setenv("OMPI_MCA_io", "romio321", 1);
  MPI_Init(&argc, &argv);
  if (!mkdtemp(directory)) return 1;
  snprintf(path, sizeof path, "%s/large.h5", directory);
  st = create(path);
  if (st == LRP_OK) {
    failed = cmocka_run_group_tests(tests, NULL, NULL);
  } else if (strstr(lrp_failure_message(st), "not enough space")) {
    printf("test_ledger_large: skipped: %s\n", lrp_failure_message(st));
    failed = 77;
  }
  unlink(path);
  rmdir(directory);
  MPI_Finalize();
  return failed;
}
