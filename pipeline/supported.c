#include "pipeline/supported.h"

#include "kernels/log.h"
#include "kernels/nn/matmul.h"
#include "pipeline/tasks.h"
#include "pipeline/words.h"

static lrp_status check_tasks(const lrp_job *job) {
  int n;
  const char *const *names = lrp_task_names(&n);
  for (int i = 0; i < job->evaluate.n_tasks; i++) {
    const char *task = job->evaluate.tasks[i];
    if (lrp_task_find(task) || lrp_task_group_find(task)) continue;
    const char *near = lrp_did_you_mean(task, names, n);
    return lrp_fail(LRP_ERR_JOB, "evaluate.tasks: unknown task '%s'%s%s%s", task,
                    near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
  }
  return LRP_OK;
}

lrp_status lrp_job_check_supported(const lrp_job *job) {
  if (job->evaluate.num_fewshot != 0) {
    return lrp_fail(LRP_ERR_JOB, "evaluate.num_fewshot: %lld: only 0 is available in this version",
                    (long long)job->evaluate.num_fewshot);
  }
  if (job->measure.given) lrp_warn("measure: is not run in this version; ignored");
  return check_tasks(job);
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
