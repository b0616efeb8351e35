/* results.json and samples_<task>.jsonl: their text against Python's, and read back. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <float.h>
#include <math.h>
#include <sys/stat.h>

#include "byte_tokenizer.h"
#include "pipeline/python_json.h"
#include "pipeline/results.h"
#include "task_file.h"

static void assert_repr(double x, const char *expected) {
  char text[lrp_repr_max];
  lrp_python_repr(x, text);
  assert_string_equal(text, expected);
}

/* Right sides: CPython 3.11. */
static void test_repr(void **state) {
  (void)state;
  assert_repr(0.0, "0.0");
  assert_repr(-0.0, "-0.0");
  assert_repr(1.0, "1.0");
  assert_repr(-12.5, "-12.5");
  assert_repr(0.1, "0.1");
  assert_repr(1.0 / 3.0, "0.3333333333333333");
  assert_repr(0.1 + 0.2, "0.30000000000000004");
  assert_repr(-141.073041605, "-141.073041605");
  assert_repr(100.0, "100.0");
  assert_repr(123456789012345680.0, "1.2345678901234568e+17");
  assert_repr(1e15, "1000000000000000.0");
  assert_repr(9007199254740994.0, "9007199254740994.0");
  assert_repr(9999999999999998.0, "9999999999999998.0");
  assert_repr(1e16, "1e+16");
  assert_repr(1e22, "1e+22");
  assert_repr(0.0001, "0.0001");
  assert_repr(0.00012345678901234567, "0.00012345678901234567");
  assert_repr(0.00001, "1e-05");
  assert_repr(-1.5e-7, "-1.5e-07");
  assert_repr(5e-324, "5e-324");
  assert_repr(2.2250738585072014e-308, "2.2250738585072014e-308");
  assert_repr(DBL_MAX, "1.7976931348623157e+308");
  assert_repr(-DBL_MAX, "-1.7976931348623157e+308");
  assert_repr((double)-34.25f, "-34.25");
  assert_repr((double)0.1f, "0.10000000149011612");
  assert_repr(INFINITY, "inf");
  assert_repr(-INFINITY, "-inf");
  assert_repr(NAN, "nan");
}

static void assert_json(const char *json, int indent, const char *expected) {
  json_error_t error;
  json_t *value = json_loads(json, JSON_DECODE_ANY, &error);
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  assert_non_null(value);
  assert_non_null(out);
  lrp_python_json(out, value, indent);
  assert_int_equal(fclose(out), 0);
  assert_string_equal(text, expected);
  free(text);
  json_decref(value);
}

static void test_json(void **state) {
  (void)state;
  assert_json("{\"b\":1,\"a\":[true,false,null],\"c\":{}, \"d\":[]}", -1,
              "{\"b\": 1, \"a\": [true, false, null], \"c\": {}, \"d\": []}");
  assert_json("{\"b\":1,\"a\":[1.0,{\"x\":[]}],\"c\":{}}", 2,
              "{\n  \"b\": 1,\n  \"a\": [\n    1.0,\n    {\n      \"x\": []\n    }\n  ],\n"
              "  \"c\": {}\n}");
  assert_json("[]", 2, "[]");
  assert_json("-9223372036854775808", 2, "-9223372036854775808");
  assert_json("\"\\u0001\\u001f\\b\\f\\n\\r\\t\\\"\\\\\\/\\u007f\\u00e9\\ud83d\\ude00\\u2028\"", -1,
              "\"\\u0001\\u001f\\b\\f\\n\\r\\t\\\"\\\\/\x7f\u00e9\U0001F600\u2028\"");
}

/* ---- files ---- */

static const char piqa_rows[] =
    "{\"goal\": \"a/b \\u0001\\u007f \\\"q\\\" \\u00e9\\ud83d\\ude00\", \"sol1\": \"x\\ty\", "
    "\"sol2\": \"\\u4f60\\u597d \", \"label\": 1, \"extra\": {\"e\": {}, \"l\": [], \"f\": 1e-5, "
    "\"n\": [1, 2.50, 1e16, -3, null, true]}}\n"
    "{\"goal\": \"g\", \"sol1\": \"aaaa\", \"sol2\": \"b\", \"label\": 0}\n"
    "{\"goal\": \"not evaluated\", \"sol1\": \"a\", \"sol2\": \"b\", \"label\": 0}\n";

