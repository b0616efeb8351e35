/** @file pipeline/progress_file.h
 *  progress.json: how far a run is, for people who ask and for scripts. */
#ifndef LRP_PIPELINE_PROGRESS_FILE_H
#define LRP_PIPELINE_PROGRESS_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/status.h"

enum { LRP_PROGRESS_NAME = 32, LRP_PROGRESS_WHAT = 360 };

/** What the file says. Times are seconds since 1970. */
typedef struct {
  char state[LRP_PROGRESS_NAME]; /* running, complete, stopped, failed */
  char stage[LRP_PROGRESS_NAME], items[LRP_PROGRESS_NAME];
  char stopped_by[LRP_PROGRESS_NAME]; /* "": not stopped */
  char what[LRP_PROGRESS_WHAT];       /* is being worked on; "": nothing is known */
  int attempt;
  int64_t done, total;
  double eta_s; /* < 0: not known */
  int process_ranks;
  int64_t started, updated;
} lrp_progress_state;

/** Path of an output's file, freed by the caller; NULL when out of memory. Local. */
char *lrp_progress_path(const char *output);

/** Write it whole, with host and pid of this process. Local.
 *  @return LRP_OK, LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_progress_write(const char *path, const lrp_progress_state *state);

/** Read it. Local. @return false if it is absent, cannot be read or is damaged: *state is zeroed,
 *  and no failure is recorded; what a file of an earlier version lacks is 0, "" and not known */
bool lrp_progress_read(const char *path, lrp_progress_state *state);

#endif
