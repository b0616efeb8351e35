/** @file pipeline/forecast.h
 *  Who will be busy for how long while decomposing: the partition, played with predicted seconds.
 */
#ifndef LRP_PIPELINE_FORECAST_H
#define LRP_PIPELINE_FORECAST_H

#include "pipeline/partition.h"
#include "pipeline/topology.h"

/** Predicted seconds. */
typedef struct {
  double longest, mean; /* of the process rank that works longest, and on average */
  double wall;          /* from beginning to end */
} lrp_forecast;

/** Seconds until ranks process ranks have read all weights, as a first run does. Local. */
double lrp_forecast_reading(const lrp_cost *cost, const lrp_config *config, lrp_dtype weights,
                            int ranks);

/** longest / mean, 1 is perfect; 1 where there is nothing to do. Local. */
double lrp_forecast_balance(lrp_forecast f);

/** The units with todo[i] (NULL: all) on the process ranks of node_ranks: each group does its grid
 *  units, then the node's counter deals the local ones to whoever is free first. Process ranks are
 *  numbered node by node. Local.
 *  @param reading_s  that reading takes meanwhile: the end is not before
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_forecast_make(const lrp_plan *plan, const lrp_partition *part, const bool *todo,
                             double reading_s, const int *node_ranks, int n_nodes,
                             lrp_forecast *out);

/** Log what was predicted for n_units units against what happened: wall_s by the clock, of which
 *  this process rank worked busy_s. Collective over topo->comm. */
void lrp_forecast_compare(lrp_forecast predicted, int n_units, double wall_s, double busy_s,
                          const lrp_topology *topo);

#endif