static const double piqa_ll[] = {-12.5, -3.0000000000000004, -4.0, -2.0};
static const uint8_t piqa_greedy[] = {0, 1, 0, 1};

static void load(const char *name, const char *rows, int64_t limit, lrp_task *task) {
  assert_int_equal(load_task(put_rows(name, rows), limit, 4096, task), LRP_OK);
}

static lrp_scores scores_of(const lrp_task *task, const double *ll, const uint8_t *greedy) {
  lrp_scores scores = {.task = task, .ll = ll, .greedy = greedy};
  assert_int_equal(lrp_scores_estimate(&scores), LRP_OK);
  return scores;
}

static json_t *read_json(const char *name) {
  json_error_t error;
  char *path = lrp_path_join(task_dir, name);
  json_t *value = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
  if (!value) fail_msg("%s: %s", path, error.text);
  free(path);
  return value;
}

/* The value at a path of keys and indices separated by '/', as json.dumps prints it. */
static void assert_at(const json_t *value, const char *path, const char *expected) {
  char key[64], *text = NULL;
  size_t size = 0;
  const char *rest = path;
  while (*rest) {
    const size_t n = strcspn(rest, "/");
    assert_true(n < sizeof key);
    memcpy(key, rest, n);
    key[n] = '\0';
    value = json_is_array(value) ? json_array_get(value, (size_t)atoi(key))
                                 : json_object_get(value, key);
    if (!value) fail_msg("no %s in %s", key, path);
    rest += n + (rest[n] == '/');
  }
  FILE *out = open_memstream(&text, &size);
  assert_non_null(out);
  lrp_python_json(out, value, -1);
  assert_int_equal(fclose(out), 0);
  assert_string_equal(text, expected);
  free(text);
}

static void check_task_sections(const json_t *root) {
  assert_at(root, "results/piqa",
            "{\"name\": \"piqa\", \"alias\": \"piqa\", \"sample_len\": 2, \"acc,none\": 0.5, "
            "\"acc_stderr,none\": 0.5, \"acc_norm,none\": 1.0, \"acc_norm_stderr,none\": 0.0, "
            "\"acc_bytes,none\": 1.0, \"acc_bytes_stderr,none\": 0.0}");
  assert_at(root, "results/winogrande",
            "{\"name\": \"winogrande\", \"alias\": \"winogrande\", \"sample_len\": 1, "
            "\"acc,none\": 1.0, \"acc_stderr,none\": \"N/A\"}");
  assert_at(root, "versions", "{\"piqa\": 1.0, \"winogrande\": 1.0}");
  assert_at(root, "n-shot", "{\"piqa\": 0, \"winogrande\": 0}");
  assert_at(root, "n-samples/piqa", "{\"original\": 3, \"effective\": 2}");
  assert_at(root, "n-samples/winogrande", "{\"original\": 1, \"effective\": 1}");
  assert_at(root, "higher_is_better/winogrande", "{\"acc\": true}");
  assert_at(root, "higher_is_better/piqa",
            "{\"acc\": true, \"acc_norm\": true, \"acc_bytes\": true}");
  assert_at(root, "group_subtasks", "{\"piqa\": [], \"winogrande\": []}");
  assert_at(root, "configs/piqa/dataset_name", "null");
  assert_at(root, "configs/piqa/validation_split", "\"validation\"");
  assert_at(root, "configs/winogrande/dataset_name", "\"winogrande_xl\"");
  assert_at(root, "configs/winogrande/metric_list",
            "[{\"metric\": \"acc\", \"aggregation\": \"mean\", \"higher_is_better\": true}]");
  assert_at(root, "configs/piqa/metadata", "{\"version\": 1.0}");
}

