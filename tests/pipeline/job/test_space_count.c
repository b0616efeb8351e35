/* The size of design spaces, and break-even ranks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/big.h"
#include "pipeline/sampler.h"
#include "pipeline/space_count.h"
#include "tests/pipeline/job/job_text.h"

/* cmocka's own compares in float. */
#define assert_near(x, expected, limit) assert_true(fabs((x) - (expected)) <= (limit))

static lrp_config read_config(const char *json) {
  lrp_config config;
  char dir[64];
  const lrp_status st = lrp_config_read(create_model(json, dir), &config);
  remove_model(dir);
  assert_int_equal(st, LRP_OK);
  return config;
}

static void assert_size(const lrp_space_size *sizes, lrp_space_axis axis, const char *digits,
                        const char *log2) {
  if (digits) assert_string_equal(sizes[axis].digits, digits);
  assert_string_equal(sizes[axis].log2, log2);
}

/* O(2^39) of the paper, and 2^224 of masks for each layer. */
static void test_llama2(void **state) {
  const lrp_config config = read_config(LLAMA2_7B);
  lrp_space_size sizes[LRP_SPACE_N_AXES];
  (void)state;
  assert_int_equal(lrp_space_count(&config, LRP_TUCKER, sizes), LRP_OK);
  assert_size(sizes, LRP_SPACE_MASKS, "549755813888", "39");
  assert_size(sizes, LRP_SPACE_DIFFERENT, "545460846466", "38.99");
  /* 4096 ranks for each of 127 sets of tensors */
  assert_size(sizes, LRP_SPACE_ONE_RANK, "2234207627120641", "50.99");
  assert_size(sizes, LRP_SPACE_LAYER_MASKS,
              "26959946667150639794667015087019630673637144422540572481103610249216", "224");
  assert_size(sizes, LRP_SPACE_ANY_RANKS, NULL, "2688.08");    /* 224 log2(4097) */
  assert_size(sizes, LRP_SPACE_SAVING_RANKS, NULL, "2459.86"); /* 1697^128 * 2554^96 */
  lrp_space_count_free(sizes);
  assert_null(sizes[LRP_SPACE_MASKS].digits);
  assert_int_equal(lrp_space_count(&config, LRP_SVD, sizes), LRP_OK);
  /* rank 2048 of 4096 x 4096 is as large as the matrix: 2048^128 * 2986^96 */
  assert_size(sizes, LRP_SPACE_SAVING_RANKS, NULL, "2516.22");
  lrp_space_count_free(sizes);
}

static void test_bert(void **state) {
  const lrp_config base = read_config(BERT_BASE), large = read_config(BERT_LARGE);
  lrp_space_size sizes[LRP_SPACE_N_AXES];
  (void)state;
  assert_int_equal(lrp_space_count(&base, LRP_TUCKER, sizes), LRP_OK);
  assert_size(sizes, LRP_SPACE_MASKS, "262144", "18");
  assert_size(sizes, LRP_SPACE_DIFFERENT, "257986", "17.98"); /* 4095 * 63 + 1 */
  assert_size(sizes, LRP_SPACE_LAYER_MASKS, "4722366482869645213696", "72");
  lrp_space_count_free(sizes);
  assert_int_equal(lrp_space_count(&large, LRP_TUCKER, sizes), LRP_OK);
  assert_size(sizes, LRP_SPACE_MASKS, "1073741824", "30");
  lrp_space_count_free(sizes);
}

/* The sampler counts the same: with every rank, and by each rank of each set. */
static void test_sampler_agrees(void **state) {
  lrp_config config = read_config(SMALL_LLAMA);
  lrp_space_size sizes[LRP_SPACE_N_AXES];
  lrp_rank_row rows[8];
  lrp_space_filter f = lrp_space_everything(&config, 1, &rows[0]);
  lrp_sampler *s;
  char expected[32];
  (void)state;
  assert_int_equal(lrp_space_count(&config, LRP_TUCKER, sizes), LRP_OK);
  f.rows = rows;
  f.n_rows = 8;
  for (int r = 1; r <= 8; r++) rows[r - 1] = lrp_rank_row_of(&config, r);
  assert_int_equal(lrp_sampler_create(&s, &config, &f), LRP_OK);
  snprintf(expected, sizeof expected, "%lld", atoll(lrp_sampler_count(s)) + 1); /* dense */
  assert_size(sizes, LRP_SPACE_ONE_RANK, expected, "12.78"); /* 7 * (3 * 4 + 124 * 8) + 1 */
  lrp_sampler_destroy(&s);
  /* q, k, v, o of 8, 4, 4, 8 ranks, the others of 8: 9^5 * 5^2 a layer, three layers */
  assert_size(sizes, LRP_SPACE_ANY_RANKS, "3217048938978890625", "61.48");
  lrp_space_count_free(sizes);
}

static void test_break_even(void **state) {
  static const struct {
    int64_t m, n;
    double tucker, svd; /* of the paper */
  } cases[] = {{4096, 4096, 1696.6, 2048.0}, {11008, 4096, 2553.5, 2985.2},
               {768, 768, 318.1, 384.0},     {768, 3072, 538.8, 614.4},
               {1024, 1024, 424.2, 512.0},   {4096, 1024, 718.4, 819.2}};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const int64_t m = cases[i].m, n = cases[i].n;
    const double tucker = lrp_break_even(LRP_TUCKER, m, n), svd = lrp_break_even(LRP_SVD, m, n);
    assert_near(tucker, cases[i].tucker, 0.05);
    assert_near(svd, cases[i].svd, 0.05);
    assert_int_equal((int)tucker, lrp_break_even_rank(LRP_TUCKER, m, n));
    assert_int_equal((int)svd, lrp_break_even_rank(LRP_SVD, m, n));
    assert_near(tucker * (double)(m + n) + tucker * tucker, (double)(m * n), 1e-4);
  }
}

static void test_big(void **state) {
  BIGNUM *x = BN_new();
  double log2_x;
  int exponent;
  char *text;
  (void)state;
  assert_true(BN_dec2bn(&x, "1000000000000000000000000") > 0);
  assert_int_equal(lrp_big_log2(x, &log2_x), LRP_OK);
  assert_near(log2_x, 79.726274277296696, 1e-12);
  assert_false(lrp_big_is_power_of_two(x, &exponent));
  assert_true(lrp_big_scale(x, 7, 1000000000000));
  assert_int_equal(lrp_big_text(x, &text), LRP_OK);
  assert_string_equal(text, "7000000000000");
  free(text);
  assert_true(BN_one(x) && BN_lshift(x, x, 200));
  assert_true(lrp_big_is_power_of_two(x, &exponent) && exponent == 200);
  assert_true(BN_add_word(x, 1) && !lrp_big_is_power_of_two(x, &exponent));
  BN_zero(x);
  assert_false(lrp_big_is_power_of_two(x, &exponent));
  BN_free(x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_llama2),
      cmocka_unit_test(test_bert),
      cmocka_unit_test(test_sampler_agrees),
      cmocka_unit_test(test_break_even),
      cmocka_unit_test(test_big),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
