#include "pipeline/report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "kernels/log.h"
#include "pipeline/metrics.h"
#include "pipeline/partition.h"
#include "pipeline/results.h"
#include "pipeline/savings.h"

enum { json_bytes_max = 1 << 30 };

/* Shortest of 15 to 17 digits that reads back the same. */
static void print_number(FILE *f, double x) {
  char text[40];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, x);
    if (strtod(text, NULL) == x) break;
  }
  fputs(isnan(x) ? "" : text, f);
}

/* By the speeds that are known now, at the rank that was computed. */
static double predicted_seconds(const lrp_study *study, const lrp_unit *u,
                                const lrp_unit_record *r) {
  lrp_cost_task task = lrp_unit_task(u, study->job.decompose.method, lrp_model_dtype(&study->model),
                                     study->store_dtype);
  task.rank = r->rank;
  return lrp_cost_seconds(&study->calibration.cost, &task) /
         lrp_partition_speedup(r->process_ranks);
}

static lrp_status write_tensors(const lrp_study *study, const lrp_store *store, const char *path) {
  lrp_file_writer w;
  lrp_status st = lrp_file_writer_open(&w, path);
  if (st != LRP_OK) return st;
  FILE *f = w.stream;
  fputs(
      "tensor,m,n,rank,method,relative_error,orthogonality,seconds,predicted_seconds,process_ranks,"
      "solver\n",
      f);
  for (int i = 0; i < study->plan.n_units; i++) {
    const lrp_unit *u = &study->plan.units[i];
    lrp_unit_record r;
    if (!lrp_store_done(store, i, &r)) continue;
    fprintf(f, "%s,%lld,%lld,%d,%s,", u->name, (long long)u->m, (long long)u->n, r.rank,
            lrp_method_name(study->job.decompose.method));
    print_number(f, r.relative_error);
    fputc(',', f);
    print_number(f, r.orthogonality);
    fprintf(f, ",%.6f,%.6f,%d,%s\n", r.seconds, predicted_seconds(study, u, &r), r.process_ranks,
            lrp_solver_name((lrp_solver)r.solver));
  }
  return lrp_file_writer_commit(&w);
}

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

/* A number of the trade-off: JSON has neither infinity nor NaN. */
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

/* One row of the trade-off: name, size, metrics; and the files of the configuration. */
static lrp_status add_row(const lrp_study *study, lrp_scorebook *book, int c,
                          const json_t *provenance, json_t *rows) {
  const lrp_size size = size_of(study, c);
  lrp_scores *scores = calloc((size_t)study->n_tasks + 1, sizeof *scores);
  lrp_status st = scores ? LRP_OK : lrp_fail_memory(sizeof *scores, "the scores");
  json_t *row = json_pack("{s:s}", "configuration", study->plan.configurations[c].name);
  json_t *shown = size_json(&size), *metrics = NULL;

  if (st == LRP_OK && book) st = scores_read(study, book, c, scores);
  if (st == LRP_OK && book) {
    metrics = metrics_json(study, scores);
    st = write_configuration(study, book, c, scores, shown, provenance);
  }
  json_object_update(row, shown);
  if (metrics) json_object_update(row, metrics);
  json_array_append_new(rows, row);
  st = lrp_json_checked(st); /* a column that is missing has no other sign */
  json_decref(metrics);
  json_decref(shown);
  if (scores) scores_free(scores, study->n_tasks);
  free(scores);
  return st;
}

static void print_cell(FILE *f, const json_t *value) {
  if (json_is_string(value)) fputs(json_string_value(value), f);
  if (json_is_integer(value)) fprintf(f, "%lld", (long long)json_integer_value(value));
  if (json_is_real(value)) print_number(f, json_real_value(value));
}

static lrp_status write_tradeoff_csv(const char *path, const json_t *rows) {
  lrp_file_writer w;
  lrp_status st = lrp_file_writer_open(&w, path);
  size_t i;
  json_t *row, *value;
  const char *key, *comma = "";

  if (st != LRP_OK) return st;
  FILE *f = w.stream;
  json_object_foreach(json_array_get(rows, 0), key, value) {
    fprintf(f, "%s%s", comma, key);
    comma = ",";
  }
  fputc('\n', f);
  json_array_foreach(rows, i, row) {
    comma = "";
    json_object_foreach(row, key, value) {
      fputs(comma, f);
      print_cell(f, value);
      comma = ",";
    }
    fputc('\n', f);
  }
  return lrp_file_writer_commit(&w);
}