static void check_run_sections(const json_t *root) {
  assert_at(root, "config",
            "{\"model\": \"lrpipe\", \"model_args\": {\"pretrained\": \"models/??\", \"dtype\": "
            "\"float32\", \"max_length\": 512}, \"batch_size\": 1, \"device\": \"cpu\", \"limit\": "
            "2, \"bootstrap_iters\": 100000, \"random_seed\": 0, \"numpy_seed\": 1234, "
            "\"torch_seed\": 1234, \"fewshot_seed\": 1234}");
  assert_at(root, "git_hash", "null");
  assert_at(root, "max_length", "512");
  assert_at(root, "model_source", "\"lrpipe\"");
  assert_at(root, "tokenizer_bos_token", "\"<s>\"");
  assert_at(root, "total_evaluation_time_seconds", "\"1.25\"");
  assert_at(root, "lrpipe",
            "{\"configuration\": \"r9\", \"size\": {\"reduction\": 0.5}, \"provenance\": null}");
  assert_true(json_real_value(json_object_get(root, "date")) > 1.7e9);
  assert_null(json_object_get(root, "groups"));
}

static void test_results(void **state) {
  static const double wino_ll[] = {-1.0, -2.0};
  static const uint8_t wino_greedy[] = {0, 0};
  lrp_task piqa, wino;
  json_t *size = json_pack("{s:f}", "reduction", 0.5);
  (void)state;

  load("piqa", piqa_rows, 2, &piqa);
  load("winogrande",
       "{\"sentence\": \"a _ b\", \"option1\": \"x\", \"option2\": \"y\", \"answer\": 1}\n", 2,
       &wino);
  const lrp_scores scores[] = {scores_of(&piqa, piqa_ll, piqa_greedy),
                               scores_of(&wino, wino_ll, wino_greedy)};
  lrp_results_info info = {.configuration = "r9",
                           .model = "models/\xff\xfe", /* a path need not be UTF-8 */
                           .max_length = 512,
                           .limit = 2,
                           .dtype = "float32",
                           .bos = "<s>",
                           .seconds = 1.25,
                           .size = size};
  assert_int_equal(lrp_results_write(task_dir, &info, scores, 2), LRP_OK);
  json_t *root = read_json("results.json");
  check_task_sections(root);
  check_run_sections(root);
  json_decref(root);

  info.limit = -1;
  info.bos = NULL;
  info.size = NULL;
  assert_int_equal(lrp_results_write(task_dir, &info, scores, 1), LRP_OK);
  root = read_json("results.json");
  assert_at(root, "config/limit", "null");
  assert_at(root, "tokenizer_bos_token", "null");
  assert_at(root, "lrpipe/size", "null");
  assert_int_equal(json_object_size(json_object_get(root, "results")), 1);
  json_decref(root);
  json_decref(size);
  lrp_task_free(&piqa);
  lrp_task_free(&wino);
}

/* A task with shots, and a suite of which the others are missing: no average, but no failure. */
static void test_shots_and_suites(void **state) {
  const lrp_task_source source = {
      .dir = task_dir, .num_fewshot = 1, .limit = 2, .max_length = 4096};
  const lrp_task_suite *suite = lrp_suite_find("moar2024");
  const lrp_task_kind *kind = put_rows(
      "winogrande",
      "{\"sentence\": \"a _ b\", \"option1\": \"x\", \"option2\": \"y\", \"answer\": 1}\n"
      "{\"sentence\": \"c _ d\", \"option1\": \"u\", \"option2\": \"v\", \"answer\": 2}\n");
  const lrp_results_info info = {
      .configuration = "dense", .model = "m", .dtype = "float32", .suites = &suite, .n_suites = 1};
  lrp_task task;
  (void)state;
  assert_int_equal(lrp_task_load(kind, &source, NULL, 0, &task), LRP_OK);
  const lrp_scores scores = scores_of(&task, piqa_ll, piqa_greedy);
  assert_int_equal(lrp_results_write(task_dir, &info, &scores, 1), LRP_OK);
  json_t *root = read_json("results.json");
  assert_at(root, "n-shot", "{\"winogrande\": 1}");
  assert_at(root, "configs/winogrande/num_fewshot", "1");
  assert_at(root, "configs/winogrande/fewshot_split", "\"validation\"");
  assert_at(root, "configs/winogrande/fewshot_config", "{\"sampler\": \"default\"}");
  assert_at(root, "groups/moar2024/average,none", "\"N/A\"");
  assert_at(root, "results/moar2024/average_stderr,none", "\"N/A\"");
  assert_at(root, "higher_is_better/moar2024", "{\"average\": true}");
  assert_at(root, "group_subtasks/moar2024/4", "\"truthfulqa\"");
  json_t *members = json_object_get(json_object_get(json_object_get(root, "groups"), "moar2024"),
                                    "members"); /* their keys have slashes */
  assert_int_equal(json_object_size(members), 7);
  assert_true(json_real_value(json_object_get(members, "winogrande/acc")) == 0.5);
  assert_string_equal(json_string_value(json_object_get(members, "mmlu/acc")), "N/A");
  json_decref(root);
  lrp_task_free(&task);
}

