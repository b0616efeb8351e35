#include "pipeline/metrics.h"

#include <math.h>

static const char *const names[LRP_METRICS] = {"acc", "acc_norm", "acc_bytes"};

const char *lrp_metric_name(int metric) {
  return names[metric];
}

int lrp_task_metrics(const lrp_task *task) {
  return task->kind->has_norm ? LRP_METRICS : 1;
}

/* Log-likelihood per unit of length. An empty choice never wins, as in the harness (ll / 0). */
static double per_length(double ll, int64_t length) {
  return length > 0 ? ll / (double)length : -INFINITY;
}

/* Index of the largest ll[c], or ll[c] / lengths[c]; the lowest one wins ties. */
static int argmax(const double *ll, const int64_t *lengths, int n) {
  int best = 0;
  double best_value = -INFINITY;
  for (int c = 0; c < n; c++) {
    const double value = lengths ? per_length(ll[c], lengths[c]) : ll[c];
    if (c > 0 && !(value > best_value)) continue;
    best = c;
    best_value = value;
  }
  return best;
}

void lrp_doc_metrics(const lrp_doc *doc, const double *ll, double values[LRP_METRICS]) {
  const int64_t *lengths[LRP_METRICS] = {NULL, doc->chars, doc->bytes};
  for (int m = 0; m < LRP_METRICS; m++) {
    values[m] = argmax(ll, lengths[m], doc->n) == doc->gold ? 1.0 : 0.0;
  }
}

void lrp_task_means(const lrp_task *task, const double *ll, lrp_mean means[LRP_METRICS]) {
  const double n = (double)task->n_docs;
  double sum[LRP_METRICS] = {0}, squares[LRP_METRICS] = {0}, values[LRP_METRICS];

  for (int64_t i = 0; i < task->n_docs; i++) {
    lrp_doc_metrics(&task->docs[i], ll + task->docs[i].first, values);
    for (int m = 0; m < LRP_METRICS; m++) sum[m] += values[m];
  }
  for (int64_t i = 0; i < task->n_docs; i++) {
    lrp_doc_metrics(&task->docs[i], ll + task->docs[i].first, values);
    for (int m = 0; m < LRP_METRICS; m++) {
      const double d = values[m] - sum[m] / n;
      squares[m] += d * d;
    }
  }
  for (int m = 0; m < LRP_METRICS; m++) {
    means[m].mean = n > 0 ? sum[m] / n : NAN;
    means[m].stderr_ = n > 1 ? sqrt(squares[m] / (n - 1)) / sqrt(n) : NAN;
  }
}