static lrp_status write_json(const char *path, const json_t *value) {
  char *text = json_dumps(value, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
  if (!text) return lrp_fail_memory(0, path);
  const lrp_status st = lrp_file_write(path, text, strlen(text));
  free(text);
  return st;
}

/* "<output>/<name>", and what writes it. */
static lrp_status write_named(const lrp_study *study, const lrp_store *store, const char *name,
                              const json_t *rows, const json_t *all) {
  char *path = lrp_path_join(study->job.output, name);
  lrp_status st = LRP_ERR_MEM;
  if (path && all) st = write_json(path, all);
  if (path && !all && rows) st = write_tradeoff_csv(path, rows);
  if (path && !all && !rows) st = write_tensors(study, store, path);
  free(path);
  return st;
}

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

lrp_status lrp_report_write(const lrp_study *study, lrp_store *store, lrp_scorebook *book,
                            const json_t *provenance) {
  json_t *rows = json_array(), *evaluation = NULL;
  lrp_status st = rows ? LRP_OK : lrp_fail_memory(0, "the report");
  if (st == LRP_OK) st = remove_tradeoff(study);
  if (st == LRP_OK) st = write_named(study, store, "tensors.csv", NULL, NULL);
  for (int c = 0; st == LRP_OK && c < study->plan.n_configurations; c++) {
    st = add_row(study, book, c, provenance, rows);
  }
  if (st == LRP_OK) st = evaluation_json(study, book, &evaluation);
  json_t *all = json_pack("{s:O, s:o*, s:O}", "configurations", rows, "evaluation", evaluation,
                          "provenance", provenance);
  if (st == LRP_OK && !all) st = lrp_fail_memory(0, "the report");
  st = lrp_json_checked(st);
  if (st == LRP_OK) st = write_named(study, store, "tradeoff.csv", rows, NULL);
  if (st == LRP_OK) st = write_named(study, store, "tradeoff.json", NULL, all);
  json_decref(all);
  json_decref(rows);
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

/* Columns of the printed table: everything but standard errors and acc_bytes. */
static bool is_shown(const char *key) {
  static const char *const hidden[] = {"_stderr", "parameters_dense", "/acc_bytes"};
  for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
    const char *at = strstr(key, hidden[i]);
    if (at && at[strlen(hidden[i])] == '\0') return false;
  }
  return true;
}

static void print_row(const json_t *row, bool head) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)row, key, value) {
    if (!is_shown(key)) continue;
    const int width =
        strcmp(key, "configuration") == 0 ? -20 : (int)(strlen(key) > 12 ? strlen(key) : 12);
    if (head) {
      printf("%*s ", width, key);
    } else if (json_is_string(value)) {
      printf("%*s ", width, json_string_value(value));
    } else if (json_is_integer(value)) {
      printf("%*lld ", width, (long long)json_integer_value(value));
    } else if (json_is_null(value)) {
      printf("%*s ", width, "");
    } else {
      printf("%*.4f ", width, json_real_value(value));
    }
  }
  putchar('\n');
}

lrp_status lrp_report_print(const char *output) {
  char *path = lrp_path_join(output, "tradeoff.json"), *text = NULL;
  size_t size, i;
  json_t *all = NULL, *row;
  lrp_status st = path ? lrp_file_read(path, json_bytes_max, &text, &size) : LRP_ERR_MEM;

  if (st == LRP_OK) {
    all = json_loadb(text, size, 0, NULL);
    const json_t *rows = json_object_get(all, "configurations");
    if (!json_is_array(rows)) {
      st = lrp_json_checked(lrp_fail(LRP_ERR_DATA, "%s: is damaged; run the job again", path));
    }
    if (json_array_size(rows) > 0) print_row(json_array_get(rows, 0), true);
    json_array_foreach(rows, i, row) print_row(row, false);
  }
  json_decref(all);
  free(text);
  free(path);
  return st;
}
