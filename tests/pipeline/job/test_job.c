#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/log.h"
#include "pipeline/job_keys.h"
#include "tests/pipeline/job/job_text.h"

static const char full[] =
    "# every key\n"
    "model: \"a \\\"b\\\" \\\\ c\"\n"
    "output: out/\xc3\xa4\n"
    "decompose: {method: svd, dtype: bfloat16, grid_elements: 1000}\n"
    "configurations:\n"
    "  - {name: dense}\n"
    "  - {name: a, layers: all, rank: 3}\n"
    "  - name: b\n"
    "    layers: [2, \"5:9:2\", 10:12]\n"
    "    tensors: [q_proj, attention.output]\n"
    "    rank: {q_proj: 1, attention.output: 2}\n"
    "  - {name: c, layers: 1:2, tensors: k_proj, rank: [4, 5]}\n"
    "  - {name: d, layers: 7, ratio: 0.1}\n"
    "  - {name: e.f_g-9, layers: all, tensors: all, energy: 1}\n"
    "evaluate: {data: d, tasks: [arc_easy, mmlu], num_fewshot: 5, limit: 10, max_length: 20,\n"
    "           dtype: bfloat16}\n"
    "measure: {batch_size: 2, sequence_length: [32, 8], new_tokens: 0, repeats: 3}\n";

static void assert_ok(const char *text, lrp_job *job) {
  const lrp_status st = parse_job(text, job);
  if (st != LRP_OK) fail_msg("%s", lrp_failure_message(st));
}

static void test_defaults(void **state) {
  lrp_job job;
  (void)state;
  assert_ok(HEAD, &job);
  assert_string_equal(job.model, "m");
  assert_string_equal(job.output, "o");
  assert_int_equal(job.decompose.method, LRP_TUCKER);
  assert_int_equal(job.decompose.dtype, LRP_STORE_F32);
  assert_int_equal(job.decompose.grid_elements, 134217728);
  assert_int_equal(job.n_configurations, 1);
  assert_string_equal(job.configurations[0].name, "dense");
  assert_int_equal(job.configurations[0].rule, LRP_RULE_DENSE);
  assert_null(job.evaluate.data);
  assert_int_equal(job.evaluate.n_tasks, 0);
  assert_int_equal(job.evaluate.num_fewshot, -1);
  assert_int_equal(job.evaluate.limit, -1);
  assert_int_equal(job.evaluate.max_length, -1);
  assert_int_equal(job.evaluate.dtype, LRP_EVAL_AUTO);
  assert_true(job.evaluate.log_samples);
  assert_true(job.evaluate.prefix_sharing);
  assert_int_equal(job.evaluate.memory, 0);
  assert_false(job.measure.given);
  assert_int_equal(job.measure.batch_size.n, 1);
  assert_int_equal(job.measure.batch_size.value[0], 64);
  assert_int_equal(job.measure.sequence_length.n, 1);
  assert_int_equal(job.measure.sequence_length.value[0], 128);
  assert_int_equal(job.measure.new_tokens, 16);
  assert_int_equal(job.measure.repeats, 5);
  lrp_job_free(&job);
}

static void test_every_key(void **state) {
  lrp_job job;
  (void)state;
  assert_ok(full, &job);
  assert_string_equal(job.model, "a \"b\" \\ c");
  assert_string_equal(job.output, "out/\xc3\xa4");
  assert_int_equal(job.decompose.method, LRP_SVD);
  assert_int_equal(job.decompose.dtype, LRP_STORE_BF16);
  assert_int_equal(job.decompose.grid_elements, 1000);
  assert_int_equal(job.evaluate.n_tasks, 2);
  assert_string_equal(job.evaluate.data, "d");
  assert_string_equal(job.evaluate.tasks[0], "arc_easy");
  assert_string_equal(job.evaluate.tasks[1], "mmlu");
  assert_int_equal(job.evaluate.num_fewshot, 5);
  assert_int_equal(job.evaluate.limit, 10);
  assert_int_equal(job.evaluate.max_length, 20);
  assert_int_equal(job.evaluate.dtype, LRP_EVAL_BF16);
  assert_true(job.measure.given);
  assert_int_equal(job.measure.batch_size.n, 1);
  assert_int_equal(job.measure.batch_size.value[0], 2);
  assert_int_equal(job.measure.sequence_length.n, 2);
  assert_int_equal(job.measure.sequence_length.value[0], 32);
  assert_int_equal(job.measure.sequence_length.value[1], 8);
  assert_int_equal(job.measure.new_tokens, 0);
  assert_int_equal(job.measure.repeats, 3);
  lrp_job_free(&job);
}

