/** @file pipeline/choose.h
 *  lrpipe choose: what to decompose for a given size, from what a run has measured; evaluated. */
#ifndef LRP_PIPELINE_CHOOSE_H
#define LRP_PIPELINE_CHOOSE_H

#include <jansson.h>
#include <stddef.h>

#include "pipeline/options.h"

/** Propose configurations for the finished output options->operand that are
 *  options->target_percent smaller (pipeline/propose.h), run its job with them, as lrpipe run does,
 *  and print them side by side. Collective over comm. What failed is said on stderr, once.
 *  @return LRP_OK or the status of what failed; the same on every process rank */
lrp_status lrp_choose(const lrp_options *options, MPI_Comm comm, int argc, char **argv);

/** Print "choice" of <output>/tradeoff.json: a table and the verdict. Local. @return LRP_OK,
 *  LRP_ERR_ABSENT, LRP_ERR_DATA, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_choice_print(const char *output);

/** In a few words, whether what was chosen lost less than the paper's list of (nearly) its size on
 *  the documents that were held out: better, within one standard error, or worse; or that the list
 *  was the best candidate itself. And, where the loss of a choice is more than two standard errors
 *  above the predicted one, that it is. The standard error of the difference is that of two that
 *  know nothing of each other, which is too large rather than too small. Local. @return text */
enum { LRP_VERDICT_SIZE = 1024 };
const char *lrp_choice_verdict(const json_t *choice, char text[LRP_VERDICT_SIZE]);

#endif
