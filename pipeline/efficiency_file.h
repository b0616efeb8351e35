/** @file pipeline/efficiency_file.h
 *  OUT/measurements.json and the settings that its samples were taken with. */
#ifndef LRP_PIPELINE_EFFICIENCY_FILE_H
#define LRP_PIPELINE_EFFICIENCY_FILE_H

#include "pipeline/efficiency_readings.h"
#include "pipeline/study.h"

/** Room for why samples do not count. */
enum { LRP_SETTINGS_REASON = 256 };

/** What samples depend on: program, model, factors, type of products, processor, threads, and
 *  what counts energy. Local. A new reference, or NULL.
 *  @param domains  of lrp_energy_domains, or NULL: then reason says why there are none */
json_t *lrp_measure_settings(const lrp_study *study, int threads, const char *domains,
                             const char *reason);

/** What tells samples from others. */
typedef enum {
  LRP_SAME_SETTINGS,        /* they may stand side by side */
  LRP_DIFFERENT_MACHINE,    /* the same was measured, by other means: version, processor, threads, .. */
  LRP_DIFFERENT_MEASUREMENT /* something else was measured: model, method, types */
} lrp_difference;

/** How the settings before differ from those now, and the first thing that does: "threads: 2,
 *  before 1", or "". Energy that can be counted now and could not be before is a difference, not
 * the other way round. Local. */
lrp_difference lrp_settings_difference(const json_t *before, const json_t *now,
                                       char reason[LRP_SETTINGS_REASON]);

/** Read the file of the output directory. Local.
 *  @param[out] file  a new reference; NULL if there is no such file
 *  @return LRP_OK, LRP_ERR_DATA (damaged), LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_measurements_read(const lrp_study *study, json_t **file);

/** Write it whole or not at all. Local. @return as lrp_file_write, LRP_ERR_MEM */
lrp_status lrp_measurements_write(const lrp_study *study, const lrp_readings *readings,
                                  json_t *settings);

#endif
