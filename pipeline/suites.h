/** @file pipeline/suites.h
 *  Suites: named lists of tasks, each with its shots and the metric that enters the suite's
 * average.
 */
#ifndef LRP_PIPELINE_SUITES_H
#define LRP_PIPELINE_SUITES_H

#include "pipeline/metrics.h"

enum { LRP_SUITE_MEMBERS = 8, LRP_MAX_SUITES = 4 };

typedef struct {
  const char *name; /* of a task or group */
  int64_t num_fewshot;
  const char *fewshot_split; /* the split that shots are from; NULL: by the task's own rule */
  const char *metric;        /* "acc_norm"; with filters that of the first one */
  bool unweighted;           /* a group's value is the plain mean of its tasks' */
} lrp_suite_member;

typedef struct {
  const char *name; /* "openllm" */
  const char *help;
  lrp_suite_member members[LRP_SUITE_MEMBERS]; /* up to the first without a name */
} lrp_task_suite;

/** The suites, n of them; the one called name, or NULL. Local. */
const lrp_task_suite *lrp_suites(int *n);
const lrp_task_suite *lrp_suite_find(const char *name);

/** Members of a suite. Local. */
int lrp_suite_size(const lrp_task_suite *suite);

/** The value of a member, from the n scores of all tasks, those of others included; NaN without its
 *  tasks. Local. */
double lrp_suite_value(const lrp_suite_member *member, const lrp_scores *scores, int n);

/** The mean of the values of all members; NaN without their tasks. Local. Sources: Open LLM
 *  Leaderboard of 2023 (openllm); Moar et al., IISWC 2024 (moar2024). */
double lrp_suite_average(const lrp_task_suite *suite, const lrp_scores *scores, int n);

#endif
