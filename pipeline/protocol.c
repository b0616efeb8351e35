#include "pipeline/protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/provenance.h"

static const char *configuration_name(const lrp_study *study, int c) {
  return study->plan.configurations[c].name;
}

json_t *lrp_protocol_pair(const lrp_study *study, int c, int t, int64_t n_blocks) {
  return json_pack("{s:s, s:s, s:I}", "configuration", configuration_name(study, c), "task",
                   study->tasks[t].kind->name, "blocks", (json_int_t)n_blocks);
}

static bool says(const json_t *object, const char *key, const char *text) {
  const char *value = json_string_value(json_object_get(object, key));
  return value && strcmp(value, text) == 0;
}

bool lrp_protocol_same_pair(const lrp_study *study, int c, int t, const json_t *stored) {
  return says(stored, "configuration", configuration_name(study, c)) &&
         says(stored, "task", study->tasks[t].kind->name);
}

/* {"rank of <tensor>": rank, ...} of what is decomposed, and of what kind the factors are. */
static json_t *factors_of(const lrp_study *study, int c) {
  const lrp_plan *plan = &study->plan;
  json_t *ranks = json_object();
  for (int i = 0; i < plan->n_units; i++) {
    const lrp_unit *u = &plan->units[i];
    const int r = plan->configurations[c].rank[u->layer * plan->tensors + u->tensor];
    char key[512];
    snprintf(key, sizeof key, "rank of %s", u->name);
    if (r > 0) json_object_set_new(ranks, key, json_integer(r));
  }
  if (json_object_size(ranks) > 0) {
    json_object_set_new(ranks, "decompose.method",
                        json_string(lrp_method_name(study->job.decompose.method)));
    json_object_set_new(ranks, "decompose.dtype", json_string(lrp_dtype_name(study->store_dtype)));
  }
  return ranks;
}

/* Everything that is the same for all scores, by the names of the job's keys. */
static json_t *settings_of(const lrp_study *study) {
  const lrp_job *job = &study->job;
  return json_pack("{s:o, s:o, s:s}", "limit",
                   job->evaluate.limit > 0 ? json_integer(job->evaluate.limit) : json_null(),
                   "max_length",
                   study->max_length > 0 ? json_integer(study->max_length) : json_null(), "dtype",
                   lrp_dtype_name(study->eval_dtype));
}

/* What stands in front of a task's questions; nothing of a task without shots. The declared split
 * tells how rows are drawn, the file which ones there are. */
static void set_shots(json_t *data, const lrp_task *task) {
  const lrp_task_shots *shots = &task->shots;
  if (shots->n == 0) return;
  json_object_set_new(data, "num_fewshot", json_integer(shots->n));
  json_object_set_new(data, "fewshot_split",
                      shots->split ? json_string(shots->split) : json_null());
  json_object_set_new(data, "fewshot_file", json_string(shots->data->file));
  json_object_set_new(data, "fewshot_xxh3", lrp_json_hash(shots->data->rows.xxh3));
}

static json_t *data_of(const lrp_study *study) {
  json_t *data = json_object();
  for (int t = 0; t < study->n_tasks; t++) {
    const lrp_task *task = &study->tasks[t];
    json_t *one = json_pack("{s:s, s:o, s:I, s:I}", "file", task->data->file, "xxh3",
                            lrp_json_hash(task->data->rows.xxh3), "documents",
                            (json_int_t)task->n_docs, "requests", (json_int_t)task->n_requests);
    set_shots(one, task);
    json_object_set_new(data, task->kind->name, one);
  }
  return data;
}

json_t *lrp_protocol_covers(const lrp_study *study, json_t *pairs) {
  json_t *configurations = json_object();
  for (int c = 0; c < study->plan.n_configurations; c++) {
    json_object_set_new(configurations, configuration_name(study, c), factors_of(study, c));
  }
  return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "model", lrp_model_files(study), "tokenizer",
                   lrp_json_hash(study->tokenizer_xxh3), "settings", settings_of(study), "data",
                   data_of(study), "configurations", configurations, "pairs", pairs);
}

/* Text of a JSON scalar for a message; freed by the caller. */
static char *show(const json_t *value) {
  char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
  return text ? text : strdup("nothing");
}

static lrp_status refuse(const lrp_study *study, const char *what, const char *key,
                         const json_t *job, const json_t *stored) {
  char *mine = show(job), *theirs = show(stored);
  const lrp_status st = lrp_fail(
      LRP_ERR_JOB, "%s%s: the job says %s, %s was made with %s; restore it or choose another %s",
      what, key, mine ? mine : "?", study->job.output, theirs ? theirs : "?", "name or output");
  free(theirs);
  free(mine);
  return st;
}

/* auto depends on the processors, which need not be those of the first attempt. */
static lrp_status refuse_resolved_dtype(const lrp_study *study, const json_t *stored) {
  char *theirs = show(stored);
  const lrp_status st = lrp_fail(
      LRP_ERR_JOB,
      "evaluate.dtype: auto means \"%s\" here, %s was made with %s; set it to that, or choose "
      "another output",
      lrp_dtype_name(study->eval_dtype), study->job.output, theirs ? theirs : "?");
  free(theirs);
  return st;
}

