/** @file pipeline/page.h
 *  tradeoff.json -> report.html: one page that needs nothing else, to read, show and print.
 *
 *  A pure function of the report's JSON: no date, no host, no order of anything else is in it.
 *  Figures are inline SVG, colours are CSS (light, dark, print), and there are no scripts. */
#ifndef LRP_PIPELINE_PAGE_H
#define LRP_PIPELINE_PAGE_H

#include <jansson.h>

#include "kernels/status.h"

/** Write the page of tradeoff (the content of tradeoff.json) to path, whole or not at all. Local.
 *  Sections without data are left out; so are numbers that are null, which the page says.
 *  @return LRP_OK, LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_page_write(const json_t *tradeoff, const char *path);

/** Write output/report.html anew from output/tradeoff.json. Local.
 *  @return as lrp_page_write; LRP_ERR_ABSENT without tradeoff.json, LRP_ERR_DATA if it is damaged
 */
lrp_status lrp_page_renew(const char *output);

#endif
