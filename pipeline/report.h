/** @file pipeline/report.h
 *  Stored results -> the files that people read: tensors.csv, tradeoff.csv and .json,
 *  report.html, and per configuration results.json and samples. */
#ifndef LRP_PIPELINE_REPORT_H
#define LRP_PIPELINE_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "pipeline/scorebook.h"
#include "pipeline/store.h"

/** Write all files of the output directory from the ledgers. Local: by one process rank; everything
 *  must be done. book is NULL if nothing is evaluated. Every number is written so that it reads
 * back exactly.
 *  @return LRP_OK, LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_report_write(const lrp_study *study, lrp_store *store, lrp_scorebook *book,
                            const json_t *provenance);

/** Whether these files are there and of this very job. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_report_is_current(const lrp_study *study, bool *current);

/** The content of <output>/tradeoff.json, which has "configurations". Local.
 *  @param[out] all  a new reference, also upon failure; or NULL
 *  @return LRP_OK, LRP_ERR_ABSENT (no complete report), LRP_ERR_DATA (damaged), LRP_ERR_PERM,
 *          LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_report_read(const char *output, json_t **all);

/** Print the trade-off table of the output directory to stdout, from tradeoff.json. Local. @return
 *  as lrp_report_read */
lrp_status lrp_report_print(const char *output);

#endif
