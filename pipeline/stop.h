/** @file pipeline/stop.h
 *  Ending in time: signals, the file OUT/STOP, and the time limit.
 *
 *  USR2 to any process rank, OUT/STOP, or a limit that the next piece of work would pass: finish
 *  what is being computed, store it, exit with 75. USR1: bring everything to disk and go on. TERM
 *  and INT keep their default action: what is committed is safe. */
#ifndef LRP_PIPELINE_STOP_H
#define LRP_PIPELINE_STOP_H

#include "pipeline/topology.h"

/** Install the signal handlers. Local; the first statement of main, because mpirun may forward a
 *  signal while MPI_Init runs. */
void lrp_stop_install(void);

typedef struct lrp_stop lrp_stop;

/** Collective over topo->comm.
 *  @param output      directory of the file STOP, whose lock is held
 *  @param max_time_s  from the start of the program; 0: none is given, and SLURM_JOB_END_TIME of
 *                     process rank 0's environment (seconds since 1970) counts
 *  @param start       MPI_Wtime() at the start
 *  @return LRP_OK, LRP_ERR_MEM; the same on every process rank */
lrp_status lrp_stop_create(const char *output, double max_time_s, double start,
                           const lrp_topology *topo, lrp_stop **stop);

/** Accepts NULL; sets *stop to NULL. Call it while the lock is held: process rank 0 removes the
 * file STOP, which was for this run; the same command then goes on. Local. */
void lrp_stop_destroy(lrp_stop **stop);

/** A stage begins, in which a unit of cost takes about seconds_per_cost until measured. Local. */
void lrp_stop_stage(lrp_stop *stop, double seconds_per_cost);

/** Work of that cost took that long: predictions follow the mean of this stage. Local. */
void lrp_stop_learn(lrp_stop *stop, double cost, double seconds);

/** Seconds that work of that cost is going to take, as far as it is known. Local. */
double lrp_stop_predict(const lrp_stop *stop, double cost);

/** Whether work of that cost may begin. Local: process ranks may differ by moments, so agree before
 *  the next collective call. @return LRP_OK, or LRP_STOPPED with the reason as its message */
lrp_status lrp_stop_check(lrp_stop *stop, double cost);

/** This process rank has failed or was told to stop: the others stop at their next lrp_stop_check,
 *  on other nodes, too, and not when all other work is done. Local. */
void lrp_stop_abandon(lrp_stop *stop);

/** Why lrp_stop_check refused: "time", "signal" or "file"; where process ranks differ, the last of
 *  these. NULL: it did not on any, or stop is NULL. Collective over the comm of lrp_stop_create. */
const char *lrp_stop_reason(lrp_stop *stop, MPI_Comm comm);

/** True once after each USR1. Local. */
bool lrp_stop_checkpoint(lrp_stop *stop);

/** Seconds of "90", "1:30", "0:01:30", "1-00:00:00"; false if text is none of them. Local. */
bool lrp_parse_duration(const char *text, double *seconds);

#endif
