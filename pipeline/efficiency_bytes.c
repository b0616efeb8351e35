#include "pipeline/efficiency_bytes.h"

static int64_t matrix_bytes(const lrp_matrix *a) {
  return a->data ? a->rows * a->cols * (int64_t)lrp_dtype_size(a->dtype) : 0;
}

/* The leading rows x cols of a factor, whose view may be larger. */
static int64_t part_bytes(const lrp_matrix *a, int64_t rows, int64_t cols) {
  return a->data ? rows * cols * (int64_t)lrp_dtype_size(a->dtype) : 0;
}

static int64_t factor_bytes(const lrp_linear *linear, lrp_dtype operands) {
  const int64_t r = linear->rank;
  /* Packed factors have the middle in left; small ones are copied, too, and then not marked. */
  if (!linear->middle.data) return (int64_t)lrp_linear_packed_bytes(linear, operands);
  return part_bytes(&linear->left, linear->n_out, r) + part_bytes(&linear->right, r, linear->n_in) +
         part_bytes(&linear->middle, linear->middle.rows == 1 ? 1 : r, r);
}

int64_t lrp_linear_bytes(const lrp_linear *linear, lrp_dtype operands) {
  const int64_t bias = matrix_bytes(&linear->bias);
  if (linear->rank > 0) return bias + factor_bytes(linear, operands);
  if (linear->packed.data) return bias + (int64_t)lrp_linear_packed_bytes(linear, operands);
  return bias + matrix_bytes(&linear->w);
}

int64_t lrp_llama_layer_bytes(const lrp_llama_layer *layer, lrp_dtype operands) {
  int64_t bytes = matrix_bytes(&layer->input_norm) + matrix_bytes(&layer->post_attn_norm);
  for (int i = 0; i < LRP_LLAMA_LINEARS; i++) {
    bytes += lrp_linear_bytes(&layer->linear[i], operands);
  }
  return bytes;
}

int64_t lrp_llama_outer_bytes(const lrp_llama *model, lrp_dtype operands) {
  const lrp_matrix *head = &model->lm_head;
  const int64_t bytes = matrix_bytes(&model->embed_tokens) + matrix_bytes(&model->norm);
  if (model->packed_head.data) {
    return bytes + (int64_t)lrp_packed_bytes(head->rows, head->cols, operands);
  }
  return head->data == model->embed_tokens.data ? bytes : bytes + matrix_bytes(head);
}

static int64_t norm_bytes(const lrp_bert_norm *norm) {
  return matrix_bytes(&norm->weight) + matrix_bytes(&norm->bias);
}

/* Maps that the class of the model does not have are zero. */
int64_t lrp_bert_bytes(const lrp_bert *model) {
  int64_t bytes =
      matrix_bytes(&model->word_embeddings) + matrix_bytes(&model->position_embeddings) +
      matrix_bytes(&model->type_embeddings) + norm_bytes(&model->embedding_norm) +
      lrp_linear_bytes(&model->pooler, LRP_F32) + lrp_linear_bytes(&model->transform, LRP_F32) +
      norm_bytes(&model->transform_norm) + matrix_bytes(&model->output.bias);
  for (int l = 0; l < model->config.num_hidden_layers; l++) {
    const lrp_bert_layer *layer = &model->layers[l];
    bytes += norm_bytes(&layer->attention_norm) + norm_bytes(&layer->output_norm);
    for (int i = 0; i < LRP_BERT_LINEARS; i++) {
      bytes += lrp_linear_bytes(&layer->linear[i], LRP_F32);
    }
  }
  const lrp_matrix *output = &model->output.w;
  return output->data == model->word_embeddings.data ? bytes : bytes + matrix_bytes(output);
}
