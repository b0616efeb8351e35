/** @file pipeline/metrics.h
 *  Log-likelihoods of requests -> metrics of documents -> means with standard errors. */
#ifndef LRP_PIPELINE_METRICS_H
#define LRP_PIPELINE_METRICS_H

#include "pipeline/tasks.h"

/** acc, acc_norm (by characters), acc_bytes (by UTF-8 bytes). */
enum { LRP_METRIC_ACC, LRP_METRIC_ACC_NORM, LRP_METRIC_ACC_BYTES, LRP_METRICS };

/** "acc", "acc_norm", "acc_bytes". Local. */
const char *lrp_metric_name(int metric);

/** Number of metrics that a task reports: 1, or LRP_METRICS with has_norm. Local. */
int lrp_task_metrics(const lrp_task *task);

/** Metrics of one document from ll[doc->n], its requests' log-likelihoods: 1 if the largest ll, or
 *  ll per character, or ll per byte, is that of gold, else 0. Local. The lowest index wins ties; an
 *  empty choice never wins by length. */
void lrp_doc_metrics(const lrp_doc *doc, const double *ll, double values[LRP_METRICS]);

typedef struct {
  double mean,
      stderr_; /* sqrt(sum (x - mean)^2 / (n - 1)) / sqrt(n), NaN if n < 2; mean NaN if n = 0 */
} lrp_mean;

/** Means over all documents and their standard errors; ll are the log-likelihoods of all requests
 * of task. Local. Metrics that the task does not report (lrp_task_metrics) are filled, too. */
void lrp_task_means(const lrp_task *task, const double *ll, lrp_mean means[LRP_METRICS]);

#endif
