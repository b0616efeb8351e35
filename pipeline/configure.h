/** @file pipeline/configure.h
 *  Configurations after decomposing: their ranks where an energy was asked, and the forward model
 *  with the factors in place. */
#ifndef LRP_PIPELINE_CONFIGURE_H
#define LRP_PIPELINE_CONFIGURE_H

#include "pipeline/store.h"

/** Replace the upper bounds of configurations with energy: by the smallest rank whose squared
 *  singular values hold that share of |W|_F^2. Local, deterministic; every unit must be stored.
 *  A rank that would pass the bound is capped there, with a warning. @return LRP_OK, LRP_ERR_IO,
 *  LRP_ERR_MEM */
lrp_status lrp_resolve_energy(lrp_study *study, lrp_store *store);

/** A forward model of either family; the other member is zero. */
typedef struct {
  lrp_family family;
  lrp_llama llama;
  lrp_bert bert;
} lrp_forward;

/** The dense model with the factors of configuration c in place: views into the mapped ledgers.
 *  Local. Release with lrp_forward_free. @return LRP_OK, LRP_ERR_DATA, LRP_ERR_MEM */
lrp_status lrp_configured_model(lrp_store *store, int c, lrp_forward *out);

/** Release and zero *model. Local; accepts a zeroed one. */
void lrp_forward_free(lrp_forward *model);

#endif
