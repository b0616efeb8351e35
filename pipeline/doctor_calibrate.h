/** @file pipeline/doctor_calibrate.h
 *  lrpipe doctor --calibrate: measure what predictions rest on, and keep it. */
#ifndef LRP_PIPELINE_DOCTOR_CALIBRATE_H
#define LRP_PIPELINE_DOCTOR_CALIBRATE_H

#include "pipeline/findings.h"
#include "pipeline/topology.h"

/** Measure the speeds of this machine with the process ranks and threads of this start, in a minute
 *  or so; files in the directory dir. Process rank 0 writes them to the calibration file and prints
 *  a finding. Collective over topo->comm.
 *  @return LRP_OK, or what failed; the same on every process rank */
lrp_status lrp_doctor_calibrate(const lrp_topology *topo, const char *dir, lrp_findings *f);

/** Print where the speeds for this start come from. Local, process rank 0. */
lrp_status lrp_check_speeds(const lrp_topology *topo, lrp_findings *f);

#endif
