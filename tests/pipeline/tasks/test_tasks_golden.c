/* The first 40 documents of each task against the golden files of the shared data: token ids, right
 * answers, and metrics recomputed from golden log-likelihoods. */
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

#include "io/base/file.h"
#include "pipeline/metrics.h"

enum { n_golden = 40, max_length = 512 };

static const char *shared; /* folder of the shared data */
static lrp_tokenizer *tok;

static json_t *golden(const char *task, const char *configuration) {
  char path[1024];
  json_error_t error;
  snprintf(path, sizeof path, "%s/data/golden/stories260K.%s.0shot.%s.json", shared, task,
           configuration);
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

static void check_requests(const lrp_task *task, const json_t *file) {
  const json_t *samples = json_object_get(file, "samples");
  for (int64_t i = 0; i < task->n_docs; i++) {
    const json_t *sample = json_array_get(samples, (size_t)i);
    const json_t *requests = json_object_get(sample, "requests");
    const lrp_doc *doc = &task->docs[i];
    assert_int_equal(doc->row, json_integer_value(json_object_get(sample, "doc_id")));
    assert_int_equal(doc->gold, json_integer_value(json_object_get(sample, "gold")));
    assert_int_equal(doc->n, json_array_size(requests));
    for (int r = 0; r < doc->n; r++) {
      assert_golden_request(&task->requests[doc->first + r], requests, (size_t)r);
    }
  }
}

static double *golden_ll(const lrp_task *task, const json_t *file) {
  const json_t *samples = json_object_get(file, "samples");
  double *ll = malloc((size_t)task->n_requests * sizeof *ll);
  int64_t n = 0;
  size_t i, r;
  json_t *sample, *request;

  assert_non_null(ll);
  json_array_foreach(samples, i, sample) {
    json_array_foreach(json_object_get(sample, "requests"), r, request) {
      assert_true(n < task->n_requests);
      ll[n++] = json_number_value(json_object_get(request, "ll"));
    }
  }
  assert_int_equal(n, task->n_requests);
  return ll;
}

static void check_doc_metrics(const lrp_task *task, const double *ll, const json_t *file) {
  for (int64_t i = 0; i < task->n_docs; i++) {
    const lrp_doc *doc = &task->docs[i];
    const json_t *sample = json_array_get(json_object_get(file, "samples"), (size_t)i);
    const json_t *expected = json_object_get(sample, "metrics");
    double values[LRP_METRICS];
    lrp_doc_metrics(doc, ll + doc->first, values);
    for (int m = 0; m < lrp_task_metrics(task); m++) {
      const json_t *value = json_object_get(expected, lrp_metric_name(m));
      assert_true(json_is_number(value) && json_number_value(value) == values[m]);
    }
  }
}

static void check_metrics(const lrp_task *task, const char *configuration) {
  json_t *file = golden(task->kind->name, configuration);
  const json_t *expected = json_object_get(file, "metrics");
  double *ll = golden_ll(task, file);
  lrp_mean means[LRP_METRICS];
  char key[64];

  lrp_task_means(task, ll, means);
  for (int m = 0; m < lrp_task_metrics(task); m++) {
    const json_t *mean = json_object_get(expected, lrp_metric_name(m));
    snprintf(key, sizeof key, "%s_stderr", lrp_metric_name(m));
    const json_t *error = json_object_get(expected, key);
    assert_true(json_is_number(mean) && json_is_number(error));
    assert_true(fabs(means[m].mean - json_number_value(mean)) < 1e-12);
    assert_true(fabs(means[m].stderr_ - json_number_value(error)) < 1e-12);
  }
  check_doc_metrics(task, ll, file);
  free(ll);
  json_decref(file);
}

static void test_task(void **state) {
  const char *name = *state;
  char data[1024];
  lrp_task task;

  snprintf(data, sizeof data, "%s/data/bench", shared);
  const lrp_status st = lrp_task_load(lrp_task_find(name), data, n_golden, max_length, tok, &task);
  if (st != LRP_OK) fail_msg("%s", lrp_failure_message(st));
  assert_int_equal(task.n_docs, n_golden);

  json_t *file = golden(name, "dense");
  check_requests(&task, file);
  json_decref(file);
  check_metrics(&task, "dense");
  check_metrics(&task, "l1.3_r1");
  check_metrics(&task, "all_r16");
  lrp_task_free(&task);
}

/* Every row of every file, so that the rules hold for more than the golden ones. */
static void test_all_rows(void **state) {
  int n = 0;
  const char *const *names = lrp_task_names(&n);
  char data[1024];
  (void)state;

  snprintf(data, sizeof data, "%s/data/bench", shared);
  for (int i = 0; i < n; i++) {
    lrp_task task;
    const lrp_status st = lrp_task_load(lrp_task_find(names[i]), data, -1, max_length, tok, &task);
    if (st != LRP_OK) fail_msg("%s", lrp_failure_message(st));
    assert_int_equal(task.n_docs, task.data.count);
    for (int64_t r = 0; r < task.n_requests; r++) {
      assert_in_range(task.requests[r].n_score, 1, max_length);
      assert_in_range(task.requests[r].n_tokens, task.requests[r].n_score + 1, max_length + 1);
    }
    lrp_task_free(&task);
  }
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
      {"arc_easy", test_task, NULL, NULL, "arc_easy"},
      {"arc_challenge", test_task, NULL, NULL, "arc_challenge"},
      {"hellaswag", test_task, NULL, NULL, "hellaswag"},
      {"winogrande", test_task, NULL, NULL, "winogrande"},
      {"piqa", test_task, NULL, NULL, "piqa"},
      cmocka_unit_test(test_all_rows),
  };
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  lrp_tokenizer_close(&tok);
  return failed;
}
