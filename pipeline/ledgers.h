/** @file pipeline/ledgers.h
 *  The ledgers of one kind in an output directory: <stem>.h5, <stem>.2.h5, ... */
#ifndef LRP_PIPELINE_LEDGERS_H
#define LRP_PIPELINE_LEDGERS_H

#include <jansson.h>

#include "io/ledger/ledger.h"

/** Stem and format name of the two kinds. */
#define LRP_FACTORS_STEM      "factors"
#define LRP_FACTORS_FORMAT    "lrpipe factors"
#define LRP_EVALUATION_STEM   "evaluation"
#define LRP_EVALUATION_FORMAT "lrpipe evaluation"

/** Ledgers in the order of their numbers. */
typedef struct {
  lrp_ledger **ledger; /* owned, n */
  int n;
} lrp_ledgers;

/** "<output>/<stem>.h5" for i = 0, else "<output>/<stem>.<i + 1>.h5"; freed by the caller; NULL
 * when out of memory. Local. */
char *lrp_ledgers_path(const char *output, const char *stem, int i);

/** Open every ledger of the kind that exists, for writing. Collective over comm.
 *  @return as lrp_ledger_open; the same on every process rank */
lrp_status lrp_ledgers_open(const char *output, const char *stem, const char *format, MPI_Comm comm,
                            lrp_ledgers *all);

/** The same for reading, without MPI. Local. LRP_ERR_ABSENT if there is none. */
lrp_status lrp_ledgers_open_readonly(const char *output, const char *stem, const char *format,
                                     lrp_ledgers *all);

/** Create the next ledger of the kind from plan (process rank 0) and open it. Collective; plan is
 *  used on process rank 0 only.
 *  @param covers, provenance, job  what it is planned for: notes "covers", "provenance", "job" */
lrp_status lrp_ledgers_add(const char *output, const char *stem, lrp_ledger_plan *plan,
                           const json_t *covers, const json_t *provenance, const char *job,
                           MPI_Comm comm, lrp_ledgers *all);

/** Close them all. Collective if they were opened so. */
lrp_status lrp_ledgers_close(lrp_ledgers *all);

/** The JSON object of note name ("covers", "provenance"). Local; *value is a new reference. */
lrp_status lrp_ledgers_note(lrp_ledger *ledger, const char *name, json_t **value);

#endif
