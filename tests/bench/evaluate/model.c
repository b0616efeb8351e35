#include "tests/bench/evaluate/model.h"

#include <math.h>
#include <stdlib.h>

#include "tests/bench/bench_timing.h"

static lrp_matrix view(const void *data, lrp_dtype dtype, int64_t rows, int64_t cols) {
  return (lrp_matrix){.data = data, .dtype = dtype, .rows = rows, .cols = cols, .ld = cols};
}

/* Uniform in +-0.035, that is with a deviation of 0.02, as trained weights have. */
static void fill_random(void *values, lrp_dtype dtype, size_t count) {
  const size_t size = lrp_dtype_size(dtype);
  uint64_t state = 1;
  for (size_t i = 0; i < count; i++) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    const float value = ((float)(state >> 40) * 0x1p-23F - 1.0F) * 0.035F;
    lrp_from_f32((char *)values + i * size, dtype, &value, 1);
  }
}

/* The largest matrix. */
static size_t most_values(const lrp_llama_config *c) {
  const int64_t rows = c->vocab_size > c->intermediate_size ? c->vocab_size : c->intermediate_size;
  return (size_t)rows * (size_t)c->hidden_size;
}

static size_t packed_count(const lrp_llama_config *c) {
  return (size_t)c->num_hidden_layers * LRP_LLAMA_LINEARS + 1;
}

static lrp_status allocate(lrp_bench_llama *m) {
  const lrp_llama_config *c = &m->pass->shape->config;
  const size_t count = most_values(c), hidden = (size_t)c->hidden_size;
  const size_t bytes = count * lrp_dtype_size(m->pass->dtype);
  m->values = aligned_alloc(64, (bytes + 63) / 64 * 64);
  m->ones = calloc(hidden, sizeof(float));
  m->tokens = calloc(LRP_BENCH_TOKENS + 1, sizeof *m->tokens);
  m->x = calloc(LRP_BENCH_TOKENS * hidden, sizeof *m->x);
  m->packed = calloc(packed_count(c), sizeof *m->packed);
  m->model.layers = calloc((size_t)c->num_hidden_layers, sizeof *m->model.layers);
  if (!m->values || !m->ones || !m->tokens || !m->x || !m->packed || !m->model.layers) {
    return lrp_fail_memory(bytes, "random weights");
  }
  fill_random(m->values, m->pass->dtype, count);
  for (size_t i = 0; i < hidden; i++) ((float *)m->ones)[i] = 1.0F;
  for (int64_t i = 0; i <= LRP_BENCH_TOKENS; i++) {
    m->tokens[i] = (int32_t)(i * 7919 % c->vocab_size);
  }
  return LRP_OK;
}

static lrp_linear make_linear(const lrp_bench_llama *m, int64_t n_in, int64_t n_out) {
  const lrp_dtype dtype = m->pass->dtype;
  const int64_t rank = lrp_bench_pass_rank(m->pass, n_in, n_out);
  if (rank == 0) {
    return (lrp_linear){.n_in = n_in, .n_out = n_out, .w = view(m->values, dtype, n_out, n_in)};
  }
  return (lrp_linear){.n_in = n_in,
                      .n_out = n_out,
                      .rank = rank,
                      .left = view(m->values, dtype, n_out, rank),
                      .middle = view(m->values, dtype, rank, rank),
                      .right = view(m->values, dtype, rank, n_in)};
}

static void make_layer(const lrp_bench_llama *m, lrp_llama_layer *layer) {
  const lrp_llama_config *c = &m->pass->shape->config;
  const int64_t hidden = c->hidden_size, ffn = c->intermediate_size;
  const int64_t heads = c->num_attention_heads * (int64_t)c->head_dim;
  const int64_t kv_heads = c->num_key_value_heads * (int64_t)c->head_dim;
  layer->input_norm = layer->post_attn_norm = view(m->ones, LRP_F32, 1, hidden);
  layer->linear[LRP_Q_PROJ] = make_linear(m, hidden, heads);
  layer->linear[LRP_K_PROJ] = make_linear(m, hidden, kv_heads);
  layer->linear[LRP_V_PROJ] = make_linear(m, hidden, kv_heads);
  layer->linear[LRP_O_PROJ] = make_linear(m, heads, hidden);
  layer->linear[LRP_GATE_PROJ] = make_linear(m, hidden, ffn);
  layer->linear[LRP_UP_PROJ] = make_linear(m, hidden, ffn);
  layer->linear[LRP_DOWN_PROJ] = make_linear(m, ffn, hidden);
}

