#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/log.h"
#include "pipeline/plan.h"
#include "pipeline/words.h"
#include "tests/pipeline/job/job_text.h"

static lrp_config llama, small; /* 32 x 7 layers; 3 layers, hidden 8, key-value heads 4, mlp 24 */

static void read_model(const char *json, lrp_config *config) {
  char dir[64];
  create_model(json, dir);
  if (lrp_config_read(dir, config) != LRP_OK) fail_msg("%s", lrp_failure_message(LRP_ERR_DATA));
  remove_model(dir);
}

static int setup(void **state) {
  (void)state;
  read_model(LLAMA2_7B, &llama);
  read_model(SMALL_LLAMA, &small);
  return 0;
}

/* Plan of the job whose configurations are these lines (the first starts at x.yaml:4). */
static lrp_status plan_for(const char *entries, const char *method, const lrp_config *config,
                           lrp_plan *plan) {
  char text[4000];
  lrp_job job;
  snprintf(text, sizeof text, "model: m\noutput: o\nconfigurations:\n%s\ndecompose: {method: %s}\n",
           entries, method);
  lrp_status st = parse_job(text, &job);
  if (st != LRP_OK) fail_msg("%s", lrp_failure_message(st));
  st = lrp_plan_create(&job, config, plan);
  lrp_job_free(&job);
  return st;
}

static double reduction(const char *entry, const char *method) {
  lrp_plan plan;
  assert_int_equal(plan_for(entry, method, &llama, &plan), LRP_OK);
  const lrp_size size = lrp_plan_size(&llama, strcmp(method, "svd") == 0 ? LRP_SVD : LRP_TUCKER,
                                      plan.configurations[0].rank, 2, 4);
  lrp_plan_free(&plan);
  return size.reduction_percent;
}

/* The table of the paper: reduction, decomposed layers; rank 1, all tensors. */
static void test_reductions_of_the_paper(void **state) {
  static const struct {
    const char *percent, *layers;
  } rows[] = {
      {"6.00", "[2, 29]"},
      {"9.01", "[2, 17, 31]"},
      {"15.01", "[2, 8, 14, 20, 26]"},
      {"21.02", "[4, 8, 12, 16, 20, 24, 28]"},
      {"33.02", "[2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 31]"},
      {"48.03", "0:30:2"},
      {"60.04", "[1:7:2, 9:18, 20:30:2]"},
      {"75.05", "[1:7:2, 9:29]"},
      {"84.06", "[0:6:2, 8:31]"},
      {"96.07", "all"},
  };
  char entry[200], text[32];
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    snprintf(entry, sizeof entry, "  - {name: a, layers: %s, rank: 1}", rows[i].layers);
    snprintf(text, sizeof text, "%.2f", reduction(entry, "tucker"));
    assert_string_equal(text, rows[i].percent);
  }
}

/* Experiment E1: layers x rank. */
static void test_reductions_of_the_rank_sweep(void **state) {
  static const char *const layers[] = {"3:31:2", "3:30:3", "3:28:5"};
  static const struct {
    int rank;
    const char *percent[3];
  } rows[] = {{1, {"45.03", "30.02", "18.01"}},
              {250, {"40.61", "27.07", "16.24"}},
              {500, {"35.97", "23.98", "14.39"}}};
  char entry[200], text[32];
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    for (int k = 0; k < 3; k++) {
      snprintf(entry, sizeof entry, "  - {name: a, layers: \"%s\", rank: %d}", layers[k],
               rows[i].rank);
      snprintf(text, sizeof text, "%.2f", reduction(entry, "tucker"));
      assert_string_equal(text, rows[i].percent[k]);
    }
  }
}

static void test_exact_reduction(void **state) {
  char text[LRP_DOUBLE_TEXT];
  (void)state;
  const double percent = reduction("  - {name: a, layers: [2, 17, 31], rank: 1}", "tucker");
  assert_true(percent == 9.006438272506823);
  assert_string_equal(lrp_format_double(percent, text), "9.006438272506823");
}

static void test_dense_size(void **state) {
  const lrp_size size = lrp_plan_size(&llama, LRP_TUCKER, NULL, 2, 4);
  (void)state;
  assert_true(size.parameters == 6738415616 && size.parameters_dense == 6738415616);
  assert_true(size.reduction_percent == 0.0);
  assert_true(size.bytes == 2 * 6738415616);
  /* all but the embedding (131072000) and 65 norms of 4096 */
  assert_true(size.flops_per_token == 2 * (6738415616 - 131072000 - 65 * 4096));
}

