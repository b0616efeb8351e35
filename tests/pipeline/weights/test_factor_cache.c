#include "pipeline/factor_cache.h"

#include "tests/pipeline/weights/stored_study.h"

/* Use the factors of unit i once; bytes that are kept afterwards. */
static int64_t use(lrp_factor_cache *cache, int i) {
  lrp_linear linear = {.n_in = study.plan.units[i].n, .n_out = study.plan.units[i].m};
  void *held;
  assert_int_equal(lrp_factor_cache_take(cache, &store, i, 2, &linear, &held), LRP_OK);
  assert_true(same_as_factors(&linear, i, 2));
  lrp_factor_cache_release(cache, held);
  return lrp_factor_cache_bytes(cache);
}

static lrp_factor_cache *create(int64_t most_bytes) {
  lrp_factor_cache *cache = NULL;
  study.eval_dtype = LRP_F32;
  assert_int_equal(lrp_factor_cache_create(study.plan.n_units, LRP_F32, most_bytes, &cache),
                   LRP_OK);
  return cache;
}

/* Bytes of units 0 and 1, which are not equal. */
static void measure(int64_t bytes[2]) {
  lrp_factor_cache *cache = create(1 << 30);
  bytes[0] = use(cache, 0);
  bytes[1] = use(cache, 1) - bytes[0];
  assert_true(bytes[0] > 0 && bytes[1] > 0 && bytes[0] != bytes[1]);
  assert_int_equal(use(cache, 0), bytes[0] + bytes[1]);
  lrp_factor_cache_destroy(&cache);
  lrp_factor_cache_destroy(&cache);
}

/* What is in use stays, nothing else does. */
static void test_no_room(void **state) {
  lrp_factor_cache *cache = create(0);
  lrp_linear linear = {.n_in = study.plan.units[0].n, .n_out = study.plan.units[0].m};
  int64_t bytes[2];
  void *held;
  (void)state;
  measure(bytes);
  assert_int_equal(use(cache, 0), 0);
  assert_int_equal(lrp_factor_cache_take(cache, &store, 0, 2, &linear, &held), LRP_OK);
  assert_int_equal(use(cache, 0), bytes[0]);
  assert_int_equal(use(cache, 1), bytes[0]);
  assert_true(same_as_factors(&linear, 0, 2));
  lrp_factor_cache_release(cache, held);
  assert_int_equal(lrp_factor_cache_bytes(cache), 0);
  lrp_factor_cache_destroy(&cache);
}

/* The first stays, until it was not asked for in a long time. */
static void test_room_for_one(void **state) {
  int64_t bytes[2];
  (void)state;
  measure(bytes);
  lrp_factor_cache *cache = create(bytes[0] + bytes[1] - 1);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(use(cache, 0), bytes[0]);
    assert_int_equal(use(cache, 1), bytes[0]);
  }
  for (int i = 0; i < 5 * study.plan.n_units; i++) use(cache, 1);
  assert_int_equal(lrp_factor_cache_bytes(cache), bytes[1]);
  assert_int_equal(use(cache, 0), bytes[1]);
  lrp_factor_cache_destroy(&cache);
}

/* What was held for so long that it is of no use any more goes, while others are still held. */
static void test_held_for_long(void **state) {
  lrp_factor_cache *cache = create(0);
  lrp_linear linear[2];
  int64_t bytes[2];
  void *held[2];
  (void)state;
  measure(bytes);
  for (int i = 0; i < 2; i++) {
    linear[i] = (lrp_linear){.n_in = study.plan.units[i].n, .n_out = study.plan.units[i].m};
    assert_int_equal(lrp_factor_cache_take(cache, &store, i, 2, &linear[i], &held[i]), LRP_OK);
  }
  for (int i = 0; i < 5 * study.plan.n_units; i++) use(cache, 2);
  assert_int_equal(lrp_factor_cache_bytes(cache), bytes[0] + bytes[1]);
  lrp_factor_cache_release(cache, held[0]);
  assert_int_equal(lrp_factor_cache_bytes(cache), bytes[1]);
  assert_true(same_as_factors(&linear[1], 1, 2));
  lrp_factor_cache_release(cache, held[1]);
  assert_int_equal(lrp_factor_cache_bytes(cache), 0);
  lrp_factor_cache_destroy(&cache);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_no_room),
      cmocka_unit_test(test_room_for_one),
      cmocka_unit_test(test_held_for_long),
  };
  MPI_Init(&argc, &argv);
  int failed = lrp_topology_init(&real, MPI_COMM_WORLD) != LRP_OK;
  lrp_log_init(real.me, true);
  if (!failed) failed = cmocka_run_group_tests(tests, study_setup, study_teardown);
  lrp_topology_free(&real);
  MPI_Finalize();
  return failed;
}
