/* From job.yaml and tradeoff.json to choice.json and choice.yaml, in an output made by hand. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/base/file.h"
#include "pipeline/propose.h"
#include "tests/pipeline/job/job_text.h"

/* Of 2760 parameters a layer saves 609 at rank 1, and its q_proj 47. */
static char model[64], output[64];

static const char *const files[] = {"job.yaml", "tradeoff.json", "choice.json", "choice.yaml"};

static int setup(void **state) {
  (void)state;
  create_model(SMALL_LLAMA, model);
  strcpy(output, "/tmp/lrp-choose-XXXXXX");
  return mkdtemp(output) ? 0 : -1;
}

static void path_of(const char *name, char path[96]) {
  snprintf(path, 96, "%s/%s", output, name);
}

static int clean(void **state) {
  char path[96];
  (void)state;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    path_of(files[i], path);
    unlink(path);
  }
  lrp_failure_clear();
  return 0;
}

static int teardown(void **state) {
  remove_model(model);
  clean(state);
  return rmdir(output);
}

static void put(const char *name, const char *text) {
  char path[96];
  path_of(name, path);
  assert_int_equal(lrp_file_write(path, text, strlen(text)), LRP_OK);
}

static char *get(const char *name) {
  char path[96], *text;
  size_t size;
  path_of(name, path);
  if (lrp_file_read(path, 1 << 20, &text, &size) != LRP_OK) fail_msg("no %s", name);
  return text;
}

/* A finished run of the job with these entries, and these members of tradeoff.json. */
static void finish(const char *entries, const char *members) {
  char text[2000], *resolved;
  lrp_job job;
  snprintf(text, sizeof text, "model: %s\noutput: %s\nconfigurations:\n%s", model, output, entries);
  assert_int_equal(parse_job(text, &job), LRP_OK);
  assert_int_equal(lrp_job_write(&job, &resolved), LRP_OK);
  lrp_job_free(&job);
  put("job.yaml", resolved);
  json_t *all = json_loads(members, 0, NULL);
  assert_non_null(all);
  json_object_set_new(all, "provenance", json_pack("{s:s}", "job", resolved));
  char *json = json_dumps(all, 0);
  put("tradeoff.json", json);
  free(json);
  json_decref(all);
  free(resolved);
}

/* What is proposed: the name, kind and reduction of row i. */
static const char *proposed(const json_t *choice, size_t i, const char *key) {
  const json_t *row = json_array_get(json_object_get(choice, "rows"), i);
  const char *text = json_string_value(json_object_get(row, key));
  return text ? text : "";
}

static json_t *read_choice(void) {
  char *text = get("choice.json");
  json_t *choice = json_loads(text, 0, NULL);
  assert_non_null(choice);
  free(text);
  return choice;
}

#define LAYER(l, loss)                                                                           \
  "{\"configuration\": \"l" #l "\", \"layer\": " #l                                              \
  ", \"tensors\": [\"q_proj\", \"k_proj\", "                                                     \
  "\"v_proj\", \"o_proj\", \"gate_proj\", \"up_proj\", \"down_proj\"], \"ranks\": [1, 1, 1, 1, " \
  "1, 1, 1], \"loss\": " #loss ", \"loss_stderr\": 0.01}"
#define LAYERS                                                                                  \
  "{\"sensitivity\": {\"measure\": \"choice_loss\", \"units\": [{\"configuration\": \"u\", "    \
  "\"layer\": 1, \"tensor\": \"q_proj\", \"rank\": 1, \"loss\": 0.01, \"loss_stderr\": 0.0}], " \
  "\"layers\": [" LAYER(0, 0.5) ", " LAYER(1, 0.25) ", " LAYER(2, 0.125) "]}}"
#define ENTRIES                          \
  "  - {name: dense}\n"                  \
  "  - {name: l0, layers: 0, rank: 1}\n" \
  "  - {name: l1, layers: 1, rank: 1}\n" \
  "  - {name: l2, layers: 2, rank: 1}\n"

/* The candidates of question q, with commas. */
static const char *candidates(const json_t *choice, size_t q, char text[300]) {
  const json_t *one = json_array_get(json_object_get(choice, "choices"), q);
  json_t *names = json_object_get(one, "candidates"), *name;
  size_t i;
  *text = '\0';
  json_array_foreach(names, i, name) {
    if (i > 0) strcat(text, ", ");
    strcat(text, json_string_value(name));
  }
  return text;
}

static double predicted(const json_t *choice, size_t i) {
  const json_t *row = json_array_get(json_object_get(choice, "rows"), i);
  return json_number_value(json_object_get(row, "predicted_loss"));
}

