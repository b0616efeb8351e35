#include "pipeline/workload.h"

#include <assert.h>

#include "kernels/nn/product.h"

/* What is being counted. */
typedef struct {
  const lrp_workload_model *model;
  lrp_workload sum;
} count;

static double size_of(lrp_dtype type) {
  return (double)lrp_dtype_size(type);
}

static double least(int64_t a, int64_t b) {
  return (double)(a < b ? a : b);
}

/* ---- weights ---- */

/* A vector of so many elements, as it lies in the files. */
static void add_vector(count *c, int64_t n) {
  c->sum.bytes += (double)n * size_of(c->model->weights);
}

/* rows of x by dense weights m x n */
static void add_dense(count *c, double rows, int64_t m, int64_t n) {
  const lrp_workload_model *model = c->model;
  const bool packed = model->packed && !lrp_product_suits(m, n);
  const double weights = (double)m * (double)n;
  c->sum.flops += 2.0 * rows * weights;
  c->sum.bytes += weights * size_of(packed ? model->operands : model->weights);
}

/* Bytes of a factor n x k in memory. */
static double folded_bytes(const lrp_workload_model *model, int64_t n, int64_t k) {
  const lrp_dtype type = lrp_product_suits(n, k) ? LRP_F32 : model->operands;
  return (double)n * (double)k * size_of(type);
}

/* rows of x by factors m x rank and rank x n */
static void add_factors(count *c, double rows, int64_t m, int64_t n, int64_t rank) {
  const lrp_workload_model *model = c->model;
  const double thin = (double)rank * (double)(m + n);
  if (model->folded) {
    c->sum.flops += 2.0 * rows * thin;
    c->sum.bytes += folded_bytes(model, rank, n) + folded_bytes(model, m, rank);
  } else {
    const double middle = (double)rank * (model->method == LRP_TUCKER ? (double)rank : 1.0);
    c->sum.flops += 2.0 * rows * (thin + (model->method == LRP_TUCKER ? middle : 0.0));
    c->sum.bytes += thin * size_of(model->factors) + middle * size_of(LRP_F32);
  }
}

static void add_linear(count *c, int layer, int tensor, double rows) {
  const lrp_config *config = c->model->config;
  const int *rank = c->model->rank;
  const int at = layer * lrp_config_layer_tensors(config) + tensor;
  int64_t m, n;
  lrp_config_tensor_shape(config, tensor, &m, &n);
  if (rank && rank[at] > 0) {
    add_factors(c, rows, m, n, rank[at]);
  } else {
    add_dense(c, rows, m, n);
  }
  if (lrp_config_has_bias(config, tensor)) add_vector(c, m);
}

/* ---- Llama ---- */

/* tokens rows through all layers, of which the last goes on with the wanted ones behind its
 * attention, and the head for these. */
static void add_llama_weights(count *c, int64_t tokens, int64_t wanted) {
  const lrp_llama_config *llama = &c->model->config->llama;
  const int layers = llama->num_hidden_layers;
  for (int l = 0; l < layers; l++) {
    for (int t = 0; t < LRP_LLAMA_LINEARS; t++) {
      const bool behind = l == layers - 1 && t >= LRP_O_PROJ;
      add_linear(c, l, t, (double)(behind ? wanted : tokens));
    }
    add_vector(c, 2 * llama->hidden_size);
  }
  add_vector(c, llama->hidden_size);
  add_dense(c, (double)wanted, llama->vocab_size, llama->hidden_size);
  c->sum.bytes +=
      least(tokens, llama->vocab_size) * (double)llama->hidden_size * size_of(c->model->weights);
}

/* What the queries at positions from .. to - 1 of a sequence see, themselves included. */
static double seen_by(int64_t from, int64_t to, int64_t window) {
  int64_t cut = window > 0 && window < to ? window : to; /* positions before it see all */
  if (cut < from) cut = from;
  return 0.5 * (double)(cut - from) * (double)(cut + from + 1) +
         (double)(to - cut) * (double)window;
}

