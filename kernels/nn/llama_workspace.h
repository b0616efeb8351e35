/** @file kernels/nn/llama_workspace.h
 *  Activations of the Llama forward pass: a part of kernels/nn/llama.h that its users do not see.
 */
#ifndef LRP_KERNELS_NN_LLAMA_WORKSPACE_H
#define LRP_KERNELS_NN_LLAMA_WORKSPACE_H

#include "kernels/nn/attention.h"
#include "kernels/nn/llama.h"

/** All matrices are row-major and dense, one row per token of the batch. */
struct lrp_llama_workspace {
  lrp_llama_config config;
  lrp_attention_shape shape;
  int64_t tokens;  /* rows of the batch */
  lrp_span *spans; /* borrowed from span_memory: the sequences of the batch */
  int64_t span_count;
  int64_t *positions, *rows; /* borrowed: position of each token; rows that are scored */
  int64_t row_count;
  float *x, *h;           /* borrowed: residual stream, normalised or attended rows */
  float *q, *k, *v;       /* borrowed */
  float *gate, *up;       /* borrowed; on the memory of q, k and v, which are done with by then */
  const float *rope;      /* borrowed */
  int64_t rope_positions; /* in the table so far */
  lrp_buffer span_memory, position_memory, row_memory, x_memory, h_memory, wide_memory;
  lrp_buffer rope_memory, norm_memory, head_memory, logits_memory, result_memory;
  lrp_linear_scratch linear;
  lrp_attention_scratch attention;
};

/** Describe a batch and make room for its activations: a span of n_tokens - 1 rows per sequence, of
 *  which the last n_score are scored.
 *  @return LRP_OK, LRP_ERR_MEM. Local. */
lrp_status lrp_llama_workspace_begin(lrp_llama_workspace *ws, const lrp_sequence *sequences,
                                     int64_t count);

#endif
