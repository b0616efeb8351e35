/* The first documents of each task against the golden files of the shared data: token ids, shots
 * drawn, right answers, and metrics recomputed from golden log-likelihoods. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "pipeline/metrics.h"

enum { n_golden = 40, max_length = 512 };

static const char *shared; /* folder of the shared data */
static lrp_tokenizer *tok;

/* A golden file: a task and how many shots. */
typedef struct {
  const char *task;
  int shots;
} golden_case;

static json_t *golden(const golden_case *which, const char *configuration) {
  char path[1024];
  json_error_t error;
  snprintf(path, sizeof path, "%s/data/golden/stories260K.%s.%dshot.%s.json", shared, which->task,
           which->shots, configuration);
  json_t *file = json_load_file(path, 0, &error);
  if (!file) fail_msg("%s: %s", path, error.text);
  assert_int_equal(json_array_size(json_object_get(file, "samples")), n_golden);
  return file;
}

static void assert_ids(const int32_t *ids, int64_t n, const json_t *expected) {
  assert_int_equal(n, json_array_size(expected));
  for (int64_t i = 0; i < n; i++) {
    assert_int_equal(ids[i], json_integer_value(json_array_get(expected, (size_t)i)));
  }
}

static void assert_golden_request(const lrp_request *r, const json_t *requests, size_t index) {
  const json_t *expected = json_array_get(requests, index);
  const json_t *same = json_object_get(expected, "ctx_same_as");
  const json_t *owner =
      same ? json_array_get(requests, (size_t)json_integer_value(same)) : expected;
  const int64_t n_context = r->n_tokens - r->n_score;

  assert_ids(r->tokens, n_context, json_object_get(owner, "ctx_ids"));
  assert_ids(r->tokens + n_context, r->n_score, json_object_get(expected, "cont_ids"));
  const int64_t whole = json_integer_value(json_object_get(expected, "n_ctx"));
  assert_int_equal(r->truncated, whole + r->n_score > max_length + 1);
  if (!r->truncated) assert_int_equal(n_context, whole);
}

/* A window's context is the prefix token or what is in front of it in the text. */
static void assert_golden_window(const lrp_request *r, const json_t *windows, size_t index,
                                 int64_t *seen) {
  const json_t *expected = json_array_get(windows, index);
  const int64_t n_context = r->n_tokens - r->n_score;
  assert_int_equal(n_context, json_integer_value(json_object_get(expected, "n_ctx")));
  assert_ids(r->tokens + n_context, r->n_score, json_object_get(expected, "cont_ids"));
  *seen += r->n_score;
}

static void check_doc(const lrp_task *task, const lrp_doc *doc, const json_t *sample) {
  const json_t *windows = json_object_get(sample, "windows");
  const json_t *requests = windows ? windows : json_object_get(sample, "requests");
  const json_t *gold = json_object_get(sample, "gold");
  const json_t *metrics = json_object_get(sample, "metrics");
  int64_t seen = 0;

  if (gold) assert_int_equal(doc->gold, json_integer_value(gold));
  assert_int_equal(doc->n, json_array_size(requests));
  for (int r = 0; r < doc->n; r++) {
    const lrp_request *request = &task->requests[doc->first + r];
    if (windows) {
      assert_golden_window(request, windows, (size_t)r, &seen);
    } else {
      assert_golden_request(request, requests, (size_t)r);
    }
  }
  if (windows) {
    assert_int_equal(seen, doc->scored_tokens);
    assert_int_equal(doc->words, json_integer_value(json_object_get(metrics, "words")));
    assert_int_equal(doc->text_bytes, json_integer_value(json_object_get(metrics, "bytes")));
  }
}

/* Golden files number the rows of a subject. */
static int64_t row_in_subject(const lrp_task *task, int64_t row) {
  int64_t before = 0;
  for (int64_t i = 0; task->kind->by_subject && i < row; i++) {
    const json_t *subject = json_object_get(task->shots.data->rows.rows[i], "subject");
    before += strcmp(json_string_value(subject), task->kind->subset) == 0;
  }
  return task->kind->by_subject ? before : row;
}

