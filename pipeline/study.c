#include "pipeline/study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "io/tokenizer/beside.h"
#include "kernels/log.h"
#include "pipeline/supported.h"

extern char **environ;

/* The parser refuses less, with a better message. */
enum { job_bytes_max = 1 << 24 };

/* Text that process rank 0 read, on every process rank, with the status of the reading. */
static lrp_status broadcast(lrp_status st, char **text, size_t *size, const lrp_topology *topo) {
  unsigned long long length = st == LRP_OK && topo->me == 0 ? *size : 0;
  st = lrp_agree(st, topo->comm);
  if (st != LRP_OK) return st;
  MPI_Bcast(&length, 1, MPI_UNSIGNED_LONG_LONG, 0, topo->comm);
  if (topo->me != 0) *text = malloc((size_t)length + 1);
  st = lrp_agree(*text ? LRP_OK : lrp_fail_memory((size_t)length, "the job"), topo->comm);
  if (st != LRP_OK) return st;
  MPI_Bcast(*text, (int)length, MPI_CHAR, 0, topo->comm);
  (*text)[length] = '\0';
  *size = (size_t)length;
  return LRP_OK;
}

/* The LRPIPE_* lines of the environment, each with its NUL. */
static lrp_status collect_environment(char **text, size_t *size) {
  static const char prefix[] = "LRPIPE_";
  size_t bytes = 0, at = 0;
  for (char **e = environ; *e; e++) {
    if (strncmp(*e, prefix, sizeof prefix - 1) == 0) bytes += strlen(*e) + 1;
  }
  *text = malloc(bytes + 1);
  if (!*text) return lrp_fail_memory(bytes, "the environment");
  for (char **e = environ; *e; e++) {
    if (strncmp(*e, prefix, sizeof prefix - 1) != 0) continue;
    memcpy(*text + at, *e, strlen(*e) + 1);
    at += strlen(*e) + 1;
  }
  *size = at;
  return at < job_bytes_max
             ? LRP_OK
             : lrp_fail(LRP_ERR_JOB, "the LRPIPE_* variables of the environment exceed 16 MiB");
}

/* Pointers to the lines of text. */
static lrp_status split_lines(char *text, size_t size, char ***lines, int *n) {
  *n = 0;
  for (size_t i = 0; i < size; i++) *n += text[i] == '\0';
  *lines = malloc(((size_t)*n + 1) * sizeof **lines);
  if (!*lines) return lrp_fail_memory((size_t)*n * sizeof **lines, "the environment");
  for (int i = 0; i < *n; i++) {
    (*lines)[i] = text;
    text += strlen(text) + 1;
  }
  return LRP_OK;
}

static lrp_status read_job(lrp_study *study, const lrp_options *options, const lrp_topology *topo) {
  char *text = NULL, *env = NULL, **lines = NULL;
  size_t size = 0, env_size = 0;
  lrp_overrides overrides = {.set = options->set, .n_set = options->n_set};
  lrp_status st = LRP_OK;

  if (topo->me == 0) st = lrp_file_read(options->operand, job_bytes_max, &text, &size);
  st = broadcast(st, &text, &size, topo);
  if (st == LRP_OK) {
    if (topo->me == 0) st = collect_environment(&env, &env_size);
    st = broadcast(st, &env, &env_size, topo);
  }
  if (st == LRP_OK) {
    st = split_lines(env, env_size, &lines, &overrides.n_environment);
    overrides.environment = lines;
    if (st == LRP_OK) st = lrp_job_parse(options->operand, text, size, &overrides, &study->job);
    if (st == LRP_OK) st = lrp_job_write(&study->job, &study->job_yaml);
  }
  free(lines);
  free(env);
  free(text);
  return lrp_agree(st, topo->comm);
}

static lrp_dtype store_dtype(lrp_store_dtype wanted, lrp_dtype model) {
  switch (wanted) {
    case LRP_STORE_F32:
      return LRP_F32;
    case LRP_STORE_F16:
      return LRP_F16;
    case LRP_STORE_BF16:
      return LRP_BF16;
    case LRP_STORE_MODEL:
      return model;
  }
  return LRP_F32;
}

/* XXH3 of a file of the model directory. */
static lrp_status hash_file(const lrp_study *study, const char *name, uint64_t *xxh3) {
  int64_t size;
  char *path = lrp_path_join(study->job.model, name);
  const lrp_status st = path ? lrp_file_hash(path, xxh3, &size) : LRP_ERR_MEM;
  free(path);
  return st;
}

