/** @file pipeline/space.h
 *  lrpipe space: size of the design space, and its configurations: one, those that pass filters, or
 *  random ones, with what they save. From config.json alone. */
#ifndef LRP_PIPELINE_SPACE_H
#define LRP_PIPELINE_SPACE_H

#include "pipeline/options.h"

/** Print to stdout. Local, no MPI. @return LRP_OK; LRP_ERR_ABSENT or LRP_ERR_DATA for the model's
 *  config.json; LRP_ERR_USAGE or LRP_ERR_JOB for the options; LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_space(const lrp_options *options);

#endif