static void check_sample_lines(const char *name) {
  lrp_jsonl lines;
  char *path = lrp_path_join(task_dir, name);
  assert_int_equal(lrp_jsonl_read(path, &lines), LRP_OK);
  assert_int_equal(lines.count, 2);
  const json_t *s = lines.rows[0];
  assert_at(s, "doc_id", "0");
  assert_at(s, "doc/extra/n", "[1, 2.5, 1e+16, -3, null, true]");
  assert_at(s, "target", "\"1\"");
  assert_at(s, "arguments/gen_args_0/arg_0",
            "\"Question: a/b \\u0001\x7f \\\"q\\\" \u00e9\U0001F600\\nAnswer:\"");
  assert_at(s, "arguments/gen_args_1", /* the delimiter stands in front of the choice */
            "{\"arg_0\": \"Question: a/b \\u0001\x7f \\\"q\\\" \u00e9\U0001F600\\nAnswer:\", "
            "\"arg_1\": \" \u4f60\u597d \"}");
  assert_at(s, "resps", "[[[\"-12.5\", \"False\"]], [[\"-3.0000000000000004\", \"True\"]]]");
  assert_at(s, "filtered_resps", "[[\"-12.5\", \"False\"], [\"-3.0000000000000004\", \"True\"]]");
  assert_at(s, "filter", "\"none\"");
  assert_at(s, "metrics", "[\"acc\", \"acc_norm\", \"acc_bytes\"]");
  assert_at(s, "acc", "1.0");
  assert_at(s, "acc_norm", "1.0");
  assert_at(lines.rows[1], "doc_id", "1");
  assert_at(lines.rows[1], "acc", "0.0");
  assert_at(lines.rows[1], "acc_norm", "1.0"); /* -4 / 4 against -2 / 1 */
  /* hashlib.sha256 of json.dumps(doc, indent=2, ensure_ascii=False), of the context, of "0" */
  assert_at(lines.rows[1], "doc_hash",
            "\"6dc3d36587b5f7b0121022f9fb78cc3ddd62b9f527b537e1de9155f662aa1cab\"");
  assert_at(lines.rows[1], "prompt_hash",
            "\"344c135da8b4d9bcb797a7c9fd8117917833dbdf759a61209896841a19d834ce\"");
  assert_at(lines.rows[1], "target_hash",
            "\"5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9\"");
  lrp_jsonl_free(&lines);
  free(path);
}

static void test_samples(void **state) {
  lrp_task task;
  (void)state;
  load("piqa", piqa_rows, 2, &task);
  const lrp_scores scores = scores_of(&task, piqa_ll, piqa_greedy);
  assert_int_equal(lrp_samples_write(task_dir, &scores), LRP_OK);
  check_sample_lines("samples_piqa.jsonl");
  char *partial = lrp_path_join(task_dir, "samples_piqa.jsonl.partial");
  assert_false(lrp_file_exists(partial));
  free(partial);
  lrp_task_free(&task);
}

