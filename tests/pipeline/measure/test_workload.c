#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "pipeline/plan.h"
#include "pipeline/workload.h"

enum { layers = 3, batch = 3, length = 7, n_cases = 3 };

/* 24 x 24 is a small product, 24 x 600 is not. */
static const lrp_config llama = {.family = LRP_FAMILY_LLAMA,
                                 .qkv_bias = true,
                                 .llama = {.hidden_size = 24,
                                           .intermediate_size = 600,
                                           .vocab_size = 50,
                                           .num_hidden_layers = layers,
                                           .num_attention_heads = 4,
                                           .num_key_value_heads = 2,
                                           .head_dim = 6}};

static const lrp_config bert = {.family = LRP_FAMILY_BERT,
                                .tie_word_embeddings = true,
                                .bert = {.hidden_size = 24,
                                         .intermediate_size = 600,
                                         .vocab_size = 10, /* less than the tokens of a pass */
                                         .type_vocab_size = 2,
                                         .max_position_embeddings = 64,
                                         .num_hidden_layers = layers,
                                         .num_attention_heads = 4,
                                         .num_labels = 2}};

static const lrp_config llama2_7b = {.family = LRP_FAMILY_LLAMA,
                                     .llama = {.hidden_size = 4096,
                                               .intermediate_size = 11008,
                                               .vocab_size = 32000,
                                               .num_hidden_layers = 32,
                                               .num_attention_heads = 32,
                                               .num_key_value_heads = 32,
                                               .head_dim = 128}};

/* Ranks of the first two layers, of which the larger ones are no small products with 600; the last
 * layer is dense but for what lies behind its attention. */
static const int llama_rank[layers * LRP_LLAMA_LINEARS] = {3, 0, 1, 24, 5, 0, 2,  /**/
                                                           0, 0, 0, 0,  0, 0, 20, /**/
                                                           0, 0, 0, 2,  0, 4, 0};
static const int bert_rank[layers * LRP_BERT_LINEARS] = {3, 0, 1, 24, 5, 0,  /**/
                                                         0, 0, 0, 0,  0, 20, /**/
                                                         2, 0, 7, 0,  4, 1};

/* Held in each way. */
static lrp_workload_model model_of(const lrp_config *config, const int *rank, int way) {
  lrp_workload_model model = {.config = config,
                              .rank = rank,
                              .operands = LRP_BF16,
                              .weights = LRP_BF16,
                              .packed = way != 2,
                              .folded = way != 2,
                              .method = LRP_TUCKER,
                              .factors = LRP_F16};
  if (way == 1) model.operands = LRP_F32;
  return model;
}

static void assert_near(double got, double expected) {
  if (!(fabs(got - expected) <= 1e-12 * fabs(expected))) {
    fail_msg("%.17g, not %.17g", got, expected);
  }
}

/* ---- the same, one product after the other ---- */

static int64_t bytes_of(lrp_dtype type) {
  return type == LRP_F32 ? 4 : 2;
}

/* Weights of a linear map or factor that are used: n x k, in memory or in a file. */
static int64_t held_bytes(const lrp_workload_model *model, int64_t n, int64_t k, lrp_dtype small) {
  const bool is_small = n <= 512 && k <= 512 && n * k < 65536;
  return n * k * bytes_of(is_small ? small : model->operands);
}

/* Multiply-adds of one row by a linear map, and its bytes. */
static int64_t count_linear(const lrp_workload_model *model, int layer, int tensor,
                            int64_t *bytes) {
  const int r =
      model->rank ? model->rank[layer * lrp_config_layer_tensors(model->config) + tensor] : 0;
  int64_t m, n;
  lrp_config_tensor_shape(model->config, tensor, &m, &n);
  if (r == 0 && model->packed) *bytes += held_bytes(model, m, n, model->weights);
  if (r == 0 && !model->packed) *bytes += m * n * bytes_of(model->weights);
  if (r > 0 && model->folded) {
    *bytes += held_bytes(model, m, r, LRP_F32) + held_bytes(model, r, n, LRP_F32);
  }
  if (r > 0 && !model->folded) *bytes += (m + n) * r * bytes_of(model->factors) + 4 * r * r;
  if (lrp_config_has_bias(model->config, tensor)) *bytes += m * bytes_of(model->weights);
  if (r == 0) return m * n;
  return (m + n) * r + (model->folded ? 0 : r * r);
}

/* Tokens at positions from .. to - 1 of each sequence, the wanted ones from first_wanted on; keys
 * and values before from are kept from before. */
