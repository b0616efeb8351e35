/** @file pipeline/outlook.h
 *  What a job will need, known before anything of it runs: from its files, without MPI. */
#ifndef LRP_PIPELINE_OUTLOOK_H
#define LRP_PIPELINE_OUTLOOK_H

#include <stdbool.h>

#include "io/model/model.h"
#include "pipeline/calibration.h"
#include "pipeline/forecast.h"
#include "pipeline/job.h"
#include "pipeline/options.h"
#include "pipeline/partition.h"
#include "pipeline/plan.h"

typedef struct {
  lrp_job job;
  lrp_config config;
  lrp_plan plan;
  lrp_partition partition;
  lrp_dtype model_dtype;
  bool has_weights; /* else model_dtype is an assumption */
  int ranks;        /* process ranks, of all nodes */
  int n_nodes;
  lrp_calibration calibration; /* the speeds that predictions rest on */
  lrp_forecast forecast;       /* of decomposing everything */
} lrp_outlook;

/** Read the job with options->set and the environment, its model's config.json and
 *  headers, and plan it. Local.
 *  @param path        job file
 *  @param node_ranks  process ranks of each of n_nodes nodes
 *  @param threads     of each process rank
 *  @return LRP_OK, LRP_ERR_ABSENT, LRP_ERR_DATA, LRP_ERR_JOB, ...; close it in any case */
lrp_status lrp_outlook_open(const lrp_options *options, const char *path, const int *node_ranks,
                            int n_nodes, int threads, lrp_outlook *o);

/** Release everything and zero *o. Local; accepts a zeroed one. */
void lrp_outlook_close(lrp_outlook *o);

/** Type in which factors are stored. Local. */
lrp_dtype lrp_outlook_factor_dtype(const lrp_outlook *o);

/** Bytes that a process rank needs to decompose, besides the mapped weights. Local. */
double lrp_outlook_memory(const lrp_outlook *o);

/** Bytes of factors.h5. Local. */
double lrp_outlook_disk(const lrp_outlook *o);

#endif