static void test_configurations(void **state) {
  const lrp_job_configuration *c;
  lrp_job job;
  (void)state;
  assert_ok(full, &job);
  assert_int_equal(job.n_configurations, 6);
  c = job.configurations;
  assert_true(c[1].all_layers && c[1].all_tensors && c[1].rule == LRP_RULE_RANK);
  assert_int_equal(c[1].ranks[0], 3);
  assert_string_equal(c[2].origin, "x.yaml:8");
  assert_int_equal(c[2].n_layers, 3);
  assert_memory_equal(c[2].layers, ((lrp_range[]){{2, 2, 1}, {5, 9, 2}, {10, 12, 1}}),
                      3 * sizeof(lrp_range));
  assert_false(c[2].all_layers || c[2].all_tensors);
  assert_int_equal(c[2].n_tensors, 2);
  assert_string_equal(c[2].tensors[1], "attention.output");
  assert_int_equal(c[2].rule, LRP_RULE_PER_TENSOR);
  assert_string_equal(c[2].rank_tensors[0], "q_proj");
  assert_int_equal(c[2].ranks[1], 2);
  assert_memory_equal(c[3].layers, &((lrp_range){1, 2, 1}), sizeof(lrp_range));
  assert_int_equal(c[3].rule, LRP_RULE_PER_LAYER);
  assert_string_equal(c[3].tensors[0], "k_proj");
  assert_int_equal(c[3].ranks[1], 5);
  assert_true(c[4].rule == LRP_RULE_RATIO && c[4].value == 0.1);
  assert_true(c[5].rule == LRP_RULE_ENERGY && c[5].value == 1.0);
  assert_string_equal(c[5].name, "e.f_g-9");
  lrp_job_free(&job);
}

/* Equal text of equal jobs: what is written is a function of every field but origin. */
static void assert_round_trip(const char *text) {
  char *first, *second;
  lrp_job job;
  assert_ok(text, &job);
  assert_int_equal(lrp_job_write(&job, &first), LRP_OK);
  lrp_job_free(&job);
  assert_ok(first, &job);
  assert_int_equal(lrp_job_write(&job, &second), LRP_OK);
  assert_string_equal(first, second);
  lrp_job_free(&job);
  free(first);
  free(second);
}

