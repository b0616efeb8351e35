/** @file pipeline/sampler.h
 *  The configurations of a design space that pass filters: their exact number, each of them by its
 *  number, and random ones.
 *
 *  A configuration is a set of layers, a set of tensors that is the same in each of them, and a row
 *  of ranks. What it saves depends on how many layers there are, not on which, so the
 * configurations fall into classes (ranks, tensors, number of layers) whose sizes are binomial
 * coefficients: nothing is tried and thrown away, however few pass. The order is that of the ranks
 * as given, then of the sets of tensors read as binary numbers (tensor 0 is the lowest bit), then
 * of the number of layers, then of the layers themselves, in lexicographic order. All functions are
 * local and deterministic: the same on every machine. */
#ifndef LRP_PIPELINE_SAMPLER_H
#define LRP_PIPELINE_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "io/model/config.h"
#include "kernels/linalg/factors.h"
#include "kernels/status.h"

/** Most layers of a model whose space is counted. */
enum { LRP_SPACE_MAX_LAYERS = 4096 };

/** A rank for each tensor of a layer. */
typedef struct {
  int rank[LRP_MAX_LAYER_TENSORS];
} lrp_rank_row;

/** What may vary, and what is kept of it. */
typedef struct {
  lrp_method method;         /* by which parameters are counted */
  int keep_first, keep_last; /* so many layers at either end stay dense */
  int distance;              /* >= 1: chosen layers are at least so far apart; 1: any */
  double least, most;        /* reduction in percent, both included */
  unsigned tensors;          /* bit t: tensor t may be decomposed */
  bool subsets;              /* every subset of tensors but the empty one; false: all of them */
  const lrp_rank_row *rows;  /* borrowed until create returns: ranks >= 1 to choose from */
  int n_rows;                /* >= 1 */
} lrp_space_filter;

/** Everything of the model at rank `rank` (capped at min(m, n) of each tensor), tucker: distance 1,
 *  any reduction, every subset of the tensors; rows is *row, which is filled. */
lrp_space_filter lrp_space_everything(const lrp_config *config, int rank, lrp_rank_row *row);

/** The same rank for every tensor, capped at min(m, n). */
lrp_rank_row lrp_rank_row_of(const lrp_config *config, int rank);

typedef struct lrp_sampler lrp_sampler;

/** A configuration. */
typedef struct {
  const int *layers; /* borrowed from the sampler until its next call: ascending */
  int n_layers;      /* >= 1 */
  unsigned tensors;  /* bit t: tensor t; not 0 */
  int row;           /* which of the filter's rows */
  int64_t parameters;
  double reduction_percent; /* as lrp_plan_size has it */
} lrp_pick;

/** Count what passes the filter. Rows that are the same for a set of tensors count once. An empty
 *  space is no error.
 *  @return LRP_OK; LRP_ERR_JOB for a model of more than LRP_SPACE_MAX_LAYERS layers; LRP_ERR_MEM */
lrp_status lrp_sampler_create(lrp_sampler **out, const lrp_config *config,
                              const lrp_space_filter *filter);
void lrp_sampler_destroy(lrp_sampler **sampler);

/** How many configurations pass: in decimal (owned by the sampler), and its binary logarithm
 *  (-INFINITY if none does). */
const char *lrp_sampler_count(const lrp_sampler *sampler);
double lrp_sampler_log2(const lrp_sampler *sampler);

/** The next one in order; *found is false behind the last. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_sampler_next(lrp_sampler *sampler, lrp_pick *pick, bool *found);

/** Start to draw from the beginning, by this seed. */
void lrp_sampler_seed(lrp_sampler *sampler, uint64_t seed);

/** A random one that was not drawn since seeding (without: seed 0), each with the same probability;
 *  *found is false when all were drawn. Fewer draws by a seed are the first of more by it.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_sampler_draw(lrp_sampler *sampler, lrp_pick *pick, bool *found);

/** rank[layer * tensors + tensor] of a pick, 0 where it stays dense: as in lrp_configuration. */
void lrp_sampler_ranks(const lrp_sampler *sampler, const lrp_pick *pick, int *rank);

#endif
