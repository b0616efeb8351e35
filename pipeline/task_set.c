#include "pipeline/task_set.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/words.h"

/* What an entry, or a member of a suite, asks for. */
typedef struct {
  const char *entry; /* of evaluate.tasks */
  int64_t shots;     /* -1: no number of its own */
  const char *split;
  int64_t standard; /* evaluate.num_fewshot; -1: none */
} wish;

static bool same_text(const char *a, const char *b) {
  return a == b || (a && b && strcmp(a, b) == 0);
}

/* "5 shots of train", "0 shots" */
static const char *describe(int64_t shots, const char *split, char text[64]) {
  snprintf(text, 64, "%" PRId64 " shots%s%s", shots, split ? " of " : "", split ? split : "");
  return text;
}

/* The same answers cannot be two results of one name. */
static lrp_status check_again(const lrp_task_choice *before, const lrp_task_choice *again) {
  char first[64], second[64];
  if (before->num_fewshot == again->num_fewshot &&
      (again->num_fewshot == 0 || same_text(before->fewshot_split, again->fewshot_split))) {
    return LRP_OK;
  }
  return lrp_fail(
      LRP_ERR_JOB,
      "evaluate.tasks: '%s' asks for %s with %s, '%s' with %s; a task is evaluated once "
      "in a run: give both the same num_fewshot, or take two jobs",
      before->asked_by, before->kind->name,
      describe(before->num_fewshot, before->fewshot_split, first), again->asked_by,
      describe(again->num_fewshot, again->fewshot_split, second));
}

static lrp_status add_task(lrp_task_set *set, const lrp_task_kind *kind, const wish *w) {
  lrp_task_choice choice = {.kind = kind, .fewshot_split = w->split, .asked_by = w->entry};
  if (kind->shots == LRP_SHOTS_NONE && w->shots > 0) {
    return lrp_fail(LRP_ERR_JOB,
                    "evaluate.tasks: '%s': num_fewshot %" PRId64
                    ": task %s has no solved examples; leave num_fewshot out",
                    w->entry, w->shots, kind->name);
  }
  if (kind->shots != LRP_SHOTS_NONE) {
    const int64_t standard = w->standard >= 0 ? w->standard : kind->num_fewshot;
    choice.num_fewshot = w->shots >= 0 ? w->shots : standard;
  }
  for (int t = 0; t < set->n_tasks; t++) {
    if (set->tasks[t].kind == kind) return check_again(&set->tasks[t], &choice);
  }
  set->tasks[set->n_tasks++] = choice;
  return LRP_OK;
}

static void add_group(lrp_task_set *set, const lrp_task_group *group) {
  for (int g = 0; g < set->n_groups; g++) {
    if (set->groups[g] == group) return;
  }
  set->groups[set->n_groups++] = group;
}

/* A task, or a group with its subgroups and all of its tasks. */
static lrp_status add_named(lrp_task_set *set, const char *name, const wish *w) {
  const lrp_task_group *group = lrp_task_group_find(name);
  lrp_status st = LRP_OK;
  int n;
  if (!group) return add_task(set, lrp_task_find(name), w);
  const lrp_task_group *groups = lrp_task_groups(&n);
  for (int g = 0; g < n; g++) {
    if (lrp_task_group_within(&groups[g], group)) add_group(set, &groups[g]);
  }
  const lrp_task_kind *kinds = lrp_task_kinds(&n);
  for (int k = 0; st == LRP_OK && k < n; k++) {
    if (lrp_task_group_within(kinds[k].group, group)) st = add_task(set, &kinds[k], w);
  }
  return st;
}

static lrp_status add_suite(lrp_task_set *set, const lrp_task_suite *suite, const wish *w) {
  lrp_status st = LRP_OK;
  if (w->shots >= 0) {
    return lrp_fail(LRP_ERR_JOB,
                    "evaluate.tasks: '%s': num_fewshot %" PRId64
                    ": a suite has its own shots; leave num_fewshot out, or name its tasks",
                    w->entry, w->shots);
  }
  set->suites[set->n_suites++] = suite;
  for (int i = 0; st == LRP_OK && i < lrp_suite_size(suite); i++) {
    const lrp_suite_member *m = &suite->members[i];
    const wish own = {
        .entry = w->entry, .shots = -1, .split = m->fewshot_split, .standard = m->num_fewshot};
    st = add_named(set, m->name, &own);
  }
  return st;
}

static lrp_status refuse_name(const char *name) {
  int n;
  const char *const *names = lrp_task_names(&n);
  const char *near = lrp_did_you_mean(name, names, n);
  return lrp_fail(LRP_ERR_JOB, "evaluate.tasks: unknown task '%s'%s%s%s", name,
                  near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

static lrp_status add_entry(lrp_task_set *set, const lrp_job *job, int i) {
  const char *name = job->evaluate.tasks[i];
  const wish w = {
      .entry = name, .shots = job->evaluate.task_shots[i], .standard = job->evaluate.num_fewshot};
  const lrp_task_suite *suite = lrp_suite_find(name);
  if (suite) return add_suite(set, suite, &w);
  if (lrp_task_find(name) || lrp_task_group_find(name)) return add_named(set, name, &w);
  return refuse_name(name);
}

lrp_status lrp_task_set_init(const lrp_job *job, lrp_task_set *set) {
  int n_kinds, n_groups, n_suites;
  lrp_task_kinds(&n_kinds);
  lrp_task_groups(&n_groups);
  lrp_suites(&n_suites);
  *set = (lrp_task_set){.tasks = calloc((size_t)n_kinds, sizeof *set->tasks),
                        .groups = calloc((size_t)n_groups, sizeof *set->groups),
                        .suites = calloc((size_t)n_suites, sizeof *set->suites)};
  lrp_status st = LRP_OK;
  if (!set->tasks || !set->groups || !set->suites) {
    st = lrp_fail_memory((size_t)n_kinds * sizeof *set->tasks, "the tasks of the job");
  }
  for (int i = 0; st == LRP_OK && i < job->evaluate.n_tasks; i++) st = add_entry(set, job, i);
  if (st != LRP_OK) lrp_task_set_free(set);
  return st;
}

void lrp_task_set_free(lrp_task_set *set) {
  free(set->tasks);
  free(set->groups);
  free(set->suites);
  *set = (lrp_task_set){0};
}
