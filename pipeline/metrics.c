#include "pipeline/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "pipeline/bootstrap.h"
#include "pipeline/python_text.h"
#include "pipeline/squad.h"

/* ---- values of documents ---- */

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

static lrp_value right(const lrp_doc *doc, const double *ll, const int64_t *lengths) {
  return (lrp_value){argmax(ll, lengths, doc->n) == doc->gold ? 1.0 : 0.0, 1.0};
}

static lrp_value acc(const lrp_doc *doc, const double *ll, const uint8_t *greedy) {
  (void)greedy;
  return right(doc, ll, NULL);
}

static lrp_value acc_norm(const lrp_doc *doc, const double *ll, const uint8_t *greedy) {
  (void)greedy;
  return right(doc, ll, doc->chars);
}

static lrp_value acc_bytes(const lrp_doc *doc, const double *ll, const uint8_t *greedy) {
  (void)greedy;
  return right(doc, ll, doc->bytes);
}

/* exp(ll - max): the likelihoods themselves are too small for a double. */
static lrp_value truth_mass(const lrp_doc *doc, const double *ll, const uint8_t *greedy) {
  const double most = ll[argmax(ll, NULL, doc->n)];
  double all = 0.0, truth = 0.0;
  (void)greedy;
  for (int c = 0; c < doc->n; c++) {
    const double p = exp(ll[c] - most);
    all += p;
    if (doc->truth[c]) truth += p;
  }
  return (lrp_value){truth / all, 1.0};
}

static lrp_value first_ll(const lrp_doc *doc, const double *ll, const uint8_t *greedy) {
  (void)doc;
  (void)greedy;
  return (lrp_value){ll[0], 1.0};
}

static lrp_value first_greedy(const lrp_doc *doc, const double *ll, const uint8_t *greedy) {
  (void)doc;
  (void)ll;
  return (lrp_value){greedy[0] ? 1.0 : 0.0, 1.0};
}

static double total(const lrp_doc *doc, const double *ll) {
  double sum = 0.0;
  for (int w = 0; w < doc->n; w++) sum += ll[w];
  return sum;
}

static lrp_value per_word(const lrp_doc *doc, const double *ll, const uint8_t *greedy) {
  (void)greedy;
  return (lrp_value){total(doc, ll), (double)doc->words};
}

static lrp_value per_byte(const lrp_doc *doc, const double *ll, const uint8_t *greedy) {
  (void)greedy;
  return (lrp_value){total(doc, ll), (double)doc->text_bytes};
}

static lrp_value per_token(const lrp_doc *doc, const double *ll, const uint8_t *greedy) {
  (void)greedy;
  return (lrp_value){total(doc, ll), (double)doc->scored_tokens};
}

static lrp_value confusion(const lrp_doc *doc, const double *ll, const uint8_t *greedy) {
  (void)greedy;
  return (lrp_value){2.0 * doc->gold + argmax(ll, NULL, doc->n), 1.0};
}

char *lrp_doc_answer(const lrp_doc *doc, const double *values) {
  const char *context = json_string_value(json_object_get(doc->shown, "context"));
  const double *best = NULL;
  for (int w = 0; w < doc->n; w += LRP_SPAN_VALUES) {
    const double *window = values + w;
    if (window[LRP_SPAN_FIRST] < 0.0) continue;
    if (!best || window[LRP_SPAN_SCORE] > best[LRP_SPAN_SCORE]) best = window;
  }
  if (!best || !context) return lrp_text_format("empty");
  const size_t first = lrp_text_skip(context, (int64_t)best[LRP_SPAN_FIRST]);
  const int64_t length = (int64_t)(best[LRP_SPAN_END] - best[LRP_SPAN_FIRST]);
  return lrp_text_format("%.*s", (int)lrp_text_skip(context + first, length), context + first);
}

/* The best score of the answer against the right ones, in percent. */
static lrp_value best_answer(const lrp_doc *doc, const double *values,
                             double (*score)(const char *prediction, const char *gold)) {
  const json_t *golds = json_object_get(json_object_get(doc->shown, "answers"), "text");
  char *answer = lrp_doc_answer(doc, values);
  char *prediction = answer ? lrp_squad_normalized(answer) : NULL;
  double best = prediction ? 0.0 : NAN;
  for (size_t i = 0; !isnan(best) && i < json_array_size(golds); i++) {
    char *gold = lrp_squad_normalized(json_string_value(json_array_get(golds, i)));
    best = gold ? fmax(best, score(prediction, gold)) : NAN;
    free(gold);
  }
  free(prediction);
  free(answer);
  return (lrp_value){100.0 * best, 1.0};
}

static lrp_value exact_match(const lrp_doc *doc, const double *ll, const uint8_t *greedy) {
  (void)greedy;
  return best_answer(doc, ll, lrp_squad_exact);
}

static lrp_value answer_f1(const lrp_doc *doc, const double *ll, const uint8_t *greedy) {
  (void)greedy;
  return best_answer(doc, ll, lrp_squad_f1);
}

/* ---- tables ---- */

