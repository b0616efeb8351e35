/* jobs/paper: the configurations of the paper's experiments and what they save, to all digits that
 * are printed there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/log.h"
#include "pipeline/plan.h"
#include "tests/pipeline/job/job_text.h"

static lrp_config llama, shallow, bert;

static void read_model(const char *json, lrp_config *config) {
  char dir[64];
  create_model(json, dir);
  if (lrp_config_read(dir, config) != LRP_OK) fail_msg("%s", lrp_failure_message(LRP_ERR_DATA));
  remove_model(dir);
}

static int setup(void **state) {
  (void)state;
  lrp_log_init(0, true);
  read_model(LLAMA2_7B, &llama);
  read_model(BERT_BASE, &bert);
  read_model(
      "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_act\": \"silu\", "
      "\"hidden_size\": 64, \"intermediate_size\": 172, \"max_position_embeddings\": 512, "
      "\"num_attention_heads\": 8, \"num_hidden_layers\": 5, \"num_key_value_heads\": 4, "
      "\"rms_norm_eps\": 1e-05, \"tie_word_embeddings\": true, \"vocab_size\": 512}",
      &shallow);
  return 0;
}

static void load(const char *name, const lrp_config *config, lrp_plan *plan) {
  static char text[10000];
  char path[1024];
  lrp_job job;
  snprintf(path, sizeof path, "%s/paper/%s.yaml", LRP_JOBS, name);
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  const size_t n = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  text[n] = '\0';
  if (parse_job(text, &job) != LRP_OK) fail_msg("%s", lrp_failure_message(LRP_ERR_JOB));
  if (lrp_plan_create(&job, config, plan) != LRP_OK) {
    fail_msg("%s", lrp_failure_message(LRP_ERR_JOB));
  }
  lrp_job_free(&job);
}

typedef struct {
  const char *name, *percent;
} row;

/* Names and reductions, with as many digits as the row has, behind the dense model. */
static void check(const char *job, const row *rows, int n) {
  lrp_plan plan;
  char text[32];
  load(job, &llama, &plan);
  assert_string_equal(plan.configurations[0].name, "dense");
  assert_int_equal(plan.n_configurations, n + 1);
  for (int i = 0; i < n; i++) {
    const lrp_configuration *c = &plan.configurations[i + 1];
    const lrp_size size = lrp_plan_size(&llama, LRP_TUCKER, c->rank, 2, 2);
    assert_string_equal(c->name, rows[i].name);
    snprintf(text, sizeof text, "%.*f", (int)strlen(strchr(rows[i].percent, '.') + 1),
             size.reduction_percent);
    assert_string_equal(text, rows[i].percent);
  }
  lrp_plan_free(&plan);
}
#define CHECK(job, rows) check(job, rows, sizeof(rows) / sizeof((rows)[0]))

static void test_rank(void **state) {
  static const row rows[] = {
      {"E1-n15-r0001", "45.03"}, {"E1-n15-r0250", "40.61"}, {"E1-n15-r0500", "35.97"},
      {"E1-n10-r0001", "30.02"}, {"E1-n10-r0250", "27.07"}, {"E1-n10-r0500", "23.98"},
      {"E1-n06-r0001", "18.01"}, {"E1-n06-r0250", "16.24"}, {"E1-n06-r0500", "14.39"},
  };
  (void)state;
  CHECK("E1-rank", rows);
}

static void test_layer(void **state) {
  char names[32][16];
  row rows[32];
  (void)state;
  for (int l = 0; l < 32; l++) {
    snprintf(names[l], sizeof names[l], "E2-l%02d", l);
    rows[l] = (row){names[l], "3.00215"};
  }
  CHECK("E2-layer", rows);
}

static void test_tensor(void **state) {
  static const row rows[] = {
      {"E3a-q_proj", "7.963"},     {"E3a-k_proj", "7.963"},     {"E3a-v_proj", "7.963"},
      {"E3a-o_proj", "7.963"},     {"E3a-gate_proj", "21.405"}, {"E3a-up_proj", "21.405"},
      {"E3a-down_proj", "21.405"}, {"E3b-r09", "9.01"},         {"E3b-r21", "21.02"},
      {"E3c-q_proj", "0.249"},     {"E3c-k_proj", "0.249"},     {"E3c-v_proj", "0.249"},
      {"E3c-o_proj", "0.249"},     {"E3c-gate_proj", "0.669"},  {"E3c-up_proj", "0.669"},
      {"E3c-down_proj", "0.669"},  {"E3c-all", "3.00215"},      {"E3c-attention", "0.995"},
      {"E3c-mlp", "2.007"},
  };
  (void)state;
  CHECK("E3-tensor", rows);
}

/* Whether exactly these layers, ended by -1, are decomposed, all tensors at rank 1. */
static void assert_layers(const lrp_plan *plan, const lrp_configuration *c, const int *layers) {
  for (int l = 0; l < plan->layers; l++) {
    const int rank = *layers == l ? 1 : 0;
    if (*layers == l) layers++;
    for (int t = 0; t < plan->tensors; t++) {
      assert_int_equal(c->rank[l * plan->tensors + t], rank);
    }
  }
  assert_int_equal(*layers, -1);
}

