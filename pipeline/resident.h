/** @file pipeline/resident.h
 *  Memory of this process that is in RAM, as Linux counts it: own memory, and pages of mapped files
 *  and of memory shared with other processes that this one has touched. As exact as the kernel is:
 *  the last pages of each core, up to about 1 MiB, may be missing. */
#ifndef LRP_PIPELINE_RESIDENT_H
#define LRP_PIPELINE_RESIDENT_H

#include <stdbool.h>
#include <stdint.h>

/** Let the peak be what is resident now. Local.
 *  @return false if the kernel cannot (before 4.0, or built without it): the peak stays that since
 *          the process began */
bool lrp_resident_restart(void);

/** Bytes that are resident now (VmRSS); -1: not known. Local. */
int64_t lrp_resident_bytes(void);

/** The most that were resident since lrp_resident_restart (VmHWM); -1: not known. Local. */
int64_t lrp_resident_peak(void);

#endif
