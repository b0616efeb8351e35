#include "pipeline/results.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/base/file.h"
#include "pipeline/python_json.h"

/* Every function that makes a value returns NULL when out of memory; a container that is offered
 * NULL fails, too, so that one check at the end finds it. */

static json_t *real_or_na(double x) {
  return isfinite(x) ? json_real(x) : json_string("N/A");
}

/* A path or token may hold bytes that are not UTF-8; those show as '?'. */
static json_t *text_or_null(const char *text) {
  json_t *value = text ? json_string(text) : json_null();
  if (value) return value;
  char *copy = strdup(text);
  if (!copy) return NULL;
  for (char *p = copy; *p; p++) {
    if ((unsigned char)*p >= 0x80) *p = '?';
  }
  value = json_string(copy);
  free(copy);
  return value;
}

/* A copy that ran out of memory lacks members, and jansson does not say so. */
static json_t *copy_or_null(const json_t *value) {
  if (!value) return json_null();
  json_t *copy = json_deep_copy(value);
  if (copy && json_equal(copy, value)) return copy;
  json_decref(copy);
  return NULL;
}

static json_t *task_results(const lrp_scores *scores, const lrp_results_info *info) {
  const lrp_task *task = scores->task;
  lrp_mean means[LRP_METRICS];
  char key[64];
  bool ok = true;
  (void)info;

  json_t *object = json_pack("{s:s, s:s, s:I}", "name", task->kind->name, "alias", task->kind->name,
                             "sample_len", (json_int_t)task->n_docs);
  lrp_task_means(task, scores->ll, means);
  for (int m = 0; m < lrp_task_metrics(task); m++) {
    snprintf(key, sizeof key, "%s,none", lrp_metric_name(m));
    ok = ok && json_object_set_new(object, key, real_or_na(means[m].mean)) == 0;
    snprintf(key, sizeof key, "%s_stderr,none", lrp_metric_name(m));
    ok = ok && json_object_set_new(object, key, real_or_na(means[m].stderr_)) == 0;
  }
  if (ok) return object;
  json_decref(object);
  return NULL;
}

static json_t *task_subtasks(const lrp_scores *scores, const lrp_results_info *info) {
  (void)scores;
  (void)info;
  return json_array();
}

static json_t *metric_list(const lrp_task *task) {
  json_t *list = json_array();
  for (int m = 0; m < lrp_task_metrics(task); m++) {
    json_t *metric = json_pack("{s:s, s:s, s:b}", "metric", lrp_metric_name(m), "aggregation",
                               "mean", "higher_is_better", 1);
    if (json_array_append_new(list, metric) == 0) continue;
    json_decref(list);
    return NULL;
  }
  return list;
}

static json_t *task_config(const lrp_scores *scores, const lrp_results_info *info) {
  const lrp_task_kind *kind = scores->task->kind;
  char split_key[32];

  snprintf(split_key, sizeof split_key, "%s_split", kind->split);
  return json_pack("{s:s, s:s, s:s?, s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:{s:f}}", "task",
                   kind->name, "dataset_path", kind->dataset, "dataset_name", kind->subset,
                   split_key, kind->split, "output_type", "multiple_choice", "description", "",
                   "target_delimiter", " ", "fewshot_delimiter", "\n\n", "num_fewshot",
                   (json_int_t)info->num_fewshot, "metric_list", metric_list(scores->task),
                   "metadata", "version", kind->version);
}

static json_t *task_version(const lrp_scores *scores, const lrp_results_info *info) {
  (void)info;
  return json_real(scores->task->kind->version);
}

static json_t *task_shots(const lrp_scores *scores, const lrp_results_info *info) {
  (void)scores;
  return json_integer(info->num_fewshot);
}

static json_t *task_higher(const lrp_scores *scores, const lrp_results_info *info) {
  json_t *object = json_object();
  (void)info;
  for (int m = 0; m < lrp_task_metrics(scores->task); m++) {
    if (json_object_set_new(object, lrp_metric_name(m), json_true()) == 0) continue;
    json_decref(object);
    return NULL;
  }
  return object;
}

