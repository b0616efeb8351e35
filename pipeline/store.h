/** @file pipeline/store.h
 *  The factors of a study in factors.h5, factors.2.h5, ...
 *
 *  A unit lives in the first ledger that planned it at a rank large enough; what no ledger has is
 *  planned in a further one. So a job that adds configurations reuses everything that is there. */
#ifndef LRP_PIPELINE_STORE_H
#define LRP_PIPELINE_STORE_H

#include <jansson.h>

#include "kernels/linalg/factors.h"
#include "pipeline/ledgers.h"
#include "pipeline/study.h"

/** Where a unit of the plan is stored. */
typedef struct {
  int ledger;   /* index in ledgers */
  int64_t slot; /* unit of that ledger */
  int rank;     /* planned there: >= the rank that the plan asks for */
} lrp_store_place;

typedef struct {
  const lrp_study *study; /* borrowed */
  lrp_ledgers ledgers;
  lrp_store_place *place; /* owned, plan.n_units */
  int attempt;
} lrp_store;

/** Open the ledgers below study->job.output for writing, planning a further one for units that none
 *  has. Collective over topo->comm.
 *  @param provenance  goes into the plan of a new ledger
 *  @return LRP_OK; LRP_ERR_JOB if the job's method or dtype differ from what is stored;
 * LRP_ERR_DATA if the model does; LRP_ERR_CREATE, ...; the same on every process rank */
lrp_status lrp_store_open(const lrp_study *study, const lrp_topology *topo,
                          const json_t *provenance, int attempt, lrp_store *store);

/** Close all ledgers. Collective. @return LRP_OK, LRP_ERR_IO; the same on every process rank */
lrp_status lrp_store_close(lrp_store *store);

/** Whether unit i of the plan is on disk, and its record (may be NULL). Local. */
bool lrp_store_done(const lrp_store *store, int i, lrp_unit_record *record);

/** Write the factors of unit i, computed at lrp_store_place.rank. Local. They are on disk after the
 *  next flush: a crash before loses the unit. */
lrp_status lrp_store_put(lrp_store *store, int i, const lrp_factors *f, double seconds,
                         int process_ranks);

/** Bring what was put to disk: now, or only if the last time was that many seconds ago. Local. */
lrp_status lrp_store_flush(lrp_store *store);
lrp_status lrp_store_flush_after(lrp_store *store, double seconds);

/** Learn what other process ranks have stored. Collective. */
lrp_status lrp_store_refresh(lrp_store *store);

/** Views of the factors of unit i at rank r <= the stored one. Local; live until close. */
lrp_status lrp_store_factors(lrp_store *store, int i, int rank, lrp_matrix *left,
                             lrp_matrix *middle, lrp_matrix *right);

/** Singular values of unit i, min(m, n) of them, freed by the caller. Local. */
lrp_status lrp_store_spectrum(lrp_store *store, int i, double **s);

#endif