/* Memory number i of the packed ones. */
static lrp_status reserve(lrp_bench_llama *m, size_t i, size_t bytes) {
  m->packed[i] = aligned_alloc(64, bytes);
  return m->packed[i] ? LRP_OK : lrp_fail_memory(bytes, "packed weights");
}

static lrp_status pack(lrp_bench_llama *m) {
  const lrp_dtype dtype = m->pass->dtype;
  const lrp_matrix *head = &m->model.lm_head;
  const size_t head_bytes = lrp_packed_bytes(head->rows, head->cols, dtype);
  lrp_status st = LRP_OK;
  size_t n = 0;
  for (int l = 0; l < m->model.config.num_hidden_layers; l++) {
    for (int i = 0; st == LRP_OK && i < LRP_LLAMA_LINEARS; i++, n++) {
      lrp_linear *linear = &m->model.layers[l].linear[i];
      const size_t bytes = lrp_linear_packed_bytes(linear, dtype);
      if (bytes == 0) continue;
      st = reserve(m, n, bytes);
      if (st == LRP_OK) st = lrp_linear_pack(linear, dtype, m->packed[n]);
    }
  }
  if (st != LRP_OK || head_bytes == 0) return st;
  st = reserve(m, n, head_bytes);
  return st == LRP_OK ? lrp_pack(head, dtype, m->packed[n], &m->model.packed_head) : st;
}

lrp_status lrp_bench_llama_create(const lrp_bench_pass *pass, lrp_bench_llama *out) {
  const lrp_llama_config *c = &pass->shape->config;
  *out = (lrp_bench_llama){.pass = pass, .model.config = *c};
  lrp_status st = allocate(out);
  if (st == LRP_OK) {
    out->model.embed_tokens = out->model.lm_head =
        view(out->values, pass->dtype, c->vocab_size, c->hidden_size);
    out->model.norm = view(out->ones, LRP_F32, 1, c->hidden_size);
    for (int l = 0; l < c->num_hidden_layers; l++) make_layer(out, &out->model.layers[l]);
    st = pack(out);
  }
  if (st == LRP_OK) st = lrp_llama_workspace_create(c, pass->dtype, &out->ws);
  if (st != LRP_OK) lrp_bench_llama_free(out);
  return st;
}

static lrp_status score(lrp_bench_llama *m) {
  lrp_sequence all = {.tokens = m->tokens,
                      .n_tokens = LRP_BENCH_TOKENS + 1,
                      .n_score = m->pass->wanted == LRP_BENCH_LAST_ROW ? 1 : LRP_BENCH_TOKENS};
  const lrp_status st = lrp_llama_score(&m->model, m->ws, &all, 1);
  if (st == LRP_OK && !isfinite(all.loglikelihood)) {
    return lrp_fail(LRP_ERR_NUM, "a log-likelihood of random weights is not finite");
  }
  return st;
}

/* None of the layers is the last one. */
static lrp_status run_layers(lrp_bench_llama *m) {
  const lrp_branch branch = {.parent = -1, .length = LRP_BENCH_TOKENS};
  const lrp_run run = {.count = LRP_BENCH_TOKENS};
  const lrp_batch batch = {
      .tokens = m->tokens, .n_tokens = LRP_BENCH_TOKENS, .runs = &run, .n_runs = 1};
  lrp_status st = lrp_llama_plan(m->ws, &branch, 1);
  if (st == LRP_OK) st = lrp_llama_embed(&m->model, &batch, m->x);
  for (int l = 0; st == LRP_OK && l < m->model.config.num_hidden_layers; l++) {
    st = lrp_llama_layer_apply(&m->model.layers[l], m->ws, NULL, 0, &batch, false, m->x);
  }
  if (st == LRP_OK && !isfinite(m->x[0])) {
    return lrp_fail(LRP_ERR_NUM, "a row of random weights is not finite");
  }
  return st;
}

lrp_status lrp_bench_llama_run(lrp_bench_llama *m, double *seconds) {
  const double start = lrp_bench_clock();
  const lrp_status st = m->pass->wanted == LRP_BENCH_LAYERS ? run_layers(m) : score(m);
  *seconds = lrp_bench_clock() - start;
  return st;
}

void lrp_bench_llama_free(lrp_bench_llama *m) {
  lrp_llama_workspace_destroy(&m->ws);
  for (size_t i = 0; m->packed && i < packed_count(&m->model.config); i++) free(m->packed[i]);
  free(m->packed);
  free(m->model.layers);
  free(m->x);
  free(m->tokens);
  free(m->ones);
  free(m->values);
  *m = (lrp_bench_llama){0};
}
