/** @file pipeline/workload.h
 *  What a pass of a configuration has to do, by arithmetic: floating-point operations and bytes.
 *
 *  Operations: two for each weight of a linear map and row that is computed, two for each product
 *  of attention, of queries and keys, and of probabilities and values. Of the last layer only what
 *  the result needs, as the forward pass does it: behind attention the last position of each
 *  sequence (Llama), or all but keys and values of one position of each (BERT's classifier and
 *  masked tokens). Not counted: norms, rotation, softmax, activations, biases.
 *
 *  Bytes: each weight that is used, read once, in the type in which it is held: linear maps, head,
 *  biases and norms; embeddings' rows of the tokens, at most the vocabulary; of Llama the keys and
 *  values, in the type of operands, written once and each that is seen read once. Not counted:
 *  activations (keys and values of an encoder are such), what fills up tiles, and that caches may
 *  be too small to read once only. So bytes / seconds is at most what the memory delivers.
 *
 *  Numbers are exact up to 2^53. */
#ifndef LRP_PIPELINE_WORKLOAD_H
#define LRP_PIPELINE_WORKLOAD_H

#include "io/model/config.h"
#include "kernels/linalg/factors.h"

/** A configuration as it is held. */
typedef struct {
  const lrp_config *config; /* borrowed */
  const int *rank;          /* borrowed; of (layer, tensor), as in lrp_plan_size; NULL: all dense */
  lrp_dtype operands;       /* of products: LRP_F32 or LRP_BF16 */
  lrp_dtype weights; /* of the model's files: embeddings, biases, norms, and what lies there */
  bool packed;       /* dense linear maps and head are laid out in the type of operands, unless they
                        are small (lrp_product_suits); false: they lie in the files */
  bool folded;       /* factors are in memory, the middle multiplied into left, in the type of
                        operands, in float32 where they are small (lrp_linear_pack); false: they are
                        as stored */
  lrp_method method; /* of stored factors: tucker has a core of its own to multiply by */
  lrp_dtype factors; /* of stored factors; the core, or the diagonal, is float32 */
} lrp_workload_model;

typedef struct {
  double flops, bytes;
} lrp_workload;

/** One pass over batch sequences of length tokens each, at least one of each. Local.
 *  Llama: all layers, keeping keys and values, and the head for the last position of each sequence.
 *  A query sees the keys up to its own, at most sliding_window of them.
 *  BERT: all positions see each other, then the head of its class: pooler and classifier of each
 *  sequence; (start, end) of each token; transform and decoder of one masked token of each sequence
 *  (lrp_bert_score); none of BertModel, whose pooler is not used. */
lrp_workload lrp_workload_prefill(const lrp_workload_model *model, int64_t batch, int64_t length);

/** The mean of steps decoding steps, at least one, each a token for every one of batch sequences of
 *  length tokens with kept keys and values; step t = 1 .. steps sees length + t positions, its own
 *  included, at most sliding_window. Local; Llama only. */
lrp_workload lrp_workload_decode(const lrp_workload_model *model, int64_t batch, int64_t length,
                                 int64_t steps);

#endif
