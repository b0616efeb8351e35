#include "pipeline/headline.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/json_number.h"

bool lrp_headline_has(const lrp_headline *headline, const lrp_task_kind *kind) {
  if (headline->group) return lrp_task_group_within(kind->group, headline->group);
  return strcmp(kind->name, headline->name) == 0;
}

bool lrp_metric_is_scored(const lrp_metric *metric) {
  return metric->aggregation == LRP_MEAN && metric->higher_is_better;
}

double lrp_metric_full(const lrp_task_kind *kind, const lrp_metric *metric) {
  switch (metric->aggregation) {
    case LRP_MEAN:
      return kind->output == LRP_SPANS ? 100.0 : 1.0;
    case LRP_F1:
    case LRP_MATTHEWS:
    case LRP_ACCURACY_AND_F1:
      return 1.0;
    case LRP_PERPLEXITY:
    case LRP_WEIGHTED_PERPLEXITY:
    case LRP_BITS_PER_BYTE:
    case LRP_NLL:
    case LRP_TOTAL:
      break;
  }
  return NAN;
}

/* What a guess among the choices of a document is worth. */
static double chance_of(const lrp_task_kind *kind, const lrp_doc *doc) {
  int right = 0;
  if (kind->metrics->metric[0].aggregation != LRP_MEAN) return NAN;
  if (kind->output == LRP_CLASSES) return 1.0 / lrp_task_label_count(kind);
  if (kind->output != LRP_MULTIPLE_CHOICE) return NAN;
  for (int c = 0; c < doc->n; c++) right += doc->truth ? doc->truth[c] : c == doc->gold;
  return (double)right / doc->n;
}

/* Documents, metric and chance of the tasks that a headline has. */
static void complete(lrp_headline *h, const lrp_study *study) {
  double chance = 0.0;
  for (int t = 0; t < study->n_tasks; t++) {
    const lrp_task *task = &study->tasks[t];
    if (!lrp_headline_has(h, task->kind)) continue;
    h->metric = &task->kind->metrics->metric[0];
    h->full = lrp_metric_full(task->kind, h->metric);
    h->n_docs += task->n_docs;
    for (int64_t i = 0; i < task->n_docs; i++) chance += chance_of(task->kind, &task->docs[i]);
  }
  h->chance = chance / (double)h->n_docs;
}

static void add(lrp_headline *headlines, int *n, const lrp_study *study, const char *name) {
  for (int i = 0; i < *n; i++) {
    if (strcmp(headlines[i].name, name) == 0) return;
  }
  lrp_headline h = {.name = name, .group = lrp_task_group_find(name)};
  complete(&h, study);
  if (h.metric) headlines[(*n)++] = h;
}

lrp_status lrp_headlines(const lrp_study *study, lrp_headline **out, int *n) {
  const int entries = study->job.evaluate.n_tasks;
  const size_t bytes = ((size_t)entries * LRP_SUITE_MEMBERS + 1) * sizeof **out;
  *n = 0;
  *out = malloc(bytes);
  if (!*out) return lrp_fail_memory(bytes, "the tasks of the report");
  for (int i = 0; i < entries; i++) {
    const char *name = study->job.evaluate.tasks[i];
    const lrp_task_suite *suite = lrp_suite_find(name);
    if (!suite) add(*out, n, study, name);
    for (int m = 0; suite && m < lrp_suite_size(suite); m++) {
      add(*out, n, study, suite->members[m].name);
    }
  }
  return LRP_OK;
}

json_t *lrp_headlines_json(const lrp_headline *headlines, int n) {
  json_t *list = json_array();
  bool ok = list;
  for (int i = 0; ok && i < n; i++) {
    const lrp_headline *h = &headlines[i];
    const lrp_filter *filter = h->metric->filter;
    char metric[64];
    snprintf(metric, sizeof metric, "%s%s%s", h->metric->name, filter ? "/" : "",
             filter ? filter->name : "");
    ok = json_array_append_new(
             list, json_pack("{s:s, s:s, s:I, s:o, s:o, s:b}", "name", h->name, "metric", metric,
                             "documents", (json_int_t)h->n_docs, "chance",
                             lrp_json_number(h->chance), "full", lrp_json_number(h->full),
                             "higher_is_better", h->metric->higher_is_better)) == 0;
  }
  if (ok) return list;
  json_decref(list);
  return NULL;
}