/* Tasks with and without shots, from a file and from --set, which replaces them all. */
static void test_tasks(void **state) {
  static const char text[] =
      "model: m\noutput: o\nconfigurations: [{name: dense}]\nevaluate:\n  data: d\n"
      "  tasks: [arc_easy, {name: arc_challenge, num_fewshot: 25}, {num_fewshot: 0, name: mmlu}]\n"
      "  log_samples: false\n  prefix_sharing: False\n  memory: 1.5 GiB\n";
  char *set[] = {"evaluate.tasks={name: piqa, num_fewshot: 3}", "evaluate.memory=2kB"};
  const lrp_overrides overrides = {.set = set, .n_set = 2};
  lrp_job job;
  char *written;
  (void)state;
  assert_ok(text, &job);
  assert_int_equal(job.evaluate.n_tasks, 3);
  assert_string_equal(job.evaluate.tasks[1], "arc_challenge");
  assert_int_equal(job.evaluate.task_shots[0], -1);
  assert_int_equal(job.evaluate.task_shots[1], 25);
  assert_int_equal(job.evaluate.task_shots[2], 0);
  assert_false(job.evaluate.log_samples);
  assert_false(job.evaluate.prefix_sharing);
  assert_int_equal(job.evaluate.memory, (int64_t)3 << 29);
  assert_int_equal(lrp_job_write(&job, &written), LRP_OK);
  assert_non_null(strstr(written,
                         "  tasks: [\"arc_easy\", {name: \"arc_challenge\", num_fewshot: 25}, "
                         "{name: \"mmlu\", num_fewshot: 0}]\n"));
  assert_non_null(strstr(written, "  memory: 1536MiB\n"));
  free(written);
  lrp_job_free(&job);
  assert_round_trip(text);

  assert_int_equal(lrp_job_parse("x.yaml", text, strlen(text), &overrides, &job), LRP_OK);
  assert_int_equal(job.evaluate.n_tasks, 1);
  assert_string_equal(job.evaluate.tasks[0], "piqa");
  assert_int_equal(job.evaluate.task_shots[0], 3);
  assert_int_equal(job.evaluate.memory, 2000);
  lrp_job_free(&job);
}

/* Sizes are written in the largest unit that loses nothing. */
static void test_sizes(void **state) {
  static const char *const sizes[][2] = {
      {"24GiB", "24GiB"}, {"2048MiB", "2GiB"}, {"1TB", "1TB"},   {"1000MB", "1GB"},
      {"7B", "7B"},       {"0.5KiB", "512B"},  {"auto", "auto"}, {"16TiB", "16TiB"}};
  (void)state;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    char text[128], expected[64], *written;
    lrp_job job;
    snprintf(text, sizeof text,
             "model: m\noutput: o\nconfigurations: [{name: dense}]\nevaluate: {memory: %s}\n",
             sizes[i][0]);
    snprintf(expected, sizeof expected, "  memory: %s\n", sizes[i][1]);
    assert_ok(text, &job);
    assert_int_equal(lrp_job_write(&job, &written), LRP_OK);
    assert_non_null(strstr(written, expected));
    free(written);
    lrp_job_free(&job);
  }
}

static void test_round_trip(void **state) {
  lrp_job job;
  char *text;
  (void)state;
  assert_round_trip(HEAD);
  assert_round_trip(full);
  assert_round_trip(HEAD "measure: {}\n");
  assert_ok(full, &job);
  assert_int_equal(lrp_job_write(&job, &text), LRP_OK);
  lrp_job_free(&job);
  assert_contains(text, "model: \"a \\\"b\\\" \\\\ c\"\n");
  assert_contains(text, "  method: svd\n");
  assert_contains(text,
                  "  - name: \"dense\"\n  - name: \"a\"\n    layers: all\n    tensors: all\n");
  assert_contains(text, "    layers: [2, \"5:9:2\", \"10:12:1\"]\n");
  assert_contains(text, "    rank: {\"q_proj\": 1, \"attention.output\": 2}\n");
  assert_contains(text, "    ratio: 0.1\n");
  assert_contains(text, "  limit: 10\n");
  assert_contains(text, "measure:\n  batch_size: 2\n  sequence_length: [32, 8]\n");
  free(text);
}

