/* Metrics of documents with known answers. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdlib.h>

#include "pipeline/metrics.h"

static void assert_doc(const double *ll, int64_t *chars, int64_t *bytes, int n, int best,
                       int best_norm, int best_bytes) {
  double values[LRP_METRICS];
  for (int gold = 0; gold < n; gold++) {
    const lrp_doc doc = {.n = n, .gold = gold, .chars = chars, .bytes = bytes};
    lrp_doc_metrics(&doc, ll, values);
    assert_true(values[LRP_METRIC_ACC] == (gold == best ? 1.0 : 0.0));
    assert_true(values[LRP_METRIC_ACC_NORM] == (gold == best_norm ? 1.0 : 0.0));
    assert_true(values[LRP_METRIC_ACC_BYTES] == (gold == best_bytes ? 1.0 : 0.0));
  }
}

static void test_doc_metrics(void **state) {
  (void)state;
  /* -10/1, -12/4 = -3, -13/5 = -2.6;  by bytes -10/1, -12/8 = -1.5, -13/5 */
  assert_doc((double[]){-10, -12, -13}, (int64_t[]){1, 4, 5}, (int64_t[]){1, 8, 5}, 3, 0, 2, 1);
  assert_doc((double[]){-1}, (int64_t[]){1}, (int64_t[]){1}, 1, 0, 0, 0);
}

static void test_ties_go_to_the_lowest_index(void **state) {
  (void)state;
  assert_doc((double[]){-3, -2, -2}, (int64_t[]){1, 1, 1}, (int64_t[]){3, 2, 2}, 3, 1, 1, 0);
  assert_doc((double[]){-2, -2, -2}, (int64_t[]){2, 2, 2}, (int64_t[]){2, 2, 2}, 3, 0, 0, 0);
}

static void test_an_empty_choice_never_wins_by_length(void **state) {
  (void)state;
  assert_doc((double[]){-1, -9}, (int64_t[]){0, 1}, (int64_t[]){0, 1}, 2, 0, 1, 1);
  assert_doc((double[]){-9, -1}, (int64_t[]){0, 0}, (int64_t[]){0, 0}, 2, 1, 0, 0);
  assert_doc((double[]){-INFINITY, -1}, (int64_t[]){1, 1}, (int64_t[]){1, 1}, 2, 1, 1, 1);
}

/* right of n documents with two choices each; the rest are wrong. */
static void means_of(int64_t right, int64_t n, lrp_mean means[LRP_METRICS]) {
  static const lrp_task_kind kind = {.name = "t", .has_norm = true};
  int64_t lengths[] = {1, 1};
  lrp_task task = {.kind = &kind, .n_docs = n, .n_requests = 2 * n};
  double *ll = calloc(2 * (size_t)n + 1, sizeof *ll);
  task.docs = calloc((size_t)n + 1, sizeof *task.docs);
  assert_non_null(ll);
  assert_non_null(task.docs);
  for (int64_t i = 0; i < n; i++) {
    task.docs[i] = (lrp_doc){.first = 2 * i, .n = 2, .gold = 1, .chars = lengths, .bytes = lengths};
    ll[2 * i] = -5;
    ll[2 * i + 1] = i < right ? -4 : -6;
  }
  lrp_task_means(&task, ll, means);
  free(task.docs);
  free(ll);
}

static void test_means(void **state) {
  lrp_mean m[LRP_METRICS];
  (void)state;
  means_of(612, 1172, m);
  for (int i = 0; i < LRP_METRICS; i++) {
    assert_true(fabs(m[i].mean - 0.522184) < 5e-7);
    assert_true(fabs(m[i].stderr_ - 0.014597) < 5e-7);
    const double p = 612.0 / 1172.0;
    assert_true(fabs(m[i].stderr_ - sqrt(p * (1 - p) / 1171)) < 1e-15);
  }
  means_of(3, 3, m);
  assert_true(m[0].mean == 1.0 && m[0].stderr_ == 0.0);
  means_of(1, 2, m);
  assert_true(m[0].mean == 0.5 && fabs(m[0].stderr_ - 0.5) < 1e-15);
}

static void test_few_documents(void **state) {
  lrp_mean m[LRP_METRICS];
  (void)state;
  means_of(1, 1, m);
  assert_true(m[0].mean == 1.0);
  assert_true(isnan(m[0].stderr_));
  means_of(0, 0, m);
  assert_true(isnan(m[0].mean) && isnan(m[0].stderr_));
}

static void test_names(void **state) {
  (void)state;
  assert_string_equal(lrp_metric_name(LRP_METRIC_ACC), "acc");
  assert_string_equal(lrp_metric_name(LRP_METRIC_ACC_NORM), "acc_norm");
  assert_string_equal(lrp_metric_name(LRP_METRIC_ACC_BYTES), "acc_bytes");
  const lrp_task plain = {.kind = lrp_task_find("winogrande")};
  const lrp_task norm = {.kind = lrp_task_find("piqa")};
  assert_int_equal(lrp_task_metrics(&plain), 1);
  assert_int_equal(lrp_task_metrics(&norm), 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_doc_metrics),
      cmocka_unit_test(test_ties_go_to_the_lowest_index),
      cmocka_unit_test(test_an_empty_choice_never_wins_by_length),
      cmocka_unit_test(test_means),
      cmocka_unit_test(test_few_documents),
      cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
