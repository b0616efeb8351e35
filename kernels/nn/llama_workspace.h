/** @file kernels/nn/llama_workspace.h
 *  Activations of the Llama forward pass: a part of kernels/nn/llama.h that its users do not see.
 */
#ifndef LRP_KERNELS_NN_LLAMA_WORKSPACE_H
#define LRP_KERNELS_NN_LLAMA_WORKSPACE_H

#include "kernels/nn/llama.h"

/** All matrices are row-major and dense. Buffers hold nothing between calls, but for the keys and
 *  values, rotary tables, and the head. */
struct lrp_llama_workspace {
  lrp_llama_config config;
  lrp_dtype operands;
  lrp_kv *kv;             /* owned; of one layer */
  int64_t rope_positions; /* in the table so far */
  lrp_buffer rope;        /* rope_positions x head_dim */
  lrp_buffer runs, positions;
  lrp_buffer norm;         /* a norm's weights as floats */
  lrp_buffer h;            /* normalised rows, of type operands */
  lrp_buffer wide;         /* queries, keys and values; then gates and what they gate */
  lrp_buffer mixed;        /* attended rows, of type operands; up to two panels */
  lrp_buffer gated;        /* of type operands */
  lrp_buffer x;            /* residual stream of lrp_llama_score and lrp_llama_logits */
  lrp_buffer head;         /* the head's weights, where they cannot be used as they lie */
  lrp_buffer logits;       /* of a panel */
  lrp_buffer rows;         /* wanted rows of lrp_llama_logits */
  lrp_buffer order, first; /* targets in the order of their rows, and where each row's begin */
  lrp_linear_scratch linear;
};

/** Make room for a batch's panels, runs and positions. Local.
 *  A layer works on panels of rows, one after the other: memory is that of a panel, however many
 *  rows a batch has, and what one step writes the next one reads from a cache.
 *  @param[out] panel  rows of every panel but the last, which has no more
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_llama_workspace_begin(lrp_llama_workspace *ws, const lrp_batch *batch,
                                     int64_t *panel);

/** Make room in h for t rows, which lrp_llama_norm writes. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_llama_workspace_rows(lrp_llama_workspace *ws, int64_t t);

/** ws->h = norm(x) for t rows of x. Local. The weights are converted for each use. */
void lrp_llama_norm(lrp_llama_workspace *ws, const lrp_matrix *weight, const float *x, int64_t t);

#endif