const lrp_metrics lrp_accuracy = {1, {{"acc", LRP_MEAN, true, acc, NULL}}};

const lrp_metrics lrp_accuracies = {3,
                                    {{"acc", LRP_MEAN, true, acc, NULL},
                                     {"acc_norm", LRP_MEAN, true, acc_norm, NULL},
                                     {"acc_bytes", LRP_MEAN, true, acc_bytes, NULL}}};

const lrp_metrics lrp_truth_mass = {1, {{"acc", LRP_MEAN, true, truth_mass, NULL}}};

const lrp_metrics lrp_last_word = {2,
                                   {{"perplexity", LRP_PERPLEXITY, false, first_ll, NULL},
                                    {"acc", LRP_MEAN, true, first_greedy, NULL}}};

const lrp_metrics lrp_text_perplexities = {
    3,
    {{"word_perplexity", LRP_WEIGHTED_PERPLEXITY, false, per_word, NULL},
     {"byte_perplexity", LRP_WEIGHTED_PERPLEXITY, false, per_byte, NULL},
     {"bits_per_byte", LRP_BITS_PER_BYTE, false, per_byte, NULL}}};

const lrp_metrics lrp_token_perplexities = {
    3,
    {{"token_perplexity", LRP_WEIGHTED_PERPLEXITY, false, per_token, NULL},
     {"nll_per_token", LRP_NLL, false, per_token, NULL},
     {"tokens", LRP_TOTAL, true, per_token, NULL}}};

const lrp_metrics lrp_pseudo_perplexities = {
    3,
    {{"pseudo_perplexity", LRP_WEIGHTED_PERPLEXITY, false, per_token, NULL},
     {"nll_per_token", LRP_NLL, false, per_token, NULL},
     {"tokens", LRP_TOTAL, true, per_token, NULL}}};

const lrp_metrics lrp_accuracy_and_f1 = {
    3,
    {{"acc", LRP_MEAN, true, acc, NULL},
     {"f1", LRP_F1, true, confusion, NULL},
     {"combined", LRP_ACCURACY_AND_F1, true, confusion, NULL}}};

const lrp_metrics lrp_matthews = {1, {{"mcc", LRP_MATTHEWS, true, confusion, NULL}}};

const lrp_metrics lrp_answers = {
    2,
    {{"exact_match", LRP_MEAN, true, exact_match, NULL}, {"f1", LRP_MEAN, true, answer_f1, NULL}}};

const lrp_metrics lrp_exact_matches = {
    2,
    {{"exact_match", LRP_MEAN, true, NULL, &lrp_strict_match},
     {"exact_match", LRP_MEAN, true, NULL, &lrp_flexible_extract}}};

const char *lrp_metric_filter(const lrp_metric *metric) {
  return metric->filter ? metric->filter->name : "none";
}

const char *lrp_aggregation_name(lrp_aggregation aggregation) {
  static const char *const names[] = {
      [LRP_MEAN] = "mean",
      [LRP_PERPLEXITY] = "perplexity",
      [LRP_WEIGHTED_PERPLEXITY] = "weighted_perplexity",
      [LRP_BITS_PER_BYTE] = "bits_per_byte",
      [LRP_NLL] = "nll",
      [LRP_TOTAL] = "total",
      [LRP_F1] = "f1",
      [LRP_MATTHEWS] = "matthews_corrcoef",
      [LRP_ACCURACY_AND_F1] = "mean_of_acc_and_f1",
  };
  return names[aggregation];
}

static bool of_confusion(lrp_aggregation aggregation) {
  return aggregation == LRP_F1 || aggregation == LRP_MATTHEWS || aggregation == LRP_ACCURACY_AND_F1;
}

bool lrp_aggregation_has_error(lrp_aggregation aggregation) {
  return aggregation == LRP_MEAN || aggregation == LRP_PERPLEXITY || of_confusion(aggregation);
}

/* ---- from documents to tasks ---- */

static double sum_of(const double *x, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += x[i];
  return sum;
}

static double error_of_mean(const double *x, int64_t n) {
  const double mean = sum_of(x, n) / (double)n;
  double squares = 0.0;
  for (int64_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
  return n > 1 ? sqrt(squares / (double)(n - 1)) / sqrt((double)n) : NAN;
}

static lrp_status perplexity(const double *x, int64_t n, lrp_estimate *out) {
  out->value = exp(-sum_of(x, n) / (double)n);
  return lrp_bootstrap_perplexity(x, n, LRP_BOOTSTRAP_REPLICATES, &out->stderr_);
}

static double ratio_or_zero(double a, double b) {
  return b > 0.0 ? a / b : 0.0;
}

double lrp_confusion_score(lrp_aggregation aggregation, const int64_t count[4]) {
  const double tn = (double)count[0], fp = (double)count[1];
  const double fn = (double)count[2], tp = (double)count[3];
  const double accuracy = ratio_or_zero(tp + tn, tp + tn + fp + fn);
  const double f1 = ratio_or_zero(2.0 * tp, 2.0 * tp + fp + fn);
  if (aggregation == LRP_F1) return f1;
  if (aggregation == LRP_ACCURACY_AND_F1) return 0.5 * (accuracy + f1);
  return ratio_or_zero(tp * tn - fp * fn, sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)));
}

