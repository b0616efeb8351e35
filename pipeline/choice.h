/** @file pipeline/choice.h
 *  What lrpipe choose has proposed for an output directory, OUT/choice.json, and what was measured
 * of it since. */
#ifndef LRP_PIPELINE_CHOICE_H
#define LRP_PIPELINE_CHOICE_H

#include <jansson.h>
#include <stdbool.h>

#include "kernels/status.h"

/** The choice as tradeoff.json shows it: the content of choice.json, with what was measured, and
 *  decided by that. Local, by one process rank; a function of its arguments and choice.json alone.
 *  Each of "choices" is answered by that of its "candidates" with the least loss on documents of
 *  even index (the first where none was measured, or of equal ones), in a row of its "kind"; not if
 *  one of them is not in the job any more. One that chooses the same as an earlier one has no row.
 *  "rows" are these, the paper's list, and the candidates that were not chosen, each with loss,
 *  held_out_loss, held_out_score and their standard errors; null where they were not measured.
 *  @param sensitivity  of tradeoff.json; NULL or JSON null: no losses
 *  @param rows         "configurations" of tradeoff.json; what is not among them any more is left
 *                      out
 *  @param[out] out     new reference; JSON null where nothing was chosen, or the first choice has
 *                      no answer any more
 *  @return LRP_OK; LRP_ERR_DATA if choice.json is damaged; LRP_ERR_MEM */
lrp_status lrp_choice_report(const char *output, const json_t *sensitivity, const json_t *rows,
                             json_t **out);

/** Whether tradeoff, the content of tradeoff.json, shows the choice as lrp_choice_report() now
 *  makes it. Local. @return as lrp_choice_report */
lrp_status lrp_choice_is_reported(const char *output, const json_t *tradeoff, bool *reported);

#endif
