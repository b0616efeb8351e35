/** @file pipeline/portions.h
 *  What process ranks take one by one in the evaluation: a block of requests under several
 *  configurations.
 *
 *  Portions only say who computes what together. The blocks, which the journal knows, do not depend
 *  on them, nor do results; so they may follow the number of process ranks. */
#ifndef LRP_PIPELINE_PORTIONS_H
#define LRP_PIPELINE_PORTIONS_H

#include "pipeline/scorebook.h"
#include "pipeline/sweep.h"

typedef struct {
  int task;      /* of the study */
  int64_t block; /* of the task */
  int first, n;  /* configurations sweep->order[first .. first + n) */
  double tokens; /* cost: tokens through a whole model; 0: nothing is left to do */
} lrp_portion;

typedef struct {
  lrp_portion *portions; /* owned, n: configurations by configurations, so that what is kept of
                            their weights serves many blocks */
  int64_t n;
} lrp_portions;

/** Cut the evaluation into portions, some for each of so many workers: configurations stay together
 *  as far as that allows; those of an encoder, or of a task that generates, which share nothing,
 *  never. Local; the same on every
 *  process rank. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_portions_create(const lrp_scorebook *book, const lrp_sweep *sweep, int workers,
                               lrp_portions *out);
void lrp_portions_free(lrp_portions *portions);

/** The configurations of a portion whose block is not done, in the order of the sweep: n of them,
 *  written to todo, which has room for portion->n. Local. */
int lrp_portion_todo(const lrp_scorebook *book, const lrp_sweep *sweep, const lrp_portion *portion,
                     int *todo);

/** Block of the scorebook that a portion is under a configuration. Local. */
int64_t lrp_portion_block(const lrp_scorebook *book, const lrp_portion *portion, int configuration);

#endif
