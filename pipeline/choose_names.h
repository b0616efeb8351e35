/** @file pipeline/choose_names.h
 *  What lrpipe choose calls the configurations that it adds to a job, and which it takes to be of
 *  one size. */
#ifndef LRP_PIPELINE_CHOOSE_NAMES_H
#define LRP_PIPELINE_CHOOSE_NAMES_H

#include <stdbool.h>

/** "chosen-09.00" is the choice for 9 % where there is just one; "candidate-09.00-s2o1" one of
 *  several, in every 2nd layer from layer 1 on; "paper-r09" a list of the paper. */
#define LRP_CHOSEN_PREFIX    "chosen-"
#define LRP_CANDIDATE_PREFIX "candidate-"
#define LRP_PAPER_PREFIX     "paper-"

/** Reductions farther apart, in percent of all parameters, are of different sizes. */
#define LRP_SAME_SIZE_PERCENT 0.5

/** Whether name begins like one of these. Local. */
bool lrp_is_chosen_name(const char *name);

#endif