/* q_proj of the small model is 8 x 8; rank 2: tucker 36, svd 32 parameters. */
static void test_small_size(void **state) {
  lrp_plan plan;
  (void)state;
  const int64_t dense = lrp_config_parameters(&small);
  assert_int_equal(
      plan_for("  - {name: a, layers: 1, tensors: q_proj, rank: 2}", "tucker", &small, &plan),
      LRP_OK);
  const int *rank = plan.configurations[0].rank;
  lrp_size size = lrp_plan_size(&small, LRP_TUCKER, rank, 2, 4);
  assert_true(size.parameters == dense - 64 + 36);
  assert_true(size.bytes == 2 * (dense - 64) + 4 * 36);
  assert_true(size.flops_per_token == 2 * (lrp_config_linear_parameters(&small) - 64 + 36));
  size = lrp_plan_size(&small, LRP_TUCKER, rank, 2, 2); /* the core stays float32 */
  assert_true(size.bytes == 2 * (dense - 64) + 2 * 32 + 4 * 4);
  size = lrp_plan_size(&small, LRP_SVD, rank, 2, 2);
  assert_true(size.parameters == dense - 64 + 32);
  assert_true(size.bytes == 2 * (dense - 32));
  assert_true(size.reduction_percent == 100.0 * (1.0 - (double)(dense - 32) / (double)dense));
  lrp_plan_free(&plan);
}

static void test_units(void **state) {
  lrp_plan plan;
  (void)state;
  assert_int_equal(
      plan_for("  - {name: dense}\n"
               "  - {name: a, layers: [2, 0], tensors: [v_proj, q_proj], rank: [3, 1]}\n"
               "  - {name: b, layers: 0, tensors: [q_proj], rank: {q_proj: 2}}",
               "svd", &small, &plan),
      LRP_OK);
  assert_int_equal(plan.n_configurations, 3);
  assert_int_equal(plan.n_units, 4);
  assert_string_equal(plan.units[0].name, "model.layers.0.self_attn.q_proj.weight");
  assert_int_equal(plan.units[0].rank, 2); /* the largest asked */
  assert_int_equal(plan.units[1].rank, 1);
  assert_int_equal(plan.units[2].rank, 3); /* the list follows the layers as given */
  assert_string_equal(plan.units[3].name, "model.layers.2.self_attn.v_proj.weight");
  assert_true(plan.units[3].m == 4 && plan.units[3].n == 8);
  assert_true(plan.units[3].seconds > 0.0 && plan.units[3].bytes > 0.0);
  assert_string_equal(plan.configurations[1].name, "a");
  assert_int_equal(plan.configurations[0].rank[0], 0);
  assert_int_equal(plan.configurations[1].rank[2 * 7 + 2], 3);
  assert_int_equal(plan.configurations[2].rank[2 * 7 + 2], 0);
  for (int i = 0; i < plan.n_units; i++) {
    assert_int_equal(lrp_plan_unit(&plan, plan.units[i].layer, plan.units[i].tensor), i);
  }
  assert_int_equal(lrp_plan_unit(&plan, 0, 1), -1);
  assert_int_equal(lrp_plan_unit(&plan, 1, 0), -1);
  assert_int_equal(lrp_plan_unit(&plan, 3, 0), -1);
  lrp_plan_free(&plan);
}

static void test_no_units(void **state) {
  lrp_plan plan;
  (void)state;
  assert_int_equal(plan_for("  - {name: dense}", "svd", &small, &plan), LRP_OK);
  assert_int_equal(plan.n_units, 0);
  assert_int_equal(lrp_plan_unit(&plan, 0, 0), -1);
  lrp_plan_free(&plan);
}

/* 8 x 8: svd 16 r <= 64 q, tucker 16 r + r^2 <= 64 q. */
static void assert_ratio_rank(const char *ratio, const char *method, int rank) {
  char entry[100];
  lrp_plan plan;
  snprintf(entry, sizeof entry, "  - {name: a, layers: 0, tensors: q_proj, ratio: %s}", ratio);
  assert_int_equal(plan_for(entry, method, &small, &plan), LRP_OK);
  assert_int_equal(plan.units[0].rank, rank);
  lrp_plan_free(&plan);
}

static void test_ratio(void **state) {
  (void)state;
  assert_ratio_rank("1", "svd", 4);
  assert_ratio_rank("0.5", "svd", 2);
  assert_ratio_rank("0.499", "svd", 1);
  assert_ratio_rank("0.25", "svd", 1);
  assert_ratio_rank("1", "tucker", 3);
  assert_ratio_rank("0.5625", "tucker", 2); /* 36 / 64 */
  assert_ratio_rank("0.5624", "tucker", 1);
  assert_ratio_rank("0.265625", "tucker", 1); /* 17 / 64 */
}

static void test_energy(void **state) {
  lrp_plan plan;
  (void)state;
  assert_int_equal(
      plan_for("  - {name: a, layers: 0, tensors: q_proj, energy: 0.9}", "tucker", &small, &plan),
      LRP_OK);
  assert_true(plan.configurations[0].energy == 0.9);
  assert_int_equal(plan.units[0].rank, 3); /* break even: 16 r + r^2 <= 64 */
  lrp_plan_free(&plan);
}

