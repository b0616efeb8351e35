/* Which tasks a job means, with which shots; averages of suites. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/task_set.h"

/* The set of "evaluate: {data: d, <evaluate>}". */
static lrp_status resolve(const char *evaluate, lrp_task_set *set) {
  char text[512];
  lrp_job job;
  snprintf(text, sizeof text,
           "model: m\noutput: o\nconfigurations: [{name: dense}]\nevaluate: {data: d, %s}\n",
           evaluate);
  lrp_failure_clear();
  assert_int_equal(lrp_job_parse("x.yaml", text, strlen(text), NULL, &job), LRP_OK);
  const lrp_status st = lrp_task_set_init(&job, set);
  lrp_job_free(&job);
  for (int t = 0; t < set->n_tasks; t++) set->tasks[t].asked_by = NULL; /* was the job's */
  return st;
}

static void resolve_ok(const char *evaluate, lrp_task_set *set) {
  const lrp_status st = resolve(evaluate, set);
  if (st != LRP_OK) fail_msg("%s", lrp_failure_message(st));
}

static void assert_refused(const char *evaluate, const char *message) {
  lrp_task_set set;
  assert_int_equal(resolve(evaluate, &set), LRP_ERR_JOB);
  assert_string_equal(lrp_failure_message(LRP_ERR_JOB), message);
  assert_null(set.tasks);
}

static const lrp_task_choice *find(const lrp_task_set *set, const char *name) {
  for (int t = 0; t < set->n_tasks; t++) {
    if (strcmp(set->tasks[t].kind->name, name) == 0) return &set->tasks[t];
  }
  fail_msg("no task %s", name);
  return NULL;
}

static void assert_shots(const lrp_task_set *set, const char *name, int64_t shots,
                         const char *split) {
  const lrp_task_choice *choice = find(set, name);
  assert_int_equal(choice->num_fewshot, shots);
  if (split) {
    assert_string_equal(choice->fewshot_split, split);
  } else {
    assert_null(choice->fewshot_split);
  }
}

/* The entry's number, else evaluate.num_fewshot, else the task's own. */
static void test_precedence(void **state) {
  lrp_task_set set;
  (void)state;
  resolve_ok("tasks: [arc_easy, gsm8k, {name: piqa, num_fewshot: 3}, wikitext]", &set);
  assert_int_equal(set.n_tasks, 4);
  assert_shots(&set, "arc_easy", 0, NULL);
  assert_shots(&set, "gsm8k", 5, NULL);
  assert_shots(&set, "piqa", 3, NULL);
  assert_shots(&set, "wikitext", 0, NULL);
  lrp_task_set_free(&set);
  resolve_ok(
      "num_fewshot: 2, tasks: [arc_easy, gsm8k, {name: piqa, num_fewshot: 0}, wikitext, "
      "lambada_openai, truthfulqa_mc1, token_perplexity, sst2]",
      &set);
  assert_shots(&set, "arc_easy", 2, NULL);
  assert_shots(&set, "gsm8k", 2, NULL);
  assert_shots(&set, "piqa", 0, NULL);
  for (int t = 3; t < set.n_tasks; t++) assert_int_equal(set.tasks[t].num_fewshot, 0);
  lrp_task_set_free(&set);
  resolve_ok("num_fewshot: 0, tasks: gsm8k", &set);
  assert_shots(&set, "gsm8k", 0, NULL);
  lrp_task_set_free(&set);
  lrp_task_set_free(&set); /* a zeroed one */
}

static void test_groups(void **state) {
  lrp_task_set set;
  (void)state;
  resolve_ok(
      "tasks: [{name: mmlu, num_fewshot: 5}, {name: mmlu_anatomy, num_fewshot: 5}, "
      "mmlu_stem, truthfulqa], num_fewshot: 5",
      &set);
  assert_int_equal(set.n_tasks, 57 + 2); /* each once */
  assert_int_equal(set.n_groups, 6);
  assert_int_equal(set.n_suites, 0);
  assert_shots(&set, "mmlu_anatomy", 5, NULL);
  assert_shots(&set, "truthfulqa_mc2", 0, NULL);
  lrp_task_set_free(&set);
}

static void test_suites(void **state) {
  lrp_task_set set;
  (void)state;
  resolve_ok("tasks: [openllm, wikitext], num_fewshot: 7", &set);
  assert_int_equal(set.n_suites, 1);
  assert_int_equal(set.n_groups, 5);
  assert_int_equal(set.n_tasks, 5 + 57 + 1);
  assert_shots(&set, "arc_challenge", 25, "train");
  assert_shots(&set, "hellaswag", 10, "train");
  assert_shots(&set, "mmlu_virology", 5, NULL);
  assert_shots(&set, "truthfulqa_mc2", 0, NULL);
  assert_shots(&set, "winogrande", 5, "train");
  assert_shots(&set, "gsm8k", 5, NULL);
  lrp_task_set_free(&set);
  resolve_ok("tasks: moar2024", &set);
  assert_int_equal(set.n_tasks, 4 + 57 + 2 + 1);
  for (int t = 0; t < set.n_tasks; t++) {
    const bool gsm8k = strcmp(set.tasks[t].kind->name, "gsm8k") == 0;
    assert_int_equal(set.tasks[t].num_fewshot, gsm8k ? 8 : 0);
  }
  lrp_task_set_free(&set);
  resolve_ok("tasks: [openllm, truthfulqa, {name: gsm8k, num_fewshot: 5}]", &set); /* the same */
  assert_int_equal(set.n_tasks, 6 + 57);
  lrp_task_set_free(&set);
}