static void check_shots(const lrp_task *task, const lrp_doc *doc, const json_t *sample) {
  const json_t *shots = json_object_get(sample, "shots");
  assert_int_equal(doc->n_shots, json_array_size(shots));
  for (int64_t i = 0; i < doc->n_shots; i++) {
    assert_int_equal(row_in_subject(task, doc->shots[i]),
                     json_integer_value(json_array_get(shots, (size_t)i)));
  }
}

static void check_split(const lrp_task *task, const json_t *file) {
  char split[LRP_SPLIT];
  const char *expected = json_string_value(json_object_get(file, "shots_split"));
  assert_int_equal(task->shots.data != NULL, expected != NULL);
  if (expected) assert_string_equal(lrp_dataset_split(task->shots.data, split), expected);
}

static void check_requests(const lrp_task *task, const json_t *file) {
  const json_t *samples = json_object_get(file, "samples");
  check_split(task, file);
  for (int64_t i = 0; i < task->n_docs; i++) {
    const json_t *sample = json_array_get(samples, (size_t)i);
    assert_int_equal(i, json_integer_value(json_object_get(sample, "doc_id")));
    check_doc(task, &task->docs[i], sample);
    check_shots(task, &task->docs[i], sample);
  }
}

/* The golden log-likelihoods and flags as scores of the task; released by free_scores. */
static lrp_scores golden_scores(const lrp_task *task, const json_t *file) {
  double *ll = malloc((size_t)task->n_requests * sizeof *ll);
  uint8_t *greedy = malloc((size_t)task->n_requests);
  int64_t n = 0;
  size_t i, r;
  json_t *sample, *request;

  assert_non_null(ll);
  assert_non_null(greedy);
  json_array_foreach(json_object_get(file, "samples"), i, sample) {
    json_t *windows = json_object_get(sample, "windows");
    json_array_foreach(windows ? windows : json_object_get(sample, "requests"), r, request) {
      assert_true(n < task->n_requests);
      ll[n] = json_number_value(json_object_get(request, "ll"));
      greedy[n++] = json_is_true(json_object_get(request, "greedy"));
    }
  }
  assert_int_equal(n, task->n_requests);
  lrp_scores scores = {.task = task, .ll = ll, .greedy = greedy};
  assert_int_equal(lrp_scores_estimate(&scores), LRP_OK);
  return scores;
}

static void free_scores(lrp_scores *scores) {
  free((void *)(uintptr_t)scores->ll);
  free((void *)(uintptr_t)scores->greedy);
}

/* 1e-12 of the value, but log-likelihoods have nine decimals in the file. */
static void assert_close(double x, const json_t *expected) {
  assert_true(json_is_number(expected));
  const double y = json_number_value(expected);
  if (!(fabs(x - y) <= 1e-9 * fmax(1.0, fabs(y)))) fail_msg("%.17g is not %.17g", x, y);
}

static void check_doc_metrics(const lrp_scores *scores, const lrp_metric *metric,
                              const json_t *file) {
  if (metric->aggregation != LRP_MEAN) return;
  for (int64_t i = 0; i < scores->task->n_docs; i++) {
    const json_t *sample = json_array_get(json_object_get(file, "samples"), (size_t)i);
    const json_t *expected = json_object_get(json_object_get(sample, "metrics"), metric->name);
    assert_close(lrp_doc_value(scores, metric, &scores->task->docs[i]).x, expected);
  }
}

static void check_metrics(const lrp_task *task, const golden_case *which,
                          const char *configuration) {
  json_t *file = golden(which, configuration);
  const json_t *expected = json_object_get(file, "metrics");
  lrp_scores scores = golden_scores(task, file);
  char key[64];

  for (int m = 0; m < task->kind->metrics->n; m++) {
    const lrp_metric *metric = &task->kind->metrics->metric[m];
    assert_close(scores.estimate[m].value, json_object_get(expected, metric->name));
    snprintf(key, sizeof key, "%s_stderr", metric->name);
    if (lrp_aggregation_has_error(metric->aggregation)) {
      assert_close(scores.estimate[m].stderr_, json_object_get(expected, key));
    } else {
      assert_true(isnan(scores.estimate[m].stderr_));
    }
    check_doc_metrics(&scores, metric, file);
  }
  free_scores(&scores);
  json_decref(file);
}

