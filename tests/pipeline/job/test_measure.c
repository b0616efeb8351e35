#include "pipeline/measure.h"

#include <dirent.h>
#include <math.h>

#include "tests/io/base/temp_dir.h"
#include "tests/mpi_test.h"

static lrp_topology topo;

/* The same on every process rank: the slowest one counts. */
static bool is_shared(const lrp_cost *cost) {
  lrp_cost first = *cost;
  MPI_Bcast(&first, sizeof first, MPI_BYTE, 0, MPI_COMM_WORLD);
  return memcmp(&first, cost, sizeof first) == 0;
}

/* No time: the larger size has the speeds of the smaller one. */
static void test_computing(void **state) {
  lrp_cost cost;
  (void)state;
  memset(&cost, 0, sizeof cost);
  assert_all_ranks(lrp_measure_computing(&topo, 0.0, &cost) == LRP_OK);
  assert_all_ranks(is_shared(&cost));
  for (int s = 0; s < LRP_COST_N_STAGES; s++) {
    const double *speed = cost.speed[s];
    if (lrp_cost_is_file((lrp_cost_stage)s) || s == LRP_COST_LOOK) {
      assert_all_ranks(speed[0] == 0.0); /* what is not measured stays */
    } else {
      assert_all_ranks(isfinite(speed[0]) && speed[0] > 1e6 && speed[0] == speed[1]);
    }
  }
}

static int count_files(const char *dir) {
  DIR *d = opendir(dir);
  int n = 0;
  for (struct dirent *e = readdir(d); e; e = readdir(d)) n += strncmp(e->d_name, ".lrpipe", 7) == 0;
  closedir(d);
  return n;
}

static void test_files(void **state) {
  lrp_cost cost;
  (void)state;
  memset(&cost, 0, sizeof cost);
  assert_all_ranks(lrp_measure_files(&topo, temp_dir, 32 << 20, &cost) == LRP_OK);
  assert_all_ranks(is_shared(&cost));
  for (int s = 0; s < LRP_COST_N_STAGES; s++) {
    const double *speed = cost.speed[s];
    const bool file = lrp_cost_is_file((lrp_cost_stage)s) || s == LRP_COST_LOOK;
    assert_all_ranks(file ? isfinite(speed[0]) && speed[0] > 0.0 && speed[0] == speed[1]
                          : speed[0] == 0.0);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(count_files(temp_dir) == 0);
}

/* One process rank that cannot create its file stops all. */
static void test_no_directory(void **state) {
  lrp_cost cost = lrp_cost_guess(1);
  char absent[512];
  (void)state;
  snprintf(absent, sizeof absent, "%s/absent", temp_dir);
  const char *dir = topo.me == topo.size - 1 ? absent : temp_dir;
  assert_all_ranks(lrp_measure_files(&topo, dir, 32 << 20, &cost) == LRP_ERR_CREATE);
  lrp_failure_clear();
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(count_files(temp_dir) == 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_computing),
      cmocka_unit_test(test_files),
      cmocka_unit_test(test_no_directory),
  };
  MPI_Init(&argc, &argv);
  int failed = lrp_topology_init(&topo, MPI_COMM_WORLD) != LRP_OK;
  if (!failed) failed = cmocka_run_group_tests(tests, temp_setup, temp_teardown);
  lrp_topology_free(&topo);
  MPI_Finalize();
  return failed;
}
