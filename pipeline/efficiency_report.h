/** @file pipeline/efficiency_report.h
 *  Samples of OUT/measurements.json -> efficiency.csv, columns of tradeoff.csv, slopes. */
#ifndef LRP_PIPELINE_EFFICIENCY_REPORT_H
#define LRP_PIPELINE_EFFICIENCY_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "pipeline/study.h"

/** What was measured of the job's configurations. Local: by one process rank.
 *  Writes OUT/efficiency.csv, a row per configuration, case and phase; removes it where the job
 *  measures nothing, or nothing has been measured.
 *  @param rows      array of objects, one per configuration of the plan, in its order: gets the
 *                   columns prefill_seconds, decode_seconds, prefill_joules, decode_joules,
 *                   resident_weight_bytes and peak_memory_bytes, those of the first case; null
 * where there is none; left alone if the job measures nothing
 *  @param[out] out  "efficiency" of tradeoff.json, a new reference: JSON null if the job measures
 *                   nothing, or nothing has been measured; NULL upon failure
 *  @return LRP_OK, LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_DATA (a damaged
 *          measurements.json), LRP_ERR_MEM */
lrp_status lrp_efficiency_report(const lrp_study *study, json_t *rows, json_t **out);

/** Leave *current true only if OUT/efficiency.csv is there where anything was measured for the job,
 *  and is not where nothing was. Local. @return as lrp_efficiency_report */
lrp_status lrp_efficiency_is_current(const lrp_study *study, bool *current);

#endif