/* The model is only read: a run must not write into its directory. */
static lrp_status check_output(const lrp_job *job) {
  char *model = realpath(job->model, NULL), *output = realpath(job->output, NULL);
  const bool same = model && output && strcmp(model, output) == 0;
  free(model);
  free(output);
  if (!same) return LRP_OK;
  return lrp_fail(LRP_ERR_JOB,
                  "output: %s is the model's directory, which is only read; choose "
                  "another",
                  job->output);
}

/* The files beside the tokenizer's own can change its ids, too (do_lower_case), or end an answer.
 */
static lrp_status hash_tokenizer(lrp_study *study, const char *file) {
  static const char *const beside[] = {"merges.txt", "added_tokens.json", "tokenizer_config.json",
                                       "special_tokens_map.json", "generation_config.json"};
  lrp_status st = hash_file(study, file, &study->tokenizer_xxh3);

  for (size_t i = 0; i < sizeof beside / sizeof *beside && st == LRP_OK; i++) {
    char *path = lrp_path_join(study->job.model, beside[i]);
    uint64_t xxh3 = 0;
    int64_t size;
    if (!path) {
      st = LRP_ERR_MEM;
    } else if (!lrp_beside_absent(path)) {
      st = lrp_file_hash(path, &xxh3, &size);
    }
    free(path);
    study->tokenizer_xxh3 = 31 * study->tokenizer_xxh3 + xxh3;
  }
  return st;
}

static lrp_status load_tokenizer(lrp_study *study) {
  const bool encoder = study->model.config.family == LRP_FAMILY_BERT;
  const lrp_status st = encoder ? lrp_wordpiece_open(study->job.model, &study->pieces)
                                : lrp_tokenizer_open(study->job.model, &study->tokenizer);
  if (st != LRP_OK) return st;
  return hash_tokenizer(
      study, encoder ? lrp_wordpiece_file(study->pieces) : lrp_tokenizer_file(study->tokenizer));
}

/* A tokenizer may know more tokens than the model has rows, as long as no text uses them. */
static lrp_status check_ids(const lrp_study *study, const lrp_task *task) {
  const int64_t vocab_size = lrp_config_vocab_size(&study->model.config);
  for (int64_t r = 0; r < task->n_requests; r++) {
    const lrp_request *q = &task->requests[r];
    for (int64_t i = 0; q->tokens && i < q->n_tokens; i++) {
      if (q->tokens[i] < vocab_size) continue;
      return lrp_fail(LRP_ERR_DATA,
                      "%s: the tokenizer gives token id %ld in task %s, but config.json has a "
                      "vocab_size of %lld",
                      study->job.model, (long)q->tokens[i], task->kind->name,
                      (long long)vocab_size);
    }
  }
  return LRP_OK;
}

/* The mask is in no text, but takes the place of every token. */
static lrp_status check_mask(const lrp_study *study, const lrp_task *task) {
  const int64_t vocab_size = lrp_config_vocab_size(&study->model.config);
  if (task->kind->output != LRP_BLANKS || lrp_wordpiece_mask(study->pieces) < vocab_size) {
    return LRP_OK;
  }
  return lrp_fail(LRP_ERR_DATA,
                  "%s: the tokenizer gives [MASK] the token id %ld, but config.json has a "
                  "vocab_size of %lld",
                  study->job.model, (long)lrp_wordpiece_mask(study->pieces), (long long)vocab_size);
}

/* The second text of a pair has a type of its own, which the model must know. */
static lrp_status check_types(const lrp_study *study, const lrp_task *task) {
  const int64_t types = study->model.config.bert.type_vocab_size;
  for (int64_t r = 0; r < task->n_requests; r++) {
    const lrp_request *q = &task->requests[r];
    for (int64_t i = 0; q->types && i < q->n_tokens; i++) {
      if (q->types[i] < types) continue;
      return lrp_fail(LRP_ERR_JOB,
                      "evaluate.tasks: %s has pairs of texts, but the model has a type_vocab_size "
                      "of %lld",
                      task->kind->name, (long long)types);
    }
  }
  return LRP_OK;
}

static lrp_status load_task(lrp_study *study, const lrp_task_choice *choice) {
  const lrp_job *job = &study->job;
  const lrp_task_source source = {.dir = job->evaluate.data,
                                  .num_fewshot = choice->num_fewshot,
                                  .fewshot_split = choice->fewshot_split,
                                  .limit = job->evaluate.limit,
                                  .max_length = study->max_length > 0 ? study->max_length : -1,
                                  .tok = study->tokenizer,
                                  .pieces = study->pieces,
                                  .config = &study->model.config};
  lrp_task *task = &study->tasks[study->n_tasks];
  const lrp_status st = lrp_task_load(choice->kind, &source, study->tasks, study->n_tasks, task);
  if (st != LRP_OK) return st;
  study->n_tasks++;
  for (int64_t j = 0; j < task->n_requests; j++) study->truncated += task->requests[j].truncated;
  return LRP_OK;
}

