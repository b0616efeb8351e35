/* A row of the trade-off, and the files of its configuration. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "pipeline/report_parts.h"
#include "pipeline/results.h"

static lrp_size size_of(const lrp_study *study, int c) {
  return lrp_plan_size(
      &study->model.config, study->job.decompose.method, study->plan.configurations[c].rank,
      lrp_dtype_size(lrp_model_dtype(&study->model)), lrp_dtype_size(study->store_dtype));
}

static json_t *size_json(const lrp_size *size) {
  return json_pack("{s:I, s:I, s:f, s:I, s:I}", "parameters", (json_int_t)size->parameters,
                   "parameters_dense", (json_int_t)size->parameters_dense, "reduction_percent",
                   size->reduction_percent, "bytes", (json_int_t)size->bytes, "flops_per_token",
                   (json_int_t)size->flops_per_token);
}

/* A metric: JSON has neither infinity nor NaN. */
static json_t *number_or_null(double x) {
  if (isfinite(x)) return json_real(x);
  return isnan(x) ? json_null() : json_string(x > 0 ? "inf" : "-inf");
}

/* "<name>/<metric>": value, "<name>/<metric>_stderr": value, ... in the order of columns; with
 * filters "<name>/<metric>/<filter>". */
static void add_columns(json_t *columns, const char *name, const lrp_metrics *metrics,
                        const lrp_estimate *estimates) {
  char key[128];
  for (int m = 0; m < metrics->n; m++) {
    const lrp_metric *metric = &metrics->metric[m];
    if (metric->aggregation == LRP_TOTAL) continue; /* a size, no score */
    const int length =
        snprintf(key, sizeof key, "%s/%s%s%s", name, metric->name, metric->filter ? "/" : "",
                 metric->filter ? metric->filter->name : "");
    json_object_set_new(columns, key, number_or_null(estimates[m].value));
    if (!lrp_aggregation_has_error(metric->aggregation)) continue;
    snprintf(key + length, sizeof key - (size_t)length, "_stderr");
    json_object_set_new(columns, key, number_or_null(estimates[m].stderr_));
  }
}

static void add_group_columns(json_t *columns, const lrp_study *study, const lrp_task_group *group,
                              const lrp_scores *scores) {
  for (int g = 0; g < study->set.n_groups; g++) {
    const lrp_task_group *member = study->set.groups[g];
    if (!lrp_task_group_within(member, group)) continue;
    const lrp_group_scores pooled = lrp_group_estimate(member, scores, study->n_tasks);
    add_columns(columns, member->name, pooled.metrics, pooled.estimate);
  }
}

/* Columns of a task, or of a group with its subgroups, but not of all its tasks. */
static void add_named_columns(json_t *columns, const lrp_study *study, const char *name,
                              const lrp_scores *scores) {
  const lrp_task_group *group = lrp_task_group_find(name);
  if (group) add_group_columns(columns, study, group, scores);
  for (int t = 0; t < study->n_tasks; t++) {
    const lrp_task_kind *kind = study->tasks[t].kind;
    if (strcmp(kind->name, name) != 0) continue;
    add_columns(columns, name, kind->metrics, scores[t].estimate);
  }
}

/* Columns of the members, and the average. */
static void add_suite_columns(json_t *columns, const lrp_study *study, const lrp_task_suite *suite,
                              const lrp_scores *scores) {
  char key[128];
  for (int i = 0; i < lrp_suite_size(suite); i++) {
    add_named_columns(columns, study, suite->members[i].name, scores);
  }
  snprintf(key, sizeof key, "%s/average", suite->name);
  json_object_set_new(columns, key,
                      number_or_null(lrp_suite_average(suite, scores, study->n_tasks)));
}

/* Columns of what the job names. */
static json_t *metrics_json(const lrp_study *study, const lrp_scores *scores) {
  json_t *columns = json_object();
  for (int i = 0; i < study->job.evaluate.n_tasks; i++) {
    const char *name = study->job.evaluate.tasks[i];
    const lrp_task_suite *suite = lrp_suite_find(name);
    if (suite) {
      add_suite_columns(columns, study, suite, scores);
    } else {
      add_named_columns(columns, study, name, scores);
    }
  }
  return columns;
}

/* results.json and samples of configuration c. */
static lrp_status write_configuration(const lrp_study *study, lrp_scorebook *book, int c,
                                      const lrp_scores *scores, const json_t *size,
                                      const json_t *provenance) {
  const char *name = study->plan.configurations[c].name;
  char *dir = lrp_path_join(study->job.output, name);
  double seconds = 0.0;
  lrp_status st = dir ? lrp_make_directory(dir) : LRP_ERR_MEM;
  for (int t = 0; t < study->n_tasks; t++) {
    seconds += lrp_scorebook_effort(book, c * study->n_tasks + t).seconds;
  }
  const lrp_results_info info = {
      .configuration = name,
      .model = study->job.model,
      .max_length = study->max_length,
      .limit = study->job.evaluate.limit,
      .dtype = lrp_dtype_name(study->eval_dtype),
      .bos = study->tokenizer ? lrp_tokenizer_bos_text(study->tokenizer) : NULL,
      .seconds = seconds,
      .provenance = provenance,
      .size = size,
      .groups = study->set.groups,
      .n_groups = study->set.n_groups,
      .suites = study->set.suites,
      .n_suites = study->set.n_suites,
  };
  if (st == LRP_OK) st = lrp_results_write(dir, &info, scores, study->n_tasks);
  for (int t = 0; st == LRP_OK && study->job.evaluate.log_samples && t < study->n_tasks; t++) {
    st = lrp_samples_write(dir, &scores[t]);
  }
  free(dir);
  return st;
}

lrp_status lrp_report_row(const lrp_report_source *source, int c, const lrp_scores *scores,
                          json_t **row) {
  const lrp_study *study = source->study;
  const lrp_size size = size_of(study, c);
  json_t *shown = size_json(&size), *metrics = NULL;
  lrp_status st = LRP_OK;

  *row = json_pack("{s:s}", "configuration", study->plan.configurations[c].name);
  json_object_update(*row, shown);
  if (scores) {
    metrics = metrics_json(study, scores);
    json_object_update(*row, metrics);
    st = write_configuration(study, source->book, c, scores, shown, source->provenance);
  }
  json_decref(metrics);
  json_decref(shown);
  return lrp_json_checked(st); /* a column that is missing has no other sign */
}
