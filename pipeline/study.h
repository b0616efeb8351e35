/** @file pipeline/study.h
 *  What a run knows before it writes anything: job, model, plan, benchmarks. */
#ifndef LRP_PIPELINE_STUDY_H
#define LRP_PIPELINE_STUDY_H

#include "io/model/model.h"
#include "io/tokenizer/tokenizer.h"
#include "pipeline/calibration.h"
#include "pipeline/job.h"
#include "pipeline/options.h"
#include "pipeline/plan.h"
#include "pipeline/task_set.h"
#include "pipeline/topology.h"

typedef struct {
  lrp_job job;
  char *job_yaml; /* owned: the resolved job */
  lrp_model model;
  uint64_t config_xxh3;  /* of config.json */
  lrp_dtype store_dtype; /* of the factors */
  lrp_dtype eval_dtype;  /* of the operands of the forward pass: LRP_F32 or LRP_BF16 */
  lrp_plan plan;
  lrp_calibration calibration; /* the speeds that its predictions rest on */
  lrp_tokenizer *tokenizer;    /* owned; NULL if nothing is evaluated, or of an encoder */
  lrp_wordpiece *pieces;       /* owned; the tokenizer of an encoder, likewise */
  uint64_t tokenizer_xxh3;     /* of its file and those beside it */
  lrp_task *tasks;             /* owned, n_tasks */
  int n_tasks;
  lrp_task_set set;   /* what the job names: tasks with their shots, groups, suites */
  int64_t max_length; /* T; 0: each task's own, of an encoder whose job does not set it */
  int64_t truncated;  /* requests that were longer than T */
} lrp_study;

/** Read and check everything that the job names, of the weight files only the headers. Nothing is
 *  written. Collective over topo->comm.
 *  @return LRP_OK, or the status of what is wrong; the same on every process rank */
lrp_status lrp_study_open(const lrp_options *options, const lrp_topology *topo, lrp_study *study);

/** Release everything and zero *study. Local; accepts a zeroed one. */
void lrp_study_close(lrp_study *study);

#endif
