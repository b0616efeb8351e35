#include "pipeline/efficiency_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { out = 7, in = 5, r = 3 };

static const float memory[4096];

static lrp_matrix matrix(int64_t rows, int64_t cols, lrp_dtype dtype) {
  return (lrp_matrix){.data = memory, .dtype = dtype, .rows = rows, .cols = cols, .ld = cols};
}

static lrp_linear dense(lrp_dtype dtype) {
  return (lrp_linear){.n_in = in, .n_out = out, .w = matrix(out, in, dtype)};
}

static lrp_linear factored(void) {
  lrp_linear linear = dense(LRP_BF16);
  linear.rank = r;
  linear.left = matrix(out, r + 1, LRP_F32); /* stored at a larger rank */
  linear.middle = matrix(r + 1, r + 1, LRP_F32);
  linear.right = matrix(r + 1, in, LRP_F32);
  return linear;
}

static void test_as_it_lies(void **state) {
  lrp_linear linear = dense(LRP_BF16);
  (void)state;
  assert_int_equal(lrp_linear_bytes(&linear, LRP_F32), out * in * 2);
  linear.bias = matrix(1, out, LRP_F32);
  assert_int_equal(lrp_linear_bytes(&linear, LRP_F32), out * in * 2 + out * 4);
}

/* The factors alone, their leading part; a diagonal has a row. */
static void test_factors_as_they_lie(void **state) {
  lrp_linear linear = factored();
  (void)state;
  assert_int_equal(lrp_linear_bytes(&linear, LRP_F32), 4 * (out * r + r * r + r * in));
  linear.middle = matrix(1, r + 1, LRP_F32);
  assert_int_equal(lrp_linear_bytes(&linear, LRP_F32), 4 * (out * r + r + r * in));
}

/* What packing asks for is what counts: the core is not there any more. */
static void test_packed(void **state) {
  const int64_t n = 512;
  float *values = calloc((size_t)(n * n), sizeof *values);
  lrp_linear linear = {.n_in = n, .n_out = n, .w = matrix(n, n, LRP_F32)};
  lrp_linear low = factored();
  (void)state;
  assert_non_null(values);
  linear.w.data = values;
  size_t bytes = lrp_linear_packed_bytes(&linear, LRP_F32);
  void *place = aligned_alloc(64, bytes > 0 ? bytes : 64);
  assert_non_null(place);
  assert_int_equal(lrp_linear_pack(&linear, LRP_F32, place), LRP_OK);
  assert_int_equal(lrp_linear_bytes(&linear, LRP_F32), bytes > 0 ? (int64_t)bytes : 4 * n * n);
  free(place);
  free(values);

  bytes = lrp_linear_packed_bytes(&low, LRP_F32);
  assert_true(bytes >= 4 * r * (in + out) && bytes < 4 * r * (in + out) + 2 * 64);
  place = aligned_alloc(64, bytes);
  assert_non_null(place);
  assert_int_equal(lrp_linear_pack(&low, LRP_F32, place), LRP_OK);
  assert_int_equal(lrp_linear_bytes(&low, LRP_F32), bytes);
  free(place);
}

/* A head that is the embedding is there once, unless it is packed. */
static void test_outer(void **state) {
  lrp_llama model = {.embed_tokens = matrix(50, 8, LRP_BF16), .norm = matrix(1, 8, LRP_BF16)};
  const int64_t embedding = 50 * 8 * 2, norm = 8 * 2;
  const lrp_matrix other = {
      .data = memory + 2048, .dtype = LRP_BF16, .rows = 50, .cols = 8, .ld = 8};
  (void)state;
  model.lm_head = model.embed_tokens;
  assert_int_equal(lrp_llama_outer_bytes(&model, LRP_F32), embedding + norm);
  model.lm_head = other;
  assert_int_equal(lrp_llama_outer_bytes(&model, LRP_F32), 2 * embedding + norm);
  model.embed_tokens = model.lm_head = matrix(512, 512, LRP_F32);
  model.packed_head = (lrp_packed){.data = memory, .operands = LRP_F32, .n = 512, .k = 512};
  assert_int_equal(lrp_llama_outer_bytes(&model, LRP_F32),
                   norm + 4 * 512 * 512 + (int64_t)lrp_packed_bytes(512, 512, LRP_F32));
}

static void test_layer(void **state) {
  lrp_llama_layer layer = {.input_norm = matrix(1, in, LRP_F32),
                           .post_attn_norm = matrix(1, in, LRP_F32)};
  (void)state;
  for (int i = 0; i < LRP_LLAMA_LINEARS; i++) layer.linear[i] = dense(LRP_F32);
  layer.linear[2] = factored();
  assert_int_equal(lrp_llama_layer_bytes(&layer, LRP_F32),
                   4 * (2 * in + 6 * out * in + out * r + r * r + r * in));
}

/* A classifier: its pooler and output, no transform; a decoder that is the embedding counts once.
 */
static void test_encoder(void **state) {
  const int64_t h = 4;
  const lrp_bert_norm norm = {.weight = matrix(1, h, LRP_F32), .bias = matrix(1, h, LRP_F32)};
  const lrp_linear map = {.n_in = h, .n_out = h, .w = matrix(h, h, LRP_F32)};
  lrp_bert_layer layer = {.attention_norm = norm, .output_norm = norm};
  lrp_bert model = {.config = {.num_hidden_layers = 1},
                    .word_embeddings = matrix(20, h, LRP_F32),
                    .position_embeddings = matrix(6, h, LRP_F32),
                    .type_embeddings = matrix(2, h, LRP_F32),
                    .embedding_norm = norm,
                    .layers = &layer,
                    .pooler = map};
  const int64_t body = 20 * h + 6 * h + 2 * h + 3 * 2 * h + LRP_BERT_LINEARS * h * h + h * h;
  (void)state;
  for (int i = 0; i < LRP_BERT_LINEARS; i++) layer.linear[i] = map;
  model.output.w = matrix(3, h, LRP_F32);
  model.output.w.data = memory + 2048;
  model.output.bias = matrix(1, 3, LRP_F32);
  assert_int_equal(lrp_bert_bytes(&model), 4 * (body + 3 * h + 3));
  model.output.w = model.word_embeddings;
  assert_int_equal(lrp_bert_bytes(&model), 4 * (body + 3));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_as_it_lies), cmocka_unit_test(test_factors_as_they_lie),
      cmocka_unit_test(test_packed),     cmocka_unit_test(test_outer),
      cmocka_unit_test(test_layer),      cmocka_unit_test(test_encoder),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