static void test_refused(void **state) {
  (void)state;
  assert_refused("tasks: [arc_esay]",
                 "evaluate.tasks: unknown task 'arc_esay' (did you mean 'arc_easy'?)");
  assert_refused("tasks: [openlm]",
                 "evaluate.tasks: unknown task 'openlm' (did you mean "
                 "'openllm'?)");
  assert_refused("tasks: [{name: wikitext, num_fewshot: 1}]",
                 "evaluate.tasks: 'wikitext': num_fewshot 1: task wikitext has no solved examples; "
                 "leave num_fewshot out");
  assert_refused("tasks: [{name: truthfulqa, num_fewshot: 1}]",
                 "evaluate.tasks: 'truthfulqa': num_fewshot 1: task truthfulqa_mc1 has no solved "
                 "examples; leave num_fewshot out");
  assert_refused("tasks: [{name: openllm, num_fewshot: 5}]",
                 "evaluate.tasks: 'openllm': num_fewshot 5: a suite has its own shots; leave "
                 "num_fewshot out, or name its tasks");
  assert_refused("tasks: [openllm, arc_challenge]",
                 "evaluate.tasks: 'openllm' asks for arc_challenge with 25 shots of train, "
                 "'arc_challenge' with 0 shots; a task is evaluated once in a run: give both the "
                 "same num_fewshot, or take two jobs");
  assert_refused("tasks: [{name: winogrande, num_fewshot: 5}, openllm]",
                 "evaluate.tasks: 'winogrande' asks for winogrande with 5 shots, 'openllm' with 5 "
                 "shots of train; a task is evaluated once in a run: give both the same "
                 "num_fewshot, or take two jobs");
  assert_refused("tasks: [mmlu, {name: mmlu_anatomy, num_fewshot: 5}]",
                 "evaluate.tasks: 'mmlu' asks for mmlu_anatomy with 0 shots, 'mmlu_anatomy' with 5 "
                 "shots; a task is evaluated once in a run: give both the same num_fewshot, or "
                 "take two jobs");
}

/* ---- averages ---- */

enum { n_scores = 8 };

/* Scores that a model might have; the first subject has ten times the questions of the second. */
static void make_scores(lrp_task tasks[n_scores], lrp_scores scores[n_scores]) {
  static const struct {
    const char *task;
    int64_t docs;
    double values[3];
  } given[n_scores] = {
      {"arc_challenge", 10, {0.5, 0.75, 0.25}},
      {"hellaswag", 10, {0.25, 0.5, 0.125}},
      {"mmlu_anatomy", 100, {0.5}},
      {"mmlu_virology", 10, {0.25}},
      {"truthfulqa_mc1", 10, {0.125}},
      {"truthfulqa_mc2", 10, {0.375}},
      {"winogrande", 10, {0.625}},
      {"gsm8k", 10, {0.0625, 0.5}},
  };
  for (int t = 0; t < n_scores; t++) {
    tasks[t] = (lrp_task){.kind = lrp_task_find(given[t].task), .n_docs = given[t].docs};
    scores[t] = (lrp_scores){.task = &tasks[t]};
    for (int m = 0; m < 3; m++) scores[t].estimate[m] = (lrp_estimate){given[t].values[m], 0.0};
  }
}

static void test_averages(void **state) {
  const lrp_task_suite *openllm = lrp_suite_find("openllm"), *moar = lrp_suite_find("moar2024");
  const double subjects = 0.375, questions = (100 * 0.5 + 10 * 0.25) / 110;
  lrp_task tasks[n_scores], arc = {.kind = lrp_task_find("arc_easy"), .n_docs = 4};
  lrp_scores scores[n_scores + 1];
  (void)state;
  make_scores(tasks, scores);
  scores[n_scores] = (lrp_scores){.task = &arc, .estimate = {{0.75, 0.0}, {0.5, 0.0}}};

  assert_int_equal(lrp_suite_size(openllm), 6);
  assert_true(lrp_suite_value(&openllm->members[0], scores, n_scores) == 0.75); /* acc_norm */
  assert_true(lrp_suite_value(&openllm->members[2], scores, n_scores) == subjects);
  assert_true(fabs(lrp_suite_average(openllm, scores, n_scores) -
                   (0.75 + 0.5 + subjects + 0.375 + 0.625 + 0.0625) / 6) < 1e-15);
  assert_int_equal(lrp_suite_size(moar), 7);
  assert_true(lrp_suite_value(&moar->members[4], scores, n_scores) == 0.25); /* of mc1 and mc2 */
  assert_true(fabs(lrp_suite_average(moar, scores, n_scores + 1) -
                   (0.75 + 0.5 + 0.25 + questions + 0.25 + 0.625 + 0.0625) / 7) < 1e-15);
  assert_true(isnan(lrp_suite_average(moar, scores, n_scores))); /* no arc_easy */
  assert_null(lrp_suite_find("mmlu"));
}

/* Every member is a task or group, with that metric and that many shots. */
static void test_tables(void **state) {
  int n;
  const lrp_task_suite *suites = lrp_suites(&n);
  (void)state;
  for (int s = 0; s < n; s++) {
    for (int i = 0; i < lrp_suite_size(&suites[s]); i++) {
      const lrp_suite_member *m = &suites[s].members[i];
      const lrp_task_kind *kind = lrp_task_find(m->name);
      assert_true(kind || lrp_task_group_find(m->name));
      if (!kind) continue;
      bool found = false;
      for (int k = 0; k < kind->metrics->n; k++) {
        found = found || strcmp(kind->metrics->metric[k].name, m->metric) == 0;
      }
      assert_true(found);
      assert_true(m->num_fewshot == 0 || kind->shots != LRP_SHOTS_NONE);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_precedence), cmocka_unit_test(test_groups),
      cmocka_unit_test(test_suites),     cmocka_unit_test(test_refused),
      cmocka_unit_test(test_averages),   cmocka_unit_test(test_tables),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
