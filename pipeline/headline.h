/** @file pipeline/headline.h
 *  What a job names - tasks, groups, members of suites - each with its first metric, the one that
 *  the trade-off is about. */
#ifndef LRP_PIPELINE_HEADLINE_H
#define LRP_PIPELINE_HEADLINE_H

#include <jansson.h>

#include "pipeline/metrics.h"
#include "pipeline/study.h"

typedef struct {
  const char *name;            /* borrowed: of a task or group */
  const lrp_task_group *group; /* NULL: a task */
  const lrp_metric *metric;    /* the first one */
  int64_t n_docs;
  double full;   /* the metric's best value: 1, 100 of percents; NaN: none */
  double chance; /* what guessing gives on average; NaN: not known */
} lrp_headline;

/** The headlines of study, *n of them, each name once, in the order of the job; freed by the
 *  caller. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_headlines(const lrp_study *study, lrp_headline **out, int *n);

/** Whether a task is, or is within, the headline. Local. */
bool lrp_headline_has(const lrp_headline *headline, const lrp_task_kind *kind);

/** Whether the headline counts in the score: a mean over documents, the higher the better. Local.
 */
bool lrp_metric_is_scored(const lrp_metric *metric);

/** Best value of a metric of a task: 1, or 100 of percents; NaN where there is none. Local. */
double lrp_metric_full(const lrp_task_kind *kind, const lrp_metric *metric);

/** [{"name", "metric", "documents", "chance", "full", "higher_is_better"}, ...]: the column of a
 *  headline is <name>/<metric>, the metric with its filter. Local. A new reference, or NULL when
 * out of memory. */
json_t *lrp_headlines_json(const lrp_headline *headlines, int n);

#endif
