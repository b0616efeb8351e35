/* Metrics of documents, tasks and groups with known answers. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/bootstrap.h"
#include "pipeline/metrics.h"
#include "pipeline/python_random.h"

static void assert_doc(const double *ll, int64_t *chars, int64_t *bytes, int n, int best,
                       int best_norm, int best_bytes) {
  const int bests[LRP_METRICS] = {best, best_norm, best_bytes};
  for (int gold = 0; gold < n; gold++) {
    const lrp_doc doc = {.n = n, .gold = gold, .chars = chars, .bytes = bytes};
    for (int m = 0; m < LRP_METRICS; m++) {
      const lrp_value value = lrp_accuracies.metric[m].of(&doc, ll, NULL);
      assert_true(value.x == (gold == bests[m] ? 1.0 : 0.0));
    }
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

/* A task of n documents with one or two requests each, without texts. */
static void task_of(const lrp_task_kind *kind, int requests, int64_t n, lrp_task *task) {
  static int64_t lengths[] = {1, 1};
  *task = (lrp_task){.kind = kind, .n_docs = n, .n_requests = requests * n};
  task->docs = calloc((size_t)n + 1, sizeof *task->docs);
  assert_non_null(task->docs);
  for (int64_t i = 0; i < n; i++) {
    task->docs[i] = (lrp_doc){
        .first = requests * i, .n = requests, .gold = 1, .chars = lengths, .bytes = lengths};
  }
}

/* right of n documents with two choices each; the rest are wrong. */
static void means_of(int64_t right, int64_t n, lrp_estimate means[LRP_METRICS]) {
  static const lrp_task_kind kind = {.name = "t", .metrics = &lrp_accuracies};
  double *ll = calloc(2 * (size_t)n + 1, sizeof *ll);
  uint8_t *greedy = calloc(2 * (size_t)n + 1, 1);
  lrp_task task;
  assert_non_null(ll);
  assert_non_null(greedy);
  task_of(&kind, 2, n, &task);
  for (int64_t i = 0; i < n; i++) {
    ll[2 * i] = -5;
    ll[2 * i + 1] = i < right ? -4 : -6;
  }
  lrp_scores scores = {.task = &task, .ll = ll, .greedy = greedy};
  assert_int_equal(lrp_scores_estimate(&scores), LRP_OK);
  memcpy(means, scores.estimate, sizeof scores.estimate);
  free(task.docs);
  free(greedy);
  free(ll);
}

static void test_means(void **state) {
  lrp_estimate m[LRP_METRICS];
  (void)state;
  means_of(612, 1172, m);
  for (int i = 0; i < LRP_METRICS; i++) {
    assert_true(fabs(m[i].value - 0.522184) < 5e-7);
    assert_true(fabs(m[i].stderr_ - 0.014597) < 5e-7);
    const double p = 612.0 / 1172.0;
    assert_true(fabs(m[i].stderr_ - sqrt(p * (1 - p) / 1171)) < 1e-15);
  }
  means_of(3, 3, m);
  assert_true(m[0].value == 1.0 && m[0].stderr_ == 0.0);
  means_of(1, 2, m);
  assert_true(m[0].value == 0.5 && fabs(m[0].stderr_ - 0.5) < 1e-15);
}

static void test_few_documents(void **state) {
  lrp_estimate m[LRP_METRICS];
  (void)state;
  means_of(1, 1, m);
  assert_true(m[0].value == 1.0);
  assert_true(isnan(m[0].stderr_));
  means_of(0, 0, m);
  assert_true(isnan(m[0].value) && isnan(m[0].stderr_));
}

static void test_truth_mass(void **state) {
  bool truth[] = {true, false, true};
  const lrp_doc doc = {.n = 3, .truth = truth};
  (void)state;
  /* far below the smallest double: 1 : 1/2 : 1/4 */
  const double ll[] = {-2000.0, -2000.0 - log(2.0), -2000.0 - log(4.0)};
  const lrp_value v = lrp_truth_mass.metric[0].of(&doc, ll, NULL);
  assert_true(fabs(v.x - 5.0 / 7.0) < 1e-12);

  truth[0] = truth[2] = false;
  assert_true(lrp_truth_mass.metric[0].of(&doc, ll, NULL).x == 0.0);
  truth[0] = truth[1] = truth[2] = true;
  assert_true(lrp_truth_mass.metric[0].of(&doc, ll, NULL).x == 1.0);
}

