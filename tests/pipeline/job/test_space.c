/* What lrpipe space and lrpipe plan print. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "pipeline/show_plan.h"
#include "pipeline/space.h"
#include "tests/pipeline/job/job_text.h"

static char text[20000];

static lrp_status run_captured(lrp_status (*command)(const lrp_options *), const lrp_options *o) {
  capture c = capture_begin(stdout);
  lrp_failure_clear();
  const lrp_status st = command(o);
  capture_end(&c, text, sizeof text);
  return st;
}

static void test_space_of_a_model(void **state) {
  char dir[64];
  (void)state;
  const lrp_options o = {.operand = create_model(LLAMA2_7B, dir)};
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  assert_contains(text, "\narchitecture             LlamaForCausalLM\n");
  assert_contains(text, "\nlayers                   32\n");
  assert_contains(text, "\ntensors_per_layer        7\n");
  assert_contains(text, "\nparameters               6738415616\n");
  assert_contains(text, "\ndesign_space             2^39 (layers x tensors masks: 2^32 * 2^7)\n");
  assert_contains(text, "q_proj 4096x4096 break_even_rank 1696\n");
  assert_contains(text, "gate_proj 11008x4096 break_even_rank 2553\n");
  assert_null(strstr(text, "reduction_percent"));
  remove_model(dir);
}

static void test_space_of_a_configuration(void **state) {
  char dir[64];
  (void)state;
  lrp_options o = {.operand = create_model(LLAMA2_7B, dir), .layers = "2,17,31", .rank = {1, {1}}};
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  assert_contains(text, "\nunits                    21\n");
  assert_contains(text, "\nconfiguration_parameters 6131524373\n");
  assert_contains(text, "\nreduction_percent        9.006438272506823\n");
  o.layers = "all";
  o.tensors = "gate_proj,up_proj";
  o.rank.n = o.rank.value[0] = 0;
  o.ratio = 1.0;
  o.method = "svd";
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  assert_contains(text, "\nmethod                   svd\n");
  assert_contains(text, "q_proj 4096x4096 break_even_rank 2048\n");
  assert_contains(text, "\nunits                    64\n");
  remove_model(dir);
}

/* The uncased models of the paper: parameters, space, reductions. */
static void test_space_of_bert(void **state) {
  char dir[64];
  (void)state;
  lrp_options o = {.operand = create_model(BERT_BASE, dir), .layers = "all", .rank = {1, {1}}};
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  assert_contains(text, "\narchitecture             BertForMaskedLM\n");
  assert_contains(text, "\nparameters               109514298\n");
  assert_contains(text, "\ndesign_space             2^18 (layers x tensors masks: 2^12 * 2^6)\n");
  assert_contains(text, " query 768x768 break_even_rank 318\n");
  assert_contains(text, " attention.output 768x768 ");
  assert_contains(text, " intermediate 3072x768 break_even_rank 538\n");
  assert_contains(text, " output 768x3072 ");
  /* per layer 4 (768 + 768 + 1) + 2 (768 + 3072 + 1) instead of 4 768^2 + 2 768 3072 */
  assert_contains(text, "\nconfiguration_parameters 24745602\n");
  assert_contains(text, "\nreduction_percent        77.4042");
  o.layers = "3:11:4"; /* three layers: 3 (768 + 768 + 1) 5 + 25 each */
  o.tensors = "query,key,value";
  o.rank.value[0] = 5;
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  assert_contains(text, "\nunits                    9\n");
  assert_contains(text, "\nconfiguration_parameters 104275227\n");
  remove_model(dir);

  o = (lrp_options){
      .operand = create_model(BERT_LARGE, dir), .layers = "0", .rank = {1, {64}}, .method = "svd"};
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  assert_contains(text, "\nparameters               335174458\n");
  assert_contains(text, "\ndesign_space             2^30 (layers x tensors masks: 2^24 * 2^6)\n");
  assert_contains(text, "\nconfiguration_parameters 323771194\n");
  remove_model(dir);
}

/* What is said beside today's lines: exact numbers, break-even ranks, intensity. */
static void test_space_in_full(void **state) {
  char dir[64];
  (void)state;
  const lrp_options o = {
      .operand = create_model(LLAMA2_7B, dir), .layers = "2,17,31", .rank = {1, {1}}};
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  assert_contains(text, "\n  masks                  2^39 = 549755813888: a set of layers");
  assert_contains(text,
                  "\n  masks_per_layer        2^224 = 26959946667150639794667015087019630673"
                  "637144422540572481103610249216: ");
  assert_contains(text, " (810 digits): any rank for each matrix\n");
  assert_contains(text,
                  "\nbreak_even               4096x4096 tucker 1696.6 svd 2048.0: q_proj "
                  "k_proj v_proj o_proj\n");
  assert_contains(text, "4096x11008 tucker 2553.5 svd 2985.2: down_proj\n");
  assert_contains(text, "\nbytes_16bit              12263048788\n");
  assert_contains(text, "\nflops_per_byte_16bit     0.97857");
  remove_model(dir);
}

