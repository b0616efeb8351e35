/** @file pipeline/measure.h
 *  Speeds of the stages of a decomposition, measured on all process ranks at once. */
#ifndef LRP_PIPELINE_MEASURE_H
#define LRP_PIPELINE_MEASURE_H

#include "pipeline/cost.h"
#include "pipeline/topology.h"

/** Speeds of computing at both sizes of each stage; the slowest process rank counts, and of several
 *  repetitions the middle one. Collective over topo->comm.
 *  The larger size is left out, and has the speeds of the smaller one, where that alone shows that
 *  it would take longer than budget_s.
 *  @param[in,out] cost  what is not measured stays
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_NUM; the same on every process rank */
lrp_status lrp_measure_computing(const lrp_topology *topo, double budget_s, lrp_cost *cost);

/** Speeds of reading, looking at what is read, writing and bringing to disk in the directory dir: a
 * file for each process rank, all together node_bytes on each node, which is removed again.
 * Collective over topo->comm.
 *  @return LRP_OK, LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM; the same on every process
 *          rank */
lrp_status lrp_measure_files(const lrp_topology *topo, const char *dir, int64_t node_bytes,
                             lrp_cost *cost);

#endif
