/** @file pipeline/scorebook.h
 *  The scores of a study in evaluation.h5, evaluation.2.h5, ...
 *
 *  A pair is a task under a configuration. Its requests are cut into blocks of whole documents, or
 *  of windows of a text, by tokens alone, so that the blocks do not depend on the process ranks; a
 *  block is the unit of work, of the journal, and of what a kill can lose. */
#ifndef LRP_PIPELINE_SCOREBOOK_H
#define LRP_PIPELINE_SCOREBOOK_H

#include <jansson.h>

#include "pipeline/ledgers.h"
#include "pipeline/study.h"

/** A task under a configuration. */
typedef struct {
  int configuration, task; /* of the study */
  int ledger;              /* index in ledgers; -1: not planned yet */
  int64_t first_slot;      /* its first block in that ledger */
  int64_t first_block;     /* its first block in lrp_scorebook.blocks */
  int64_t n_blocks;
} lrp_pair;

/** Requests [first, first + n) of a pair's task. */
typedef struct {
  int pair;
  int64_t first, n;
  int64_t tokens; /* predicted cost */
} lrp_block;

typedef struct {
  const lrp_study *study; /* borrowed */
  lrp_ledgers ledgers;
  lrp_pair *pairs; /* owned, configurations x tasks, by configuration */
  int n_pairs;
  lrp_block *blocks; /* owned, by pair */
  int64_t n_blocks;
  int attempt;
} lrp_scorebook;

/** Open the evaluation ledgers of the output for writing, planning a further one for pairs that
 *  none has. Collective over topo->comm. The configurations' ranks must be final.
 *  @return LRP_OK; LRP_ERR_JOB if the job contradicts what is stored (protocol, limit, a
 *          configuration of the same name with other ranks); LRP_ERR_DATA if data or model differ;
 *          LRP_ERR_CREATE, ...; the same on every process rank */
lrp_status lrp_scorebook_open(const lrp_study *study, const lrp_topology *topo,
                              const json_t *provenance, int attempt, lrp_scorebook *book);

/** Close all ledgers. Collective. @return LRP_OK, LRP_ERR_IO; the same on every process rank */
lrp_status lrp_scorebook_close(lrp_scorebook *book);

/** Predicted cost of a task under one configuration: the tokens of all its blocks. Local; without a
 *  scorebook. */
int64_t lrp_scorebook_tokens(const lrp_task *task);

/** Whether block b is on disk, and its record (may be NULL). Local. */
bool lrp_scorebook_done(const lrp_scorebook *book, int64_t b, lrp_unit_record *record);

/** Write the results of block b: its n log-likelihoods and flags. Local; on disk within a second or
 *  with the next flush. seconds and products (layers x tokens) are what it took beyond what other
 *  configurations had computed already. */
lrp_status lrp_scorebook_put(lrp_scorebook *book, int64_t b, const double *ll,
                             const uint8_t *greedy, double seconds, int64_t products);
/** The same of a task of LRP_GENERATE: n x max_new tokens, -1 behind the last one of an answer. */
lrp_status lrp_scorebook_put_tokens(lrp_scorebook *book, int64_t b, const int32_t *tokens,
                                    double seconds, int64_t products);
lrp_status lrp_scorebook_flush(lrp_scorebook *book);

/** Learn what other process ranks have stored. Collective. */
lrp_status lrp_scorebook_refresh(lrp_scorebook *book);

/** All results of a pair: n_requests of its task each. Local; freed by the caller. */
lrp_status lrp_scorebook_read(lrp_scorebook *book, int pair, double **ll, uint8_t **greedy);
/** The texts that a pair of a task of LRP_GENERATE gave, one per request. Local; each is freed by
 *  the caller, also upon failure: NULL on entry. */
lrp_status lrp_scorebook_read_texts(lrp_scorebook *book, int pair, char **texts);

/** What a pair has taken, over all process ranks and attempts. */
typedef struct {
  double seconds;
  int64_t products; /* layers x tokens of a causal model that were computed; what configurations
                       share counts for one of them */
} lrp_effort;

/** Local. */
lrp_effort lrp_scorebook_effort(const lrp_scorebook *book, int pair);

#endif