static void test_nothing_is_lost_in_writing(void **state) {
  lrp_job job, again;
  char *text;
  (void)state;
  assert_ok(full, &job);
  assert_int_equal(lrp_job_write(&job, &text), LRP_OK);
  assert_ok(text, &again);
  free(text);
  assert_string_equal(job.model, again.model);
  assert_int_equal(job.n_configurations, again.n_configurations);
  for (int i = 0; i < job.n_configurations; i++) {
    const lrp_job_configuration *a = &job.configurations[i], *b = &again.configurations[i];
    assert_string_equal(a->name, b->name);
    assert_true(a->all_layers == b->all_layers && a->n_layers == b->n_layers);
    assert_true(a->all_tensors == b->all_tensors && a->n_tensors == b->n_tensors);
    assert_true(a->rule == b->rule && a->n_ranks == b->n_ranks && a->value == b->value);
    if (a->n_layers > 0) {
      assert_memory_equal(a->layers, b->layers, (size_t)a->n_layers * sizeof *a->layers);
    }
    if (a->n_ranks > 0) {
      assert_memory_equal(a->ranks, b->ranks, (size_t)a->n_ranks * sizeof *a->ranks);
    }
  }
  assert_memory_equal(&job.measure, &again.measure, sizeof job.measure);
  lrp_job_free(&job);
  lrp_job_free(&again);
}

static lrp_status parse_with(char **environment, int n_environment, char **set, int n_set,
                             lrp_job *job) {
  const lrp_overrides o = {
      .set = set, .n_set = n_set, .environment = environment, .n_environment = n_environment};
  const char *text = HEAD "decompose: {method: tucker, dtype: float16}\n";
  lrp_failure_clear();
  return lrp_job_parse("x.yaml", text, strlen(text), &o, job);
}

static void test_precedence(void **state) {
  char *environment[] = {"LRPIPE_DECOMPOSE_METHOD=svd", "LRPIPE_DECOMPOSE_GRID_ELEMENTS=7",
                         "HOME=/root", "LRPIPE_EVALUATE_LIMIT=3"};
  char *set[] = {"decompose.grid_elements=8",    "evaluate.limit=4",     "evaluate.limit=5",
                 "evaluate={data: d, tasks: t}", "evaluate.max_length=", "output=\"12\""};
  lrp_job job;
  (void)state;
  assert_int_equal(parse_with(environment, 4, set, 6, &job), LRP_OK);
  assert_int_equal(job.decompose.method, LRP_SVD);      /* environment over file */
  assert_int_equal(job.decompose.grid_elements, 8);     /* --set over environment */
  assert_int_equal(job.decompose.dtype, LRP_STORE_F16); /* file over default */
  assert_int_equal(job.evaluate.limit, 5);              /* the last --set */
  assert_int_equal(job.evaluate.max_length, -1);        /* nothing is null */
  assert_string_equal(job.evaluate.tasks[0], "t");
  assert_string_equal(job.output, "12");
  assert_false(job.measure.given);
  lrp_job_free(&job);
}

static void test_set_configurations(void **state) {
  char *set[] = {"configurations=[{name: x, layers: all, rank: 1}, {name: y}]",
                 "measure.repeats=1"};
  lrp_job job;
  (void)state;
  assert_int_equal(parse_with(NULL, 0, set, 2, &job), LRP_OK);
  assert_int_equal(job.n_configurations, 2);
  assert_string_equal(job.configurations[0].name, "x");
  assert_string_equal(job.configurations[0].origin, "--set configurations");
  assert_true(job.measure.given);
  lrp_job_free(&job);
}

static void test_required_from_set(void **state) {
  char *set[] = {"model=m", "output=o", "configurations=[{name: a}]"};
  const lrp_overrides o = {.set = set, .n_set = 3};
  lrp_job job;
  (void)state;
  assert_int_equal(lrp_job_parse("x.yaml", "{}", 2, &o, &job), LRP_OK);
  assert_string_equal(job.model, "m");
  lrp_job_free(&job);
}

static void assert_override_error(char *environment, char *set, const char *message) {
  lrp_job job;
  const lrp_status st = parse_with(&environment, environment != NULL, &set, set != NULL, &job);
  assert_message(st, message);
}

