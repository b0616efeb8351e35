#include "pipeline/suites.h"

#include <math.h>
#include <string.h>

static const lrp_task_suite suites[] = {
    {.name = "openllm",
     .help = "the Open LLM Leaderboard of 2023",
     .members = {{"arc_challenge", 25, "train", "acc_norm", false},
                 {"hellaswag", 10, "train", "acc_norm", false},
                 {"mmlu", 5, NULL, "acc", true},
                 {"truthfulqa_mc2", 0, NULL, "acc", false},
                 {"winogrande", 5, "train", "acc", false},
                 {"gsm8k", 5, NULL, "exact_match", false}}},
    {.name = "moar2024",
     .help = "the seven benchmarks of Moar et al., IISWC 2024",
     .members = {{"arc_easy", 0, NULL, "acc", false},
                 {"arc_challenge", 0, NULL, "acc", false},
                 {"hellaswag", 0, NULL, "acc", false},
                 {"mmlu", 0, NULL, "acc", false},
                 {"truthfulqa", 0, NULL, "acc", false},
                 {"winogrande", 0, NULL, "acc", false},
                 {"gsm8k", 8, NULL, "exact_match", false}}},
};
enum { n_suites = sizeof suites / sizeof suites[0] };
_Static_assert((int)n_suites <= (int)LRP_MAX_SUITES, "names have room");

const lrp_task_suite *lrp_suites(int *n) {
  *n = n_suites;
  return suites;
}

const lrp_task_suite *lrp_suite_find(const char *name) {
  for (int i = 0; i < n_suites; i++) {
    if (strcmp(suites[i].name, name) == 0) return &suites[i];
  }
  return NULL;
}

int lrp_suite_size(const lrp_task_suite *suite) {
  int n = 0;
  while (n < LRP_SUITE_MEMBERS && suite->members[n].name) n++;
  return n;
}

static double value_of(const lrp_metrics *metrics, const lrp_estimate *estimates,
                       const char *name) {
  for (int m = 0; m < metrics->n; m++) {
    if (strcmp(metrics->metric[m].name, name) == 0) return estimates[m].value;
  }
  return NAN;
}

/* The mean over the tasks of a group, a small one counting as much as a large one. */
static double mean_of_tasks(const lrp_task_group *group, const char *metric,
                            const lrp_scores *scores, int n) {
  double sum = 0.0;
  int tasks = 0;
  for (int t = 0; t < n; t++) {
    const lrp_task_kind *kind = scores[t].task->kind;
    if (!lrp_task_group_within(kind->group, group)) continue;
    sum += value_of(kind->metrics, scores[t].estimate, metric);
    tasks++;
  }
  return tasks > 0 ? sum / tasks : NAN;
}

double lrp_suite_value(const lrp_suite_member *member, const lrp_scores *scores, int n) {
  const lrp_task_group *group = lrp_task_group_find(member->name);
  if (group && member->unweighted) return mean_of_tasks(group, member->metric, scores, n);
  if (group) {
    const lrp_group_scores pooled = lrp_group_estimate(group, scores, n);
    return pooled.metrics ? value_of(pooled.metrics, pooled.estimate, member->metric) : NAN;
  }
  for (int t = 0; t < n; t++) {
    const lrp_task_kind *kind = scores[t].task->kind;
    if (strcmp(kind->name, member->name) != 0) continue;
    return value_of(kind->metrics, scores[t].estimate, member->metric);
  }
  return NAN;
}

double lrp_suite_average(const lrp_task_suite *suite, const lrp_scores *scores, int n) {
  const int size = lrp_suite_size(suite);
  double sum = 0.0;
  for (int i = 0; i < size; i++) sum += lrp_suite_value(&suite->members[i], scores, n);
  return sum / size;
}
