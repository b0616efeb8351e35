/** @file pipeline/propose_parts.h
 *  What the files of pipeline/propose.h share. */
#ifndef LRP_PIPELINE_PROPOSE_PARTS_H
#define LRP_PIPELINE_PROPOSE_PARTS_H

#include <jansson.h>
#include <stdbool.h>

#include "pipeline/job.h"
#include "pipeline/offers.h"
#include "pipeline/plan.h"

/** Candidates are made from every s-th layer, s = 1 .. LRP_STRIDES, from each first one: of two
 *  sizes, and there is a list of the paper. */
enum { LRP_STRIDES = 4, LRP_PROPOSALS = LRP_STRIDES * (LRP_STRIDES + 1) + 1, LRP_QUESTIONS = 2 };

/** A configuration to evaluate. No two proposals have the same ranks. */
typedef struct {
  const char *list;  /* of the paper; NULL: a candidate of our own */
  int question;      /* that it was made for */
  int stride, first; /* its layers are among first, first + stride, .. */
  int *rank;         /* owned, layers * tensors */
  int64_t saving;    /* parameters */
  double reduction_percent;
  char name[LRP_MAX_NAME + 1];
} lrp_proposal;

/** What to choose: one of the members, which all save enough. The first of them has the least
 *  predicted loss. */
typedef struct {
  const char *kind, *list; /* list: of the paper, whose size is asked for, or NULL */
  double percent;
  int64_t saving; /* parameters */
  int member[LRP_PROPOSALS], n;
} lrp_question;

/** What proposals are made from, and what is made. */
typedef struct {
  const char *output;
  double target;
  char *job_text; /* owned */
  json_t *tradeoff;
  lrp_job job;
  lrp_config config;
  lrp_plan plan;
  lrp_offers offers;
  bool by_losses; /* offers are measured losses, not errors */
  bool measured;  /* losses of what is proposed will be */
  lrp_proposal proposals[LRP_PROPOSALS];
  int n_proposals;
  lrp_question questions[LRP_QUESTIONS];
  int n_questions;
} lrp_proposer;

/** Make, name and add to the job what is to be evaluated. Local.
 *  @return LRP_OK; LRP_ERR_JOB if the offers do not reach the target; LRP_ERR_MEM */
lrp_status lrp_propose_candidates(lrp_proposer *p);

/** Write choice.json and choice.yaml, and remove a report that shows another choice. Local.
 *  @return LRP_OK; LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_propose_write(lrp_proposer *p);

#endif
