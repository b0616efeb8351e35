#include "pipeline/document_values.h"

#include <math.h>
#include <stdlib.h>

#include "pipeline/choice_loss.h"

static const lrp_metric *first_metric(const lrp_task *task) {
  return &task->kind->metrics->metric[0];
}

/* ---- documents ---- */

static lrp_status allocate(lrp_documents *docs, int64_t n_docs, int n_headlines) {
  const size_t n = (size_t)n_docs, tasks = (size_t)docs->n_tasks;
  docs->first = calloc(tasks + 1, sizeof *docs->first);
  docs->has_loss = calloc(n + 1, sizeof *docs->has_loss);
  docs->scored = calloc(tasks + 1, sizeof *docs->scored);
  docs->member = calloc((size_t)n_headlines * tasks + 1, sizeof *docs->member);
  if (docs->first && docs->has_loss && docs->scored && docs->member) return LRP_OK;
  return lrp_fail_memory(n + (size_t)n_headlines * tasks, "the documents of the report");
}

static void note_task(lrp_documents *docs, int t, const lrp_task *task) {
  docs->first[t + 1] = docs->first[t] + task->n_docs;
  docs->scored[t] = lrp_metric_is_scored(first_metric(task));
  for (int64_t i = 0; i < task->n_docs; i++) {
    const bool has = lrp_doc_has_choice_loss(task->kind, &task->docs[i]);
    docs->has_loss[docs->first[t] + i] = has;
    docs->choice = docs->choice || has;
  }
}

static void note_entry(lrp_documents *docs, const lrp_headline *headline, const lrp_task *tasks) {
  bool *member = docs->member + (size_t)docs->n_entries * (size_t)docs->n_tasks;
  if (!lrp_metric_is_scored(headline->metric)) return;
  for (int t = 0; t < docs->n_tasks; t++) member[t] = lrp_headline_has(headline, tasks[t].kind);
  docs->n_entries++;
}

lrp_status lrp_documents_init(lrp_documents *out, const lrp_task *tasks, int n_tasks,
                              const lrp_headline *headlines, int n) {
  int64_t n_docs = 0;
  *out = (lrp_documents){.n_tasks = n_tasks};
  for (int t = 0; t < n_tasks; t++) n_docs += tasks[t].n_docs;
  const lrp_status st = allocate(out, n_docs, n);
  if (st != LRP_OK) return st;
  for (int t = 0; t < n_tasks; t++) note_task(out, t, &tasks[t]);
  for (int h = 0; h < n; h++) note_entry(out, &headlines[h], tasks);
  for (int t = 0; !out->choice && t < n_tasks; t++) {
    for (int64_t i = out->first[t]; i < out->first[t + 1]; i++) out->has_loss[i] = out->scored[t];
  }
  return LRP_OK;
}

void lrp_documents_free(lrp_documents *docs) {
  free(docs->first);
  free(docs->has_loss);
  free(docs->scored);
  free(docs->member);
  *docs = (lrp_documents){0};
}

int64_t lrp_documents_count(const lrp_documents *docs) {
  return docs->first[docs->n_tasks];
}

/* Whether document i of task t is in half. */
static bool is_in(const lrp_documents *docs, int t, int64_t i, lrp_half half) {
  return half & ((i - docs->first[t]) % 2 == 0 ? LRP_EVEN : LRP_ODD);
}

int64_t lrp_documents_losses(const lrp_documents *docs, lrp_half half) {
  int64_t n = 0;
  for (int t = 0; t < docs->n_tasks; t++) {
    for (int64_t i = docs->first[t]; i < docs->first[t + 1]; i++) {
      n += docs->has_loss[i] && is_in(docs, t, i, half);
    }
  }
  return n;
}

/* ---- values ---- */

static double loss_of(const lrp_documents *docs, const lrp_scores *scores, const lrp_doc *doc,
                      double score) {
  if (!docs->choice) return 1.0 - score;
  return lrp_choice_loss(scores->ll + doc->first, doc->n, doc->gold, doc->truth);
}

