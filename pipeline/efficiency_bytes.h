/** @file pipeline/efficiency_bytes.h
 *  Bytes of a model's weights as a forward pass holds them.
 *
 *  Packed where it is packed, else as it lies, and everything once. All functions are local. */
#ifndef LRP_PIPELINE_EFFICIENCY_BYTES_H
#define LRP_PIPELINE_EFFICIENCY_BYTES_H

#include "kernels/nn/bert.h"
#include "kernels/nn/llama.h"

/** A linear map, its bias included: dense, or its factors alone. */
int64_t lrp_linear_bytes(const lrp_linear *linear, lrp_dtype operands);

/** Linear maps and norms of a layer. */
int64_t lrp_llama_layer_bytes(const lrp_llama_layer *layer, lrp_dtype operands);

/** What is not in the layers: embedding, last norm, head. A head that is the embedding counts once,
 *  unless it is packed: then there are two. */
int64_t lrp_llama_outer_bytes(const lrp_llama *model, lrp_dtype operands);

/** All of an encoder, whose weights are used as they lie. */
int64_t lrp_bert_bytes(const lrp_bert *model);

#endif
