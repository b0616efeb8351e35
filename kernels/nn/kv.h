/** @file kernels/nn/kv.h
 *  Causal attention over a forest of branches, and the keys and values that it keeps.
 *
 *  Keys and values lie in panels of 16 positions. Panels whose positions all belong to a common
 *  beginning exist once; one in which a fork lies is copied to each side. The order of every sum
 *  depends on a query's position only, so a row of the result does not depend on what else is
 *  computed, kept or shared. */
#ifndef LRP_KERNELS_NN_KV_H
#define LRP_KERNELS_NN_KV_H

#include <stddef.h>

#include "kernels/matrix.h"
#include "kernels/nn/forest.h"

/** Query heads h use the key and value head h / (heads / kv_heads). */
typedef struct {
  int64_t heads, kv_heads, head_dim;
  int64_t window; /* each query sees the last so many keys, its own included; 0: all */
} lrp_causal_shape;

typedef struct lrp_kv lrp_kv;

/** @param operands  LRP_F32; or LRP_BF16: q, k, v and the probabilities are rounded to bfloat16 and
 *                   their products summed in float32 (in float32 arithmetic where the processor
 *                   has no avx512_bf16: the same numbers up to the order of sums)
 *  @param layers    of the model whose keys and values are kept at once; 1 where each layer is done
 *                   with before the next one
 *  @return LRP_OK, LRP_ERR_MEM. Local. Release with destroy, which accepts NULL. */
lrp_status lrp_kv_create(const lrp_causal_shape *shape, lrp_dtype operands, int layers,
                         lrp_kv **kv);
void lrp_kv_destroy(lrp_kv **kv);

/** Forget what is kept and make room for the tokens of n branches. Local. Memory is reused.
 *  @return LRP_OK; LRP_ERR_MEM, with a remedy */
lrp_status lrp_kv_plan(lrp_kv *kv, const lrp_branch *branches, int64_t n);

/** Bytes of keys and values that a plan of these branches takes on this processor. Local. */
size_t lrp_kv_bytes(const lrp_causal_shape *shape, lrp_dtype operands, int layers,
                    const lrp_branch *branches, int64_t n);

/** Keep the keys and values of the rows of runs, then out = softmax(q k^T / sqrt(head_dim)) v over
 *  the keys that each query sees: those of its branch and its ancestors up to its own position.
 *  Local. All earlier positions must have been kept, by this call or earlier ones. A value that is
 *  infinite or no number makes NaN of the rows that see it, and changes no others.
 *  @param q    rows of heads x head_dim floats, rotated
 *  @param k,v  rows of kv_heads x head_dim floats, k rotated
 *  @param[out] out  rows of heads x head_dim elements of type operands
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_kv_attention(lrp_kv *kv, int layer, const lrp_run *runs, int64_t n_runs,
                            const float *q, const float *k, const float *v, void *out);

#endif
