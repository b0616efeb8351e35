/** @file pipeline/document_values.h
 *  What a configuration made of each document, and means of it over all documents or half of them.
 *
 *  Documents of all tasks stand one behind the other. Differences of two configurations are
 *  differences of two arrays, document by document: their means are far better known than those of
 *  either. */
#ifndef LRP_PIPELINE_DOCUMENT_VALUES_H
#define LRP_PIPELINE_DOCUMENT_VALUES_H

#include "pipeline/headline.h"

/** Documents of even index in their task, of odd index, or both. */
typedef enum { LRP_EVEN = 1, LRP_ODD = 2, LRP_BOTH = LRP_EVEN | LRP_ODD } lrp_half;

typedef struct {
  int n_tasks;
  int64_t
      *first; /* owned, n_tasks + 1: first document of each task; the last one is their number */
  bool *has_loss; /* owned, per document */
  bool *scored;   /* owned, per task: whether it has a score */
  bool *member;   /* owned, n_entries x n_tasks: tasks of each entry of the score */
  int n_entries;  /* headlines that are scored */
  bool choice;    /* the loss is that of choices (pipeline/choice_loss.h); else 1 - score */
} lrp_documents;

/** The documents of n_tasks tasks, and which of the n headlines count in the score. Local.
 *  Where no document is a question with choices, a loss is 1 - score.
 *  @return LRP_OK, LRP_ERR_MEM; *out is released by lrp_documents_free() in either case */
lrp_status lrp_documents_init(lrp_documents *out, const lrp_task *tasks, int n_tasks,
                              const lrp_headline *headlines, int n);
void lrp_documents_free(lrp_documents *docs);

/** Number of documents; of those in half that have a loss. Local. */
int64_t lrp_documents_count(const lrp_documents *docs);
int64_t lrp_documents_losses(const lrp_documents *docs, lrp_half half);

/** Loss and score (first metric as a share of its best value) of every document, from the n_tasks
 *  scores of a configuration. Local. Documents without one get 0.
 *  @param[out] loss, score  lrp_documents_count(docs) each
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_documents_values(const lrp_documents *docs, const lrp_scores *scores, double *loss,
                                double *score);

/** Mean of x over the documents in half that have a loss, and its standard error sqrt(sum (x -
 *  mean)^2 / (n - 1) / n). Local. NaN without documents, and of the error with one. */
lrp_estimate lrp_mean_loss(const lrp_documents *docs, const double *x, lrp_half half);

/** Mean over the entries of the score of the mean of x over their documents in half; its standard
 *  error sqrt(sum se^2) / n_entries. Local. se of an entry is that of the harness's groups: squares
 *  around the mean of each of its m tasks, sqrt(sum squares / (n - m) / n). NaN where it is not
 *  defined. */
lrp_estimate lrp_mean_score(const lrp_documents *docs, const double *x, lrp_half half);

#endif