static lrp_status load_tasks(lrp_study *study) {
  const lrp_job *job = &study->job;
  if (job->evaluate.n_tasks == 0) return LRP_OK;
  study->max_length = job->evaluate.max_length;
  if (study->max_length < 0) {
    const bool encoder = study->model.config.family == LRP_FAMILY_BERT;
    study->max_length = encoder ? 0 : lrp_config_positions(&study->model.config);
  }
  lrp_status st = lrp_task_set_init(job, &study->set);
  if (st != LRP_OK) return st;
  study->tasks = calloc((size_t)study->set.n_tasks, sizeof *study->tasks);
  if (!study->tasks) return lrp_fail_memory(sizeof *study->tasks, "the tasks");
  st = lrp_job_check_tasks(job, &study->model.config);
  if (st == LRP_OK) st = load_tokenizer(study);
  for (int i = 0; st == LRP_OK && i < study->set.n_tasks; i++) {
    st = load_task(study, &study->set.tasks[i]);
  }
  for (int t = 0; st == LRP_OK && t < study->n_tasks; t++) {
    st = check_ids(study, &study->tasks[t]);
    if (st == LRP_OK) st = check_mask(study, &study->tasks[t]);
    if (st == LRP_OK) st = check_types(study, &study->tasks[t]);
  }
  return st;
}

/* Everything that each process rank reads for itself: the statuses are agreed by the caller. */
static lrp_status read_inputs(lrp_study *study) {
  lrp_status st = lrp_job_check_supported(&study->job);
  if (st == LRP_OK) st = lrp_model_open(study->job.model, &study->model);
  if (st == LRP_OK) st = lrp_job_check_measure(&study->job, &study->model.config);
  if (st == LRP_OK) st = hash_file(study, "config.json", &study->config_xxh3);
  if (st == LRP_OK) st = check_output(&study->job);
  if (st == LRP_OK) st = lrp_plan_create(&study->job, &study->model.config, &study->plan);
  if (st == LRP_OK) {
    study->store_dtype = store_dtype(study->job.decompose.dtype, lrp_model_dtype(&study->model));
    st = load_tasks(study);
  }
  return lrp_json_checked(st); /* rows and documents are built without further checks */
}

/* Seconds of the units, by the speeds that are known of this machine. Schedules follow from them,
 * so all process ranks take those of the first: another processor may round them another way.
 * Collective. */
static lrp_status predict(lrp_study *study, const lrp_topology *topo) {
  const lrp_status st = lrp_calibration_share(topo, &study->calibration);
  if (st != LRP_OK) return st;
  lrp_plan_predict(&study->plan, &study->calibration.cost, study->job.decompose.method,
                   lrp_model_dtype(&study->model), study->store_dtype);
  for (int i = 0; i < study->plan.n_units; i++) {
    MPI_Bcast(&study->plan.units[i].seconds, 1, MPI_DOUBLE, 0, topo->comm);
  }
  return LRP_OK;
}

static void warn_truncated(const lrp_study *study) {
  if (study->pieces) {
    lrp_warn(
        "%lld inputs are longer than their task's max_length: cut at the end, of two texts the "
        "longer first",
        (long long)study->truncated);
  } else {
    lrp_warn("%lld requests are longer than max_length %lld: cut from the left",
             (long long)study->truncated, (long long)study->max_length);
  }
}

lrp_status lrp_study_open(const lrp_options *options, const lrp_topology *topo, lrp_study *study) {
  *study = (lrp_study){0};
  lrp_status st = read_job(study, options, topo);
  if (st == LRP_OK) st = lrp_agree(read_inputs(study), topo->comm);
  if (st == LRP_OK && (study->n_tasks > 0 || study->job.measure.given)) {
    st = lrp_eval_dtype_resolve(study->job.evaluate.dtype, lrp_model_dtype(&study->model),
                                topo->comm, &study->eval_dtype);
  }
  if (st == LRP_OK) st = predict(study, topo);
  if (st == LRP_OK && study->truncated > 0) {
    warn_truncated(study);
  }
  if (st != LRP_OK) lrp_study_close(study);
  return st;
}

void lrp_study_close(lrp_study *study) {
  for (int i = 0; i < study->n_tasks; i++) lrp_task_free(&study->tasks[i]);
  free(study->tasks);
  lrp_task_set_free(&study->set);
  lrp_tokenizer_close(&study->tokenizer);
  lrp_wordpiece_close(&study->pieces);
  lrp_plan_free(&study->plan);
  lrp_model_close(&study->model);
  free(study->job_yaml);
  lrp_job_free(&study->job);
  *study = (lrp_study){0};
}
