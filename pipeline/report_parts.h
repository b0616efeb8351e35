/** @file pipeline/report_parts.h
 *  What the sources of the report share; no other module includes it. */
#ifndef LRP_PIPELINE_REPORT_PARTS_H
#define LRP_PIPELINE_REPORT_PARTS_H

#include <jansson.h>
#include <stdio.h>

#include "pipeline/metrics.h"
#include "pipeline/scorebook.h"
#include "pipeline/store.h"

/** What the rows of the trade-off are made of. All borrowed. */
typedef struct {
  const lrp_study *study;
  lrp_scorebook *book; /* NULL if nothing is evaluated */
  const json_t *provenance;
} lrp_report_source;

/** What comes of the answers of all configurations. Owned: released by the caller, also upon
 *  failure. */
typedef struct {
  json_t *rows;        /* one per configuration, in the order of the plan */
  json_t *tasks;       /* what the job names */
  json_t *sensitivity; /* null without a dense configuration, or without questions */
} lrp_report_answers;

/** Look at one configuration after the other, the dense one first, and write the files of each.
 *  Local. @return LRP_OK, LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_report_collect(const lrp_report_source *source, lrp_report_answers *out);

/** The row of configuration c: name, size, metrics; and its files. Local. scores is NULL if nothing
 *  is evaluated. The caller releases *row, also upon failure. @return as lrp_report_collect */
lrp_status lrp_report_row(const lrp_report_source *source, int c, const lrp_scores *scores,
                          json_t **row);

/** "tensors" of tradeoff.json: every unit with its spectrum. Local. The caller releases *out, also
 *  upon failure. @return LRP_OK, LRP_ERR_IO, LRP_ERR_DATA, LRP_ERR_MEM */
lrp_status lrp_report_tensors(const lrp_study *study, lrp_store *store, json_t **out);

/** Write tensors.csv at path. Local. @return as lrp_report_collect */
lrp_status lrp_report_tensors_csv(const lrp_study *study, const lrp_store *store, const char *path);

/** Write tradeoff.csv at path: the columns are the members of the first row. Local.
 *  @return as lrp_report_collect */
lrp_status lrp_report_rows_csv(const json_t *rows, const char *path);

/** Write value at path; what holds no object is one line. Local. @return as lrp_report_collect */
lrp_status lrp_report_json(const json_t *value, const char *path);

/** Print x so that it reads back the same; nothing if it is NaN. Local. */
void lrp_report_number(FILE *f, double x);

#endif
