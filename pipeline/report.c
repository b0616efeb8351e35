#include "pipeline/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "kernels/log.h"
#include "pipeline/choice.h"
#include "pipeline/efficiency_report.h"
#include "pipeline/page.h"
#include "pipeline/report_parts.h"
#include "pipeline/savings.h"

/* tradeoff.json says that a report is whole: it must not outlive the start of the next one. */
static lrp_status remove_tradeoff(const lrp_study *study) {
  char *path = lrp_path_join(study->job.output, "tradeoff.json");
  lrp_status st = path ? LRP_OK : LRP_ERR_MEM;
  if (path && unlink(path) != 0 && errno != ENOENT) {
    st = lrp_fail_errno(path, "remove", LRP_OK, LRP_ERR_IO);
  }
  free(path);
  return st;
}

/* {"layer_token_products": {...}}; null where nothing is evaluated, or by an encoder. */
static lrp_status evaluation_json(const lrp_study *study, const lrp_scorebook *book, json_t **out) {
  lrp_savings savings;
  *out = NULL;
  if (!book || study->model.config.family == LRP_FAMILY_BERT) {
    *out = json_null();
    return LRP_OK;
  }
  const lrp_status st = lrp_savings_of(book, &savings);
  if (st != LRP_OK) return st;
  lrp_log(
      "evaluate: %lld layer-token products; each configuration by itself: %lld; and each "
      "request by itself: %lld",
      (long long)savings.computed, (long long)savings.distinct, (long long)savings.alone);
  *out = json_pack("{s:{s:I, s:I, s:I}}", "layer_token_products", "computed",
                   (json_int_t)savings.computed, "each_configuration_alone",
                   (json_int_t)savings.distinct, "each_request_alone", (json_int_t)savings.alone);
  return *out ? LRP_OK : lrp_fail_memory(0, "the report");
}

/* What tradeoff.json is made of; owned. */
typedef struct {
  lrp_report_answers answers;
  json_t *evaluation, *tensors, *efficiency, *choice;
} contents;

static void contents_free(contents *c) {
  json_decref(c->answers.rows);
  json_decref(c->answers.tasks);
  json_decref(c->answers.sensitivity);
  json_decref(c->evaluation);
  json_decref(c->tensors);
  json_decref(c->efficiency);
  json_decref(c->choice);
}

/* All that there is to say. Writes the files of configurations, too. */
static lrp_status gather(const lrp_report_source *source, lrp_store *store, contents *c) {
  const lrp_study *study = source->study;
  lrp_report_answers *answers = &c->answers;
  lrp_status st = lrp_report_collect(source, answers);
  if (st == LRP_OK) st = lrp_report_tensors(study, store, &c->tensors);
  if (st == LRP_OK) st = evaluation_json(study, source->book, &c->evaluation);
  if (st == LRP_OK) st = lrp_efficiency_report(study, answers->rows, &c->efficiency);
  if (st == LRP_OK) {
    st = lrp_choice_report(study->job.output, answers->sensitivity, answers->rows, &c->choice);
  }
  return lrp_json_checked(st);
}

/* A new reference, or NULL upon failure. */
static json_t *tradeoff_json(const contents *c, const json_t *provenance) {
  return json_pack("{s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:O}", "configurations", c->answers.rows,
                   "evaluation", c->evaluation, "tasks", c->answers.tasks, "tensors", c->tensors,
                   "sensitivity", c->answers.sensitivity, "efficiency", c->efficiency, "choice",
                   c->choice, "provenance", provenance);
}

/* write(value, "<output>/<name>") */
static lrp_status write_named(const lrp_study *study, const char *name, const json_t *value,
                              lrp_status (*write)(const json_t *value, const char *path)) {
  char *path = lrp_path_join(study->job.output, name);
  const lrp_status st = path ? write(value, path) : LRP_ERR_MEM;
  free(path);
  return st;
}

static lrp_status write_tensors(const lrp_study *study, const lrp_store *store) {
  char *path = lrp_path_join(study->job.output, "tensors.csv");
  const lrp_status st = path ? lrp_report_tensors_csv(study, store, path) : LRP_ERR_MEM;
  free(path);
  return st;
}

lrp_status lrp_report_write(const lrp_study *study, lrp_store *store, lrp_scorebook *book,
                            const json_t *provenance) {
  const lrp_report_source source = {study, book, provenance};
  contents all = {0};
  json_t *tradeoff = NULL;
  lrp_status st = remove_tradeoff(study);
  if (st == LRP_OK) st = write_tensors(study, store);
  if (st == LRP_OK) st = gather(&source, store, &all);
  if (st == LRP_OK) {
    tradeoff = tradeoff_json(&all, provenance);
    if (!tradeoff) st = lrp_fail_memory(0, "the report");
  }
  if (st == LRP_OK) st = write_named(study, "tradeoff.csv", all.answers.rows, lrp_report_rows_csv);
  if (st == LRP_OK) st = write_named(study, "report.html", tradeoff, lrp_page_write);
  if (st == LRP_OK) st = write_named(study, "tradeoff.json", tradeoff, lrp_report_json);
  json_decref(tradeoff);
  contents_free(&all);
  return st;
}

/* *there stays true only if dir has name. */
static lrp_status also_there(const char *dir, const char *name, bool *there) {
  char *path = lrp_path_join(dir, name);
  if (!path) return LRP_ERR_MEM;
  *there = *there && lrp_file_exists(path);
  free(path);
  return LRP_OK;
}

/* Whether tradeoff.json, which is written last, was written for this very job. */
static lrp_status is_of_job(const lrp_study *study, bool *same) {
  char *path = lrp_path_join(study->job.output, "tradeoff.json");
  if (!path) return LRP_ERR_MEM;
  json_t *all = json_load_file(path, 0, NULL);
  const char *job = json_string_value(json_object_get(json_object_get(all, "provenance"), "job"));
  *same = job && strcmp(job, study->job_yaml) == 0;
  json_decref(all);
  free(path);
  return lrp_json_checked(LRP_OK);
}

lrp_status lrp_report_is_current(const lrp_study *study, bool *current) {
  const char *out = study->job.output;
  lrp_status st = is_of_job(study, current);
  if (st == LRP_OK) st = also_there(out, "tensors.csv", current);
  if (st == LRP_OK) st = also_there(out, "tradeoff.csv", current);
  if (st == LRP_OK) st = also_there(out, "report.html", current);
  for (int c = 0; study->n_tasks > 0 && c < study->plan.n_configurations; c++) {
    char name[256];
    const char *configuration = study->plan.configurations[c].name;
    snprintf(name, sizeof name, "%s/results.json", configuration);
    if (st == LRP_OK) st = also_there(out, name, current);
    const int n_samples = study->job.evaluate.log_samples ? study->n_tasks : 0;
    for (int t = 0; st == LRP_OK && *current && t < n_samples; t++) {
      snprintf(name, sizeof name, "%s/samples_%s.jsonl", configuration, study->tasks[t].kind->name);
      st = also_there(out, name, current);
    }
  }
  return st;
}
