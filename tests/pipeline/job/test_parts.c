/* parts of a configuration: read, written, resolved, refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/plan.h"
#include "tests/pipeline/job/job_text.h"

static lrp_config small; /* 3 layers, 7 tensors */

static int setup(void **state) {
  char dir[64];
  (void)state;
  create_model(SMALL_LLAMA, dir);
  assert_int_equal(lrp_config_read(dir, &small), LRP_OK);
  remove_model(dir);
  return 0;
}

static lrp_status plan_of(const char *text, lrp_plan *plan) {
  lrp_job job;
  const lrp_status st = parse_job(text, &job);
  if (st != LRP_OK) fail_msg("%s", lrp_failure_message(st));
  const lrp_status planned = lrp_plan_create(&job, &small, plan);
  lrp_job_free(&job);
  return planned;
}

static const char several[] = LIST
    "name: a\n"
    "    parts:\n"
    "      - {layers: [0, 2], tensors: [q_proj, k_proj], rank: {q_proj: 3, k_proj: 1}}\n"
    "      - {layers: [2, 1], tensors: mlp, rank: [2, 4]}\n"
    "      - {layers: 1, tensors: k_proj, ratio: 0.5}\n"
    "  - {parts: [{layers: all, rank: 1}], name: b}\n";

static void test_union(void **state) {
  static const int expected[3][7] = {
      {3, 1, 0, 0, 0, 0, 0}, {0, 1, 0, 0, 4, 4, 4}, {3, 1, 0, 0, 2, 2, 2}};
  lrp_plan plan;
  (void)state;
  assert_int_equal(plan_of(several, &plan), LRP_OK);
  assert_int_equal(plan.n_configurations, 2);
  assert_memory_equal(plan.configurations[0].rank, expected, sizeof expected);
  for (int i = 0; i < 21; i++) assert_int_equal(plan.configurations[1].rank[i], 1);
  assert_int_equal(plan.n_units, 21);
  lrp_plan_free(&plan);
}

static void test_written_as_read(void **state) {
  lrp_job job, again;
  char *text, *twice;
  (void)state;
  assert_int_equal(parse_job(several, &job), LRP_OK);
  assert_int_equal(job.configurations[0].rule, LRP_RULE_PARTS);
  assert_int_equal(job.configurations[0].n_parts, 3);
  assert_int_equal(lrp_job_write(&job, &text), LRP_OK);
  assert_non_null(strstr(text, "- {layers: [2, 1], tensors: [\"mlp\"], rank: [2, 4]}\n"));
  assert_non_null(strstr(text, "- {layers: all, tensors: all, rank: 1}\n"));
  assert_int_equal(parse_job(text, &again), LRP_OK);
  assert_int_equal(lrp_job_write(&again, &twice), LRP_OK);
  assert_string_equal(text, twice);
  free(twice);
  free(text);
  lrp_job_free(&again);
  lrp_job_free(&job);
}

static void test_refused(void **state) {
  static const char *const cases[][2] = {
      {LIST "{name: a, parts: []}\n",
       "x.yaml:4:22: parts: expected a list of at least one map, got an empty list"},
      {LIST "{name: a, parts: all}\n",
       "x.yaml:4:22: parts: expected a list of at least one map, got "
       "'all'"},
      {LIST "{name: a, parts: [2]}\n",
       "x.yaml:4:23: parts: expected a map like {layers: 2, rank: "
       "1}, got '2'"},
      {LIST "{name: a, parts: [{layers: 1}]}\n", "x.yaml:4:23: parts: a part without a rank"},
      {LIST "{name: a, parts: [{rank: 1}]}\n", "x.yaml:4:23: parts: a part without layers"},
      {LIST "{name: a, parts: [{layers: 1, rank: 1, ratio: 0.5}]}\n", "x.yaml:4:51: only one of"},
      {LIST "{name: a, parts: [{layers: 1, energy: 0.5}]}\n",
       "x.yaml:4:35: parts: a part has no "
       "energy"},
      {LIST "{name: a, parts: [{layers: 1, rank: 1, name: x}]}\n",
       "x.yaml:4:44: parts: a part has "
       "no name"},
      {LIST "{name: a, parts: [{parts: [{layers: 1, rank: 1}]}]}\n",
       "x.yaml:4:24: parts: a part "
       "has no parts"},
      {LIST "{name: a, parts: [{layers: 1, rnk: 1}]}\n",
       "x.yaml:4:35: unknown key 'rnk' of a part "
       "(did you mean 'rank'?)"},
      {LIST "{name: a, rank: 1, parts: [{layers: 1, rank: 1}]}\n",
       "x.yaml:4:5: configuration 'a': parts say layers, tensors and rank"},
      {LIST "{name: a, parts: [{layers: 1, rank: 1}], layers: 2}\n",
       "x.yaml:4:5: configuration 'a': parts say layers, tensors and rank"},
      {LIST "{name: a, parts: [{layers: 1, rank: 1}], tensors: all}\n",
       "x.yaml:4:5: configuration 'a': parts say layers, tensors and rank"},
      {LIST "{parts: [{layers: 1, rank: 1}]}\n", "x.yaml:4:5: a configuration without name"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_job_error(cases[i][0], cases[i][1]);
  }
}

static void test_refused_for_the_model(void **state) {
  static const char *const cases[][2] = {
      {LIST
       "{name: a, parts: [{layers: [0, 1], rank: 1},\n {layers: 1, tensors: v_proj, rank: 2}]}",
       "x.yaml:5: configuration 'a': parts: tensor 'v_proj' of layer 1 is in two of them"},
      {LIST "{name: a, parts: [{layers: 3, rank: 1}]}",
       "x.yaml:4: configuration 'a': layers: 3 is not a layer of this model (0..2)"},
      {LIST "{name: a, parts: [{layers: 1, tensors: x_proj, rank: 1}]}",
       "x.yaml:4: configuration 'a': tensors: 'x_proj' is not a tensor of this model"},
      {LIST "{name: a, parts: [{layers: 0, rank: 1}, {layers: [1, 2], rank: [1]}]}",
       "x.yaml:4: configuration 'a': rank: 1 ranks for 2 layers"},
  };
  lrp_plan plan;
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_message(plan_of(cases[i][0], &plan), cases[i][1]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_union),
      cmocka_unit_test(test_written_as_read),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_refused_for_the_model),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