/* Two texts: -3 over 2 words, 8 bytes, 4 tokens; -5 (in two windows) over 3, 12, 6. */
static void test_text_perplexities(void **state) {
  static const double ll[] = {-3.0, -1.0, -4.0};
  static const uint8_t greedy[3];
  lrp_doc docs[] = {{.first = 0, .n = 1, .words = 2, .text_bytes = 8, .scored_tokens = 4},
                    {.first = 1, .n = 2, .words = 3, .text_bytes = 12, .scored_tokens = 6}};
  lrp_task task = {.kind = lrp_task_find("wikitext"), .docs = docs, .n_docs = 2, .n_requests = 3};
  lrp_scores s = {.task = &task, .ll = ll, .greedy = greedy};
  (void)state;
  assert_int_equal(lrp_scores_estimate(&s), LRP_OK);
  assert_true(fabs(s.estimate[0].value - exp(8.0 / 5.0)) < 1e-12);
  assert_true(fabs(s.estimate[1].value - exp(8.0 / 20.0)) < 1e-12);
  assert_true(fabs(s.estimate[2].value - 8.0 / 20.0 / log(2.0)) < 1e-12);
  for (int m = 0; m < 3; m++) assert_true(isnan(s.estimate[m].stderr_));

  task.kind = lrp_task_find("token_perplexity");
  assert_int_equal(lrp_scores_estimate(&s), LRP_OK);
  assert_true(fabs(s.estimate[0].value - exp(0.8)) < 1e-12);
  assert_true(fabs(s.estimate[1].value - 0.8) < 1e-12);
  assert_true(s.estimate[2].value == 10.0);
}

/* sum((n_i - 1) se_i^2 n_i) / (sum n_i - m) / sum n_i of 10, 30 and 60 documents */
static void test_groups(void **state) {
  static const char *const names[] = {"mmlu_anatomy", "mmlu_virology", "mmlu_astronomy", "piqa"};
  lrp_task tasks[4];
  lrp_scores scores[4];
  (void)state;
  for (int t = 0; t < 4; t++) {
    static const lrp_estimate e[] = {{0.5, 0.1}, {0.25, 0.05}, {0.75, 0.02}, {1.0, 9.0}};
    tasks[t] = (lrp_task){.kind = lrp_task_find(names[t]), .n_docs = (int64_t[]){10, 30, 60, 7}[t]};
    scores[t] = (lrp_scores){.task = &tasks[t], .estimate = {e[t]}};
  }
  lrp_group_scores g = lrp_group_estimate(lrp_task_group_find("mmlu"), scores, 4);
  assert_int_equal(g.n_docs, 100);
  assert_ptr_equal(g.metrics, &lrp_accuracy);
  assert_true(fabs(g.estimate[0].value - 0.575) < 1e-15);
  const double pooled = 9 * 0.01 * 10 + 29 * 0.0025 * 30 + 59 * 0.0004 * 60;
  assert_true(fabs(g.estimate[0].stderr_ - sqrt(pooled / 97 / 100)) < 1e-15);

  g = lrp_group_estimate(lrp_task_group_find("mmlu_stem"), scores, 4); /* anatomy, astronomy */
  assert_int_equal(g.n_docs, 70);
  assert_true(fabs(g.estimate[0].value - 50.0 / 70.0) < 1e-15);

  scores[1].estimate[0].stderr_ = NAN; /* of one document */
  tasks[1].n_docs = 1;
  g = lrp_group_estimate(lrp_task_group_find("mmlu"), scores, 4);
  assert_true(isnan(g.estimate[0].stderr_) && !isnan(g.estimate[0].value));
}

