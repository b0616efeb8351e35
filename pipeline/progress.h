/** @file pipeline/progress.h
 *  How far a run is: a bar on a terminal or lines, the same lines in run.log, and progress.json.
 *
 *  Every process rank says what it works on and what it has done, in memory that its node shares; a
 *  thread of process rank 0 shows it, five times a second. Of other nodes is known what was done
 *  when the stage began, and when it ends. */
#ifndef LRP_PIPELINE_PROGRESS_H
#define LRP_PIPELINE_PROGRESS_H

#include "pipeline/topology.h"

typedef struct lrp_progress lrp_progress;

/** Start: reads the last attempt's number from <output>/progress.json and writes the next.
 *  Collective over topo->comm. A progress.json that cannot be read counts as no attempt.
 *  @return LRP_OK, LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM (also: no thread); the
 *          same everywhere */
lrp_status lrp_progress_open(const char *output, const lrp_topology *topo, lrp_progress **out);

/** Number of this attempt, from 1. Local. */
int lrp_progress_attempt(const lrp_progress *progress);

/** What a stage is going to do. Strings live until the next stage begins. Costs have any unit and
 *  are of what the node of process rank 0 takes; 0: each open item costs 1. */
typedef struct {
  const char *name;        /* "decompose" */
  const char *items;       /* "units"; NULL: "items" */
  int64_t total, done;     /* items, and those that were done before */
  double cost;             /* of all that is open */
  double seconds_per_cost; /* predicted, of one worker; 0: not known */
  double workers;          /* of the node at a time (pipeline/eta.h); 0: 1 */
  bool *said;              /* borrowed until lrp_progress_end; NULL: not wanted. Process rank 0 sets
                              said[item] when the line of that item is logged */
} lrp_progress_stage;

/** A stage begins. Collective over the node; what process rank 0 gives counts. */
void lrp_progress_begin(lrp_progress *progress, const lrp_progress_stage *stage);

/** Seconds that the stages after this one, or after the one that begins next, are predicted to
 *  take. Local; what process rank 0 gives counts. */
void lrp_progress_later(lrp_progress *progress, double seconds);

/** This process rank now works on that: "block 3 of arc_easy". Local. */
void lrp_progress_work(lrp_progress *progress, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** This process rank has finished n further items of that cost, since it said so last, or since the
 *  stage began; a stage without cost counts items. n = 0: it worked for others. Local. */
void lrp_progress_advance(lrp_progress *progress, int64_t n, double cost);

/** A line of what was done: "decomposed model.layers.0...", to which is added how far the run is.
 *  Local, after lrp_progress_advance. In run.log once; on stderr, if that is no terminal, at most
 *  one a second and the last one of the stage.
 *  @param item  of stage.said, or -1 */
void lrp_progress_line(lrp_progress *progress, int64_t item, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** As many items of the stage are done, whoever did them: lines may follow for those not said.
 *  Local; by process rank 0, after the others have ended their work. */
void lrp_progress_settle(lrp_progress *progress, int64_t done);

/** The stage has ended: everything said is logged, stage.said is not used any more. Local; by
 *  process rank 0, after the others have ended their work. */
void lrp_progress_end(lrp_progress *progress);

/** Write the last state: "complete", "stopped" or "failed" by st. Collective; sets *out to NULL;
 *  accepts NULL. @param stopped_by  of lrp_stop_reason; written if st is LRP_STOPPED
 *  @return LRP_OK, or the status of a write that failed, which does not stop a run; the same
 *          everywhere */
lrp_status lrp_progress_close(lrp_progress **out, lrp_status st, const char *stopped_by);

#endif