static json_t *task_samples(const lrp_scores *scores, const lrp_results_info *info) {
  (void)info;
  return json_pack("{s:I, s:I}", "original", (json_int_t)scores->task->data.count, "effective",
                   (json_int_t)scores->task->n_docs);
}

/* Sections of results.json that hold a value for each task. */
static const struct {
  const char *name;
  json_t *(*value)(const lrp_scores *scores, const lrp_results_info *info);
} sections[] = {
    {"results", task_results},   {"group_subtasks", task_subtasks},
    {"configs", task_config},    {"versions", task_version},
    {"n-shot", task_shots},      {"higher_is_better", task_higher},
    {"n-samples", task_samples},
};

static json_t *section(size_t i, const lrp_results_info *info, const lrp_scores *scores,
                       int n_scores) {
  json_t *object = json_object();
  for (int t = 0; t < n_scores; t++) {
    json_t *value = sections[i].value(&scores[t], info);
    if (json_object_set_new(object, scores[t].task->kind->name, value) == 0) continue;
    json_decref(object);
    return NULL;
  }
  return object;
}

/* The harness's settings. The seeds are those that it would use; nothing here draws numbers. */
static json_t *run_config(const lrp_results_info *info) {
  return json_pack(
      "{s:s, s:{s:o, s:s, s:I}, s:i, s:s, s:o, s:i, s:i, s:i, s:i, s:i}", "model", "lrpipe",
      "model_args", "pretrained", text_or_null(info->model), "dtype", info->dtype, "max_length",
      (json_int_t)info->max_length, "batch_size", 1, "device", "cpu", "limit",
      info->limit < 0 ? json_null() : json_integer(info->limit), "bootstrap_iters", 100000,
      "random_seed", 0, "numpy_seed", 1234, "torch_seed", 1234, "fewshot_seed", 1234);
}

static bool set(json_t *object, const char *key, json_t *value) {
  return json_object_set_new(object, key, value) == 0;
}

static bool set_run(json_t *root, const lrp_results_info *info) {
  char seconds[lrp_repr_max];

  lrp_python_repr(info->seconds, seconds);
  return set(root, "config", run_config(info)) && set(root, "git_hash", json_null()) &&
         set(root, "date", json_real((double)time(NULL))) &&
         set(root, "max_length", json_integer(info->max_length)) &&
         set(root, "model_source", json_string("lrpipe")) &&
         set(root, "model_name", text_or_null(info->model)) &&
         set(root, "tokenizer_bos_token", text_or_null(info->bos)) &&
         set(root, "total_evaluation_time_seconds", json_string(seconds)) &&
         set(root, "lrpipe",
             json_pack("{s:s, s:o, s:o}", "configuration", info->configuration, "size",
                       copy_or_null(info->size), "provenance", copy_or_null(info->provenance)));
}

static json_t *make_results(const lrp_results_info *info, const lrp_scores *scores, int n_scores) {
  json_t *root = json_object();
  bool ok = root;

  for (size_t i = 0; ok && i < sizeof sections / sizeof sections[0]; i++) {
    ok = set(root, sections[i].name, section(i, info, scores, n_scores));
  }
  if (ok && set_run(root, info)) return root;
  json_decref(root);
  lrp_fail(LRP_ERR_MEM, "out of memory: results of configuration %s", info->configuration);
  return NULL;
}

lrp_status lrp_results_write(const char *dir, const lrp_results_info *info,
                             const lrp_scores *scores, int n_scores) {
  lrp_file_writer writer = {0};
  char *path = lrp_path_join(dir, "results.json");
  json_t *root = path ? make_results(info, scores, n_scores) : NULL;
  lrp_status st = root ? lrp_file_writer_open(&writer, path) : LRP_ERR_MEM;

  if (st == LRP_OK) {
    lrp_python_json(writer.stream, root, 2);
    putc('\n', writer.stream);
    st = lrp_file_writer_commit(&writer);
  }
  json_decref(root);
  free(path);
  return st;
}