static lrp_task_source source_of(int64_t limit) {
  static char data[1024];
  snprintf(data, sizeof data, "%s/data/bench", shared);
  return (lrp_task_source){.dir = data, .limit = limit, .max_length = max_length, .tok = tok};
}

static void test_task(void **state) {
  const golden_case *which = *state;
  lrp_task_source source = source_of(n_golden);
  lrp_task task;

  source.num_fewshot = which->shots;
  const lrp_status st = lrp_task_load(lrp_task_find(which->task), &source, NULL, 0, &task);
  if (st != LRP_OK) fail_msg("%s", lrp_failure_message(st));
  assert_int_equal(task.n_docs, n_golden);

  json_t *file = golden(which, "dense");
  check_requests(&task, file);
  json_decref(file);
  check_metrics(&task, which, "dense");
  check_metrics(&task, which, "l1.3_r1");
  check_metrics(&task, which, "all_r16");
  lrp_task_free(&task);
}

/* Every row of every file, so that the rules hold for more than the golden ones. */
static void test_all_rows(void **state) {
  int n = 0;
  const lrp_task_kind *kinds = lrp_task_kinds(&n);
  const lrp_task_source source = source_of(-1);
  lrp_task first = {0}; /* of the subjects, which share a file */
  (void)state;

  for (int i = 0; i < n; i++) {
    lrp_task task;
    if (lrp_output_is_encoders(kinds[i].output)) continue; /* another tokenizer */
    const lrp_status st = lrp_task_load(&kinds[i], &source, &first, first.kind != NULL, &task);
    if (st != LRP_OK) fail_msg("%s", lrp_failure_message(st));
    assert_int_equal(task.n_docs, task.available);
    for (int64_t r = 0; r < task.n_requests; r++) {
      const int least = kinds[i].output != LRP_GENERATE;
      assert_in_range(task.requests[r].n_score, least, max_length);
      assert_in_range(task.requests[r].n_tokens, task.requests[r].n_score + 1, max_length + 1);
    }
    if (kinds[i].by_subject && !first.kind) {
      first = task;
    } else {
      lrp_task_free(&task);
    }
  }
  lrp_task_free(&first);
}

#define CASE(task, shots)                                                  \
  {                                                                        \
    task " with " #shots " shots", test_task, NULL, NULL, &(golden_case) { \
      task, shots                                                          \
    }                                                                      \
  }

int main(void) {
  char model[1024];
  shared = getenv("LRP_SHARED");
  snprintf(model, sizeof model, "%s/data/models/stories260K", shared ? shared : "");
  if (!shared || !lrp_file_exists(model)) {
    printf("skipped: LRP_SHARED names no folder with data/models/stories260K\n");
    return 77;
  }
  const lrp_status st = lrp_tokenizer_open(model, &tok);
  if (st != LRP_OK) {
    printf("tokenizer: %s\n", lrp_failure_message(st));
    return 1;
  }
  const struct CMUnitTest tests[] = {
      CASE("arc_easy", 0),
      CASE("arc_challenge", 0),
      CASE("hellaswag", 0),
      CASE("winogrande", 0),
      CASE("piqa", 0),
      CASE("mmlu_abstract_algebra", 0),
      CASE("mmlu_high_school_biology", 0),
      CASE("mmlu_professional_law", 0),
      CASE("truthfulqa_mc1", 0),
      CASE("truthfulqa_mc2", 0),
      CASE("wikitext", 0),
      CASE("token_perplexity", 0),
      CASE("arc_easy", 2),
      CASE("winogrande", 2),
      CASE("mmlu_abstract_algebra", 5),
      CASE("mmlu_high_school_biology", 5),
      CASE("mmlu_professional_law", 5),
      cmocka_unit_test(test_all_rows),
  };
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  lrp_tokenizer_close(&tok);
  return failed;
}
