/** @file pipeline/findings.h
 *  What lrpipe doctor found: a line each, and what to do about it. */
#ifndef LRP_PIPELINE_FINDINGS_H
#define LRP_PIPELINE_FINDINGS_H

#include <stdbool.h>

#include "kernels/status.h"

/** Zero it before the first use. */
typedef struct {
  bool quiet; /* print nothing that is ok */
  int ok, warnings, bad;
  lrp_status status; /* of the worst finding: what a run would end with */
} lrp_findings;

/** "ok    subject: finding" on stdout. Local. */
void lrp_finding_ok(lrp_findings *f, const char *subject, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** "warn  subject: finding", and the remedy on the next line. Local. */
void lrp_finding_warn(lrp_findings *f, const char *subject, const char *remedy, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));

/** "bad   subject: finding", and the remedy; a run would end with st. Local. */
void lrp_finding_bad(lrp_findings *f, lrp_status st, const char *subject, const char *remedy,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