static void test_space_formats(void **state) {
  char dir[64];
  (void)state;
  lrp_options o = {.operand = create_model(LLAMA2_7B, dir), .format = "json"};
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  json_t *json = json_loads(text, 0, NULL);
  assert_non_null(json);
  assert_true(json_is_null(json_object_get(json, "configuration")));
  json_t *masks = json_object_get(json_object_get(json, "design_space"), "masks_per_layer");
  assert_true(json_number_value(json_object_get(masks, "log2")) == 224.0);
  json_t *gate = json_object_get(json_object_get(json, "tensors"), "gate_proj");
  assert_int_equal(json_integer_value(json_object_get(gate, "break_even_rank")), 2553);
  json_decref(json);
  o.layers = "all";
  o.rank = (lrp_rank_list){1, {1}};
  o.format = "csv";
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  assert_contains(text, "key,value\nmodel,/tmp/lrp-job-");
  assert_contains(text, "\ndesign_space.masks.count,549755813888\n");
  assert_contains(text, "\ndesign_space.masks.meaning,\"a set of layers, and a set of");
  assert_contains(text, "\nconfiguration.units,224\n");
  assert_contains(text, "\nconfiguration.reduction_percent,96.0");
  remove_model(dir);
}

/* In the order of the sampler (test_sampler), with what lrp_plan_size says. */
static void test_space_enumerates(void **state) {
  char dir[64];
  (void)state;
  lrp_options o = {.operand = create_model(LLAMA2_7B, dir),
                   .enumerate = true,
                   .rows = 3,
                   .format = "csv",
                   .tensors = "q_proj,gate_proj",
                   .rank = {2, {5000, 1}},
                   .distance = 30,
                   .keep_last = 1};
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  assert_contains(text,
                  "number,reduction_percent,parameters,bytes_float32,bytes_16bit,"
                  "flops_per_token,flops_per_byte_float32,flops_per_byte_16bit,rank,tensors,"
                  "layers\n1,");
  assert_contains(text, ",4096,\"q_proj,gate_proj\",0\n2,"); /* capped */
  assert_contains(text, ",4096,\"q_proj,gate_proj\",2\n");
  assert_null(strstr(text, "\n4,"));
  o.rows = 0;
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  assert_contains(text, "\n32,-"); /* 31 layers; [0, 30] */
  assert_contains(text, ",4096,\"q_proj,gate_proj\",\"0,30\"\n33,");
  assert_contains(text, ",1,\"q_proj,gate_proj\",\"0,30\"\n");
  assert_null(strstr(text, "\n65,"));
  o.format = NULL;
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  assert_contains(text, "\nconfigurations           64 (2^6.00)\n");
  assert_contains(text, " 4096 q_proj,gate_proj 0\n");
  remove_model(dir);
}

/* A row is what the same options say as one configuration. */
static void test_space_samples(void **state) {
  static char list[20000];
  char dir[64], layers[200], percent[40], expected[80];
  (void)state;
  lrp_options o = {.operand = create_model(LLAMA2_7B, dir),
                   .sample = 20,
                   .seed = 3,
                   .tensors = "all",
                   .ratio = 0.25,
                   .reduction = "5:20",
                   .format = "json"};
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  memcpy(list, text, sizeof list);
  json_t *json = json_loads(list, 0, NULL);
  assert_non_null(json);
  json_t *rows = json_object_get(json, "configurations");
  assert_int_equal(json_array_size(rows), 20);
  for (size_t i = 0; i < 20; i++) {
    json_t *row = json_array_get(rows, i);
    const double reduction = json_number_value(json_object_get(row, "reduction_percent"));
    char *numbers = json_dumps(json_object_get(row, "layers"), JSON_COMPACT);
    assert_true(reduction >= 5.0 && reduction <= 20.0);
    assert_int_equal(json_object_size(json_object_get(row, "ranks")), 7);
    snprintf(layers, sizeof layers, "%.*s", (int)strlen(numbers) - 2, numbers + 1);
    free(numbers);
    const lrp_options one = {.operand = dir, .layers = layers, .ratio = 0.25};
    assert_int_equal(run_captured(lrp_space, &one), LRP_OK);
    snprintf(expected, sizeof expected, "\nreduction_percent        %s\n",
             lrp_format_double(reduction, percent));
    assert_contains(text, expected);
    snprintf(expected, sizeof expected, "\nbytes_16bit              %lld\n",
             (long long)json_integer_value(json_object_get(row, "bytes_16bit")));
    assert_contains(text, expected);
  }
  json_decref(json);
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  assert_string_equal(text, list);
  remove_model(dir);
}