static void test_distance(void **state) {
  static const row rows[] = {{"E4-s06", "15.01"}, {"E4-s05", "15.01"}, {"E4-s04", "15.01"},
                             {"E4-s03", "15.01"}, {"E4-s02", "15.01"}, {"E4-s01", "15.01"}};
  static const int layers[][6] = {{2, 8, 14, 20, 26, -1}, {2, 7, 12, 17, 22, -1},
                                  {2, 6, 10, 14, 18, -1}, {2, 5, 8, 11, 14, -1},
                                  {2, 4, 6, 8, 10, -1},   {2, 3, 4, 5, 6, -1}};
  lrp_plan plan;
  (void)state;
  CHECK("E4-distance", rows);
  load("E4-distance", &llama, &plan);
  for (int i = 0; i < 6; i++) assert_layers(&plan, &plan.configurations[i + 1], layers[i]);
  lrp_plan_free(&plan);
}

static void test_accuracy_and_efficiency(void **state) {
  static const row accuracy[] = {{"E5-r06", "6.00"},  {"E5-r09", "9.01"},  {"E5-r15", "15.01"},
                                 {"E5-r21", "21.02"}, {"E5-r33", "33.02"}, {"E5-r48", "48.03"},
                                 {"E5-r60", "60.04"}, {"E5-r75", "75.05"}, {"E5-r84", "84.06"},
                                 {"E5-r96", "96.07"}};
  static const int layers[][33] = {
      {2, 29, -1},
      {2, 17, 31, -1},
      {2, 8, 14, 20, 26, -1},
      {4, 8, 12, 16, 20, 24, 28, -1},
      {2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 31, -1},
      {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, -1},
      {1, 3, 5, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22, 24, 26, 28, 30, -1},
      {1,  3,  5,  7,  9,  10, 11, 12, 13, 14, 15, 16, 17,
       18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, -1},
      {0,  2,  4,  6,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18,
       19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, -1},
      {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16,
       17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, -1}};
  lrp_plan plan, again;
  (void)state;
  CHECK("E5-accuracy", accuracy);
  load("E5-accuracy", &llama, &plan);
  load("E6-efficiency", &llama, &again);
  assert_int_equal(again.n_configurations, 11);
  for (int i = 0; i < 10; i++) {
    const lrp_configuration *c = &plan.configurations[i + 1], *d = &again.configurations[i + 1];
    assert_layers(&plan, c, layers[i]);
    assert_layers(&again, d, layers[i]);
    assert_memory_equal(d->name, "E6", 2);
    assert_string_equal(d->name + 2, c->name + 2);
  }
  lrp_plan_free(&again);
  lrp_plan_free(&plan);
}

/* On five layers, 64 wide: l -> round(4 l / 31), r -> max(1, round(r / 64)); what falls together
 * is there once. */
static void test_other_depth(void **state) {
  static const struct {
    const char *name;
    int layers[6];
  } kept[] = {{"E5-r06", {0, 4, -1}},
              {"E5-r09", {0, 2, 4, -1}},
              {"E5-r15", {0, 1, 2, 3, -1}},
              {"E5-r21", {1, 2, 3, 4, -1}},
              {"E5-r33", {0, 1, 2, 3, 4, -1}}};
  static const int ranks[] = {1, 4, 8};
  lrp_plan plan;
  (void)state;
  load("E5-accuracy", &shallow, &plan);
  assert_int_equal(plan.n_configurations, 6);
  for (int i = 0; i < 5; i++) {
    assert_string_equal(plan.configurations[i + 1].name, kept[i].name);
    assert_layers(&plan, &plan.configurations[i + 1], kept[i].layers);
  }
  lrp_plan_free(&plan);
  load("E1-rank", &shallow, &plan);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(plan.configurations[i + 1].rank[plan.tensors * 1], ranks[i]);
  }
  lrp_plan_free(&plan);
}

static void test_bert(void **state) {
  lrp_plan plan;
  (void)state;
  load("bert", &bert, &plan);
  /* dense; ranks; layers, tensors, two ranks each; groups; distances; units */
  assert_int_equal(plan.n_configurations, 1 + 5 + 12 * 2 + 6 * 2 + 2 + 4 + 12 * 6);
  assert_int_equal(plan.n_units, 72);
  assert_string_equal(plan.configurations[5].name, "rank-r0256");
  assert_string_equal(plan.configurations[plan.n_configurations - 1].name, "unit-l11-output");
  lrp_plan_free(&plan);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rank),
      cmocka_unit_test(test_layer),
      cmocka_unit_test(test_tensor),
      cmocka_unit_test(test_distance),
      cmocka_unit_test(test_accuracy_and_efficiency),
      cmocka_unit_test(test_other_depth),
      cmocka_unit_test(test_bert),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
