#include <omp.h>

#include "kernels/linalg/bf16.h"
#include "kernels/linalg/bf16_normal.h"
#include "kernels/linalg/thin_product.h"
#include "kernels/linalg/weight_product.h"
#include "tests/kernels/linalg/product_cases.h"

typedef lrp_status (*normal_product)(lrp_operand, int, const float *, int64_t, float *, int64_t,
                                     float *, int64_t, lrp_scratch *);

typedef lrp_status (*weight_product)(lrp_operand, int, const float *, int64_t, float *, int64_t,
                                     lrp_scratch *);

static const lrp_dtype dtypes[] = {LRP_BF16, LRP_F16, LRP_F32};

/* One element, one row, one column; odd sides; both sides of a tile of 32 columns, of a panel of 48
 * rows, of a stretch of 1024 columns; several panels per thread. */
static const int shapes[][2] = {{1, 1},     {1, 37},    {37, 1},  {2, 2},   {7, 5},
                                {33, 31},   {48, 32},   {49, 33}, {96, 64}, {101, 95},
                                {47, 1023}, {50, 1027}, {300, 40}};
static const int widths[] = {1, 3, 15, 16, 17, 32, 48, 64, 65, 130};

enum { shape_count = sizeof shapes / sizeof *shapes, width_count = sizeof widths / sizeof *widths };

/* t against A x and y against A^T t, of the operands as they were rounded: then only the order of
 * the float32 sums is left. */
static void check_normal(normal_product multiply, bool rounded, const guarded *g, bool transposed,
                         int l, lrp_scratch *scratch) {
  const lrp_operand a = {&g->w, transposed};
  const int64_t rows = lrp_operand_rows(a), cols = lrp_operand_cols(a);
  float *x = block_create(cols, l, 1, 3), *t = block_create(rows, l, 2, 4);
  float *y = block_create(cols, l, 3, 5);
  float *wide = malloc((size_t)(rows * cols) * sizeof *wide);
  assert_non_null(wide);

  assert_int_equal(multiply(a, l, x, l + 1, t, l + 2, y, l + 3, scratch), LRP_OK);
  assert_int_equal(lrp_scratch_mark(scratch), 0);

  lrp_matrix_to_f32(wide, &g->w);
  double *w = block_doubles(wide, g->w.rows, (int)g->w.cols, 0, rounded);
  double *dx = block_doubles(x, cols, l, 1, rounded), *dt = block_doubles(t, rows, l, 2, rounded);
  assert_true(block_error(w, rows, cols, transposed, dx, t, l, 2) < 1e-6);
  assert_true(block_error(w, cols, rows, !transposed, dt, y, l, 3) < 1e-6);
  free(dt);
  free(dx);
  free(w);
  free(wide);
  free(y);
  free(t);
  free(x);
}

static void check_normal_shapes(normal_product multiply, bool rounded) {
  lrp_scratch scratch = {0};
  for (int s = 0; s < shape_count; s++) {
    for (int d = 0; d < 3; d++) {
      guarded g = guarded_create(dtypes[d], shapes[s][0], shapes[s][1], s % 2 * 3);
      for (int k = 0; k < width_count; k++) {
        if (d > 0 && k % 3 != 0) continue; /* conversion does not depend on the width */
        if (shapes[s][1] > 1000 && widths[k] > 17) continue; /* plain loops are slow */
        omp_set_num_threads(1 + (s + k) % 3);
        check_normal(multiply, rounded, &g, false, widths[k], &scratch);
        check_normal(multiply, rounded, &g, true, widths[k], &scratch);
      }
      guarded_free(&g);
    }
  }
  lrp_scratch_free(&scratch);
}

static void test_normal_bf16(void **state) {
  (void)state;
  if (!lrp_bf16_available()) skip();
  check_normal_shapes(lrp_bf16_normal_product, true);
}

static void test_normal_f32(void **state) {
  (void)state;
  check_normal_shapes(lrp_f32_normal_product, false);
}

static void test_normal_chooses(void **state) {
  lrp_scratch scratch = {0};
  guarded g = guarded_create(LRP_BF16, 65, 70, 0);
  (void)state;
  check_normal(lrp_normal_product, lrp_bf16_available(), &g, false, 16, &scratch);
  guarded_free(&g);
  lrp_scratch_free(&scratch);
}

/* y against A x; rounded: of the operands in bfloat16. */
static void check_within(weight_product multiply, bool rounded, double tol, const guarded *g,
                         bool transposed, int l, lrp_scratch *scratch) {
  const lrp_operand a = {&g->w, transposed};
  const int64_t rows = lrp_operand_rows(a), cols = lrp_operand_cols(a);
  float *x = block_create(cols, l, 2, 3), *y = block_create(rows, l, 1, 5);
  float *wide = malloc((size_t)(rows * cols) * sizeof *wide);
  assert_non_null(wide);

  assert_int_equal(multiply(a, l, x, l + 2, y, l + 1, scratch), LRP_OK);
  assert_int_equal(lrp_scratch_mark(scratch), 0);

  lrp_matrix_to_f32(wide, &g->w);
  double *w = block_doubles(wide, g->w.rows, (int)g->w.cols, 0, rounded);
  double *dx = block_doubles(x, cols, l, 2, rounded);
  assert_true(block_error(w, rows, cols, transposed, dx, y, l, 1) < tol);
  free(dx);
  free(w);
  free(wide);
  free(y);
  free(x);
}

