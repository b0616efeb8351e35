/* What configurations answered -> rows, score, choice loss, Pareto front, sensitivity. */
#include <math.h>
#include <stdlib.h>

#include "io/base/json_memory.h"
#include "pipeline/headline.h"
#include "pipeline/json_number.h"
#include "pipeline/pareto.h"
#include "pipeline/report_parts.h"
#include "pipeline/sensitivity.h"

/* What is needed to look at one configuration after the other; owned. */
typedef struct {
  const lrp_report_source *source;
  lrp_report_answers *out;
  lrp_headline *headlines;
  lrp_documents docs;
  double *loss, *score; /* of the configuration at hand, by document */
  const char **tensor_names;
  lrp_sensitivity *sensitivity; /* NULL without a dense configuration */
} survey;

/* ---- answers ---- */

/* Scores of configuration c: one entry per task; freed by scores_free. */
static void scores_free(lrp_scores *scores, int n) {
  for (int t = 0; t < n; t++) {
    free((void *)(uintptr_t)scores[t].ll);
    free((void *)(uintptr_t)scores[t].greedy);
    for (int64_t i = 0; scores[t].texts && i < scores[t].task->n_requests; i++) {
      free(scores[t].texts[i]);
    }
    free((void *)(uintptr_t)scores[t].texts);
  }
}

/* What is stored of a pair: log-likelihoods, or texts. */
static lrp_status answers_read(lrp_scorebook *book, int pair, lrp_scores *scores) {
  const lrp_task *task = scores->task;
  double *ll = NULL;
  uint8_t *greedy = NULL;
  if (task->kind->output == LRP_GENERATE) {
    char **texts = calloc((size_t)task->n_requests, sizeof *texts);
    scores->texts = texts;
    return texts ? lrp_scorebook_read_texts(book, pair, texts)
                 : lrp_fail_memory((size_t)task->n_requests * sizeof *texts, "the answers");
  }
  const lrp_status st = lrp_scorebook_read(book, pair, &ll, &greedy);
  scores->ll = ll;
  scores->greedy = greedy;
  return st;
}

static lrp_status scores_read(const lrp_study *study, lrp_scorebook *book, int c,
                              lrp_scores *scores) {
  lrp_status st = LRP_OK;
  for (int t = 0; st == LRP_OK && t < study->n_tasks; t++) {
    scores[t] = (lrp_scores){.task = &study->tasks[t]};
    st = answers_read(book, c * study->n_tasks + t, &scores[t]);
    if (st == LRP_OK) st = lrp_scores_estimate(&scores[t]);
  }
  return st;
}

/* ---- values of documents ---- */

static lrp_status survey_init(survey *s) {
  const lrp_study *study = s->source->study;
  const lrp_config *config = &study->model.config;
  const int tensors = lrp_config_layer_tensors(config);
  int n;
  lrp_status st = lrp_headlines(study, &s->headlines, &n);
  if (st == LRP_OK) {
    st = lrp_documents_init(&s->docs, study->tasks, study->n_tasks, s->headlines, n);
  }
  if (st != LRP_OK) return st;
  const size_t bytes = ((size_t)lrp_documents_count(&s->docs) + 1) * sizeof *s->loss;
  s->loss = malloc(bytes);
  s->score = malloc(bytes);
  s->tensor_names = malloc(((size_t)tensors + 1) * sizeof *s->tensor_names);
  if (!s->loss || !s->score || !s->tensor_names) return lrp_fail_memory(2 * bytes, "the report");
  for (int t = 0; t < tensors; t++) s->tensor_names[t] = lrp_config_tensor_name(config, t);
  s->out->tasks = lrp_headlines_json(s->headlines, n);
  return s->out->tasks ? LRP_OK : lrp_fail_memory(0, "the report");
}

static void survey_free(survey *s) {
  lrp_sensitivity_destroy(&s->sensitivity);
  lrp_documents_free(&s->docs);
  free(s->headlines);
  free(s->loss);
  free(s->score);
  free((void *)s->tensor_names);
}

/* <name>, <name>_stderr */
static void add_estimate(json_t *row, const char *name, const char *name_stderr, lrp_estimate e) {
  json_object_set_new(row, name, lrp_json_number(e.value));
  json_object_set_new(row, name_stderr, lrp_json_number(e.stderr_));
}

static void add_means(const survey *s, json_t *row) {
  const lrp_documents *docs = &s->docs;
  if (docs->n_entries > 0) {
    add_estimate(row, "score", "score_stderr", lrp_mean_score(docs, s->score, LRP_BOTH));
  }
  if (docs->choice) {
    add_estimate(row, "choice_loss", "choice_loss_stderr", lrp_mean_loss(docs, s->loss, LRP_BOTH));
  }
}

