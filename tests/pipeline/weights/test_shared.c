#include "pipeline/shared.h"

#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/mpi_test.h"

enum { share = 100003 }; /* bytes of each process rank: no whole pages */

static int me, size;

/* Each writes its part, and reads those of all. */
static void test_parts(void **state) {
  lrp_shared shared;
  bool ok = true;
  (void)state;
  assert_all_ranks(lrp_shared_create(MPI_COMM_WORLD, (size_t)share * (size_t)size, &shared) ==
                   LRP_OK);
  unsigned char *bytes = shared.data;
  for (int i = 0; i < share * size; i++) ok = ok && bytes[i] == 0;
  MPI_Barrier(MPI_COMM_WORLD);
  ok = ok && lrp_shared_reserve(&shared, (size_t)share * (size_t)me, share) == LRP_OK;
  memset(bytes + (size_t)share * (size_t)me, me + 1, share);
  MPI_Barrier(MPI_COMM_WORLD);
  for (int i = 0; i < share * size; i++) ok = ok && bytes[i] == i / share + 1;
  assert_all_ranks(ok);
  lrp_shared_free(&shared);
  lrp_shared_free(&shared);
  assert_all_ranks(shared.data == NULL);
}

/* More than any machine has: said at once, or when it is reserved. */
static void test_too_much(void **state) {
  const size_t bytes = (size_t)1 << 62;
  lrp_shared shared;
  (void)state;
  assert_all_ranks(lrp_shared_create(MPI_COMM_WORLD, bytes, &shared) == LRP_ERR_MEM);
  assert_all_ranks(shared.data == NULL);
  lrp_failure_clear();
}

/* One process rank may open no file. */
static void test_one_that_fails(void **state) {
  struct rlimit limit, low;
  lrp_shared shared;
  (void)state;
  if (size == 1) skip(); /* no file is needed */
  for (int failing = 0; failing < size; failing += size - 1) {
    getrlimit(RLIMIT_NOFILE, &limit);
    low = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    if (me == failing) setrlimit(RLIMIT_NOFILE, &low);
    const lrp_status st = lrp_shared_create(MPI_COMM_WORLD, (size_t)8 << 20, &shared);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_all_ranks(st == (failing == 0 ? LRP_ERR_MEM : LRP_ERR_IO) && shared.data == NULL);
    lrp_failure_clear();
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parts),
      cmocka_unit_test(test_too_much),
      cmocka_unit_test(test_one_that_fails),
  };
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &me);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
