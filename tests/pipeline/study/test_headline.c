/* What a job names, as tradeoff.json lists it. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/headline.h"

enum { tasks_max = 8 };

/* A study of tasks with two documents each. */
typedef struct {
  lrp_study study;
  lrp_task tasks[tasks_max];
  lrp_doc docs[tasks_max][2];
  char *names[tasks_max];
} named_study;

/* A question with 2 choices and one with 4. */
static void add_task(named_study *s, const char *name) {
  const int t = s->study.n_tasks++;
  s->docs[t][0] = (lrp_doc){.n = 2};
  s->docs[t][1] = (lrp_doc){.n = 4};
  s->tasks[t] = (lrp_task){.kind = lrp_task_find(name), .docs = s->docs[t], .n_docs = 2};
  assert_non_null(s->tasks[t].kind);
  s->study.tasks = s->tasks;
}

static void add_name(named_study *s, const char *name) {
  s->names[s->study.job.evaluate.n_tasks++] = (char *)(uintptr_t)name;
  s->study.job.evaluate.tasks = s->names;
}

static json_t *list_of(const named_study *s) {
  lrp_headline *headlines;
  int n;
  assert_int_equal(lrp_headlines(&s->study, &headlines, &n), LRP_OK);
  json_t *list = lrp_headlines_json(headlines, n);
  assert_int_equal(json_array_size(list), n);
  free(headlines);
  return list;
}

static void assert_entry(const json_t *list, size_t i, const char *name, const char *metric,
                         int64_t documents, double chance) {
  const json_t *entry = json_array_get(list, i), *known = json_object_get(entry, "chance");
  assert_string_equal(json_string_value(json_object_get(entry, "name")), name);
  assert_string_equal(json_string_value(json_object_get(entry, "metric")), metric);
  assert_int_equal(json_integer_value(json_object_get(entry, "documents")), documents);
  if (isnan(chance)) {
    assert_true(json_is_null(known));
  } else {
    assert_true(fabs(json_real_value(known) - chance) < 1e-15);
  }
}

static void test_tasks(void **state) {
  named_study s = {0};
  bool truth[] = {true, true, true, false};
  (void)state;
  for (int i = 0; i < 2; i++) add_name(&s, "truthfulqa_mc2"); /* named twice, listed once */
  add_name(&s, "arc_easy");
  add_name(&s, "gsm8k");
  add_name(&s, "wikitext");
  add_task(&s, "truthfulqa_mc2");
  add_task(&s, "arc_easy");
  add_task(&s, "gsm8k");
  add_task(&s, "wikitext");
  for (int i = 0; i < 2; i++) s.docs[0][i].truth = truth;
  json_t *list = list_of(&s);
  assert_int_equal(json_array_size(list), 4);
  assert_entry(list, 0, "truthfulqa_mc2", "acc", 2, (1.0 + 0.75) / 2);
  assert_entry(list, 1, "arc_easy", "acc", 2, (0.5 + 0.25) / 2);
  assert_entry(list, 2, "gsm8k", "exact_match/strict-match", 2, NAN);
  assert_entry(list, 3, "wikitext", "word_perplexity", 2, NAN);
  assert_true(json_is_null(json_object_get(json_array_get(list, 3), "full")));
  assert_true(json_is_false(json_object_get(json_array_get(list, 3), "higher_is_better")));
  json_decref(list);
}

/* A group is one entry, with the documents of all of its tasks; a suite is its members. */
static void test_groups_and_suites(void **state) {
  named_study s = {0};
  (void)state;
  add_name(&s, "mmlu_stem");
  add_name(&s, "moar2024");
  add_task(&s, "mmlu_anatomy"); /* stem */
  add_task(&s, "mmlu_virology");
  add_task(&s, "arc_easy");
  json_t *list = list_of(&s);
  assert_int_equal(json_array_size(list), 3);
  assert_entry(list, 0, "mmlu_stem", "acc", 2, 0.375);
  assert_entry(list, 1, "arc_easy", "acc", 2, 0.375);
  assert_entry(list, 2, "mmlu", "acc", 4, 0.375);
  json_decref(list);
}

static void test_encoders(void **state) {
  named_study s = {0};
  (void)state;
  add_name(&s, "sst2");
  add_name(&s, "cola");
  add_name(&s, "squad");
  add_task(&s, "sst2");
  add_task(&s, "cola");
  add_task(&s, "squad");
  json_t *list = list_of(&s);
  assert_entry(list, 0, "sst2", "acc", 2, 0.5);
  assert_entry(list, 1, "cola", "mcc", 2, NAN);
  assert_entry(list, 2, "squad", "exact_match", 2, NAN);
  assert_true(json_real_value(json_object_get(json_array_get(list, 2), "full")) == 100.0);
  assert_true(lrp_metric_is_scored(&lrp_answers.metric[0]));
  assert_false(lrp_metric_is_scored(&lrp_matthews.metric[0]));
  assert_false(lrp_metric_is_scored(&lrp_last_word.metric[0]));
  json_decref(list);
}

static void test_no_tasks(void **state) {
  const named_study s = {0};
  (void)state;
  json_t *list = list_of(&s);
  assert_int_equal(json_array_size(list), 0);
  json_decref(list);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tasks),
      cmocka_unit_test(test_groups_and_suites),
      cmocka_unit_test(test_encoders),
      cmocka_unit_test(test_no_tasks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
