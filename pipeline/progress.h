/** @file pipeline/progress.h
 *  progress.json: what a run is doing, for people and scripts; and the number of the attempt. */
#ifndef LRP_PIPELINE_PROGRESS_H
#define LRP_PIPELINE_PROGRESS_H

#include "pipeline/topology.h"

typedef struct lrp_progress lrp_progress;

/** Start: reads the last attempt's number from <output>/progress.json and writes the next.
 *  Collective over topo->comm. A progress.json that cannot be read counts as no attempt.
 *  @return LRP_OK, LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM; the same everywhere */
lrp_status lrp_progress_open(const char *output, const lrp_topology *topo, lrp_progress **out);

/** Number of this attempt, from 1. Local. */
int lrp_progress_attempt(const lrp_progress *progress);

/** A stage of total items begins, done of which are done already. Collective over the node. */
void lrp_progress_begin(lrp_progress *progress, const char *stage, int64_t total, int64_t done);

/** This process rank has finished n further items. Local; process rank 0 writes the file at most
 *  every two seconds. The figure counts the items of the node of process rank 0 and, of the other
 *  nodes, what was done when the stage began. A failed write does not stop the run; close reports
 *  it. */
void lrp_progress_advance(lrp_progress *progress, int64_t n);

/** Write the last state: "complete", "stopped" or "failed" by st. Collective; sets *out to NULL;
 *  accepts NULL. @param stopped_by  of lrp_stop_reason; written if st is LRP_STOPPED
 *  @return LRP_OK, or the status of a write that failed; the same everywhere */
lrp_status lrp_progress_close(lrp_progress **out, lrp_status st, const char *stopped_by);

#endif
