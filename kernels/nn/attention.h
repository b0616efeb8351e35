/** @file kernels/nn/attention.h
 *  Attention both ways, as encoders have it: each query sees all keys of its sequence. Sequences
 *  are laid one after the other. (For decoders: kernels/nn/kv.h.) */
#ifndef LRP_KERNELS_NN_ATTENTION_H
#define LRP_KERNELS_NN_ATTENTION_H

#include <stdint.h>

#include "kernels/nn/buffer.h"
#include "kernels/status.h"

/** Rows first .. first + length - 1 of a token matrix: one sequence. */
typedef struct {
  int64_t first, length;
} lrp_span;

/** Query heads h use the key and value head h / (heads / kv_heads). */
typedef struct {
  int64_t heads, kv_heads, head_dim;
  int64_t queries; /* each span has so many, q and out hold just these; 0: one per key */
} lrp_attention_shape;

/** Zeroed before the first use. */
typedef struct {
  lrp_buffer keys, values;  /* of a head for each thread, packed for kernels/nn/product.h */
  lrp_buffer probabilities; /* a tile of rows for each thread */
} lrp_attention_scratch;

/** Release the memory. Local; accepts a zeroed one. */
void lrp_attention_scratch_free(lrp_attention_scratch *scratch);

/** out = softmax(q k^T / sqrt(head_dim)) v over the keys of each query's span. Local.
 *  For each span and head. q and out: rows of heads x head_dim elements; k and v: rows of
 *  kv_heads x head_dim. A row of out depends on its query and the keys and values of its span
 * alone, bitwise.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_attention(const lrp_attention_shape *shape, const float *q, const float *k,
                         const float *v, const lrp_span *spans, int64_t count, float *out,
                         lrp_attention_scratch *scratch);

#endif
