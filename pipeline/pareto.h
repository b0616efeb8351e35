/** @file pipeline/pareto.h
 *  Which configurations no other one beats in both size and score. */
#ifndef LRP_PIPELINE_PARETO_H
#define LRP_PIPELINE_PARETO_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/status.h"

/** front[i]: no other j has size[j] <= size[i] and score[j] > score[i], nor size[j] < size[i] and
 *  score[j] >= score[i]. Equal ones are on the front together; a score that is NaN is not, and
 * beats nobody. Local, O(n log n). @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_pareto(const int64_t *size, const double *score, int n, bool *front);

#endif