static void test_by_losses(void **state) {
  char text[300];
  (void)state;
  finish(ENTRIES, LAYERS);
  assert_int_equal(lrp_propose(output, 23.5), LRP_OK);
  json_t *choice = read_choice();
  assert_string_equal(json_string_value(json_object_get(choice, "method")), "sensitivity");
  const char *why = json_string_value(json_object_get(choice, "explanation"));
  assert_contains(why, "the increase of choice_loss on documents of even index");
  assert_contains(why, "the one that lost least on documents of even index is chosen");
  /* The paper's smallest list is layers 0 and 2, which every 2nd layer has to be, too. */
  assert_int_equal(json_array_size(json_object_get(choice, "rows")), 3);
  assert_string_equal(proposed(choice, 0, "configuration"), "paper-r06");
  assert_string_equal(proposed(choice, 0, "kind"), "paper");
  assert_string_equal(proposed(choice, 0, "list"), "r06");
  assert_true(predicted(choice, 0) == 0.625);
  /* Layer 2 and q_proj of layer 1. */
  assert_string_equal(proposed(choice, 1, "configuration"), "candidate-23.50-s1o0");
  assert_string_equal(proposed(choice, 1, "kind"), "candidate");
  assert_true(fabs(predicted(choice, 1) - 0.135) < 1e-12);
  assert_string_equal(proposed(choice, 2, "configuration"), "candidate-44.13-s1o0");
  assert_true(predicted(choice, 2) == 0.375);
  /* What is smaller than asked for is a candidate as well. */
  assert_string_equal(candidates(choice, 0, text),
                      "candidate-23.50-s1o0, paper-r06, candidate-44.13-s1o0");
  assert_string_equal(candidates(choice, 1, text), "candidate-44.13-s1o0, paper-r06");
  char *yaml = get("choice.yaml");
  assert_contains(yaml,
                  "  - name: \"candidate-23.50-s1o0\"\n    parts: \n"
                  "      - {layers: [1], tensors: [\"q_proj\"], rank: 1}\n"
                  "      - {layers: [2], tensors: all, rank: 1}\n");
  assert_contains(yaml, "  - name: \"paper-r06\"\n    layers: [0, 2]\n    tensors: all\n");
  free(yaml);
  json_decref(choice);
}

/* The paper's nearest list is too large a model, and no stride reaches it: chosen by prediction. */
static void test_single(void **state) {
  char text[300];
  (void)state;
  finish(ENTRIES, LAYERS);
  assert_int_equal(lrp_propose(output, 50.0), LRP_OK);
  json_t *choice = read_choice();
  assert_string_equal(candidates(choice, 0, text), "chosen-50.00");
  assert_string_equal(candidates(choice, 1, text), "candidate-44.13-s1o0, paper-r06, chosen-50.00");
  json_decref(choice);
}

/* The same question has the same answer, and names nothing twice. */
static void test_again(void **state) {
  (void)state;
  finish(ENTRIES, LAYERS);
  assert_int_equal(lrp_propose(output, 25.0), LRP_OK);
  char *yaml = get("choice.yaml"), *json = get("choice.json");
  put("job.yaml", yaml);
  unlink(strcat(strcpy((char[96]){0}, output), "/tradeoff.json"));
  /* A run that was killed while it wrote the report goes on with what was chosen. */
  assert_int_equal(lrp_propose(output, 25.0), LRP_OK);
  assert_int_equal(lrp_propose(output, 26.0), LRP_ERR_ABSENT);
  json_t *all = json_loads(LAYERS, 0, NULL);
  json_object_set_new(all, "provenance", json_pack("{s:s}", "job", yaml));
  char *text = json_dumps(all, 0);
  put("tradeoff.json", text);
  assert_int_equal(lrp_propose(output, 25.0), LRP_OK);
  char *again = get("choice.yaml"), *json_again = get("choice.json");
  assert_string_equal(again, yaml);
  assert_string_equal(json_again, json);
  free(json_again);
  free(again);
  free(text);
  json_decref(all);
  free(json);
  free(yaml);
}

static void test_names(void **state) {
  (void)state;
  finish(ENTRIES
         "  - {name: candidate-25.00-s1o0, layers: 0, tensors: q_proj, rank: 1}\n"
         "  - {name: candidate-25.00-s1o0-2, layers: 0, tensors: k_proj, rank: 1}\n"
         "  - {name: mine, layers: [0, 2], rank: 1}\n",
         LAYERS);
  assert_int_equal(lrp_propose(output, 25.0), LRP_OK);
  json_t *choice = read_choice();
  assert_string_equal(proposed(choice, 0, "configuration"), "mine");
  assert_string_equal(proposed(choice, 1, "configuration"), "candidate-25.00-s1o0-3");
  json_decref(choice);
}

/* What one layer saves is that layer, as the job calls it; every stride has another one. */
static void test_known(void **state) {
  char text[300];
  (void)state;
  finish(ENTRIES, LAYERS);
  assert_int_equal(lrp_propose(output, 20.0), LRP_OK);
  json_t *choice = read_choice();
  assert_string_equal(candidates(choice, 0, text), "l2, l1, l0, candidate-44.13-s1o0, paper-r06");
  char *yaml = get("choice.yaml");
  assert_null(strstr(yaml, "candidate-20.00"));
  free(yaml);
  json_decref(choice);
}

