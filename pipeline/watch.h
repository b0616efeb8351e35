/** @file pipeline/watch.h
 *  Watchdog: a process rank that is frozen must not leave the others waiting for ever.
 *
 *  A thread of every process rank counts seconds in memory that the node shares. A thread that sees
 *  another's count stand still for the limit says which process rank of which host it is, and what
 *  it was doing, and ends the process with the exit code of LRP_ERR_BUG; mpirun (srun with
 *  --kill-on-bad-exit) then ends the job. It counts its own seconds, so a host that was suspended
 *  as a whole is not taken for frozen. If all process ranks of a run on one node wait for each
 *  other for that long, that is said, too.
 *
 *  What it cannot see: a process rank that lives but never ends its piece of work (a hanging file
 *  system, a library that loops), and one that is frozen alone on its node. */
#ifndef LRP_PIPELINE_WATCH_H
#define LRP_PIPELINE_WATCH_H

#include "pipeline/topology.h"

typedef struct lrp_watch lrp_watch;

/** Collective over topo->comm. @param limit_s  seconds without a sign of life
 *  @return LRP_OK, LRP_ERR_MEM (also: no thread); the same on every process rank */
lrp_status lrp_watch_start(const lrp_topology *topo, int64_t limit_s, lrp_watch **watch);

/** Collective over the node; sets *watch to NULL; accepts NULL. */
void lrp_watch_stop(lrp_watch **watch);

/** What this process rank does now, for the message: "decompose model.layers.0...". Local. */
void lrp_watch_phase(lrp_watch *watch, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** This process rank now waits for others: it has nothing of its own to do. Local. */
void lrp_watch_wait(lrp_watch *watch, const char *what);

#endif
