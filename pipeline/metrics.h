/** @file pipeline/metrics.h
 *  Answers to requests -> values of documents -> metrics of tasks and groups with standard errors.
 */
#ifndef LRP_PIPELINE_METRICS_H
#define LRP_PIPELINE_METRICS_H

#include "pipeline/filters.h"
#include "pipeline/tasks.h"

/** Most metrics of a task. */
enum { LRP_METRICS = 3 };

/** How the values (x, weight) of documents become one number; sums are over documents. */
typedef enum {
  LRP_MEAN,                /* of x */
  LRP_PERPLEXITY,          /* exp(-mean of x) */
  LRP_WEIGHTED_PERPLEXITY, /* exp(-sum x / sum weight) */
  LRP_BITS_PER_BYTE,       /* -sum x / sum weight / ln 2 */
  LRP_NLL,                 /* -sum x / sum weight */
  LRP_TOTAL,               /* sum weight */
  LRP_F1,                  /* of class 1, from x = 2 * gold + prediction */
  LRP_MATTHEWS,            /* correlation, from the same */
  LRP_ACCURACY_AND_F1      /* the mean of both, from the same */
} lrp_aggregation;

/** What a metric says of one document. */
typedef struct {
  double x, weight;
} lrp_value;

typedef struct {
  const char *name; /* "acc" */
  lrp_aggregation aggregation;
  bool higher_is_better;
  /** From the log-likelihoods and greedy flags of the document's doc->n requests. x is NaN when out
   *  of memory (recorded). NULL: 1 if what filter finds in the text matches the target, else 0. */
  lrp_value (*of)(const lrp_doc *doc, const double *ll, const uint8_t *greedy);
  const lrp_filter *filter; /* of generated texts; or NULL */
} lrp_metric;

/** The metrics of a task kind. */
struct lrp_metrics {
  int n;
  lrp_metric metric[LRP_METRICS];
};

/** acc: 1 if the largest ll is that of gold, else 0. The lowest index wins ties. */
extern const lrp_metrics lrp_accuracy;
/** acc, and acc_norm and acc_bytes by ll per character and per UTF-8 byte of the choice; an empty
 *  choice never wins by length. */
extern const lrp_metrics lrp_accuracies;
/** acc: the share of the true choices in sum exp(ll). */
extern const lrp_metrics lrp_truth_mass;
/** perplexity of the one request, and acc: whether it is greedy. */
extern const lrp_metrics lrp_last_word;
/** word_perplexity, byte_perplexity, bits_per_byte. */
extern const lrp_metrics lrp_text_perplexities;
/** token_perplexity, nll_per_token, tokens. */
extern const lrp_metrics lrp_token_perplexities;

/** token_perplexity's of masked tokens: pseudo_perplexity, nll_per_token, tokens. */
extern const lrp_metrics lrp_pseudo_perplexities;
/** acc, f1, combined: the mean of both. Of two classes. */
extern const lrp_metrics lrp_accuracy_and_f1;
/** mcc: Matthews correlation. Of two classes. */
extern const lrp_metrics lrp_matthews;
/** exact_match and f1 of an answer to the best of the right ones, in percent (pipeline/squad.h). */
extern const lrp_metrics lrp_answers;

/** The answer that the windows of a document of LRP_SPANS give: the characters of the best one, the
 *  first of equal ones; "empty" if none has any. Local; freed by the caller; NULL: out of memory.
 *  @param values  of the document's requests */
char *lrp_doc_answer(const lrp_doc *doc, const double *values);

/** F1 of class 1, Matthews correlation or the mean of accuracy and F1, from count[2 * gold +
 *  prediction]; 0 where it is not defined. Local. */
double lrp_confusion_score(lrp_aggregation aggregation, const int64_t count[4]);

/** exact_match of what strict-match and flexible-extract find in a generated text. */
extern const lrp_metrics lrp_exact_matches;

/** Name of the metric's filter, "none" without one. Local. */
const char *lrp_metric_filter(const lrp_metric *metric);

/** "mean", "perplexity", ... as the harness calls it. Local. */
const char *lrp_aggregation_name(lrp_aggregation aggregation);

/** Whether values of this aggregation can have a standard error. Local. */
bool lrp_aggregation_has_error(lrp_aggregation aggregation);

/** A metric of a task or group. */
typedef struct {
  double value;   /* NaN if there is no document */
  double stderr_; /* NaN: none ("N/A"), as of less than two documents */
} lrp_estimate;

/** The answers to a task under a configuration, and what they amount to. */
typedef struct {
  const lrp_task *task;  /* borrowed */
  const double *ll;      /* borrowed, n_requests; NULL of LRP_GENERATE */
  const uint8_t *greedy; /* borrowed, n_requests; NULL of LRP_GENERATE */
  char *const *texts;    /* borrowed, n_requests: of LRP_GENERATE, what was generated; else NULL */
  lrp_estimate estimate[LRP_METRICS];
} lrp_scores;

/** Value of a metric of scores->task for a document of it. Local. */
lrp_value lrp_doc_value(const lrp_scores *scores, const lrp_metric *metric, const lrp_doc *doc);

/** Fill scores->estimate from the other members. Local. The standard error of a mean is sqrt(sum (x
 *  - mean)^2 / (n - 1)) / sqrt(n), that of LRP_PERPLEXITY and of confusion scores a bootstrap
 *  (pipeline/bootstrap.h; it takes a second or two for 5000 documents).
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_scores_estimate(lrp_scores *scores);

/** A group's documents and metrics, from those of its tasks. */
typedef struct {
  int64_t n_docs;
  const lrp_metrics *metrics; /* of its tasks; NULL if there are none */
  lrp_estimate estimate[LRP_METRICS];
} lrp_group_scores;

/** Scores of group from the n scores of all tasks, those of others included: means weighted by
 *  documents n_i, and sqrt(sum((n_i - 1) se_i^2 n_i) / (sum n_i - m) / sum n_i) of m tasks. Local.
 */
lrp_group_scores lrp_group_estimate(const lrp_task_group *group, const lrp_scores *scores, int n);

#endif