static lrp_workload count_llama(const lrp_workload_model *model, int64_t from, int64_t to,
                                int64_t first_wanted) {
  const lrp_llama_config *c = &model->config->llama;
  const int64_t key = c->num_key_value_heads * c->head_dim, size = bytes_of(model->operands);
  int64_t products = 0, bytes = 0, head = 0;
  for (int l = 0; l < layers; l++) {
    int64_t unused = 0;
    for (int t = 0; t < LRP_LLAMA_LINEARS; t++) count_linear(model, l, t, &bytes);
    for (int64_t p = from; p < to; p++) {
      const bool done = l == layers - 1 && p < first_wanted;
      for (int t = 0; t < (done ? LRP_O_PROJ : LRP_LLAMA_LINEARS); t++) {
        products += batch * count_linear(model, l, t, &unused);
      }
      for (int64_t seen = 0; seen <= p; seen++) {
        if (c->sliding_window > 0 && p - seen >= c->sliding_window) continue;
        products += batch * c->num_attention_heads * 2 * c->head_dim;
      }
      bytes += batch * 2 * key * size; /* written */
    }
    for (int64_t seen = 0; seen < to; seen++) { /* read, if anybody sees it */
      if (c->sliding_window > 0 && from - seen >= c->sliding_window) continue;
      bytes += batch * 2 * key * size;
    }
    bytes += 2 * c->hidden_size * bytes_of(model->weights);
  }
  for (int64_t p = first_wanted; p < to; p++) head += batch;
  products += head * c->vocab_size * c->hidden_size;
  bytes += model->packed ? held_bytes(model, c->vocab_size, c->hidden_size, model->weights)
                         : c->vocab_size * c->hidden_size * bytes_of(model->weights);
  const int64_t tokens = batch * (to - from);
  const int64_t rows = tokens < c->vocab_size ? tokens : c->vocab_size;
  bytes += (rows + 1) * c->hidden_size * bytes_of(model->weights); /* and the last norm */
  return (lrp_workload){.flops = 2.0 * (double)products, .bytes = (double)bytes};
}

static void assert_equal(lrp_workload got, lrp_workload expected) {
  assert_near(got.flops, expected.flops);
  assert_near(got.bytes, expected.bytes);
}

static void test_llama(void **state) {
  static const int64_t windows[] = {0, 1, 4, length, length + 2, 100};
  (void)state;
  for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
    lrp_config config = llama;
    config.llama.sliding_window = windows[w];
    for (int i = 0; i < 2 * n_cases; i++) {
      const lrp_workload_model model = model_of(&config, i % 2 ? llama_rank : NULL, i / 2);
      assert_equal(lrp_workload_prefill(&model, batch, length),
                   count_llama(&model, 0, length, length - 1));
      for (int64_t t = 1; t <= 4; t++) {
        assert_equal(lrp_workload_decode(&model, batch, length + t - 1, 1),
                     count_llama(&model, length + t - 1, length + t, length + t - 1));
      }
    }
  }
}

/* Of several steps it is the mean. */
static void test_steps(void **state) {
  lrp_config config = llama;
  (void)state;
  for (int64_t window = 0; window <= 12; window++) {
    lrp_workload sum = {0};
    config.llama.sliding_window = window;
    const lrp_workload_model model = model_of(&config, llama_rank, 0);
    for (int t = 0; t < 5; t++) {
      const lrp_workload one = lrp_workload_decode(&model, batch, length + t, 1);
      sum.flops += one.flops / 5;
      sum.bytes += one.bytes / 5;
    }
    assert_equal(lrp_workload_decode(&model, batch, length, 5), sum);
  }
}

/* ---- BERT ---- */

static void count_head(const lrp_workload_model *model, int64_t rows, int64_t m, int64_t n,
                       int64_t *products, int64_t *bytes) {
  *products += rows * m * n;
  *bytes +=
      model->packed ? held_bytes(model, m, n, model->weights) : m * n * bytes_of(model->weights);
  *bytes += m * bytes_of(model->weights); /* bias */
}

static lrp_workload count_bert(const lrp_workload_model *model) {
  const lrp_bert_config *c = &model->config->bert;
  const bool one = c->head == LRP_BERT_CLASSIFIER || c->head == LRP_BERT_MASKED;
  const int64_t n = c->hidden_size;
  int64_t products = 0, vectors = 0, bytes = 0;
  for (int l = 0; l < layers; l++) {
    for (int t = 0; t < LRP_BERT_LINEARS; t++) {
      const bool needed = t == LRP_BERT_KEY || t == LRP_BERT_VALUE;
      const int64_t positions = l == layers - 1 && one && !needed ? 1 : length;
      products += positions * batch * count_linear(model, l, t, &bytes);
    }
    for (int q = 0; q < (l == layers - 1 && one ? 1 : length); q++) {
      for (int key = 0; key < length; key++) products += batch * 2 * n;
    }
    vectors += 4 * n;
  }
  if (c->head == LRP_BERT_CLASSIFIER || c->head == LRP_BERT_MASKED) {
    count_head(model, batch, n, n, &products, &bytes);
  }
  if (c->head == LRP_BERT_CLASSIFIER) count_head(model, batch, 2, n, &products, &bytes);
  if (c->head == LRP_BERT_SPANS) count_head(model, batch * length, 2, n, &products, &bytes);
  if (c->head == LRP_BERT_MASKED) {
    count_head(model, batch, c->vocab_size, n, &products, &bytes);
    vectors += 2 * n;
  }
  vectors += 2 * n + (length + 1 + c->vocab_size) * n; /* norm, positions, a type, all words */
  return (lrp_workload){.flops = 2.0 * (double)products,
                        .bytes = (double)(bytes + vectors * bytes_of(model->weights))};
}

