#include <omp.h>

#include "kernels/linalg/bf16.h"
#include "kernels/linalg/bf16_gram.h"
#include "tests/kernels/linalg/product_cases.h"

typedef lrp_status (*gram)(const lrp_matrix *, float *, lrp_scratch *);

/* One element, vectors, odd sides; both sides of a strip of 48, of a chain of 128 rows, of a panel
 * of 1024 rows, and wide ones. */
static const int shapes[][2] = {{1, 1},     {1, 9},     {9, 1},     {2, 2},     {5, 3},
                                {3, 5},     {48, 48},   {130, 49},  {49, 127},  {128, 97},
                                {145, 144}, {145, 145}, {1023, 50}, {1025, 47}, {60, 1024},
                                {51, 1029}, {2051, 20}};

static const lrp_dtype dtypes[] = {LRP_BF16, LRP_F16, LRP_F32};

enum { shape_count = sizeof shapes / sizeof *shapes };

/* |g - W^T W|_F / |W^T W|_F over the lower triangle. */
static double gram_error(const lrp_matrix *w, const float *g) {
  const bool wide = w->rows < w->cols;
  const int64_t k = wide ? w->rows : w->cols, length = wide ? w->cols : w->rows;
  double *d = malloc((size_t)(k * length) * sizeof *d);
  double error = 0.0, norm = 0.0;
  assert_non_null(d);
  lrp_matrix_to_f64(d, w);
  for (int64_t j = 0; j < k; j++) {
    for (int64_t i = j; i < k; i++) {
      double sum = 0.0;
      for (int64_t p = 0; p < length; p++) {
        sum += wide ? d[i * length + p] * d[j * length + p] : d[p * k + i] * d[p * k + j];
      }
      const double difference = (double)g[j * k + i] - sum;
      error += difference * difference;
      norm += sum * sum;
    }
  }
  free(d);
  return sqrt(error / norm);
}

static void check_gram(gram product, const guarded *w, lrp_scratch *scratch) {
  const int64_t k = w->w.rows < w->w.cols ? w->w.rows : w->w.cols;
  float *g = malloc((size_t)(k * k) * sizeof *g);
  assert_non_null(g);
  for (int64_t i = 0; i < k * k; i++) g[i] = NAN; /* what was there does not matter */
  assert_int_equal(product(&w->w, g, scratch), LRP_OK);
  assert_int_equal(lrp_scratch_mark(scratch), 0);
  assert_true(gram_error(&w->w, g) < 3e-7);
  free(g);
}

static void check_shapes(gram product, int dtype_count) {
  lrp_scratch scratch = {0};
  for (int s = 0; s < shape_count; s++) {
    for (int d = 0; d < dtype_count; d++) {
      guarded g = guarded_create(dtypes[d], shapes[s][0], shapes[s][1], s % 2 * 5);
      omp_set_num_threads(1 + s % 4);
      check_gram(product, &g, &scratch);
      guarded_free(&g);
    }
  }
  lrp_scratch_free(&scratch);
}

static void test_bf16(void **state) {
  (void)state;
  if (!lrp_bf16_available()) skip();
  check_shapes(lrp_bf16_gram, 1);
}

static void test_f32(void **state) {
  (void)state;
  check_shapes(lrp_f32_gram, 3);
}

static void test_chooses(void **state) {
  (void)state;
  check_shapes(lrp_gram, 3);
}

/* Sums of products that float32 holds exactly, as bfloat16 holds the weights. */
static void test_exact(void **state) {
  const float w[3][2] = {{1.0f, -2.0f}, {0.5f, 3.0f}, {-4.0f, 128.0f}};
  uint16_t narrow[6];
  float g[4];
  lrp_scratch scratch = {0};
  (void)state;
  lrp_from_f32(narrow, LRP_BF16, &w[0][0], 6);
  const lrp_matrix tall = {narrow, LRP_BF16, 3, 2, 2};
  assert_int_equal(lrp_gram(&tall, g, &scratch), LRP_OK);
  assert_true(g[0] == 17.25f && g[1] == -512.5f && g[3] == 16397.0f);
  const lrp_matrix wide = {w, LRP_F32, 1, 6, 6};
  assert_int_equal(lrp_gram(&wide, g, &scratch), LRP_OK);
  assert_true(g[0] == 16414.25f);
  lrp_scratch_free(&scratch);
}

static void test_same_bits(void **state) {
  enum { k = 131 };
  lrp_scratch scratch = {0};
  guarded w = guarded_create(LRP_BF16, 333, k, 0);
  float *first = calloc(k * k, sizeof *first), *g = calloc(k * k, sizeof *g);
  (void)state;
  assert_true(first && g);
  for (int threads = 1; threads < 5; threads++) {
    omp_set_num_threads(threads);
    assert_int_equal(lrp_gram(&w.w, first, &scratch), LRP_OK);
    for (int again = 0; again < 3; again++) {
      assert_int_equal(lrp_gram(&w.w, g, &scratch), LRP_OK);
      assert_memory_equal(g, first, k * k * sizeof *g);
    }
  }
  free(g);
  free(first);
  guarded_free(&w);
  lrp_scratch_free(&scratch);
}

static void test_no_memory(void **state) {
  const uint16_t w = 0x3f80;
  const lrp_matrix huge = {&w, LRP_BF16, INT64_C(1) << 45, INT64_C(1) << 44, INT64_C(1) << 44};
  lrp_scratch scratch = {0};
  float g;
  (void)state;
  assert_int_equal(lrp_gram(&huge, &g, &scratch), LRP_ERR_MEM);
  lrp_failure_clear();
  lrp_scratch_free(&scratch);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bf16),      cmocka_unit_test(test_f32),
      cmocka_unit_test(test_chooses),   cmocka_unit_test(test_exact),
      cmocka_unit_test(test_same_bits), cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
