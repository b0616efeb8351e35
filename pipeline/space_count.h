/** @file pipeline/space_count.h
 *  How large the design space of a model is, and from which rank on a factorization saves nothing.
 *
 *  Source of the axes (layers, tensors, ranks): Moar et al., Characterizing the Accuracy-Efficiency
 *  Trade-off of Low-rank Decomposition in Language Models, IISWC 2024. */
#ifndef LRP_PIPELINE_SPACE_COUNT_H
#define LRP_PIPELINE_SPACE_COUNT_H

#include <stdint.h>

#include "io/model/config.h"
#include "kernels/linalg/factors.h"
#include "kernels/status.h"

/** For L layers of T tensors m x n: what is counted, and what that is. Tensors that are not
 *  decomposed have a choice of 1; ranks are those up to min(m, n), or those that save parameters.
 */
#define LRP_SPACE_AXES(X)                                                                   \
  X(LRP_SPACE_MASKS, "masks", "a set of layers, and a set of tensors for all of them")      \
  X(LRP_SPACE_DIFFERENT, "different", "of these, those that are different configurations")  \
  X(LRP_SPACE_ONE_RANK, "one_rank", "different ones, times a rank for all their matrices")  \
  X(LRP_SPACE_LAYER_MASKS, "masks_per_layer", "a set of tensors for each layer")            \
  X(LRP_SPACE_SAVING_RANKS, "saving_ranks", "a rank that saves parameters for each matrix") \
  X(LRP_SPACE_ANY_RANKS, "any_ranks", "any rank for each matrix")

#define LRP_SPACE_ENUM(axis, name, meaning) axis,
typedef enum { LRP_SPACE_AXES(LRP_SPACE_ENUM) LRP_SPACE_N_AXES } lrp_space_axis;
#undef LRP_SPACE_ENUM

/** An exact number. */
typedef struct {
  char *digits;  /* owned: decimal */
  char log2[16]; /* "39" if it is that power of two, else "38.99" */
} lrp_space_size;

/** Name and meaning of an axis. Local. */
const char *lrp_space_axis_name(lrp_space_axis axis);
const char *lrp_space_axis_meaning(lrp_space_axis axis);

/** Count. Local. @return LRP_OK, LRP_ERR_MEM: nothing is to be released then */
lrp_status lrp_space_count(const lrp_config *config, lrp_method method,
                           lrp_space_size sizes[LRP_SPACE_N_AXES]);
void lrp_space_count_free(lrp_space_size sizes[LRP_SPACE_N_AXES]);

/** The real number r at which a factorization of an m x n matrix has m n parameters: tucker with
 * its core r (m + n) + r^2, svd (folded) r (m + n). Local. */
double lrp_break_even(lrp_method method, int64_t m, int64_t n);

#endif