/* More than there are: all of them. Counting alone, and nothing to count. */
static void test_space_counts(void **state) {
  char dir[64];
  (void)state;
  lrp_options o = {.operand = create_model(SMALL_LLAMA, dir),
                   .sample = 50,
                   .tensors = "up_proj",
                   .format = "csv"};
  capture log = capture_begin(stderr);
  const lrp_status st = run_captured(lrp_space, &o);
  static char warning[2000];
  capture_end(&log, warning, sizeof warning);
  assert_int_equal(st, LRP_OK);
  assert_contains(text, "\n7,");
  assert_null(strstr(text, "\n8,"));
  assert_contains(warning, "--sample: 50 configurations asked for, 7 are there");
  o.sample = 0;
  o.distance = 2;
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  assert_string_equal(text, "configurations,log2\n4,2\n");
  o.keep_first = 3;
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  assert_string_equal(text, "configurations,log2\n0,\n");
  o.enumerate = true;
  o.format = "json";
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  json_t *json = json_loads(text, 0, NULL);
  assert_true(json && json_is_null(json_object_get(json, "log2")));
  assert_int_equal(json_array_size(json_object_get(json, "configurations")), 0);
  json_decref(json);
  remove_model(dir);
}

static void test_space_wrong_filters(void **state) {
  static const char *const wrong[] = {"9", "9:", ":9", "10:9", "nan:3", "1:2:3", "a:b"};
  char dir[64];
  (void)state;
  lrp_options o = {.operand = create_model(SMALL_LLAMA, dir), .enumerate = true};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    o.reduction = wrong[i];
    assert_int_equal(run_captured(lrp_space, &o), LRP_ERR_USAGE);
    assert_contains(lrp_failure_message(LRP_ERR_USAGE), "--reduction: expected A:B with A <= B");
    assert_contains(lrp_failure_message(LRP_ERR_USAGE), wrong[i]);
    assert_string_equal(text, "");
  }
  o.reduction = NULL;
  o.tensors = "q_prj";
  assert_message(run_captured(lrp_space, &o),
                 "command line: configuration 'space': tensors: 'q_pr");
  o.tensors = "k_proj"; /* 4 x 8: rank 1 has 13 of 32 parameters */
  o.ratio = 0.4;
  assert_message(run_captured(lrp_space, &o),
                 "--ratio: too small for k_proj (4 x 8): rank 1 needs at least 0.40625");
  o.ratio = 0.40625;
  assert_int_equal(run_captured(lrp_space, &o), LRP_OK);
  remove_model(dir);
  lrp_failure_clear();
}

static void test_space_errors(void **state) {
  char dir[64];
  (void)state;
  lrp_options o = {.operand = create_model(SMALL_LLAMA, dir), .layers = "3", .rank = {1, {1}}};
  assert_message(run_captured(lrp_space, &o),
                 "command line: configuration 'space': layers: 3 is not a layer");
  o.layers = "x";
  assert_int_equal(run_captured(lrp_space, &o), LRP_ERR_USAGE);
  assert_string_equal(text, "");
  remove_model(dir);
  assert_int_equal(run_captured(lrp_space, &o), LRP_ERR_ABSENT);
  lrp_failure_clear();
}

/* A job file beside the model's config.json. */
static const char *create_job(const char *dir, char path[96]) {
  FILE *f;
  snprintf(path, 96, "%s/job.yaml", dir);
  f = fopen(path, "w");
  assert_non_null(f);
  fprintf(f,
          "model: %s\noutput: out\ndecompose: {grid_elements: 100}\nconfigurations:\n"
          "  - {name: dense}\n  - {name: r1, layers: all, rank: 1}\n"
          "  - {name: e, layers: 0, tensors: q_proj, energy: 0.5}\n"
          "evaluate: {data: d, tasks: [arc_easy, mmlu]}\n",
          dir);
  assert_int_equal(fclose(f), 0);
  return path;
}

