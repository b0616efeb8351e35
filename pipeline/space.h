/** @file pipeline/space.h
 *  lrpipe space: size of the design space and reduction of a configuration, from config.json. */
#ifndef LRP_PIPELINE_SPACE_H
#define LRP_PIPELINE_SPACE_H

#include "pipeline/options.h"

/** Print to stdout. Local, no MPI. @return LRP_OK, LRP_ERR_ABSENT, LRP_ERR_DATA, LRP_ERR_JOB, ...
 */
lrp_status lrp_space(const lrp_options *options);

#endif
