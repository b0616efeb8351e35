/** @file pipeline/factor_cache.h
 *  Factors of the store, packed for products, kept from use to use as long as there is memory. */
#ifndef LRP_PIPELINE_FACTOR_CACHE_H
#define LRP_PIPELINE_FACTOR_CACHE_H

#include "kernels/nn/linear.h"
#include "pipeline/store.h"

/** Those of one process rank; not to be used by several threads at a time. */
typedef struct lrp_factor_cache lrp_factor_cache;

/** For a plan of n_units. Local.
 *  @param most_bytes  beyond it, factors go when they are released
 *  @return LRP_OK, LRP_ERR_MEM; release with destroy, which accepts NULL */
lrp_status lrp_factor_cache_create(int n_units, lrp_dtype operands, int64_t most_bytes,
                                   lrp_factor_cache **out);
void lrp_factor_cache_destroy(lrp_factor_cache **cache);

/** Make linear, the dense map of unit i, that of its factors at rank r, packed. Local.
 *  @param[out] held  to be released when linear is not used any more
 *  @return LRP_OK, LRP_ERR_DATA, LRP_ERR_IO, LRP_ERR_MEM, LRP_ERR_BUG: nothing is held */
lrp_status lrp_factor_cache_take(lrp_factor_cache *cache, lrp_store *store, int i, int r,
                                 lrp_linear *linear, void **held);
void lrp_factor_cache_release(lrp_factor_cache *cache, void *held);

/** Bytes of packed factors in memory now. Local. */
int64_t lrp_factor_cache_bytes(const lrp_factor_cache *cache);

#endif