lrp_status lrp_documents_values(const lrp_documents *docs, const lrp_scores *scores, double *loss,
                                double *score) {
  for (int t = 0; t < docs->n_tasks; t++) {
    const lrp_task *task = scores[t].task;
    const lrp_metric *metric = first_metric(task);
    const double full = lrp_metric_full(task->kind, metric);
    for (int64_t d = 0; d < task->n_docs; d++) {
      const lrp_doc *doc = &task->docs[d];
      const int64_t i = docs->first[t] + d;
      score[i] = docs->scored[t] ? lrp_doc_value(&scores[t], metric, doc).x / full : 0.0;
      if (isnan(score[i])) return LRP_ERR_MEM;
      loss[i] = docs->has_loss[i] ? loss_of(docs, &scores[t], doc, score[i]) : 0.0;
    }
  }
  return LRP_OK;
}

/* ---- means ---- */

lrp_estimate lrp_mean_loss(const lrp_documents *docs, const double *x, lrp_half half) {
  const double n = (double)lrp_documents_losses(docs, half);
  double sum = 0.0, squares = 0.0;
  for (int t = 0; t < docs->n_tasks; t++) {
    for (int64_t i = docs->first[t]; i < docs->first[t + 1]; i++) {
      if (docs->has_loss[i] && is_in(docs, t, i, half)) sum += x[i];
    }
  }
  const double mean = sum / n;
  for (int t = 0; t < docs->n_tasks; t++) {
    for (int64_t i = docs->first[t]; i < docs->first[t + 1]; i++) {
      if (docs->has_loss[i] && is_in(docs, t, i, half)) squares += (x[i] - mean) * (x[i] - mean);
    }
  }
  return (lrp_estimate){mean, n > 1.0 ? sqrt(squares / (n - 1.0)) / sqrt(n) : NAN};
}

/* What documents of a task, or of several, add up to. */
typedef struct {
  double n, sum, squares; /* squares: around the mean of each task */
  double tasks;           /* that have documents */
} moments;

static moments of_task(const lrp_documents *docs, int t, const double *x, lrp_half half) {
  moments m = {0};
  for (int64_t i = docs->first[t]; i < docs->first[t + 1]; i++) {
    if (!is_in(docs, t, i, half)) continue;
    m.n += 1.0;
    m.sum += x[i];
  }
  const double mean = m.sum / m.n;
  for (int64_t i = docs->first[t]; i < docs->first[t + 1]; i++) {
    if (is_in(docs, t, i, half)) m.squares += (x[i] - mean) * (x[i] - mean);
  }
  m.tasks = m.n > 0.0 ? 1.0 : 0.0;
  return m;
}

static lrp_estimate of_entry(const lrp_documents *docs, int e, const double *x, lrp_half half) {
  const bool *member = docs->member + (size_t)e * (size_t)docs->n_tasks;
  moments all = {0};
  for (int t = 0; t < docs->n_tasks; t++) {
    if (!member[t]) continue;
    const moments m = of_task(docs, t, x, half);
    all.n += m.n;
    all.sum += m.sum;
    all.squares += m.squares;
    all.tasks += m.tasks;
  }
  const double free = all.n - all.tasks; /* degrees of freedom */
  return (lrp_estimate){all.sum / all.n, free > 0.0 ? sqrt(all.squares / free) / sqrt(all.n) : NAN};
}

lrp_estimate lrp_mean_score(const lrp_documents *docs, const double *x, lrp_half half) {
  double sum = 0.0, squares = 0.0;
  for (int e = 0; e < docs->n_entries; e++) {
    const lrp_estimate entry = of_entry(docs, e, x, half);
    sum += entry.value;
    squares += entry.stderr_ * entry.stderr_;
  }
  const double n = (double)docs->n_entries;
  return (lrp_estimate){sum / n, sqrt(squares) / n};
}
