/** @file pipeline/results.h
 *  results.json and samples_<task>.jsonl of a configuration, with lm-evaluation-harness's keys. */
#ifndef LRP_PIPELINE_RESULTS_H
#define LRP_PIPELINE_RESULTS_H

#include "pipeline/suites.h"

/** What results.json says besides the scores. All borrowed. */
typedef struct {
  const char *configuration;
  const char *model;        /* directory */
  int64_t max_length;       /* 0: each task's own */
  int64_t limit;            /* -1: none */
  const char *dtype;        /* of the forward pass: "float32" or "bfloat16" */
  const char *bos;          /* text of the BOS token, or NULL */
  double seconds;           /* spent evaluating, over all attempts */
  const json_t *provenance; /* versions, BLAS kernel, command line, host, job, model hashes */
  const json_t *size;       /* parameters, reduction, ... of the configuration */
  const lrp_task_group *const *groups; /* n_groups, each with all of its tasks among the scores */
  int n_groups;
  const lrp_task_suite *const *suites; /* n_suites, likewise */
  int n_suites;
} lrp_results_info;

/** Write <dir>/results.json from scores whose estimates are filled. Local. @return LRP_OK,
 * LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_results_write(const char *dir, const lrp_results_info *info,
                             const lrp_scores *scores, int n_scores);

/** A task's settings, as results.json shows them under configs. Local; a new reference or NULL when
 *  out of memory (not recorded). */
json_t *lrp_task_settings(const lrp_task *task);

/** {"until": [...], "do_sample": false, "temperature": 0.0} of a task of LRP_GENERATE.
 *  Local; a new reference or NULL when out of memory. */
json_t *lrp_generation_kwargs(const lrp_task_kind *kind);

/** Write <dir>/samples_<task>.jsonl. Local. @return as lrp_results_write */
lrp_status lrp_samples_write(const char *dir, const lrp_scores *scores);

#endif
