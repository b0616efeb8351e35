/** @file kernels/nn/attention.h
 *  Attention, causal or not, with grouped key and value heads over sequences laid one after the
 *  other. */
#ifndef LRP_KERNELS_NN_ATTENTION_H
#define LRP_KERNELS_NN_ATTENTION_H

#include <stdbool.h>
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
  bool both_ways;  /* each query sees all keys of its span; else those up to its own position, and
                      sums are in double */
  int64_t queries; /* both ways: each span has so many, q and out hold just these; 0: one per key */
  int64_t window;  /* causal: only the last so many of these, itself included; 0: all */
} lrp_attention_shape;

/** Zeroed before the first use. */
typedef struct {
  lrp_buffer spans, tasks;  /* where each sequence's panels start; what to do */
  lrp_buffer keys, values;  /* packed for kernels/nn/product.h */
  lrp_buffer probabilities; /* a block of rows for each thread */
} lrp_attention_scratch;

/** Release the memory. Local; accepts a zeroed one. */
void lrp_attention_scratch_free(lrp_attention_scratch *scratch);

/** out = softmax(q k^T / sqrt(head_dim)) v over the keys that each query sees. Local.
 *  For each span and head. q and out: rows of heads x head_dim elements; k and v: rows of
 *  kv_heads x head_dim. A row of out depends on its query, its position and the keys and values
 *  that it sees alone, bitwise.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_attention(const lrp_attention_shape *shape, const float *q, const float *k,
                         const float *v, const lrp_span *spans, int64_t count, float *out,
                         lrp_attention_scratch *scratch);

#endif
