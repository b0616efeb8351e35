/** @file pipeline/evaluate_stage.h
 *  The gather stage: every block of requests that is not scored yet. */
#ifndef LRP_PIPELINE_EVALUATE_STAGE_H
#define LRP_PIPELINE_EVALUATE_STAGE_H

#include "pipeline/control.h"
#include "pipeline/scorebook.h"
#include "pipeline/store.h"

/** Score and store what is missing. Collective over topo->comm. Blocks are dealt to nodes by tokens
 *  and taken one by one within a node, configuration by configuration.
 *  @return LRP_OK, LRP_STOPPED (control->stop), LRP_ERR_DATA, LRP_ERR_IO, LRP_ERR_MEM, LRP_ERR_BUG;
 * the same everywhere */
lrp_status lrp_evaluate_stage(lrp_scorebook *book, lrp_store *store, const lrp_topology *topo,
                              lrp_control *control);

/** Seconds that evaluating everything is going to take, before any of it is known: a cautious guess
 *  at the speed, for an outlook. Local. 0 if there is no memory to find it. */
double lrp_evaluate_predict(const lrp_study *study, const lrp_topology *topo);

#endif
