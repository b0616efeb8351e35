/** @file kernels/nn/bert_workspace.h
 *  Activations of the BERT forward pass: a part of kernels/nn/bert.h that its users do not see. */
#ifndef LRP_KERNELS_NN_BERT_WORKSPACE_H
#define LRP_KERNELS_NN_BERT_WORKSPACE_H

#include "kernels/nn/attention.h"
#include "kernels/nn/bert.h"

/** All matrices are row-major and dense, one row per token of the batch. */
struct lrp_bert_workspace {
  lrp_bert_config config;
  lrp_attention_shape shape;
  int64_t tokens;  /* rows of the batch */
  lrp_span *spans; /* borrowed: the inputs of the batch */
  int64_t span_count;
  int64_t *rows; /* borrowed: rows that the head needs, ascending; room for span_count */
  int64_t row_count;
  float *x, *h;         /* borrowed: residual stream; attended rows */
  float *q, *k, *v;     /* borrowed */
  float *wide;          /* borrowed; on the memory of q, k and v, which are done with by then */
  float *weight, *bias; /* borrowed: a vector each, as floats */
  lrp_buffer input_memory, span_memory, row_memory, x_memory, h_memory, wide_memory, norm_memory;
  lrp_buffer head_memory, logits_memory;
  lrp_linear_scratch linear;
  lrp_attention_scratch attention;
};

/** Describe a batch and make room for its activations: a span for each input; no rows are chosen.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG (an input of no or too many tokens). Local. */
lrp_status lrp_bert_workspace_begin(lrp_bert_workspace *ws, const lrp_bert_input *inputs,
                                    int64_t count);

#endif
