/** @file pipeline/offers.h
 *  What every layer of a model could save, and at what cost: from what was measured of single
 *  tensors and single layers, or from the errors of decompositions. */
#ifndef LRP_PIPELINE_OFFERS_H
#define LRP_PIPELINE_OFFERS_H

#include <jansson.h>
#include <stdbool.h>

#include "pipeline/plan.h"

/** Some tensors of one layer at some ranks. */
typedef struct {
  int layer;
  int rank[LRP_MAX_LAYER_TENSORS]; /* 0: dense */
  int64_t saving;                  /* parameters */
  double loss;                     /* >= 0; of errors: the sum of |W - W_r|^2 / |W|^2 */
  double margin;                   /* standard errors of what loss adds up, added up */
  double variance;                 /* sum of their squares */
} lrp_offer;

typedef struct {
  lrp_offer *measured; /* owned, n: as they were measured; of errors: single tensors */
  int n, room;
  const lrp_config *config; /* borrowed */
  lrp_method method;
} lrp_offers;

/** Offers from "units" and "layers" of tradeoff.json's sensitivity: loss is max(loss, 0), margin
 *  its standard error, 0 where there is none. Configurations without a loss are left out, and those
 *  that lrpipe choose named itself: the same question must have the same answer. Local.
 *  @return LRP_OK; LRP_ERR_DATA for what this model does not have; LRP_ERR_MEM. Release with free
 *          in any case. */
lrp_status lrp_offers_of_losses(const json_t *sensitivity, const lrp_config *config,
                                lrp_method method, lrp_offers *out);

/** Offers from "tensors" of tradeoff.json: each unit at the ranks that it has in configurations of
 *  the plan, at its relative squared error. That of a smaller rank than the stored one follows from
 *  the spectrum, between whose listed points values are interpolated. Local.
 *  @return as lrp_offers_of_losses */
lrp_status lrp_offers_of_errors(const json_t *tensors, const lrp_plan *plan,
                                const lrp_config *config, lrp_method method, lrp_offers *out);
void lrp_offers_free(lrp_offers *offers);

/** A copy of the offers of layers first, first + stride, .. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_offers_every(const lrp_offers *offers, int stride, int first, lrp_offers *out);

/** Most offers of a layer among which lrp_offers_choose looks. */
enum { LRP_LAYER_OFFERS = 256 };

/** rank[layers * tensors]: the choice that saves at least `saving` parameters with the least sum of
 *  loss + margin. Of a layer it takes one measured set of tensors, or several single tensors, whose
 *  losses are added; losses of layers are added, too. Sets that were measured together are taken
 *  with the loss that they have together. Local.
 *  @param[out] most   that the offers can save
 *  @param[out] found  whether saving <= *most
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_offers_choose(const lrp_offers *offers, int64_t saving, int *rank, int64_t *most,
                             bool *found);

/** Predicted loss of these ranks and its standard error: the sum over layers of what was measured
 * of just these tensors and ranks together, else of each of them alone. Local.
 *  @return whether all of it was measured */
bool lrp_offers_predict(const lrp_offers *offers, const int *rank, double *loss, double *error);

/** Parameters that these ranks of a layer, or of all layers, save; less than 0 if they cost some.
 *  Local. */
int64_t lrp_saving_of_layer(const lrp_config *config, lrp_method method, const int *rank);
int64_t lrp_saving_of(const lrp_config *config, lrp_method method, const int *rank);

#endif
