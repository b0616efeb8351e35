#include "pipeline/results.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "pipeline/python_json.h"

/* Every function that makes a value returns NULL when out of memory; a container that is offered
 * NULL fails, too, so that one check at the end finds it. */

static bool set(json_t *object, const char *key, json_t *value) {
  return json_object_set_new(object, key, value) == 0;
}

/* JSON has no infinity: a perplexity that overflows is the text "inf". */
static json_t *real_or_na(double x) {
  if (isfinite(x)) return json_real(x);
  return json_string(isnan(x) ? "N/A" : x > 0 ? "inf" : "-inf");
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

/* Add "<metric>,<filter>" and "<metric>_stderr,<filter>" to object. */
static bool set_estimates(json_t *object, const lrp_metrics *metrics,
                          const lrp_estimate *estimates) {
  char key[64];
  for (int m = 0; m < metrics->n; m++) {
    const lrp_metric *metric = &metrics->metric[m];
    snprintf(key, sizeof key, "%s,%s", metric->name, lrp_metric_filter(metric));
    if (!set(object, key, real_or_na(estimates[m].value))) return false;
    snprintf(key, sizeof key, "%s_stderr,%s", metric->name, lrp_metric_filter(metric));
    if (!set(object, key, real_or_na(estimates[m].stderr_))) return false;
  }
  return true;
}

/* object if ok, else NULL and object is released. */
static json_t *kept(json_t *object, bool ok) {
  if (ok) return object;
  json_decref(object);
  return NULL;
}

static json_t *task_results(const lrp_scores *scores, const lrp_results_info *info) {
  const lrp_task *task = scores->task;
  (void)info;
  json_t *object = json_pack("{s:s, s:s, s:I}", "name", task->kind->name, "alias", task->kind->name,
                             "sample_len", (json_int_t)task->n_docs);
  return kept(object, set_estimates(object, task->kind->metrics, scores->estimate));
}

static json_t *task_subtasks(const lrp_scores *scores, const lrp_results_info *info) {
  (void)scores;
  (void)info;
  return json_array();
}

/* Whether a metric of that name, through another filter, precedes metric m. */
static bool is_listed(const lrp_metrics *metrics, int m) {
  for (int i = 0; i < m; i++) {
    if (strcmp(metrics->metric[i].name, metrics->metric[m].name) == 0) return true;
  }
  return false;
}

static json_t *metric_list(const lrp_metrics *metrics) {
  json_t *list = json_array();
  bool ok = list;
  for (int m = 0; ok && m < metrics->n; m++) {
    const lrp_metric *metric = &metrics->metric[m];
    if (is_listed(metrics, m)) continue;
    ok = json_array_append_new(
             list, json_pack("{s:s, s:s, s:b}", "metric", metric->name, "aggregation",
                             lrp_aggregation_name(metric->aggregation), "higher_is_better",
                             metric->higher_is_better)) == 0;
  }
  return kept(list, ok);
}

static const char *output_type(lrp_output output) {
  switch (output) {
    case LRP_MULTIPLE_CHOICE:
    case LRP_CLASSES:
      return "multiple_choice";
    case LRP_ROLLING:
      return "loglikelihood_rolling";
    case LRP_SPANS:
      return "answer_span";
    case LRP_BLANKS:
      return "masked_loglikelihood";
    case LRP_GENERATE:
      return "generate_until";
    case LRP_LOGLIKELIHOOD:
    case LRP_TOKEN_WINDOWS:
      break;
  }
  return "loglikelihood";
}

json_t *lrp_generation_kwargs(const lrp_task_kind *kind) {
  json_t *until = json_array();
  bool ok = until;
  for (int i = 0; ok && i < LRP_TASK_STOPS && kind->stops[i]; i++) {
    ok = json_array_append_new(until, json_string(kind->stops[i])) == 0;
  }
  json_t *kwargs =
      json_pack("{s:o, s:b, s:f}", "until", until, "do_sample", false, "temperature", 0.0);
  return kept(kwargs, ok);
}

/* [{"name", "filter": [regex, take_first]}, ...] */
static json_t *filter_list(const lrp_metrics *metrics) {
  json_t *list = json_array();
  bool ok = list;
  for (int m = 0; ok && m < metrics->n; m++) {
    const lrp_filter *filter = metrics->metric[m].filter;
    ok = json_array_append_new(
             list, json_pack("{s:s, s:[{s:s, s:i, s:s}, {s:s}]}", "name", filter->name, "filter",
                             "function", "regex", "group_select", filter->last ? -1 : 0,
                             "regex_pattern", filter->pattern, "function", "take_first")) == 0;
  }
  return kept(list, ok);
}

/* What LRP_GENERATE has besides. */
static bool set_generation(json_t *config, const lrp_task_kind *kind) {
  return set(config, "generation_kwargs", lrp_generation_kwargs(kind)) &&
         set(config, "max_gen_toks", json_integer(kind->max_new)) &&
         set(config, "filter_list", filter_list(kind->metrics));
}

/* Where shots are from, and by which of the harness's samplers. */
static bool set_shots(json_t *config, const lrp_task *task) {
  char split[LRP_SPLIT];
  const char *sampler = task->kind->shots == LRP_SHOTS_FIRST ? "first_n" : "default";
  if (task->shots.n == 0) return true;
  lrp_dataset_split(task->shots.data, split);
  return set(config, "fewshot_split", json_string(split)) &&
         set(config, "fewshot_config", json_pack("{s:s}", "sampler", sampler));
}

json_t *lrp_task_settings(const lrp_task *task) {
  const lrp_task_kind *kind = task->kind;
  char split[LRP_SPLIT], split_key[LRP_SPLIT + 8];
  char *description = lrp_task_description(kind);
  if (!description) return NULL;

  lrp_dataset_split(task->data, split);
  snprintf(split_key, sizeof split_key, "%s_split", split);
  json_t *config = json_pack(
      "{s:s, s:s, s:s?, s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:{s:f}}", "task", kind->name,
      "dataset_path", kind->dataset, "dataset_name", kind->subset, split_key, split, "output_type",
      output_type(kind->output), "description", description, "target_delimiter", " ",
      "fewshot_delimiter", "\n\n", "num_fewshot", (json_int_t)task->shots.n, "metric_list",
      metric_list(kind->metrics), "metadata", "version", kind->version);
  free(description);
  bool ok = set_shots(config, task);
  if (kind->output == LRP_GENERATE) ok = ok && set_generation(config, kind);
  if (lrp_output_is_encoders(kind->output)) {
    ok = ok && set(config, "max_length", json_integer(task->max_length));
  }
  return kept(config, ok);
}

static json_t *task_config(const lrp_scores *scores, const lrp_results_info *info) {
  (void)info;
  return lrp_task_settings(scores->task);
}

static json_t *task_version(const lrp_scores *scores, const lrp_results_info *info) {
  (void)info;
  return json_real(scores->task->kind->version);
}

static json_t *task_shots(const lrp_scores *scores, const lrp_results_info *info) {
  (void)info;
  return json_integer(scores->task->shots.n);
}

static json_t *higher(const lrp_metrics *metrics) {
  json_t *object = json_object();
  bool ok = object;
  for (int m = 0; ok && m < metrics->n; m++) {
    const lrp_metric *metric = &metrics->metric[m];
    ok = set(object, metric->name, json_boolean(metric->higher_is_better));
  }
  return kept(object, ok);
}

static json_t *task_higher(const lrp_scores *scores, const lrp_results_info *info) {
  (void)info;
  return higher(scores->task->kind->metrics);
}

static json_t *task_samples(const lrp_scores *scores, const lrp_results_info *info) {
  (void)info;
  return json_pack("{s:I, s:I}", "original", (json_int_t)scores->task->available, "effective",
                   (json_int_t)scores->task->n_docs);
}

/* What a group's value is made from. */
typedef struct {
  const lrp_task_group *group;
  lrp_group_scores scores;
  const lrp_scores *tasks; /* of all groups */
  int n_tasks;
} group_info;

static json_t *group_results(const group_info *g) {
  json_t *object = json_pack("{s:s, s:s, s:I}", "alias", g->group->name, "name", g->group->name,
                             "sample_len", (json_int_t)g->scores.n_docs);
  json_t *counts = json_object();
  bool ok = set_estimates(object, g->scores.metrics, g->scores.estimate);
  for (int m = 0; ok && m < g->scores.metrics->n; m++) {
    char key[64];
    const lrp_metric *metric = &g->scores.metrics->metric[m];
    snprintf(key, sizeof key, "%s,%s", metric->name, lrp_metric_filter(metric));
    ok = set(counts, key, json_integer(g->scores.n_docs));
  }
  return kept(object, set(object, "sample_count", counts) && ok);
}

static json_t *group_subtasks(const group_info *g) {
  json_t *list = json_array();
  bool ok = list;
  int n;
  const lrp_task_group *groups = lrp_task_groups(&n);
  for (int i = 0; i < n; i++) {
    if (groups[i].parent != g->group) continue;
    ok = ok && json_array_append_new(list, json_string(groups[i].name)) == 0;
  }
  for (int t = 0; t < g->n_tasks; t++) {
    const lrp_task_kind *kind = g->tasks[t].task->kind;
    if (kind->group != g->group) continue;
    ok = ok && json_array_append_new(list, json_string(kind->name)) == 0;
  }
  return kept(list, ok);
}

static json_t *group_version(const group_info *g) {
  return json_real(g->group->version);
}

static json_t *group_higher(const group_info *g) {
  return higher(g->scores.metrics);
}

/* The average of a suite, and what it is made from: "<member>/<metric>": value. */
static json_t *suite_results(const lrp_task_suite *suite, const lrp_scores *scores, int n_scores) {
  json_t *object = json_pack("{s:s, s:s}", "alias", suite->name, "name", suite->name);
  json_t *members = json_object();
  bool ok = set(object, "average,none", real_or_na(lrp_suite_average(suite, scores, n_scores))) &&
            set(object, "average_stderr,none", json_string("N/A"));
  for (int i = 0; ok && i < lrp_suite_size(suite); i++) {
    const lrp_suite_member *m = &suite->members[i];
    char key[64];
    snprintf(key, sizeof key, "%s/%s", m->name, m->metric);
    ok = set(members, key, real_or_na(lrp_suite_value(m, scores, n_scores)));
  }
  return kept(object, set(object, "members", members) && ok);
}

static json_t *suite_subtasks(const lrp_task_suite *suite, const lrp_scores *scores, int n_scores) {
  json_t *list = json_array();
  bool ok = list;
  (void)scores;
  (void)n_scores;
  for (int i = 0; ok && i < lrp_suite_size(suite); i++) {
    ok = json_array_append_new(list, json_string(suite->members[i].name)) == 0;
  }
  return kept(list, ok);
}

static json_t *suite_higher(const lrp_task_suite *suite, const lrp_scores *scores, int n_scores) {
  (void)suite;
  (void)scores;
  (void)n_scores;
  return json_pack("{s:b}", "average", 1);
}

/* Sections of results.json, which hold a value for each task, group and suite. */
typedef struct {
  const char *name;
  json_t *(*of_suite)(const lrp_task_suite *suite, const lrp_scores *scores, int n_scores);
  json_t *(*of_group)(const group_info *group);
  json_t *(*of_task)(const lrp_scores *scores, const lrp_results_info *info);
} section_kind;

static const section_kind sections[] = {
    {"results", suite_results, group_results, task_results},
    {"groups", suite_results, group_results, NULL},
    {"group_subtasks", suite_subtasks, group_subtasks, task_subtasks},
    {"configs", NULL, NULL, task_config},
    {"versions", NULL, group_version, task_version},
    {"n-shot", NULL, NULL, task_shots},
    {"higher_is_better", suite_higher, group_higher, task_higher},
    {"n-samples", NULL, NULL, task_samples},
};

static json_t *section(const section_kind *kind, const lrp_results_info *info,
                       const lrp_scores *scores, int n_scores) {
  json_t *object = json_object();
  bool ok = object;
  for (int i = 0; ok && kind->of_suite && i < info->n_suites; i++) {
    ok = set(object, info->suites[i]->name, kind->of_suite(info->suites[i], scores, n_scores));
  }
  for (int i = 0; ok && kind->of_group && i < info->n_groups; i++) {
    const group_info g = {.group = info->groups[i],
                          .scores = lrp_group_estimate(info->groups[i], scores, n_scores),
                          .tasks = scores,
                          .n_tasks = n_scores};
    ok = set(object, g.group->name, kind->of_group(&g));
  }
  for (int t = 0; ok && kind->of_task && t < n_scores; t++) {
    ok = set(object, scores[t].task->kind->name, kind->of_task(&scores[t], info));
  }
  return kept(object, ok);
}

static json_t *length_or_null(const lrp_results_info *info) {
  return info->max_length > 0 ? json_integer(info->max_length) : json_null();
}

/* The harness's settings. The seeds are those that it would use; shots are drawn with the last. */
static json_t *run_config(const lrp_results_info *info) {
  return json_pack("{s:s, s:{s:o, s:s, s:o}, s:i, s:s, s:o, s:i, s:i, s:i, s:i, s:i}", "model",
                   "lrpipe", "model_args", "pretrained", text_or_null(info->model), "dtype",
                   info->dtype, "max_length", length_or_null(info), "batch_size", 1, "device",
                   "cpu", "limit", info->limit < 0 ? json_null() : json_integer(info->limit),
                   "bootstrap_iters", 100000, "random_seed", 0, "numpy_seed", 1234, "torch_seed",
                   1234, "fewshot_seed", 1234);
}

static bool set_run(json_t *root, const lrp_results_info *info) {
  char seconds[lrp_repr_max];

  lrp_python_repr(info->seconds, seconds);
  return set(root, "config", run_config(info)) && set(root, "git_hash", json_null()) &&
         set(root, "date", json_real((double)time(NULL))) &&
         set(root, "max_length", length_or_null(info)) &&
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
    if (!sections[i].of_task && info->n_groups + info->n_suites == 0) continue; /* as the harness */
    ok = set(root, sections[i].name, section(&sections[i], info, scores, n_scores));
  }
  if (ok && set_run(root, info) && lrp_json_checked(LRP_OK) == LRP_OK) return root;
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
