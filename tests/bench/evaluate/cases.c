#include "tests/bench/evaluate/cases.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define SHAPE(hidden, n_layers, heads, kv, ffn, vocab)                                            \
  {                                                                                               \
    .hidden_size = (hidden), .intermediate_size = (ffn), .vocab_size = (vocab),                   \
    .num_hidden_layers = (n_layers), .num_attention_heads = (heads), .num_key_value_heads = (kv), \
    .head_dim = (hidden) / (heads), .max_position_embeddings = 2048, .rms_norm_eps = 1e-5,        \
    .rope_theta = 10000.0                                                                         \
  }

static const lrp_bench_shape small = {"110m", SHAPE(768, 12, 12, 12, 2048, 32000)};
static const lrp_bench_shape medium = {"1.1b", SHAPE(2048, 22, 32, 4, 5632, 32000)};
/* Four of the 32 layers of Llama-2-7B. */
static const lrp_bench_shape large = {"7b4", SHAPE(4096, 4, 32, 32, 11008, 32000)};
static const lrp_bench_shape tiny = {"tiny", SHAPE(128, 2, 4, 2, 344, 512)};
#undef SHAPE

#define NO_GOAL \
  { .share = 0.0 }
static const lrp_bench_pass passes[] = {
    {&small, LRP_BF16, 0, LRP_BENCH_LAST_ROW, false, {.share = 0.60, .stretch = 0.70}},
    {&small, LRP_BF16, 4, LRP_BENCH_LAST_ROW, false, NO_GOAL},
    {&small, LRP_BF16, 8, LRP_BENCH_LAST_ROW, false, NO_GOAL},
    {&small, LRP_BF16, 0, LRP_BENCH_ALL_ROWS, false, {.share = 0.60, .stretch = 0.70}},
    {&small, LRP_F32, 0, LRP_BENCH_LAST_ROW, false, NO_GOAL},
    {&small, LRP_F32, 4, LRP_BENCH_LAST_ROW, false, NO_GOAL},
    {&small, LRP_F32, 8, LRP_BENCH_LAST_ROW, false, NO_GOAL},
    {&small, LRP_F32, 0, LRP_BENCH_ALL_ROWS, false, NO_GOAL},
    {&medium,
     LRP_BF16,
     0,
     LRP_BENCH_LAST_ROW,
     false,
     {.share = 0.75, .stretch = 0.85, .torch = 1.25}},
    {&medium, LRP_BF16, 4, LRP_BENCH_LAST_ROW, false, {.dense = 2.0}},
    {&medium, LRP_BF16, 8, LRP_BENCH_LAST_ROW, false, NO_GOAL},
    {&medium, LRP_F32, 0, LRP_BENCH_LAST_ROW, false, {.share = 0.80}},
    {&medium, LRP_F32, 4, LRP_BENCH_LAST_ROW, false, {.dense = 2.0}},
    {&medium, LRP_F32, 8, LRP_BENCH_LAST_ROW, false, NO_GOAL},
    {&large, LRP_BF16, 0, LRP_BENCH_LAYERS, false, NO_GOAL},
    {&large, LRP_BF16, 4, LRP_BENCH_LAYERS, false, NO_GOAL},
    {&large, LRP_BF16, 8, LRP_BENCH_LAYERS, false, NO_GOAL},
    {&large, LRP_F32, 0, LRP_BENCH_LAYERS, false, NO_GOAL},
    {&large, LRP_F32, 4, LRP_BENCH_LAYERS, false, NO_GOAL},
    {&large, LRP_F32, 8, LRP_BENCH_LAYERS, false, NO_GOAL},
    {&tiny, LRP_BF16, 0, LRP_BENCH_LAST_ROW, true, {.share = 2.0}}, /* for tests: missed, reached */
    {&tiny, LRP_F32, 0, LRP_BENCH_ALL_ROWS, true, {.share = 1e-9}},
    {&tiny, LRP_F32, 4, LRP_BENCH_ALL_ROWS, true, {.dense = 1e-3}},
    {&tiny, LRP_F32, 0, LRP_BENCH_LAYERS, true, NO_GOAL},
};

