/** @file pipeline/supported.h
 *  What a job may ask for beyond its syntax: tasks that exist, and settings that this version runs.
 */
#ifndef LRP_PIPELINE_SUPPORTED_H
#define LRP_PIPELINE_SUPPORTED_H

#include "pipeline/job.h"

/** Refuse unknown tasks (with "did you mean") and settings that this version does not run; warn of
 *  those that it ignores. Local, deterministic. @return LRP_OK, LRP_ERR_JOB */
lrp_status lrp_job_check_supported(const lrp_job *job);

#endif