static void check_product(weight_product multiply, const guarded *g, bool transposed, int l,
                          lrp_scratch *scratch) {
  check_within(multiply, false, 1e-6, g, transposed, l, scratch);
}

static void check_product_shapes(weight_product multiply, const int *wide, int count) {
  lrp_scratch scratch = {0};
  for (int s = 0; s < shape_count; s++) {
    for (int d = 0; d < 3; d++) {
      guarded g = guarded_create(dtypes[d], shapes[s][0], shapes[s][1], s % 2 * 3);
      for (int k = 0; k < count; k++) {
        if (d > 0 && (s + k) % 3 != 0) continue;
        if (shapes[s][1] > 1000 && wide[k] > 15) continue;
        omp_set_num_threads(1 + (s + k) % 3);
        check_product(multiply, &g, false, wide[k], &scratch);
        check_product(multiply, &g, true, wide[k], &scratch);
      }
      guarded_free(&g);
    }
  }
  lrp_scratch_free(&scratch);
}

static const int columns[] = {1, 15, 33, 64, 80};

static void test_product_thin(void **state) {
  (void)state;
  if (!lrp_thin_available()) skip();
  check_product_shapes(lrp_thin_product, columns, 5);
}

static void test_product_blas(void **state) {
  (void)state;
  check_product_shapes(lrp_blas_product, columns, 5);
}

static void test_product_chooses(void **state) {
  static const int threshold[] = {256, 257};
  (void)state;
  check_product_shapes(lrp_weight_product, threshold, 2);
}

/* Both sides of the width up to which x is split. */
static void test_split_and_rough(void **state) {
  static const int few[] = {1, 8, 16, 31, 32, 33};
  lrp_scratch scratch = {0};
  (void)state;
  for (int s = 0; s < shape_count; s++) {
    for (int d = 0; d < 3; d++) {
      guarded g = guarded_create(dtypes[d], shapes[s][0], shapes[s][1], s % 2 * 3);
      const bool bf16 = lrp_bf16_available();
      for (int k = 0; k < 6; k++) {
        const bool split = bf16 && dtypes[d] == LRP_BF16 && few[k] <= 32;
        omp_set_num_threads(1 + (s + k) % 3);
        for (int transposed = 0; transposed < 2; transposed++) {
          check_within(lrp_split_product, false, split ? 3.2e-5 : 1e-6, &g, transposed, few[k],
                       &scratch);
          check_within(lrp_rough_product, bf16, 1e-6, &g, transposed, few[k], &scratch);
        }
      }
      guarded_free(&g);
    }
  }
  lrp_scratch_free(&scratch);
}

/* The same bits again, whatever lay in the work space before. */
static void test_same_bits(void **state) {
  enum { m = 301, n = 203, l = 20 };
  lrp_scratch scratch = {0};
  guarded g = guarded_create(LRP_BF16, m, n, 0);
  float *x = block_create(m, l, 0, 3), *t = block_create(m, l, 0, 4);
  float *first = block_create(m, l, 0, 5), *y = block_create(m, l, 0, 6);
  (void)state;
  for (int threads = 1; threads < 5; threads++) {
    omp_set_num_threads(threads);
    for (int transposed = 0; transposed < 2; transposed++) {
      const lrp_operand a = {&g.w, transposed};
      const size_t bytes = (size_t)lrp_operand_cols(a) * l * sizeof *y;
      for (int again = 0; again < 4; again++) {
        lrp_status st = LRP_OK;
        float *p = lrp_scratch_take(&scratch, &st, 1 << 20, 1, 1);
        assert_non_null(p);
        memset(p, 0xff, 1 << 20); /* NaN */
        lrp_scratch_release(&scratch, 0);
        float *dst = again ? y : first;
        assert_int_equal(lrp_normal_product(a, l, x, l, t, l, dst, l, &scratch), LRP_OK);
        if (again) assert_memory_equal(y, first, bytes);
      }
    }
  }
  free(y);
  free(first);
  free(t);
  free(x);
  guarded_free(&g);
  lrp_scratch_free(&scratch);
}

/* A block that no machine has room for is refused before anything is read. */
static void test_no_memory(void **state) {
  const float w = 1.0f;
  const lrp_matrix huge = {&w, LRP_F32, 1, INT64_C(1) << 30, INT64_C(1) << 30};
  const lrp_operand a = {&huge, false};
  const int l = 1 << 20;
  lrp_scratch scratch = {0};
  float none = 0.0f;
  (void)state;
  if (!lrp_bf16_available()) skip();
  assert_int_equal(lrp_bf16_normal_product(a, l, &none, l, &none, l, &none, l, &scratch),
                   LRP_ERR_MEM);
  assert_non_null(lrp_failure_message(LRP_ERR_MEM));
  lrp_failure_clear();
  lrp_scratch_free(&scratch);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_normal_bf16),     cmocka_unit_test(test_normal_f32),
      cmocka_unit_test(test_normal_chooses),  cmocka_unit_test(test_product_thin),
      cmocka_unit_test(test_product_blas),    cmocka_unit_test(test_product_chooses),
      cmocka_unit_test(test_split_and_rough), cmocka_unit_test(test_same_bits),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
