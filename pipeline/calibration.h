/** @file pipeline/calibration.h
 *  The speeds that predictions rest on, measured once per machine and kept in a file.
 *
 *  $LRPIPE_CALIBRATION, else $XDG_CACHE_HOME/lrpipe/calibration.json, else
 *  ~/.cache/lrpipe/calibration.json: an entry for each processor, BLAS kernel, number of threads
 * and number of process ranks of a node. */
#ifndef LRP_PIPELINE_CALIBRATION_H
#define LRP_PIPELINE_CALIBRATION_H

#include <stdbool.h>

#include "pipeline/cost.h"
#include "pipeline/topology.h"

/** What speeds depend on. Sent between process ranks as bytes: no pointers. */
typedef struct {
  char processor[96]; /* its name */
  char blas[32];      /* kernel */
  int threads;        /* of each process rank */
  int ranks;          /* process ranks of a node */
} lrp_machine;

/** The machine of this process with these numbers. Local. */
lrp_machine lrp_machine_here(int threads, int ranks);

/** The same with the threads of this process rank and the process ranks of the fullest node. Local.
 */
lrp_machine lrp_machine_of(const lrp_topology *topo);

typedef struct {
  lrp_cost cost;
  lrp_machine wanted; /* for which cost is meant */
  lrp_machine source; /* where it was measured */
  bool measured;      /* else cost is a guess */
} lrp_calibration;

/** Speeds for machine: those of its entry; or of the entry of the same processor, or else of any,
 *  whose threads and process ranks are nearest, scaled; or guesses. Local.
 *  A file that cannot be read or is damaged is warned about and counts as none.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_calibration_load(const lrp_machine *machine, lrp_calibration *out);

/** Speeds for the process ranks of a run: what process rank 0 loads. Collective over topo->comm.
 *  @return LRP_OK, LRP_ERR_MEM; the same on every process rank */
lrp_status lrp_calibration_share(const lrp_topology *topo, lrp_calibration *out);

/** "measured here ...": where the speeds come from, for people. Local. @return text */
enum { LRP_CALIBRATION_TEXT = 384 };
const char *lrp_calibration_text(const lrp_calibration *c, char text[LRP_CALIBRATION_TEXT]);

/** Make the directory of the file, and see that it can be written: before minutes of measuring.
 *  Local. @return as lrp_calibration_save */
lrp_status lrp_calibration_prepare(void);

/** Add or replace the entry of machine; a damaged file is replaced. Local.
 *  @return LRP_OK; LRP_ERR_USAGE if there is no directory for the file; LRP_ERR_CREATE,
 *          LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_calibration_save(const lrp_machine *machine, const lrp_cost *cost);

/** Path of the file, freed by the caller. Local. @return LRP_OK, LRP_ERR_USAGE, LRP_ERR_MEM */
lrp_status lrp_calibration_path(char **path);

#endif
