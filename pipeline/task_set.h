/** @file pipeline/task_set.h
 *  evaluate.tasks -> the tasks to evaluate, each with its shots: groups and suites spelled out. */
#ifndef LRP_PIPELINE_TASK_SET_H
#define LRP_PIPELINE_TASK_SET_H

#include "pipeline/job.h"
#include "pipeline/suites.h"

/** A task, as it is evaluated. */
typedef struct {
  const lrp_task_kind *kind;
  int64_t num_fewshot;
  const char *fewshot_split; /* borrowed: the split that shots are from; NULL: by its own rule */
  const char *asked_by;      /* borrowed from the job: the entry that named it first */
} lrp_task_choice;

typedef struct {
  lrp_task_choice *tasks; /* owned, n_tasks: in the order of the entries */
  int n_tasks;
  const lrp_task_group **groups; /* owned, n_groups: those named or in a suite, with subgroups */
  int n_groups;
  const lrp_task_suite **suites; /* owned, n_suites: those named */
  int n_suites;
} lrp_task_set;

/** The tasks of job. Local, deterministic. Shots of a task are those of its entry, else
 *  evaluate.num_fewshot, else the task's own number; a suite's are the suite's. A task that has
 * none (LRP_SHOTS_NONE) is evaluated without.
 *  @return LRP_OK; LRP_ERR_JOB for a name that is neither task, group nor suite (with "did you
 *          mean"), for an entry that asks for shots where there are none or of a suite, and for two
 *          entries that want one task with different shots; LRP_ERR_MEM. *set holds nothing then */
lrp_status lrp_task_set_init(const lrp_job *job, lrp_task_set *set);

/** Release everything and zero *set. Local; accepts a zeroed one. */
void lrp_task_set_free(lrp_task_set *set);

#endif
