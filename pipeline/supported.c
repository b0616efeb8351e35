#include "pipeline/supported.h"

#include <stdio.h>

#include "kernels/nn/matmul.h"
#include "pipeline/task_set.h"

static lrp_status check_tasks(const lrp_job *job) {
  lrp_task_set set;
  const lrp_status st = lrp_task_set_init(job, &set);
  lrp_task_set_free(&set);
  return st;
}

static bool can_do(const lrp_config *config, const lrp_task_kind *kind) {
  const lrp_bert_config *bert = &config->bert;
  if (config->family != LRP_FAMILY_BERT) return !lrp_output_is_encoders(kind->output);
  switch (kind->output) {
    case LRP_CLASSES:
      return bert->head == LRP_BERT_CLASSIFIER && bert->num_labels == lrp_task_label_count(kind);
    case LRP_SPANS:
      return bert->head == LRP_BERT_SPANS;
    case LRP_BLANKS:
      return bert->head == LRP_BERT_MASKED;
    default:
      return false;
  }
}

/* "sst2, mrpc": the tasks that the model can do; of groups their name alone. */
static void list_tasks(const lrp_config *config, char *text, size_t size) {
  int n_kinds, n_groups;
  size_t used = 0;
  const lrp_task_kind *kinds = lrp_task_kinds(&n_kinds);
  const lrp_task_group *groups = lrp_task_groups(&n_groups);
  text[0] = '\0';
  for (int i = 0; i < n_kinds + n_groups && used < size; i++) {
    const lrp_task_group *group = i < n_kinds ? NULL : &groups[i - n_kinds];
    const bool shown = group ? config->family != LRP_FAMILY_BERT && !group->parent
                             : !kinds[i].by_subject && can_do(config, &kinds[i]);
    if (!shown) continue;
    used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "",
                             group ? group->name : kinds[i].name);
  }
}

static lrp_status refuse_task(const lrp_config *config, const char *task) {
  char tasks[512], labels[48] = "";
  list_tasks(config, tasks, sizeof tasks);
  if (config->family == LRP_FAMILY_BERT && config->bert.head == LRP_BERT_CLASSIFIER) {
    snprintf(labels, sizeof labels, " of %lld labels", (long long)config->bert.num_labels);
  }
  return lrp_fail(LRP_ERR_JOB,
                  "evaluate.tasks: %s: a model of class %s%s has no head for it; tasks that it can "
                  "do: %s",
                  task, config->architecture, labels, tasks[0] ? tasks : "none");
}

lrp_status lrp_job_check_tasks(const lrp_job *job, const lrp_config *config) {
  for (int i = 0; i < job->evaluate.n_tasks; i++) {
    const char *name = job->evaluate.tasks[i];
    const lrp_task_kind *kind = lrp_task_find(name); /* groups and suites are of causal models */
    if (kind ? can_do(config, kind) : config->family != LRP_FAMILY_BERT) continue;
    return refuse_task(config, name);
  }
  return LRP_OK;
}

lrp_status lrp_job_check_supported(const lrp_job *job) {
  return check_tasks(job);
}

lrp_status lrp_job_check_measure(const lrp_job *job, const lrp_config *config) {
  const lrp_counts *lengths = &job->measure.sequence_length;
  const int64_t limit = lrp_config_positions(config);
  for (int i = 0; job->measure.given && i < lengths->n; i++) {
    if (lengths->value[i] <= limit) continue;
    return lrp_fail(LRP_ERR_JOB,
                    "measure.sequence_length: %lld: the model takes at most %lld tokens "
                    "(max_position_embeddings)",
                    (long long)lengths->value[i], (long long)limit);
  }
  return LRP_OK;
}

lrp_status lrp_eval_dtype_resolve(lrp_eval_dtype wanted, lrp_dtype weights, MPI_Comm comm,
                                  lrp_dtype *out) {
  int all_can = lrp_matmul_has_bf16();
  MPI_Allreduce(MPI_IN_PLACE, &all_can, 1, MPI_INT, MPI_MIN, comm);
  *out = LRP_F32;
  if (wanted == LRP_EVAL_F32 || (wanted == LRP_EVAL_AUTO && weights != LRP_BF16)) return LRP_OK;
  if (all_can) {
    *out = LRP_BF16;
    return LRP_OK;
  }
  if (wanted == LRP_EVAL_AUTO) return LRP_OK;
  return lrp_fail(LRP_ERR_JOB,
                  "evaluate.dtype: bfloat16: a processor of this run does not multiply bfloat16 "
                  "(avx512_bf16 or amx); use auto or float32");
}
