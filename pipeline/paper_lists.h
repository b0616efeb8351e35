/** @file pipeline/paper_lists.h
 *  The layers that Moar et al. (IISWC 2024) decompose, list by list, in a model of any depth. */
#ifndef LRP_PIPELINE_PAPER_LISTS_H
#define LRP_PIPELINE_PAPER_LISTS_H

#include "io/model/config.h"

/** Lists of the paper's accuracy experiment (jobs/paper/E5-accuracy.yaml). */
enum { LRP_PAPER_LISTS = 10 };

/** "r09": named by the reduction of Llama-2-7B in percent. Local. */
const char *lrp_paper_list_name(int list);

/** rank[layer * tensors + tensor] = 1 for all tensors of the list's layers, else 0. The lists are
 *  written for 32 layers; l becomes round(l (L-1) / 31) of L, as in a sweep with for. Local. */
void lrp_paper_list_ranks(int list, const lrp_config *config, int *rank);

#endif