/* Right sides: CPython 3.11's random.Random and the harness's procedure. */
static void test_random(void **state) {
  static const struct {
    uint32_t seed;
    int at;
    double value;
  } expected[] = {
      {1234, 0, 0.9664535356921388}, {1234, 1, 0.4407325991753527}, {1234, 2, 0.007491470058587191},
      {0, 0, 0.8444218515250481},    {0, 311, 0.39380795178170946}, {0, 312, 0.5190037287013293},
      {0, 999, 0.4804125346981437},  {99, 0, 0.40397807494366633},  {99, 999, 0.15455054961261028}};
  (void)state;
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
    lrp_random random;
    lrp_random_seed(&random, expected[i].seed);
    for (int done = 0, count = 0; done <= expected[i].at; done += count) {
      const double *draws = lrp_random_take(&random, 7, &count);
      assert_in_range(count, 1, 7);
      if (expected[i].at >= done + count) continue;
      assert_true(draws[expected[i].at - done] == expected[i].value);
    }
  }
}

static double bootstrap(const double *x, int64_t n, int64_t replicates) {
  double error = 0.0;
  assert_int_equal(lrp_bootstrap_perplexity(x, n, replicates, &error), LRP_OK);
  return error;
}

static void test_bootstrap(void **state) {
  double x[41];
  (void)state;
  for (int i = 0; i < 41; i++) x[i] = -0.5 * ((i * 37) % 23) - 0.25;
  assert_true(fabs(bootstrap(x, 41, 500) / 159.79621498157962 - 1) < 1e-12);
  assert_true(fabs(bootstrap(x, 41, 1000) / 169.99770870207644 - 1) < 1e-12);
  assert_true(fabs(bootstrap(x, 41, 2500) / 166.79899721342912 - 1) < 1e-12);
  assert_true(fabs(bootstrap(x, 41, 3000) / 170.78443024459523 - 1) < 1e-12);
  assert_true(fabs(bootstrap((double[]){-1.0, -2.0}, 2, 2000) / 1.65486703198063 - 1) < 1e-12);
  assert_true(isnan(bootstrap(x, 1, 1000)));
  assert_true(isnan(bootstrap(x, 41, 0)));

  const double once = bootstrap(x, 41, LRP_BOOTSTRAP_REPLICATES);
  omp_set_num_threads(3);
  assert_true(bootstrap(x, 41, LRP_BOOTSTRAP_REPLICATES) == once);
  omp_set_num_threads(1);
}

/* A perplexity of words of which one is greedy. */
static void test_last_word(void **state) {
  static const double ll[] = {-1.0, -2.0};
  static const uint8_t greedy[] = {0, 1};
  lrp_task task;
  (void)state;
  task_of(lrp_task_find("lambada_openai"), 1, 2, &task);
  lrp_scores s = {.task = &task, .ll = ll, .greedy = greedy};
  assert_int_equal(lrp_scores_estimate(&s), LRP_OK);
  assert_true(fabs(s.estimate[0].value - exp(1.5)) < 1e-12);
  assert_true(s.estimate[0].stderr_ == bootstrap(ll, 2, 100000));
  assert_true(s.estimate[1].value == 0.5 && fabs(s.estimate[1].stderr_ - 0.5) < 1e-15);

  task.n_docs = 1;
  assert_int_equal(lrp_scores_estimate(&s), LRP_OK);
  assert_true(fabs(s.estimate[0].value - exp(1.0)) < 1e-12 && isnan(s.estimate[0].stderr_));
  free(task.docs);
}

static void test_names(void **state) {
  (void)state;
  assert_string_equal(lrp_accuracies.metric[2].name, "acc_bytes");
  assert_int_equal(lrp_task_find("winogrande")->metrics->n, 1);
  assert_int_equal(lrp_task_find("piqa")->metrics->n, 3);
  assert_string_equal(lrp_aggregation_name(LRP_MEAN), "mean");
  assert_string_equal(lrp_aggregation_name(LRP_WEIGHTED_PERPLEXITY), "weighted_perplexity");
  assert_true(lrp_aggregation_has_error(LRP_PERPLEXITY));
  assert_false(lrp_aggregation_has_error(LRP_BITS_PER_BYTE));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_doc_metrics),
      cmocka_unit_test(test_ties_go_to_the_lowest_index),
      cmocka_unit_test(test_an_empty_choice_never_wins_by_length),
      cmocka_unit_test(test_means),
      cmocka_unit_test(test_few_documents),
      cmocka_unit_test(test_truth_mass),
      cmocka_unit_test(test_text_perplexities),
      cmocka_unit_test(test_groups),
      cmocka_unit_test(test_random),
      cmocka_unit_test(test_bootstrap),
      cmocka_unit_test(test_last_word),
      cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