static void test_failures(void **state) {
  lrp_task task;
  (void)state;
  load("piqa", piqa_rows, 2, &task);
  const lrp_scores scores = scores_of(&task, piqa_ll, piqa_greedy);
  const lrp_results_info info = {.configuration = "dense", .model = "m", .dtype = "float32"};
  assert_int_equal(lrp_samples_write("/nowhere/at/all", &scores), LRP_ERR_CREATE);
  assert_int_equal(lrp_results_write("/nowhere/at/all", &info, &scores, 1), LRP_ERR_CREATE);
  lrp_failure_clear();
  lrp_task_free(&task);
}

#define MMLU(subject)                             \
  "{\"question\": \"q\", \"subject\": \"" subject \
  "\", \"choices\": [\"a\", \"b\", \"c\", "       \
  "\"d\"], \"answer\": 0}\n"

/* Right and wrong answers of documents with four choices, the first of which is right. */
static void answer(double *ll, const char *right) {
  for (size_t i = 0; i < 4 * strlen(right); i++) ll[i] = -2.0;
  for (size_t d = 0; right[d]; d++) ll[4 * d + (right[d] == '1' ? 0 : 3)] = -1.0;
}

static void check_group_sections(const json_t *root) {
  assert_at(root, "groups/mmlu_other",
            "{\"alias\": \"mmlu_other\", \"name\": \"mmlu_other\", \"sample_len\": 2, "
            "\"acc,none\": 0.5, \"acc_stderr,none\": 0.5, \"sample_count\": {\"acc,none\": 2}}");
  assert_at(root, "groups/mmlu/sample_len", "5");
  assert_at(root, "groups/mmlu/acc,none", "0.6");
  assert_at(root, "results/mmlu/acc,none", "0.6");
  assert_at(root, "results/mmlu_anatomy/acc_stderr,none", "0.33333333333333337");
  assert_at(root, "group_subtasks",
            "{\"mmlu\": [\"mmlu_stem\", \"mmlu_other\", \"mmlu_social_sciences\", "
            "\"mmlu_humanities\"], \"mmlu_other\": [\"mmlu_virology\"], \"mmlu_anatomy\": [], "
            "\"mmlu_virology\": []}");
  assert_at(root, "versions",
            "{\"mmlu\": 2.0, \"mmlu_other\": 2.0, \"mmlu_anatomy\": 1.0, \"mmlu_virology\": 1.0}");
  assert_at(root, "higher_is_better/mmlu", "{\"acc\": true}");
  assert_at(root, "n-samples",
            "{\"mmlu_anatomy\": {\"original\": 3, \"effective\": 3}, \"mmlu_virology\": "
            "{\"original\": 2, \"effective\": 2}}");
  assert_at(root, "configs/mmlu_anatomy/dataset_name", "\"anatomy\"");
  assert_at(root, "configs/mmlu_anatomy/test_split", "\"test\"");
  assert_at(root, "configs/mmlu_anatomy/description",
            "\"The following are multiple choice questions (with answers) about anatomy.\\n\\n\"");
}

static void test_groups(void **state) {
  const lrp_task_group *groups[] = {lrp_task_group_find("mmlu"), lrp_task_group_find("mmlu_other")};
  static const uint8_t greedy[12];
  lrp_task anatomy, virology;
  double ll[2][12];
  (void)state;

  put_file("mmlu/test.jsonl",
           MMLU("anatomy") MMLU("virology") MMLU("anatomy") MMLU("virology") MMLU("anatomy"));
  assert_int_equal(load_task(lrp_task_find("mmlu_anatomy"), -1, 4096, &anatomy), LRP_OK);
  assert_int_equal(load_task(lrp_task_find("mmlu_virology"), -1, 4096, &virology), LRP_OK);
  answer(ll[0], "101");
  answer(ll[1], "10");
  const lrp_scores scores[] = {scores_of(&anatomy, ll[0], greedy),
                               scores_of(&virology, ll[1], greedy)};
  const lrp_results_info info = {
      .configuration = "dense", .model = "m", .dtype = "float32", .groups = groups, .n_groups = 2};
  assert_int_equal(lrp_results_write(task_dir, &info, scores, 2), LRP_OK);
  json_t *root = read_json("results.json");
  check_group_sections(root);
  json_decref(root);
  lrp_task_free(&anatomy);
  lrp_task_free(&virology);
}

