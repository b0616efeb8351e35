/* Every kind of refusal, with the position in its message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/pipeline/job/job_text.h"

typedef struct {
  const char *text, *message;
} error_case;

static void check(const error_case *cases, size_t n) {
  for (size_t i = 0; i < n; i++) assert_job_error(cases[i].text, cases[i].message);
}
#define CHECK(cases) check(cases, sizeof(cases) / sizeof((cases)[0]))

static void test_yaml(void **state) {
  static const error_case cases[] = {
      {"", "x.yaml:1:1: empty"},
      {"# only this\n", "x.yaml:1:1: empty"},
      {"---\n", "x.yaml:2:1: job: expected a map of keys, got null"},
      {"model\n", "x.yaml:1:1: job: expected a map of keys, got 'model'"},
      {"[a]\n", "x.yaml:1:1: job: expected a map of keys, got a list"},
      {HEAD "---\nmodel: b\n", "x.yaml:4:1: a second document"},
      {HEAD "evaluate: {data: &a d}\n", "x.yaml:4:18: an anchor"},
      {"model: *a\n", "x.yaml:1:8: an alias"},
      {"model: !!str m\n", "x.yaml:1:8: a tag"},
      {"model: !x m\n", "x.yaml:1:8: a tag"},
      {"model: m\n\toutput: o\n", "x.yaml:2:1: a tab character"},
      {"model: m # \xc3\xa4\t\n", "x.yaml:1:13: a tab character"},
      {"model: m\xff\n", "x.yaml:1:9: not valid UTF-8"},
      {"model: m\noutput: \xc3(\n", "x.yaml:2:9: not valid UTF-8"},
      {"model: \x01\n", "x.yaml:1:8: a control character"},
      {"model: a\xe2\x80\xa8z\n", "x.yaml:1:9: a control character"},
      {"model: \"a\\nb\"\n", "x.yaml:1:8: model: a control character"},
      {"model: \"a\\0b\"\n", "x.yaml:1:8: model: a control character"},
      {"model: \xef\xbb\xbfm\n", "x.yaml:1:8: a control character"},
      {"\"model\\0\": a\n", "x.yaml:1:1: expected the name of a key"},
      {"model: [a\n", "x.yaml:2:1: not valid YAML"},
      {"model: {a: b\n", "x.yaml:2:1: not valid YAML"},
      {"model: \"a\n", "x.yaml:2:1: not valid YAML"},
      {"model: a: b\n", "x.yaml:1:9: not valid YAML"},
      {"model: m\n output: o\n", "x.yaml:2:8: not valid YAML"},
      {"? [a]\n: b\n", "x.yaml:1:3: expected the name of a key, got a list"},
      {"{{{{{{{{{{{{{{{{{{{{", "x.yaml:1:17: nested too deeply"},
      {"[[[[[[[[[[[[[[[[[[[[", "x.yaml:1:17: nested too deeply"},
  };
  (void)state;
  CHECK(cases);
}

static void test_embedded_nul(void **state) {
  lrp_job job;
  (void)state;
  lrp_failure_clear();
  assert_message(lrp_job_parse("x.yaml", "model: a\0b", 10, NULL, &job),
                 "x.yaml:1:9: a control character");
}

static void test_size_limit(void **state) {
  enum { limit = 1 << 20 };
  char *text = malloc(limit + 2);
  lrp_job job;
  (void)state;
  assert_non_null(text);
  memset(text, '\n', limit + 1);
  memcpy(text, HEAD, strlen(HEAD));
  text[limit + 1] = '\0';
  lrp_failure_clear();
  assert_message(lrp_job_parse("x.yaml", text, limit + 1, NULL, &job), "x.yaml:1:1: larger than");
  assert_int_equal(lrp_job_parse("x.yaml", text, limit, NULL, &job), LRP_OK);
  lrp_job_free(&job);
  free(text);
}

static void test_keys(void **state) {
  static const error_case cases[] = {
      {"modle: m\n", "x.yaml:1:1: unknown key 'modle' (did you mean 'model'?)"},
      {"model: m\noutput: o\nconfiguration: []\n",
       "x.yaml:3:1: unknown key 'configuration' (did you mean 'configurations'?)"},
      {HEAD "zebra: 1\n", "x.yaml:4:1: unknown key 'zebra'"},
      {HEAD "method: svd\n", "x.yaml:4:1: unknown key 'method' (did you mean 'decompose.method'?)"},
      {HEAD "decompose: {methd: svd}\n",
       "x.yaml:4:13: unknown key 'decompose.methd' (did you mean 'decompose.method'?)"},
      {HEAD "evaluate:\n  limit: 3\n  limmit: 3\n",
       "x.yaml:6:3: unknown key 'evaluate.limmit' (did you mean 'evaluate.limit'?)"},
      {HEAD "1: 2\n", "x.yaml:4:1: unknown key '1'"},
      {HEAD "<<: {}\n", "x.yaml:4:1: unknown key '<<'"},
      {HEAD "model: n\n", "x.yaml:4:1: duplicate key 'model'"},
      {HEAD "\"model\": n\n", "x.yaml:4:1: duplicate key 'model'"},
      {HEAD "decompose: {dtype: model, method: svd, dtype: model}\n",
       "x.yaml:4:40: duplicate key 'dtype'"},
      {"model: m\nconfigurations: [{name: a}]\n", "x.yaml: missing key 'output'"},
      {"output: o\nconfigurations: [{name: a}]\n", "x.yaml: missing key 'model'"},
      {"model: m\noutput: o\n", "x.yaml: missing key 'configurations'"},
      {"model: m\noutput: o\nconfigurations: []\nsweep: []\n",
       "x.yaml: missing key 'configurations'"},
  };
  (void)state;
  CHECK(cases);
}

static void test_types(void **state) {
  static const error_case cases[] = {
      {"model: [a]\n", "x.yaml:1:8: model: expected a string, got a list"},
      {"model: {a: b}\n", "x.yaml:1:8: model: expected a string, got a map"},
      {"model:\n", "x.yaml:1:7: model: expected a string, got null"},
      {"model: ~\n", "x.yaml:1:8: model: expected a string, got null"},
      {"model: 12\n", "x.yaml:1:8: model: expected a string, got '12'; if it is one, write it in"},
      {"model: -1.5e3\n", "x.yaml:1:8: model: expected a string, got '-1.5e3'"},
      {"model: true\n", "x.yaml:1:8: model: expected a string, got 'true'"},
      {"model: ''\n", "x.yaml:1:8: model: an empty string"},
      {HEAD "decompose: svd\n", "x.yaml:4:12: decompose: expected a map of keys, got 'svd'"},
      {HEAD "decompose:\n", "x.yaml:4:11: decompose: expected a map of keys, got null"},
      {HEAD "evaluate: []\n", "x.yaml:4:11: evaluate: expected a map of keys, got a list"},
      {HEAD "decompose: {method: SVD}\n",
       "x.yaml:4:21: decompose.method: expected tucker or svd, got 'SVD'"},
      {HEAD "decompose: {dtype: [model]}\n",
       "x.yaml:4:20: decompose.dtype: expected float32, float16, bfloat16 or model, got a list"},
      {HEAD "decompose: {dtype: null}\n", "x.yaml:4:20: decompose.dtype: expected float32"},
      {HEAD "decompose: {grid_elements: 0}\n",
       "x.yaml:4:28: decompose.grid_elements: expected an integer >= 1, got '0'"},
      {HEAD "evaluate: {limit: -3}\n",
       "x.yaml:4:19: evaluate.limit: expected an integer >= 1 or null, got '-3'"},
      {HEAD "evaluate: {limit: 0}\n", "x.yaml:4:19: evaluate.limit: expected an integer >= 1"},
      {HEAD "evaluate: {limit: 1.0}\n", "x.yaml:4:19: evaluate.limit: expected an integer >= 1"},
      {HEAD "evaluate: {limit: \"3\"}\n", "x.yaml:4:19: evaluate.limit: expected an integer >= 1"},
      {HEAD "evaluate: {limit: 0x10}\n", "x.yaml:4:19: evaluate.limit: expected an integer >= 1"},
      {HEAD "evaluate: {limit: 9223372036854775808}\n", "x.yaml:4:19: evaluate.limit: expected"},
      {HEAD "evaluate: {max_length: 2147483648}\n", "x.yaml:4:24: evaluate.max_length: expected"},
      {HEAD "evaluate: {num_fewshot: few}\n",
       "x.yaml:4:25: evaluate.num_fewshot: expected an integer >= 0 and <= 1000000 or null, got "
       "'few'"},
      {HEAD "evaluate: {num_fewshot: -1}\n", "x.yaml:4:25: evaluate.num_fewshot: expected"},
      {HEAD "evaluate: {dtype: float16}\n",
       "x.yaml:4:19: evaluate.dtype: expected auto, float32 or bfloat16, got 'float16'"},
      {HEAD "evaluate: {tasks: {a: b}}\n",
       "x.yaml:4:20: evaluate.tasks: unknown key 'a'; a task has the keys name and num_fewshot"},
      {HEAD "evaluate: {tasks: [[a]]}\n", "x.yaml:4:20: evaluate.tasks: expected a string"},
      {HEAD "evaluate: {tasks: [{num_fewshot: 2}]}\n",
       "x.yaml:4:20: evaluate.tasks: a task without a name"},
      {HEAD "evaluate: {tasks: [a, {name: a, num_fewshot: 2}]}\n",
       "x.yaml:4:30: evaluate.tasks: 'a' is listed twice"},
      {HEAD "evaluate: {tasks: [{name: a, name: b}]}\n", "x.yaml:4:30: duplicate key 'name'"},
      {HEAD "evaluate: {tasks: [{name: a, num_fewshot: null}]}\n",
       "x.yaml:4:43: evaluate.tasks[].num_fewshot: expected an integer >= 0 and <= 1000000"},
      {HEAD "evaluate: {tasks: [{name: a, num_fewshot: 1000001}]}\n",
       "x.yaml:4:43: evaluate.tasks[].num_fewshot: expected an integer >= 0 and <= 1000000"},
      {HEAD "evaluate: {log_samples: 1}\n",
       "x.yaml:4:25: evaluate.log_samples: expected true or false, got '1'"},
      {HEAD "evaluate: {prefix_sharing: \"true\"}\n",
       "x.yaml:4:28: evaluate.prefix_sharing: expected true or false"},
      {HEAD "evaluate: {memory: 24}\n",
       "x.yaml:4:20: evaluate.memory: expected auto or a size such as 24GiB, got '24'"},
      {HEAD "evaluate: {memory: 24GiBs}\n", "x.yaml:4:20: evaluate.memory: expected auto or"},
      {HEAD "evaluate: {memory: -1GiB}\n", "x.yaml:4:20: evaluate.memory: expected auto or"},
      {HEAD "evaluate: {memory: 0GiB}\n", "x.yaml:4:20: evaluate.memory: expected auto or"},
      {HEAD "evaluate: {memory: 1e30GiB}\n", "x.yaml:4:20: evaluate.memory: expected auto or"},
      {HEAD "evaluate: {memory: [1GiB]}\n", "x.yaml:4:20: evaluate.memory: expected auto or"},
      {HEAD "evaluate: {data: d, tasks: [a, 1]}\n",
       "x.yaml:4:32: evaluate.tasks: expected a string"},
      {HEAD "evaluate: {data: d, tasks: [a, b, a]}\n",
       "x.yaml:4:35: evaluate.tasks: 'a' is listed twice"},
      {HEAD "evaluate: {tasks: [a]}\n", "x.yaml:4: evaluate.tasks without evaluate.data"},
      {HEAD "measure:\n", "x.yaml:4:9: measure: expected a map of keys, got null"},
      {HEAD "measure: {batch_size: 0}\n", "x.yaml:4:23: measure.batch_size: expected an integer"},
      {HEAD "measure: {batch_size: []}\n", "x.yaml:4:23: measure.batch_size: an empty list"},
      {HEAD "measure: {batch_size: [1, 2, 1]}\n",
       "x.yaml:4:30: measure.batch_size: 1 is listed twice"},
      {HEAD "measure: {sequence_length: [4, 0]}\n",
       "x.yaml:4:32: measure.sequence_length: expected an integer >= 1"},
      {HEAD "measure: {new_tokens: -1}\n", "x.yaml:4:23: measure.new_tokens: expected an integer"},
      {HEAD "measure: {sequence_lengths: 4}\n",
       "x.yaml:4:11: unknown key 'measure.sequence_lengths' (did you mean "
       "'measure.sequence_length'?)"},
      {HEAD "measure: {repeats: many}\n", "x.yaml:4:20: measure.repeats: expected an integer"},
  };
  (void)state;
  CHECK(cases);
}

static void test_entries(void **state) {
  static const error_case cases[] = {
      {"configurations: a\n", "x.yaml:1:17: configurations: expected a list of configurations"},
      {"configurations: {name: a}\n", "x.yaml:1:17: configurations: expected a list"},
      {LIST "dense\n",
       "x.yaml:4:5: configurations: expected a map like {name: dense}, got 'dense'"},
      {LIST "{}\n", "x.yaml:4:5: a configuration without name"},
      {LIST "{layers: all, rank: 1}\n", "x.yaml:4:5: a configuration without name"},
      {LIST "{name: a, name: b}\n", "x.yaml:4:15: duplicate key 'name'"},
      {LIST "{name: a, layer: 1}\n",
       "x.yaml:4:15: unknown key 'layer' of a configuration (did you mean 'layers'?)"},
      {LIST "{name: a, zebra: 1}\n", "x.yaml:4:15: unknown key 'zebra' of a configuration"},
      {LIST "{name: a, layers: all}\n", "x.yaml:4:5: configuration 'a': layers without a rank"},
      {LIST "{name: a, rank: 1}\n", "x.yaml:4:5: configuration 'a': a rank without layers"},
      {LIST "{name: a, ratio: 0.5}\n", "x.yaml:4:5: configuration 'a': a rank without layers"},
      {LIST "{name: a, tensors: all}\n", "x.yaml:4:5: configuration 'a': tensors without layers"},
      {LIST "{name: a}\n  - {name: b}\n  - {name: a}\n", "x.yaml:6:5: name: 'a' is used twice"},
  };
  (void)state;
  CHECK(cases);
}

static void test_entry_names(void **state) {
  static const error_case cases[] = {
      {LIST "{name: 5}\n", "x.yaml:4:12: name: expected a string, got '5'; if it is one"},
      {LIST "{name: a/b}\n", "x.yaml:4:12: name: 'a/b' is not a name"},
      {LIST "{name: ..}\n", "x.yaml:4:12: name: '..' is not a name"},
      {LIST "{name: job.yaml}\n", "x.yaml:4:12: name: 'job.yaml' could be a file of the output"},
      {LIST "{name: factors.h5}\n", "x.yaml:4:12: name: 'factors.h5' could be"},
      {LIST "{name: factors.2.h5}\n", "x.yaml:4:12: name: 'factors.2.h5' could be"},
      {LIST "{name: lock}\n", "x.yaml:4:12: name: 'lock' could be"},
      {LIST "{name: STOP}\n", "x.yaml:4:12: name: 'STOP' could be"},
      {LIST "{name: run.log}\n", "x.yaml:4:12: name: 'run.log' could be"},
      {LIST "{name: report.HTML}\n", "x.yaml:4:12: name: 'report.HTML' could be"},
      {LIST "{name: x.partial}\n", "x.yaml:4:12: name: 'x.partial' could be"},
  };
  char text[400], name[102];
  lrp_job job;
  (void)state;
  CHECK(cases);
  memset(name, 'a', sizeof name);
  name[101] = '\0';
  snprintf(text, sizeof text, LIST "{name: %s}\n", name);
  assert_job_error(text, "x.yaml:4:12: name: longer than 100 characters");
  name[100] = '\0';
  snprintf(text, sizeof text, LIST "{name: %s}\n", name);
  assert_int_equal(parse_job(text, &job), LRP_OK);
  lrp_job_free(&job);
}

static void test_layers(void **state) {
  static const error_case cases[] = {
      {LIST "{name: a, rank: 1, layers: none}\n", "x.yaml:4:32: layers: expected all, a layer"},
      {LIST "{name: a, rank: 1, layers: []}\n", "x.yaml:4:32: layers: an empty list"},
      {LIST "{name: a, rank: 1, layers: [1, -2]}\n", "x.yaml:4:36: layers: expected all, a layer"},
      {LIST "{name: a, rank: 1, layers: 1.5}\n", "x.yaml:4:32: layers: expected all, a layer"},
      {LIST "{name: a, rank: 1, layers: \"5:3\"}\n", "x.yaml:4:32: layers: expected all, a layer"},
      {LIST "{name: a, rank: 1, layers: \"1:3:0\"}\n", "x.yaml:4:32: layers: expected all"},
      {LIST "{name: a, rank: 1, layers: [[1]]}\n", "x.yaml:4:33: layers: expected all, a layer"},
      {LIST "{name: a, rank: 1, layers: {a: b}}\n", "x.yaml:4:32: layers: expected all, a layer"},
      {LIST "{name: a, rank: 1, layers: null}\n", "x.yaml:4:32: layers: expected all, a layer"},
      {LIST "{name: a, rank: 1, layers: 2147483648}\n", "x.yaml:4:32: layers: expected all"},
      {LIST "{name: a, rank: 1, layers: all, tensors: []}\n",
       "x.yaml:4:46: tensors: an empty list"},
      {LIST "{name: a, rank: 1, layers: all, tensors: null}\n", "x.yaml:4:46: tensors: expected a"},
      {LIST "{name: a, rank: 1, layers: all, tensors: [q, q]}\n",
       "x.yaml:4:50: tensors: 'q' is listed twice"},
  };
  (void)state;
  CHECK(cases);
}

static void test_rank_rules(void **state) {
  static const error_case cases[] = {
      {LIST "{name: a, layers: 1, rank: 1.5}\n", "x.yaml:4:32: rank: expected an integer >= 1"},
      {LIST "{name: a, layers: 1, rank: \"x\"}\n", "x.yaml:4:32: rank: expected an integer >= 1"},
      {LIST "{name: a, layers: 1, rank: 0}\n", "x.yaml:4:32: rank: expected an integer >= 1, got"},
      {LIST "{name: a, layers: 1, rank: null}\n", "x.yaml:4:32: rank: expected an integer >= 1"},
      {LIST "{name: a, layers: 1, rank: 2147483648}\n", "x.yaml:4:32: rank: expected an integer"},
      {LIST "{name: a, layers: 1, rank: []}\n", "x.yaml:4:32: rank: empty"},
      {LIST "{name: a, layers: 1, rank: {}}\n", "x.yaml:4:32: rank: empty"},
      {LIST "{name: a, layers: 1, rank: [1, 0]}\n", "x.yaml:4:36: rank: expected an integer >= 1"},
      {LIST "{name: a, layers: 1, rank: {q: 0}}\n", "x.yaml:4:36: rank: expected an integer >= 1"},
      {LIST "{name: a, layers: 1, rank: {q: 1, q: 1}}\n", "x.yaml:4:39: duplicate key 'q'"},
      {LIST "{name: a, layers: 1, ratio: 2}\n",
       "x.yaml:4:33: ratio: expected a number in (0, 1], got '2'"},
      {LIST "{name: a, layers: 1, ratio: 0}\n", "x.yaml:4:33: ratio: expected a number in (0, 1]"},
      {LIST "{name: a, layers: 1, ratio: 1.0000001}\n", "x.yaml:4:33: ratio: expected a number"},
      {LIST "{name: a, layers: 1, ratio: .nan}\n", "x.yaml:4:33: ratio: expected a number"},
      {LIST "{name: a, layers: 1, ratio: \"0.5\"}\n", "x.yaml:4:33: ratio: expected a number"},
      {LIST "{name: a, layers: 1, energy: -0.5}\n", "x.yaml:4:34: energy: expected a number"},
      {LIST "{name: a, layers: 1, energy: [1]}\n", "x.yaml:4:34: energy: expected a number"},
      {LIST "{name: a, layers: 1, rank: 1, ratio: 0.5}\n",
       "x.yaml:4:42: only one of rank, ratio and energy"},
      {LIST "{name: a, layers: 1, energy: 0.5, rank: 1}\n",
       "x.yaml:4:45: only one of rank, ratio and energy"},
  };
  (void)state;
  CHECK(cases);
}

static void test_long_values_are_shortened(void **state) {
  (void)state;
  assert_job_error(HEAD
                   "decompose: {method: 012345678901234567890123456789012345678\xc3\xa4zzzzzz}\n",
                   "x.yaml:4:21: decompose.method: expected tucker or svd, got "
                   "'012345678901234567890123456789012345678...'");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_yaml),        cmocka_unit_test(test_embedded_nul),
      cmocka_unit_test(test_size_limit),  cmocka_unit_test(test_keys),
      cmocka_unit_test(test_types),       cmocka_unit_test(test_entries),
      cmocka_unit_test(test_entry_names), cmocka_unit_test(test_layers),
      cmocka_unit_test(test_rank_rules),  cmocka_unit_test(test_long_values_are_shortened),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