static void test_bert(void **state) {
  static const lrp_bert_head heads[] = {LRP_BERT_BARE, LRP_BERT_CLASSIFIER, LRP_BERT_SPANS,
                                        LRP_BERT_MASKED};
  (void)state;
  for (size_t h = 0; h < sizeof heads / sizeof heads[0]; h++) {
    lrp_config config = bert;
    config.bert.head = heads[h];
    for (int i = 0; i < 2 * n_cases; i++) {
      const lrp_workload_model model = model_of(&config, i % 2 ? bert_rank : NULL, i / 2);
      assert_equal(lrp_workload_prefill(&model, batch, length), count_bert(&model));
    }
  }
}

/* ---- by the plan's figures ---- */

/* One token that sees itself: linear maps and head as in the plan, and all weights but the other
 * rows of the embedding. */
static void check_by_plan(const lrp_config *config, const int *rank, bool folded) {
  const lrp_llama_config *c = &config->llama;
  const lrp_method method = folded ? LRP_SVD : LRP_TUCKER; /* the diagonal folded, or a core */
  const lrp_size size = lrp_plan_size(config, method, rank, 2, 2);
  lrp_workload_model model = model_of(config, rank, folded ? 0 : 2);
  model.factors = LRP_BF16;
  const double attention = 4.0 * c->num_hidden_layers * c->num_attention_heads * c->head_dim;
  const double kept = 8.0 * c->num_hidden_layers * c->num_key_value_heads * c->head_dim;
  const double unused = 2.0 * (double)((c->vocab_size - 1) * c->hidden_size);
  const lrp_workload got = lrp_workload_prefill(&model, 1, 1);
  assert_near(got.flops, (double)size.flops_per_token + attention);
  assert_near(got.bytes, (double)size.bytes - unused + kept);
}

static void test_plan(void **state) {
  static int rank[32 * LRP_LLAMA_LINEARS];
  (void)state;
  check_by_plan(&llama2_7b, NULL, true);
  check_by_plan(&llama2_7b, NULL, false);
  for (int i = 0; i < 32 * LRP_LLAMA_LINEARS; i += 3) rank[i] = 100 + i; /* no small factors */
  check_by_plan(&llama2_7b, rank, true);
  check_by_plan(&llama2_7b, rank, false);
}

/* Llama-2-7B: 2 x 6.6e9 for a token; 64 x 128 tokens, of which the last layer goes on with 64, are
 * above 2^53 / 100 and still exact; a step of 64 tokens reads all weights but the embedding. */
static void test_known_answers(void **state) {
  const lrp_workload_model model = model_of(&llama2_7b, NULL, 0);
  const double layer = 4.0 * 4096 * 4096 + 3.0 * 4096 * 11008, head = 32000.0 * 4096;
  const double behind = 4096.0 * 4096 + 3.0 * 4096 * 11008;
  const double pairs = 64.0 * 128 * 129 / 2;
  (void)state;
  lrp_workload got = lrp_workload_prefill(&model, 64, 128);
  assert_near(got.flops, 2.0 * (64.0 * 128 * 32 * layer - 64.0 * 127 * behind + 64 * head) +
                             4.0 * 32 * 4096 * pairs);
  assert_near(got.bytes, 2.0 * (32 * layer + head + 65.0 * 4096 + 64.0 * 128 * 4096) +
                             2.0 * 2 * 2 * 32 * 4096 * 64 * 128);
  got = lrp_workload_decode(&model, 64, 128, 16); /* 136.5 positions on average */
  assert_near(got.flops, 2.0 * 64 * (32 * layer + head) + 4.0 * 32 * 4096 * 64 * 136.5);
  assert_near(got.bytes, 2.0 * (32 * layer + head + 65.0 * 4096 + 64.0 * 4096) +
                             2.0 * 2 * 32 * 4096 * 64 * 137.5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_llama),         cmocka_unit_test(test_steps),
      cmocka_unit_test(test_bert),          cmocka_unit_test(test_plan),
      cmocka_unit_test(test_known_answers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