static void test_override_errors(void **state) {
  (void)state;
  assert_override_error(NULL, "decompose.methd=svd",
                        "--set decompose.methd: unknown key 'decompose.methd' (did you mean "
                        "'decompose.method'?)");
  assert_override_error(NULL, "method=svd",
                        "--set method: unknown key 'method' (did you mean 'decompose.method'?)");
  assert_override_error(NULL, "decompse.method=svd",
                        "--set decompse.method: unknown key 'decompse.method' (did you mean "
                        "'decompose.method'?)");
  assert_override_error(NULL, "decompose.zebra=1",
                        "--set decompose.zebra: unknown key 'decompose.zebra'");
  assert_override_error(NULL, "configurations[].name=x",
                        "--set configurations[].name: unknown key 'configurations[].name'");
  assert_override_error(NULL, "evaluate.limit=x",
                        "--set evaluate.limit: evaluate.limit: expected an integer >= 1 or null, "
                        "got 'x'");
  assert_override_error(NULL, "output=", "--set output: output: expected a string, got null");
  assert_override_error(NULL, "configurations=[{name: a, rank: 1}]",
                        "--set configurations: configuration 'a': a rank without layers");
  assert_override_error(NULL, "output=[", "--set output: not valid YAML");
  assert_override_error(NULL, "evaluate.tasks=a",
                        "--set evaluate.tasks: evaluate.tasks without evaluate.data");
  assert_override_error(NULL, "model", "--set model: expected --set key=value");
  assert_override_error(NULL, "=x", "--set : unknown key ''");
  assert_override_error("LRPIPE_DECOMPOSE_METHOD=svg", NULL,
                        "LRPIPE_DECOMPOSE_METHOD: decompose.method: expected tucker or svd, got "
                        "'svg'");
}

static void test_unknown_variable_warns(void **state) {
  char *environment[] = {"LRPIPE_DECOMPOSE_METHDO=svd", "LRPIPE_ZEBRA=1", "LRPIPEX=2"};
  char text[2000];
  lrp_job job;
  (void)state;
  capture c = capture_begin(stderr);
  const lrp_status st = parse_with(environment, 3, NULL, 0, &job);
  capture_end(&c, text, sizeof text);
  assert_int_equal(st, LRP_OK);
  assert_int_equal(job.decompose.method, LRP_TUCKER);
  assert_contains(text,
                  "LRPIPE_DECOMPOSE_METHDO is unknown and ignored (did you mean "
                  "LRPIPE_DECOMPOSE_METHOD?)");
  assert_contains(text, "LRPIPE_ZEBRA is unknown and ignored\n");
  assert_null(strstr(text, "LRPIPEX"));
  lrp_job_free(&job);
}

static void test_reference_names_every_key(void **state) {
  static char text[20000];
  (void)state;
  capture c = capture_begin(stdout);
  lrp_job_print_reference();
  capture_end(&c, text, sizeof text);
  for (int i = 0; i < lrp_job_n_keys; i++) {
    assert_contains(text, lrp_job_keys[i].path);
    assert_contains(text, lrp_job_keys[i].help);
  }
  assert_contains(text, "| `decompose.method` | tucker or svd | `tucker` |");
  assert_contains(text, "| `evaluate.limit` | an integer >= 1 or null | `null` |");
  assert_contains(text, "| `model` | path | required |");
  assert_contains(text, "| `configurations[].ratio` | a number in (0, 1] | no default |");
  assert_contains(text, "| `decompose.dtype` | float32, float16, bfloat16 or model | `float32` |");
}

/* Parse a job of the folder jobs. */
static void load_example(const char *name, lrp_job *job) {
  static char text[10000];
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", LRP_JOBS, name);
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  const size_t n = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  text[n] = '\0';
  assert_ok(text, job);
}