static void test_rank_is_capped_with_one_warning(void **state) {
  char text[2000];
  lrp_plan plan;
  (void)state;
  capture c = capture_begin(stderr);
  const lrp_status st =
      plan_for("  - {name: dense}\n  - {name: a, layers: all, rank: 5}", "svd", &small, &plan);
  capture_end(&c, text, sizeof text);
  assert_int_equal(st, LRP_OK);
  assert_int_equal(plan.configurations[1].rank[0], 5); /* q_proj: min(m, n) = 8 */
  assert_int_equal(plan.configurations[1].rank[1], 4); /* k_proj: 4 x 8 */
  assert_contains(text, "x.yaml:5: configuration 'a': rank is larger than min(m, n) of 6 tensors");
  assert_null(strstr(strstr(text, "warning") + 1, "warning"));
  lrp_plan_free(&plan);
}

static void assert_plan_error(const char *entry, const char *message) {
  lrp_plan plan;
  assert_message(plan_for(entry, "tucker", &small, &plan), message);
  assert_null(plan.configurations);
}

static void test_errors(void **state) {
  (void)state;
  assert_plan_error("  - {name: b}\n  - {name: a, layers: [1, 40], rank: 1}",
                    "x.yaml:5: configuration 'a': layers: 40 is not a layer of this model (0..2)");
  assert_plan_error("  - {name: a, layers: 3, rank: 1}",
                    "x.yaml:4: configuration 'a': layers: 3 is not a layer");
  assert_plan_error("  - {name: a, layers: 0:2147483647, rank: 1}",
                    "x.yaml:4: configuration 'a': layers: 3 is not a layer");
  assert_plan_error("  - {name: a, layers: 0:2147483647:2147483647, rank: 1}",
                    "x.yaml:4: configuration 'a': layers: 2147483647 is not a layer");
  assert_plan_error("  - {name: a, layers: [0:2, 1], rank: 1}",
                    "x.yaml:4: configuration 'a': layers: 1 is listed twice");
  assert_plan_error("  - {name: a, layers: 0, tensors: q_porj, rank: 1}",
                    "x.yaml:4: configuration 'a': tensors: 'q_porj' is not a tensor of this model "
                    "(did you mean 'q_proj'?); it has q_proj, k_proj, v_proj, o_proj, gate_proj, "
                    "up_proj, down_proj");
  assert_plan_error("  - {name: a, layers: 0, tensors: zebra, rank: 1}",
                    "x.yaml:4: configuration 'a': tensors: 'zebra' is not a tensor of this model; "
                    "it has");
  assert_plan_error("  - {name: a, layers: [0, 2], rank: [1, 2, 3]}",
                    "x.yaml:4: configuration 'a': rank: 3 ranks for 2 layers");
  assert_plan_error("  - {name: a, layers: all, rank: [1, 2]}",
                    "x.yaml:4: configuration 'a': rank: 2 ranks for 3 layers");
  assert_plan_error("  - {name: a, layers: 0, tensors: [q_proj, k_proj], rank: {q_proj: 1}}",
                    "x.yaml:4: configuration 'a': rank: no rank for tensor 'k_proj'");
  assert_plan_error("  - {name: a, layers: 0, tensors: q_proj, rank: {q_proj: 1, k_proj: 1}}",
                    "x.yaml:4: configuration 'a': rank: 'k_proj' is not among its tensors");
  assert_plan_error("  - {name: a, layers: 0, rank: {q_prj: 1}}",
                    "x.yaml:4: configuration 'a': rank: 'q_prj' is not a tensor");
  assert_plan_error("  - {name: a, layers: 0, tensors: q_proj, ratio: 0.26}",
                    "x.yaml:4: configuration 'a': ratio: too small for q_proj (8 x 8): rank 1 "
                    "needs at least 0.265625");
}

/* A range's end that is not hit may lie beyond the last layer. */
static void test_range_end(void **state) {
  lrp_plan plan;
  (void)state;
  assert_int_equal(
      plan_for("  - {name: a, layers: 0:3:2, tensors: q_proj, rank: 1}", "tucker", &small, &plan),
      LRP_OK);
  assert_int_equal(plan.n_units, 2);
  lrp_plan_free(&plan);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reductions_of_the_paper),
      cmocka_unit_test(test_reductions_of_the_rank_sweep),
      cmocka_unit_test(test_exact_reduction),
      cmocka_unit_test(test_dense_size),
      cmocka_unit_test(test_small_size),
      cmocka_unit_test(test_units),
      cmocka_unit_test(test_no_units),
      cmocka_unit_test(test_ratio),
      cmocka_unit_test(test_energy),
      cmocka_unit_test(test_rank_is_capped_with_one_warning),
      cmocka_unit_test(test_errors),
      cmocka_unit_test(test_range_end),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