int lrp_bench_pass_count(void) {
  return sizeof passes / sizeof passes[0];
}

const lrp_bench_pass *lrp_bench_pass_at(int i) {
  return &passes[i];
}

void lrp_bench_pass_name(const lrp_bench_pass *c, char *name, size_t size) {
  static const char *const wanted[] = {"", "-head", "-layers"};
  char rank[16] = "";
  if (c->divisor > 0) snprintf(rank, sizeof rank, "-d%d", c->divisor);
  snprintf(name, size, "%s-%s%s%s", c->shape->name, c->dtype == LRP_BF16 ? "bf16" : "f32",
           wanted[c->wanted], rank);
}

bool lrp_bench_pass_matches(const lrp_bench_pass *c, const char *pattern) {
  char name[64];
  lrp_bench_pass_name(c, name, sizeof name);
  return pattern ? fnmatch(pattern, name, 0) == 0 : !c->on_request;
}

bool lrp_bench_pass_is_dense_of(const lrp_bench_pass *b, const lrp_bench_pass *c) {
  return b->divisor == 0 && c->divisor > 0 && b->shape == c->shape && b->dtype == c->dtype &&
         b->wanted == c->wanted;
}

int64_t lrp_bench_pass_rank(const lrp_bench_pass *c, int64_t n_in, int64_t n_out) {
  const int64_t least = n_in < n_out ? n_in : n_out;
  const int64_t rank = c->divisor > 0 ? c->shape->config.hidden_size / c->divisor : 0;
  return rank < least ? rank : least;
}

/* Of one row through a linear map. */
static double linear(const lrp_bench_pass *c, int64_t n_in, int64_t n_out) {
  const double r = (double)lrp_bench_pass_rank(c, n_in, n_out);
  return c->divisor > 0 ? 2.0 * r * (double)(n_in + n_out) : 2.0 * (double)n_in * (double)n_out;
}

double lrp_bench_pass_flops(const lrp_bench_pass *c) {
  const lrp_llama_config *m = &c->shape->config;
  const int64_t heads = m->num_attention_heads * (int64_t)m->head_dim;
  const int64_t kv_heads = m->num_key_value_heads * (int64_t)m->head_dim;
  const double t = LRP_BENCH_TOKENS, layers = m->num_hidden_layers;
  const double kv = 2.0 * linear(c, m->hidden_size, kv_heads);
  const double rest = linear(c, m->hidden_size, heads) + linear(c, heads, m->hidden_size) +
                      2.0 * linear(c, m->hidden_size, m->intermediate_size) +
                      linear(c, m->intermediate_size, m->hidden_size);
  const double all_pairs = t * (t + 1.0) / 2.0, pair = 4.0 * (double)heads;
  const double rows = c->wanted == LRP_BENCH_LAST_ROW ? 1.0 : t;
  const double pairs = c->wanted == LRP_BENCH_LAST_ROW ? t : all_pairs;
  const double head = 2.0 * (double)m->hidden_size * (double)m->vocab_size;
  return layers * t * kv + (layers - 1.0) * (t * rest + all_pairs * pair) + rows * rest +
         pairs * pair + (c->wanted == LRP_BENCH_LAYERS ? 0.0 : rows * head);
}

void lrp_bench_limits_text(const lrp_bench_limits *goal, char *text, size_t size) {
  int n = 0;
  text[0] = '\0';
  if (goal->share > 0.0) n = snprintf(text, size, "share >= %g", goal->share);
  if (goal->torch > 0.0 && (size_t)n < size) {
    n += snprintf(text + n, size - (size_t)n, "%s>= %g of PyTorch", n > 0 ? ", " : "", goal->torch);
  }
  if (goal->dense > 0.0 && (size_t)n < size) {
    snprintf(text + n, size - (size_t)n, "%s>= %g of dense", n > 0 ? ", " : "", goal->dense);
  }
}
