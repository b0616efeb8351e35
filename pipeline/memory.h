/** @file pipeline/memory.h
 *  How much memory there is for a run on this host. */
#ifndef LRP_PIPELINE_MEMORY_H
#define LRP_PIPELINE_MEMORY_H

/** Bytes of this host that are free or held by files that give way, limits of the job's control
 *  groups counted; -1: not known. Local. */
double lrp_memory_available(void);

#endif