static double f1_of(const int64_t count[4]) {
  return lrp_confusion_score(LRP_F1, count);
}

static double matthews_of(const int64_t count[4]) {
  return lrp_confusion_score(LRP_MATTHEWS, count);
}

static double combined_of(const int64_t count[4]) {
  return lrp_confusion_score(LRP_ACCURACY_AND_F1, count);
}

static lrp_status from_confusion(double (*score)(const int64_t count[4]), const double *x,
                                 int64_t n, lrp_estimate *out) {
  int64_t count[4] = {0};
  for (int64_t i = 0; i < n; i++) count[(int)x[i]]++;
  out->value = score(count);
  return lrp_bootstrap_confusion(x, n, LRP_BOOTSTRAP_REPLICATES, score, &out->stderr_);
}

/* x, n values with the sum of their weights -> one number. */
static lrp_status aggregate(lrp_aggregation aggregation, const double *x, int64_t n, double weight,
                            lrp_estimate *out) {
  const double sum = sum_of(x, n), nll = -sum / weight;

  *out = (lrp_estimate){NAN, NAN};
  if (n == 0) return LRP_OK;
  switch (aggregation) {
    case LRP_MEAN:
      *out = (lrp_estimate){sum / (double)n, error_of_mean(x, n)};
      break;
    case LRP_PERPLEXITY:
      return perplexity(x, n, out);
    case LRP_WEIGHTED_PERPLEXITY:
      out->value = exp(nll);
      break;
    case LRP_BITS_PER_BYTE:
      out->value = nll / log(2.0);
      break;
    case LRP_NLL:
      out->value = nll;
      break;
    case LRP_TOTAL:
      out->value = weight;
      break;
    case LRP_F1:
      return from_confusion(f1_of, x, n, out);
    case LRP_MATTHEWS:
      return from_confusion(matthews_of, x, n, out);
    case LRP_ACCURACY_AND_F1:
      return from_confusion(combined_of, x, n, out);
  }
  return LRP_OK;
}

/* Whether the filter finds the target in a generated text. */
static lrp_value found(const lrp_filter *filter, const lrp_doc *doc, const char *text) {
  char *answer = lrp_filter_apply(filter, text);
  const double match = answer ? lrp_answer_match(answer, doc->target) : NAN;
  free(answer);
  return (lrp_value){match, 1.0};
}

lrp_value lrp_doc_value(const lrp_scores *scores, const lrp_metric *metric, const lrp_doc *doc) {
  if (!metric->of) return found(metric->filter, doc, scores->texts[doc->first]);
  return metric->of(doc, scores->ll + doc->first, scores->greedy + doc->first);
}

lrp_status lrp_scores_estimate(lrp_scores *scores) {
  const lrp_task *task = scores->task;
  const lrp_metrics *metrics = task->kind->metrics;
  const size_t bytes = ((size_t)task->n_docs + 1) * sizeof(double);
  double *x = malloc(bytes);
  lrp_status st = x ? LRP_OK : lrp_fail_memory(bytes, "the values of documents");

  for (int m = 0; m < metrics->n && st == LRP_OK; m++) {
    const lrp_metric *metric = &metrics->metric[m];
    double weight = 0.0;
    for (int64_t i = 0; st == LRP_OK && i < task->n_docs; i++) {
      const lrp_value value = lrp_doc_value(scores, metric, &task->docs[i]);
      if (isnan(value.x)) st = LRP_ERR_MEM;
      x[i] = value.x;
      weight += value.weight;
    }
    if (st != LRP_OK) break;
    st = aggregate(metric->aggregation, x, task->n_docs, weight, &scores->estimate[m]);
  }
  free(x);
  return st;
}

/* ---- from tasks to groups ---- */

static lrp_estimate pool(const lrp_task_group *group, int m, const lrp_scores *scores, int n) {
  double docs = 0.0, sum = 0.0, squares = 0.0, tasks = 0.0;
  for (int t = 0; t < n; t++) {
    const lrp_estimate e = scores[t].estimate[m];
    const double size = (double)scores[t].task->n_docs;
    if (!lrp_task_group_within(scores[t].task->kind->group, group)) continue;
    tasks += 1.0;
    docs += size;
    sum += size * e.value;
    squares += (size - 1) * e.stderr_ * e.stderr_ * size;
  }
  return (lrp_estimate){sum / docs, sqrt(squares / (docs - tasks) / docs)};
}

lrp_group_scores lrp_group_estimate(const lrp_task_group *group, const lrp_scores *scores, int n) {
  lrp_group_scores result = {0};
  for (int t = 0; t < n; t++) {
    if (!lrp_task_group_within(scores[t].task->kind->group, group)) continue;
    result.metrics = scores[t].task->kind->metrics;
    result.n_docs += scores[t].task->n_docs;
  }
  for (int m = 0; result.metrics && m < result.metrics->n; m++) {
    result.estimate[m] = pool(group, m, scores, n);
  }
  return result;
}