static void test_plan(void **state) {
  char dir[64], path[96];
  (void)state;
  create_model(SMALL_LLAMA, dir);
  lrp_options o = {.operand = create_job(dir, path), .ranks = 4, .nodes = 1};
  assert_int_equal(run_captured(lrp_show_plan, &o), LRP_OK);
  assert_contains(text, "LlamaForCausalLM, 3 layers x 7 tensors");
  assert_contains(text, "assumed: the weights are not there yet");
  assert_contains(text, "configurations  3\n");
  assert_contains(text, " *\n  * ranks follow from the spectrum");
  assert_contains(text, "units           21\n");
  /* gate, up and down of 24 x 8 = 192 elements: two process ranks each */
  assert_contains(text, "grid units    9, by 2 groups of 2 process ranks\n");
  assert_contains(text, "local units   12, one process rank each\n");
  assert_contains(text, "evaluate        2 tasks: arc_easy, mmlu\n");
  assert_contains(text, "balance       ");
  assert_contains(text, "memory          ");
  assert_contains(text, "disk            ");
  unlink(path);
  remove_model(dir);
}

/* The message lists the tasks that the model has a head for. */
static void test_plan_refuses_tasks(void **state) {
  static const struct {
    const char *model, *set, *message;
  } cases[] = {
      {SMALL_BERT, "evaluate.tasks=[sst2, squad]",
       "evaluate.tasks: squad: a model of class BertForSequenceClassification of 2 labels has no "
       "head "
       "for it; tasks that it can do: sst2, mrpc, cola, rte"},
      {SMALL_BERT, "evaluate.tasks=[mmlu]", "evaluate.tasks: mmlu: a model of class BertFor"},
      {BERT_BASE, "evaluate.tasks=[sst2]",
       "evaluate.tasks: sst2: a model of class BertForMaskedLM has no head for it; tasks that it "
       "can "
       "do: pseudo_perplexity"},
      {SMALL_LLAMA, "evaluate.tasks=[arc_easy, cola]",
       "evaluate.tasks: cola: a model of class LlamaForCausalLM has no head for it; tasks that it "
       "can "
       "do: arc_easy, "},
      {BARE_BERT, "evaluate.tasks=[pseudo_perplexity]",
       "evaluate.tasks: pseudo_perplexity: a model of class BertModel has no head for it; tasks "
       "that "
       "it can do: none"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char dir[64], path[96], set0[80];
    char *set[] = {set0, "configurations=[{name: dense}]"};
    snprintf(set0, sizeof set0, "%s", cases[i].set);
    create_model(cases[i].model, dir);
    lrp_options o = {
        .operand = create_job(dir, path), .ranks = 1, .nodes = 1, .set = set, .n_set = 2};
    assert_message(run_captured(lrp_show_plan, &o), cases[i].message);
    unlink(path);
    remove_model(dir);
  }
}

static void test_plan_takes_set(void **state) {
  char dir[64], path[96];
  char *set[] = {"configurations=[{name: dense}]"};
  (void)state;
  create_model(SMALL_LLAMA, dir);
  lrp_options o = {
      .operand = create_job(dir, path), .ranks = 1, .nodes = 1, .set = set, .n_set = 1};
  assert_int_equal(run_captured(lrp_show_plan, &o), LRP_OK);
  assert_contains(text, "units           0\n");
  assert_contains(text, "balance       1.000");
  unlink(path);
  remove_model(dir);
}

static void test_plan_errors(void **state) {
  char dir[64], path[96];
  char *set[] = {"model=/nonexistent/model"};
  (void)state;
  create_model(SMALL_LLAMA, dir);
  lrp_options o = {
      .operand = create_job(dir, path), .ranks = 1, .nodes = 1, .set = set, .n_set = 1};
  assert_int_equal(run_captured(lrp_show_plan, &o), LRP_ERR_ABSENT);
  unlink(path);
  assert_int_equal(run_captured(lrp_show_plan, &o), LRP_ERR_ABSENT);
  assert_string_equal(text, "");
  remove_model(dir);
  lrp_failure_clear();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_space_of_a_model),
      cmocka_unit_test(test_space_of_a_configuration),
      cmocka_unit_test(test_space_of_bert),
      cmocka_unit_test(test_space_in_full),
      cmocka_unit_test(test_space_formats),
      cmocka_unit_test(test_space_enumerates),
      cmocka_unit_test(test_space_samples),
      cmocka_unit_test(test_space_counts),
      cmocka_unit_test(test_space_wrong_filters),
      cmocka_unit_test(test_space_errors),
      cmocka_unit_test(test_plan),
      cmocka_unit_test(test_plan_refuses_tasks),
      cmocka_unit_test(test_plan_takes_set),
      cmocka_unit_test(test_plan_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