/* The only line of a samples file. */
static void read_sample(const char *name, lrp_jsonl *lines) {
  char *path = lrp_path_join(task_dir, name);
  assert_int_equal(lrp_jsonl_read(path, lines), LRP_OK);
  assert_int_equal(lines->count, 1);
  free(path);
}

/* "ab c" and BOS are 5 tokens: windows of 3 and 2. */
static void test_text_sample(void **state) {
  static const double ll[] = {-1.5, -0.25};
  static const uint8_t greedy[] = {0, 1};
  lrp_jsonl lines;
  lrp_task task;
  (void)state;
  put_file("wikitext/wikitext-2-raw-v1/test.jsonl", "{\"page\": \"ab @-@ c\"}\n");
  assert_int_equal(load_task(lrp_task_find("wikitext"), -1, 3, &task), LRP_OK);
  const lrp_scores scores = scores_of(&task, ll, greedy);
  assert_int_equal(lrp_samples_write(task_dir, &scores), LRP_OK);
  read_sample("samples_wikitext.jsonl", &lines);
  const json_t *s = lines.rows[0];
  assert_at(s, "doc", "{\"page\": \"ab @-@ c\"}");
  assert_at(s, "target", "\"ab-c\"");
  assert_at(s, "arguments", "{\"gen_args_0\": {\"arg_0\": \"ab-c\"}}");
  assert_at(s, "resps", "[[\"-1.75\"]]");
  assert_at(s, "filtered_resps", "[\"-1.75\"]");
  assert_at(s, "windows", "[[\"-1.5\", \"False\"], [\"-0.25\", \"True\"]]");
  assert_at(s, "word_perplexity", "[-1.75, 3]");
  assert_at(s, "byte_perplexity", "[-1.75, 8]");
  assert_at(s, "bits_per_byte", "[-1.75, 8]");

  const lrp_results_info info = {.configuration = "dense", .model = "m", .dtype = "float32"};
  assert_int_equal(lrp_results_write(task_dir, &info, &scores, 1), LRP_OK);
  json_t *root = read_json("results.json");
  assert_at(root, "results/wikitext/word_perplexity_stderr,none", "\"N/A\"");
  assert_at(root, "higher_is_better/wikitext/word_perplexity", "false");
  assert_at(root, "configs/wikitext/output_type", "\"loglikelihood_rolling\"");
  assert_at(root, "configs/wikitext/metric_list/2",
            "{\"metric\": \"bits_per_byte\", \"aggregation\": \"bits_per_byte\", "
            "\"higher_is_better\": false}");
  json_decref(root);
  lrp_jsonl_free(&lines);
  lrp_task_free(&task);
}

static void test_window_sample(void **state) {
  static const double ll[] = {-1e6};
  static const uint8_t greedy[] = {0};
  lrp_jsonl lines;
  lrp_task task;
  (void)state;
  put_file("wikitext/wikitext-2-raw-v1/test.jsonl", "{\"page\": \"ab\"}\n{\"page\": \"cd\"}\n");
  assert_int_equal(load_task(lrp_task_find("token_perplexity"), -1, 3, &task), LRP_OK);
  const lrp_scores scores = scores_of(&task, ll, greedy);
  assert_int_equal(lrp_samples_write(task_dir, &scores), LRP_OK);
  read_sample("samples_token_perplexity.jsonl", &lines);
  const json_t *s = lines.rows[0];
  assert_at(s, "doc", "{\"window\": 0, \"first_token\": 0, \"tokens\": 3}");
  assert_at(s, "arguments", "{}");
  assert_at(s, "resps", "[[[\"-1000000.0\", \"False\"]]]");
  assert_at(s, "token_perplexity", "[-1000000.0, 2]");
  assert_at(s, "tokens", "2");

  const lrp_results_info info = {.configuration = "dense", .model = "m", .dtype = "float32"};
  assert_int_equal(lrp_results_write(task_dir, &info, &scores, 1), LRP_OK);
  json_t *root = read_json("results.json");
  assert_at(root, "results/token_perplexity/token_perplexity,none", "\"inf\""); /* no JSON number */
  assert_at(root, "results/token_perplexity/nll_per_token,none", "500000.0");
  assert_at(root, "results/token_perplexity/tokens,none", "2.0");
  json_decref(root);
  lrp_jsonl_free(&lines);
  lrp_task_free(&task);
}

