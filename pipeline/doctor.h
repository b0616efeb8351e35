/** @file pipeline/doctor.h
 *  lrpipe doctor: what would go wrong here, and what to do about it. */
#ifndef LRP_PIPELINE_DOCTOR_H
#define LRP_PIPELINE_DOCTOR_H

#include "pipeline/options.h"

/** Look at process ranks, cores and threads, libraries, the output directory, memory and the time
 *  limit, print findings to stdout, and report what is bad. Collective over comm: start it as the
 * run is started. options->operand: a job file, whose needs are compared with what is here; or an
 * output directory, there or not; or "", for ./lrpipe.yaml if it is there, else the working
 * directory. Probe files are removed; with options->calibrate the calibration file is written
 * (pipeline/calibration.h), nothing else is.
 *  @return LRP_OK if nothing is bad; else what a run would end with; LRP_ERR_MEM, LRP_ERR_IO. The
 *          same on every process rank */
lrp_status lrp_doctor(const lrp_options *options, MPI_Comm comm);

#endif