static void test_by_errors(void **state) {
  char text[300];
  (void)state;
  finish("  - {name: a, layers: [0, 1], tensors: gate_proj, rank: 1}\n",
         "{\"sensitivity\": null, \"tensors\": ["
         "{\"layer\": 0, \"short\": \"gate_proj\", \"rank\": 1, \"relative_error\": 0.9},"
         "{\"layer\": 1, \"short\": \"gate_proj\", \"rank\": 1, \"relative_error\": 0.8}]}");
  assert_int_equal(lrp_propose(output, 2.0), LRP_OK);
  json_t *choice = read_choice();
  assert_string_equal(json_string_value(json_object_get(choice, "method")), "error");
  assert_int_equal(json_array_size(json_object_get(choice, "rows")), 2); /* none of paper's size */
  assert_true(json_is_null(
      json_object_get(json_array_get(json_object_get(choice, "rows"), 1), "predicted_loss")));
  assert_string_equal(candidates(choice, 0, text), "chosen-02.00"); /* nothing will be measured */
  assert_int_equal(json_array_size(json_object_get(choice, "choices")), 1);
  char *yaml = get("choice.yaml");
  assert_contains(yaml,
                  "  - name: \"chosen-02.00\"\n    layers: [1]\n    tensors: "
                  "[\"gate_proj\"]\n    rank: 1\n");
  free(yaml);
  json_decref(choice);
}

/* Losses of mixed configurations tell candidates apart, though they propose none. */
static void test_by_errors_measured(void **state) {
  char text[300];
  (void)state;
  finish("  - {name: dense}\n  - {name: a, layers: [0, 1], tensors: gate_proj, rank: 1}\n",
         "{\"sensitivity\": {\"measure\": \"score\", \"units\": [], \"layers\": []}, \"tensors\": ["
         "{\"layer\": 0, \"short\": \"gate_proj\", \"rank\": 1, \"relative_error\": 0.9},"
         "{\"layer\": 1, \"short\": \"gate_proj\", \"rank\": 1, \"relative_error\": 0.8}]}");
  assert_int_equal(lrp_propose(output, 2.0), LRP_OK);
  json_t *choice = read_choice();
  assert_string_equal(json_string_value(json_object_get(choice, "method")), "error");
  assert_string_equal(candidates(choice, 0, text),
                      "candidate-02.00-s1o0, candidate-02.00-s2o0, paper-r06");
  json_decref(choice);
}

static void assert_refused(double target, lrp_status expected, const char *message) {
  lrp_failure_clear();
  const lrp_status st = lrp_propose(output, target);
  assert_int_equal(st, expected);
  assert_contains(lrp_failure_message(st), message);
}

static void test_refused(void **state) {
  (void)state;
  assert_refused(9.0, LRP_ERR_ABSENT, "no job.yaml");
  finish(ENTRIES, LAYERS);
  assert_refused(99.0, LRP_ERR_JOB, "can save ");
  assert_refused(99.0, LRP_ERR_JOB, "each: layer");
  put("tradeoff.json", "{\"provenance\": {\"job\": \"another\"}}");
  assert_refused(9.0, LRP_ERR_DATA, "is not that of job.yaml");
  put("tradeoff.json", "{");
  assert_refused(9.0, LRP_ERR_ABSENT, "no tradeoff.json");
}

/* Ranks that differ in all ways, as parts and back. */
static void test_ranks_as_parts(void **state) {
  static const int rank[3][7] = {{1, 0, 0, 2}, {0}, {1, 0, 0, 2}};
  static const int other[3][7] = {{3, 3, 3, 3, 3, 3, 3}, {0, 0, 0, 0, 0, 0, 5}, {0}};
  const lrp_status expected = LRP_OK;
  char text[200], *yaml;
  lrp_config config;
  lrp_plan plan;
  lrp_job job;
  (void)state;
  assert_int_equal(lrp_config_read(model, &config), LRP_OK);
  snprintf(text, sizeof text, "model: %s\noutput: o\nconfigurations: [{name: dense}]\n", model);
  assert_int_equal(parse_job(text, &job), LRP_OK);
  assert_int_equal(lrp_job_add_ranks(&job, &config, "a", rank[0]), expected);
  assert_int_equal(lrp_job_add_ranks(&job, &config, "b", other[0]), expected);
  assert_int_equal(lrp_job_write(&job, &yaml), LRP_OK);
  lrp_job_free(&job);
  assert_int_equal(parse_job(yaml, &job), LRP_OK);
  assert_int_equal(lrp_plan_create(&job, &config, &plan), LRP_OK);
  assert_memory_equal(plan.configurations[1].rank, rank, sizeof rank);
  assert_memory_equal(plan.configurations[2].rank, other, sizeof other);
  lrp_plan_free(&plan);
  lrp_job_free(&job);
  free(yaml);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_by_losses, clean),
      cmocka_unit_test_teardown(test_single, clean),
      cmocka_unit_test_teardown(test_again, clean),
      cmocka_unit_test_teardown(test_names, clean),
      cmocka_unit_test_teardown(test_known, clean),
      cmocka_unit_test_teardown(test_by_errors, clean),
      cmocka_unit_test_teardown(test_by_errors_measured, clean),
      cmocka_unit_test_teardown(test_refused, clean),
      cmocka_unit_test(test_ranks_as_parts),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