static lrp_status refuse_setting(const lrp_study *study, const char *key, const json_t *job,
                                 const json_t *stored) {
  if (strcmp(key, "dtype") == 0 && study->job.evaluate.dtype == LRP_EVAL_AUTO) {
    return refuse_resolved_dtype(study, stored);
  }
  return refuse(study, "evaluate.", key, job, stored);
}

static lrp_status check_settings(const lrp_study *study, const json_t *covers) {
  json_t *mine = settings_of(study);
  const json_t *stored = json_object_get(covers, "settings");
  lrp_status st = mine ? LRP_OK : lrp_fail_memory(0, "the protocol");
  const char *key;
  json_t *value;
  json_object_foreach(mine, key, value) {
    const json_t *other = json_object_get(stored, key);
    if (st == LRP_OK && !(other && json_equal(value, (json_t *)(uintptr_t)other))) {
      st = refuse_setting(study, key, value, other);
    }
  }
  json_decref(mine);
  return st;
}

/* A configuration of the same name must have the same factors: show the first that differs. */
static lrp_status check_configuration(const lrp_study *study, int c, const json_t *stored) {
  json_t *mine = factors_of(study, c);
  lrp_status st = mine ? LRP_OK : lrp_fail_memory(0, "the protocol");
  const char *tensor;
  json_t *rank;
  char what[128];
  snprintf(what, sizeof what, "configuration %s: ", configuration_name(study, c));
  json_object_foreach(mine, tensor, rank) {
    json_t *other = json_object_get(stored, tensor);
    if (st == LRP_OK && !(other && json_equal(rank, other))) {
      st = refuse(study, what, tensor, rank, other);
    }
  }
  json_object_foreach((json_t *)(uintptr_t)stored, tensor, rank) {
    if (st == LRP_OK && !json_object_get(mine, tensor)) {
      st = refuse(study, what, tensor, NULL, rank);
    }
  }
  json_decref(mine);
  return st;
}

/* Other shots are another job. A task without them has neither key. */
static lrp_status check_shots(const lrp_study *study, const char *task, json_t *mine,
                              json_t *stored) {
  static const char *const keys[] = {"num_fewshot", "fewshot_split"};
  json_t *none = json_pack("{s:i, s:n}", keys[0], 0, keys[1]);
  lrp_status st = none ? LRP_OK : lrp_fail_memory(0, "the protocol");
  char what[96];
  snprintf(what, sizeof what, "evaluate.tasks: %s: ", task);
  for (size_t i = 0; st == LRP_OK && i < sizeof keys / sizeof *keys; i++) {
    const json_t *a = json_object_get(mine, keys[i]), *b = json_object_get(stored, keys[i]);
    if (!a) a = json_object_get(none, keys[i]);
    if (!b) b = json_object_get(none, keys[i]);
    if (!json_equal(a, b)) st = refuse(study, what, keys[i], a, b);
  }
  json_decref(none);
  return st;
}

static lrp_status check_data(const lrp_study *study, const json_t *covers) {
  json_t *files = lrp_model_files(study), *data = data_of(study);
  json_t *tokenizer = lrp_json_hash(study->tokenizer_xxh3);
  lrp_status st = files && data && tokenizer ? LRP_OK : lrp_fail_memory(0, "the protocol");
  const char *task;
  json_t *mine;

  if (st == LRP_OK && !json_equal(files, json_object_get(covers, "model"))) {
    st = lrp_fail(LRP_ERR_DATA,
                  "%s: its config.json or weight files are not those that %s was evaluated with",
                  study->job.model, study->job.output);
  }
  if (st == LRP_OK && !json_equal(tokenizer, json_object_get(covers, "tokenizer"))) {
    st = lrp_fail(LRP_ERR_DATA, "%s: its tokenizer is not the one that %s was evaluated with",
                  study->job.model, study->job.output);
  }
  json_object_foreach(data, task, mine) {
    json_t *stored = json_object_get(json_object_get(covers, "data"), task);
    if (st == LRP_OK && stored) st = check_shots(study, task, mine, stored);
    if (st == LRP_OK && stored && !json_equal(mine, stored)) {
      st = lrp_fail(
          LRP_ERR_DATA,
          "%s/%s: has changed since %s was evaluated with it; restore it or choose another "
          "output",
          study->job.evaluate.data, json_string_value(json_object_get(mine, "file")),
          study->job.output);
    }
  }
  json_decref(tokenizer);
  json_decref(data);
  json_decref(files);
  return st;
}

lrp_status lrp_protocol_check(const lrp_study *study, const json_t *covers) {
  lrp_status st = check_settings(study, covers);
  for (int c = 0; st == LRP_OK && c < study->plan.n_configurations; c++) {
    const json_t *stored =
        json_object_get(json_object_get(covers, "configurations"), configuration_name(study, c));
    if (stored) st = check_configuration(study, c, stored);
  }
  if (st == LRP_OK) st = check_data(study, covers);
  return st;
}