/* Python itself reads the files, prints them again and computes the hashes. */
static const char script[] =
    "import hashlib, json, sys\n"
    "sha = lambda s: hashlib.sha256(s.encode()).hexdigest()\n"
    "text = open(sys.argv[1] + '/results.json', encoding='utf-8', newline='').read()\n"
    "assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + '\\n'\n"
    "n = 0\n"
    "for task in ('piqa', 'hellaswag', 'winogrande'):\n"
    "    for line in open(sys.argv[1] + '/samples_%s.jsonl' % task, encoding='utf-8',\n"
    "                     newline='\\n'):\n"
    "        s = json.loads(line)\n"
    "        assert line == json.dumps(s, ensure_ascii=False) + '\\n', line\n"
    "        doc = json.dumps(s['doc'], indent=2, ensure_ascii=False)\n"
    "        assert s['doc_hash'] == sha(doc), doc\n"
    "        assert s['prompt_hash'] == sha(s['arguments']['gen_args_0']['arg_0'])\n"
    "        assert s['target_hash'] == sha(s['target'])\n"
    "        for (ll, greedy), in s['resps']:\n"
    "            assert repr(float(ll)) == ll and greedy in ('True', 'False')\n"
    "        n += 1\n"
    "assert n == 4, n\n";

static void write_for_python(const char *name, const char *rows, int64_t limit) {
  lrp_task task;
  load(name, rows, limit, &task);
  const lrp_scores scores = scores_of(&task, piqa_ll, piqa_greedy);
  const lrp_results_info info = {.configuration = "dense", .model = "m", .dtype = "float32"};
  assert_int_equal(lrp_samples_write(task_dir, &scores), LRP_OK);
  assert_int_equal(lrp_results_write(task_dir, &info, &scores, 1), LRP_OK);
  lrp_task_free(&task);
}

static void test_python_agrees(void **state) {
  char command[256];
  (void)state;
  if (access("/usr/bin/python3", X_OK) != 0) {
    print_message("skipped: no /usr/bin/python3 to compare with\n");
    skip();
  }
  write_for_python("piqa", piqa_rows, 2);
  write_for_python("hellaswag",
                   "{\"activity_label\": \"a\", \"ctx_a\": \"b\\u2028\", \"ctx_b\": \"\\u00c9\", "
                   "\"endings\": [\"x\", \"y\"], \"label\": \"1\"}\n",
                   -1);
  write_for_python("winogrande",
                   "{\"sentence\": \"a _ b\", \"option1\": \"x\", \"option2\": \"y\", \"answer\": "
                   "\"2\"}\n",
                   -1);
  char *path = lrp_path_join(task_dir, "check.py");
  assert_int_equal(lrp_file_write(path, script, sizeof script - 1), LRP_OK);
  snprintf(command, sizeof command, "/usr/bin/python3 '%s' '%s'", path, task_dir);
  free(path);
  assert_int_equal(system(command), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_repr),
      cmocka_unit_test(test_json),
      cmocka_unit_test(test_shots_and_suites),
      cmocka_unit_test(test_results),
      cmocka_unit_test(test_samples),
      cmocka_unit_test(test_groups),
      cmocka_unit_test(test_text_sample),
      cmocka_unit_test(test_window_sample),
      cmocka_unit_test(test_failures),
      cmocka_unit_test(test_python_agrees),
  };
  return cmocka_run_group_tests(tests, task_dir_create, task_dir_remove);
}
