#include "pipeline/weights_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { n = 4 };

/* 16-bit files, evaluated in float32: packed weights are twice as large. */
static const int64_t packed[n] = {30, 20, 20, 30}, mapped[n] = {20, 10, 10, 20};

static void check(int n_nodes, int64_t budget, bool is_packed, int together, bool fits,
                  int64_t bytes) {
  const lrp_weights_plan plan = lrp_weights_choose(packed, mapped, n, n_nodes, budget);
  assert_int_equal(plan.packed, is_packed);
  assert_int_equal(plan.together, together);
  assert_int_equal(plan.fits, fits);
  assert_int_equal(plan.bytes, bytes);
}

static void test_one_node(void **state) {
  (void)state;
  check(1, 101, true, 1, true, 100);
  check(1, 100, true, 1, true, 100);
  check(1, 99, false, 1, true, 60);
  check(1, 60, false, 1, true, 60);
  check(1, 59, false, 1, false, 60);
  check(1, 0, false, 1, false, 60);
}

static void test_several_nodes(void **state) {
  (void)state;
  check(3, 100, true, 1, true, 100);
  check(3, 99, false, 1, true, 60);
  check(3, 60, false, 1, true, 60);
  check(3, 59, true, 2, true, 50);
  check(3, 50, true, 2, true, 50);
  check(3, 49, false, 2, true, 30);
  check(3, 29, false, 3, true, 20);
  check(3, 19, false, 3, false, 20);
  check(8, 30, false, 2, true, 30);
  check(8, 29, false, 3, true, 20);
  check(8, 19, false, 4, false, 20); /* more nodes than layers do not help */
}

/* Groups cover the nodes in order, none smaller than asked. */
static void test_groups(void **state) {
  (void)state;
  for (int n_nodes = 1; n_nodes <= 40; n_nodes++) {
    for (int together = 1; together <= n_nodes; together++) {
      int expected = 0;
      for (int i = 0; i < n_nodes; i++) {
        int first, end;
        lrp_weights_group(i, n_nodes, together, 1000, &first, &end);
        assert_true(first <= i && i < end);
        assert_true(end - first >= together && end - first < 2 * together);
        assert_int_equal(first, expected);
        if (i + 1 == end) expected = end;
      }
      assert_int_equal(expected, n_nodes);
    }
  }
}

static void test_groups_of_few_layers(void **state) {
  int first, end;
  (void)state;
  lrp_weights_group(4, 5, 3, 3, &first, &end);
  assert_int_equal(first, 0);
  assert_int_equal(end, 3); /* nodes 3 and 4 are idle */
  lrp_weights_group(4, 5, 1, 1, &first, &end);
  assert_int_equal(first, 4);
  assert_int_equal(end, 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_node),
      cmocka_unit_test(test_several_nodes),
      cmocka_unit_test(test_groups),
      cmocka_unit_test(test_groups_of_few_layers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