/* The first configuration that is dense is what the others are compared to. */
static lrp_status compare(survey *s, int c, const json_t *row, bool dense) {
  const lrp_plan *plan = &s->source->study->plan;
  const lrp_measured measured = {
      .name = plan->configurations[c].name,
      .reduction_percent = json_number_value(json_object_get(row, "reduction_percent")),
      .rank = plan->configurations[c].rank,
      .loss = s->loss,
      .score = s->score,
  };
  if (dense) {
    return lrp_sensitivity_create(&s->docs, plan->layers, plan->tensors, s->tensor_names, &measured,
                                  &s->sensitivity);
  }
  return s->sensitivity ? lrp_sensitivity_add(s->sensitivity, &measured) : LRP_OK;
}

/* ---- configurations ---- */

/* Its scores lie in memory for as long as this takes. */
static lrp_status look_at(survey *s, int c, bool dense) {
  const lrp_study *study = s->source->study;
  json_t *row = NULL;
  lrp_scores *scores = calloc((size_t)study->n_tasks + 1, sizeof *scores);
  lrp_status st = scores ? LRP_OK : lrp_fail_memory(sizeof *scores, "the scores");
  if (st == LRP_OK) st = scores_read(study, s->source->book, c, scores);
  if (st == LRP_OK) st = lrp_report_row(s->source, c, scores, &row);
  if (st == LRP_OK) st = lrp_documents_values(&s->docs, scores, s->loss, s->score);
  if (st == LRP_OK) {
    add_means(s, row);
    st = compare(s, c, row, dense);
  }
  if (row) json_array_set_new(s->out->rows, (size_t)c, row);
  if (scores) scores_free(scores, study->n_tasks);
  free(scores);
  return lrp_json_checked(st);
}

/* The first one without ranks, or -1. */
static int find_dense(const lrp_plan *plan) {
  for (int c = 0; c < plan->n_configurations; c++) {
    const int *rank = plan->configurations[c].rank;
    if (lrp_configuration_shape(rank, plan->layers, plan->tensors) == LRP_SHAPE_DENSE) return c;
  }
  return -1;
}

/* The dense one first: what it made of each document is all that is kept. */
static lrp_status look_at_all(survey *s) {
  const lrp_plan *plan = &s->source->study->plan;
  const int dense = lrp_documents_losses(&s->docs, LRP_BOTH) > 0 ? find_dense(plan) : -1;
  lrp_status st = dense >= 0 ? look_at(s, dense, true) : LRP_OK;
  for (int c = 0; st == LRP_OK && c < plan->n_configurations; c++) {
    if (c != dense) st = look_at(s, c, false);
  }
  return st;
}

/* "pareto": 1 or 0, of every row. */
static lrp_status mark_front(json_t *rows) {
  const int n = (int)json_array_size(rows);
  int64_t *size = malloc(((size_t)n + 1) * sizeof *size);
  double *score = malloc(((size_t)n + 1) * sizeof *score);
  bool *front = malloc((size_t)n + 1);
  lrp_status st = LRP_OK;
  if (!size || !score || !front) st = lrp_fail_memory((size_t)n * sizeof *size, "the report");
  for (int i = 0; st == LRP_OK && i < n; i++) {
    const json_t *row = json_array_get(rows, (size_t)i), *value = json_object_get(row, "score");
    size[i] = json_integer_value(json_object_get(row, "parameters"));
    score[i] = json_is_number(value) ? json_number_value(value) : NAN;
  }
  if (st == LRP_OK) st = lrp_pareto(size, score, n, front);
  for (int i = 0; st == LRP_OK && i < n; i++) {
    json_object_set_new(json_array_get(rows, (size_t)i), "pareto", json_integer(front[i]));
  }
  free(front);
  free(score);
  free(size);
  return st;
}

static lrp_status evaluated(survey *s) {
  lrp_status st = survey_init(s);
  if (st == LRP_OK) st = look_at_all(s);
  if (st == LRP_OK && s->docs.n_entries > 0) st = mark_front(s->out->rows);
  if (st == LRP_OK && s->sensitivity) s->out->sensitivity = lrp_sensitivity_json(s->sensitivity);
  survey_free(s);
  return st;
}

lrp_status lrp_report_collect(const lrp_report_source *source, lrp_report_answers *out) {
  const int n = source->study->plan.n_configurations;
  lrp_status st = LRP_OK;
  *out = (lrp_report_answers){.rows = json_array()};
  for (int c = 0; c < n; c++) json_array_append_new(out->rows, json_null());
  if (source->book) st = evaluated(&(survey){.source = source, .out = out});
  for (int c = 0; st == LRP_OK && !source->book && c < n; c++) {
    json_t *row = NULL;
    st = lrp_report_row(source, c, NULL, &row);
    if (row) json_array_set_new(out->rows, (size_t)c, row);
  }
  if (!out->tasks) out->tasks = json_array();
  if (!out->sensitivity) out->sensitivity = json_null();
  return lrp_json_checked(st);
}