/* Products of queries with `pairs` keys and values, of which `kept` are read or written. */
static void add_causal(count *c, double pairs, double kept) {
  const lrp_llama_config *llama = &c->model->config->llama;
  const double layers = llama->num_hidden_layers, each = llama->head_dim;
  c->sum.flops += 4.0 * layers * llama->num_attention_heads * each * pairs;
  c->sum.bytes +=
      2.0 * layers * llama->num_key_value_heads * each * kept * size_of(c->model->operands);
}

static void add_llama(count *c, int64_t batch, int64_t length) {
  const int64_t window = c->model->config->llama.sliding_window;
  const double sequences = (double)batch;
  add_llama_weights(c, batch * length, batch);
  add_causal(c, sequences * seen_by(0, length, window), 2.0 * sequences * (double)length);
}

lrp_workload lrp_workload_decode(const lrp_workload_model *model, int64_t batch, int64_t length,
                                 int64_t steps) {
  const int64_t window = model->config->llama.sliding_window;
  const double sequences = (double)batch;
  count c = {.model = model};
  assert(model->config->family == LRP_FAMILY_LLAMA && batch > 0 && length > 0 && steps > 0);
  add_llama_weights(&c, batch, batch);
  const double seen = seen_by(length, length + steps, window) / (double)steps;
  add_causal(&c, sequences * seen, sequences * (seen + 1.0));
  return c.sum;
}

/* ---- BERT ---- */

/* Whether the result needs one position of each sequence only. */
static bool wants_one(const lrp_bert_config *bert) {
  return bert->head == LRP_BERT_CLASSIFIER || bert->head == LRP_BERT_MASKED;
}

/* A linear map of the head, with its bias. */
static void add_head_map(count *c, double rows, int64_t m, int64_t n) {
  add_dense(c, rows, m, n);
  add_vector(c, m);
}

static void add_bert_head(count *c, int64_t batch, int64_t length) {
  const lrp_bert_config *bert = &c->model->config->bert;
  const int64_t n = bert->hidden_size;
  const double sequences = (double)batch;
  switch (bert->head) {
    case LRP_BERT_BARE:
      break;
    case LRP_BERT_CLASSIFIER:
      add_head_map(c, sequences, n, n);
      add_head_map(c, sequences, bert->num_labels, n);
      break;
    case LRP_BERT_SPANS:
      add_head_map(c, sequences * (double)length, bert->num_labels, n);
      break;
    case LRP_BERT_MASKED:
      add_head_map(c, sequences, n, n);
      add_vector(c, 2 * n);
      add_head_map(c, sequences, bert->vocab_size, n);
      break;
  }
}

static void add_bert(count *c, int64_t batch, int64_t length) {
  const lrp_bert_config *bert = &c->model->config->bert;
  const int layers = bert->num_hidden_layers;
  const int64_t n = bert->hidden_size, tokens = batch * length;
  for (int l = 0; l < layers; l++) {
    const bool one = l == layers - 1 && wants_one(bert);
    for (int t = 0; t < LRP_BERT_LINEARS; t++) {
      const bool all = !one || t == LRP_BERT_KEY || t == LRP_BERT_VALUE;
      add_linear(c, l, t, (double)(all ? tokens : batch));
    }
    c->sum.flops += 4.0 * (double)n * (double)tokens * (double)(one ? 1 : length);
    add_vector(c, 4 * n);
  }
  add_vector(c, 2 * n); /* the norm of the embeddings; then a type, positions, words */
  add_vector(c, n + length * n);
  c->sum.bytes += least(tokens, bert->vocab_size) * (double)n * size_of(c->model->weights);
  add_bert_head(c, batch, length);
}

lrp_workload lrp_workload_prefill(const lrp_workload_model *model, int64_t batch, int64_t length) {
  count c = {.model = model};
  assert(batch > 0 && length > 0);
  if (model->config->family == LRP_FAMILY_BERT) {
    add_bert(&c, batch, length);
  } else {
    add_llama(&c, batch, length);
  }
  return c.sum;
}