static void test_example_jobs(void **state) {
  lrp_job job;
  (void)state;
  load_example("llama2-7b.yaml", &job);
  assert_int_equal(job.n_configurations, 3);
  assert_string_equal(job.configurations[1].name, "r9");
  lrp_job_free(&job);

  load_example("bert-sweep.yaml", &job);
  assert_int_equal(job.n_configurations, 1 + 7 * 4); /* all tensors and each of six, four ranks */
  for (int c = 1; c < job.n_configurations; c++) {
    static const int ranks[] = {1, 4, 16, 64};
    assert_true(job.configurations[c].all_layers);
    assert_int_equal(job.configurations[c].ranks[0], ranks[(c - 1) % 4]);
    assert_int_equal(job.configurations[c].n_tensors, c <= 4 ? 0 : 1);
  }
  assert_string_equal(job.configurations[20].tensors[0], "attention.output");
  lrp_job_free(&job);
}

static void test_byte_order_mark_and_line_ends(void **state) {
  lrp_job job;
  (void)state;
  assert_ok("\xef\xbb\xbfmodel: m\r\noutput: o\r\nconfigurations: [{name: dense}]\r\n", &job);
  assert_string_equal(job.model, "m");
  lrp_job_free(&job);
}

static void test_is_name(void **state) {
  (void)state;
  assert_true(lrp_is_name("a"));
  assert_true(lrp_is_name("9a.B_c-"));
  assert_false(lrp_is_name(""));
  assert_false(lrp_is_name(".a"));
  assert_false(lrp_is_name("-a"));
  assert_false(lrp_is_name("a b"));
  assert_false(lrp_is_name("a/b"));
  assert_false(lrp_is_name("\xc3\xa4"));
}

static void test_command_line_layers(void **state) {
  lrp_job_configuration c = {0};
  (void)state;
  assert_int_equal(lrp_job_parse_layers("2,17,5:9:2", &c), LRP_OK);
  assert_int_equal(c.n_layers, 3);
  assert_memory_equal(c.layers, ((lrp_range[]){{2, 2, 1}, {17, 17, 1}, {5, 9, 2}}),
                      3 * sizeof(lrp_range));
  lrp_job_configuration_free(&c);
  assert_int_equal(lrp_job_parse_layers("all", &c), LRP_OK);
  assert_true(c.all_layers);
  static const char *const bad[] = {"",      ",",   "1,",      ",1",          "x",    "-1",
                                    "1:2:0", "2:1", "1:2:3:4", "99999999999", "1 ,2", "1:"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    lrp_job_configuration_free(&c);
    lrp_failure_clear();
    assert_int_equal(lrp_job_parse_layers(bad[i], &c), LRP_ERR_USAGE);
  }
  lrp_job_configuration_free(&c);
  lrp_failure_clear();
}

static void test_command_line_tensors(void **state) {
  lrp_job_configuration c = {0};
  (void)state;
  assert_int_equal(lrp_job_parse_tensors("q_proj,k_proj", &c), LRP_OK);
  assert_int_equal(c.n_tensors, 2);
  assert_string_equal(c.tensors[1], "k_proj");
  static const char *const bad[] = {"", "a,", ",a", "a,,b", "a,b,a"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    lrp_job_configuration_free(&c);
    lrp_failure_clear();
    assert_int_equal(lrp_job_parse_tensors(bad[i], &c), LRP_ERR_USAGE);
  }
  lrp_job_configuration_free(&c);
  lrp_failure_clear();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_defaults),
      cmocka_unit_test(test_every_key),
      cmocka_unit_test(test_configurations),
      cmocka_unit_test(test_tasks),
      cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_nothing_is_lost_in_writing),
      cmocka_unit_test(test_precedence),
      cmocka_unit_test(test_set_configurations),
      cmocka_unit_test(test_required_from_set),
      cmocka_unit_test(test_override_errors),
      cmocka_unit_test(test_unknown_variable_warns),
      cmocka_unit_test(test_reference_names_every_key),
      cmocka_unit_test(test_example_jobs),
      cmocka_unit_test(test_byte_order_mark_and_line_ends),
      cmocka_unit_test(test_is_name),
      cmocka_unit_test(test_command_line_layers),
      cmocka_unit_test(test_command_line_tensors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
