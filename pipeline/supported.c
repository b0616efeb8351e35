#include "pipeline/supported.h"

#include "kernels/log.h"
#include "pipeline/tasks.h"
#include "pipeline/words.h"

static lrp_status check_tasks(const lrp_job *job) {
  int n;
  const char *const *names = lrp_task_names(&n);
  for (int i = 0; i < job->evaluate.n_tasks; i++) {
    const char *task = job->evaluate.tasks[i];
    if (lrp_task_find(task)) continue;
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
  if (job->evaluate.dtype == LRP_EVAL_BF16) {
    return lrp_fail(LRP_ERR_JOB,
                    "evaluate.dtype: bfloat16 is not available in this version; use float32");
  }
  if (job->measure.given) lrp_warn("measure: is not run in this version; ignored");
  return check_tasks(job);
}
