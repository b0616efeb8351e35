#include "kernels/nn/linear.h"

#include "tests/kernels/nn/nn_test.h"

enum { m = 37, n = 23, stored = 7, t = 11 };

/* Factors stored at a larger rank than used, as a configuration slices them. */
typedef struct {
  float *left, *core, *diagonal, *right, *bias, *x, *y;
  lrp_linear_scratch scratch;
} fixture;

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  f->left = random_floats(m * stored, 1, 1.0f);
  f->core = random_floats(stored * stored, 2, 1.0f);
  f->diagonal = random_floats(stored, 3, 1.0f);
  f->right = random_floats(stored * n, 4, 1.0f);
  f->bias = random_floats(m, 5, 1.0f);
  f->x = random_floats(t * n, 6, 1.0f);
  f->y = random_floats(t * m, 7, 1.0f);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  lrp_linear_scratch_free(&f->scratch);
  free(f->left);
  free(f->core);
  free(f->diagonal);
  free(f->right);
  free(f->bias);
  free(f->x);
  free(f->y);
  free(f);
  return 0;
}

/* w (m x n, as floats) = left[:, :r] middle right[:r, :], middle the core (not symmetric) or s */
static float *compose(const fixture *f, int r, bool diagonal) {
  float *w = malloc(sizeof(float[m * n]));
  for (int i = 0; i < m; i++) {
    for (int j = 0; j < n; j++) {
      double sum = 0.0;
      for (int a = 0; a < r; a++) {
        for (int b = 0; b < r; b++) {
          const double c = diagonal ? (a == b ? f->diagonal[a] : 0.0f) : f->core[a * stored + b];
          sum += (double)f->left[i * stored + a] * c * (double)f->right[b * n + j];
        }
      }
      w[i * n + j] = (float)sum;
    }
  }
  return w;
}

static lrp_linear factored(const fixture *f, int r, bool diagonal) {
  lrp_linear l = {.n_in = n, .n_out = m, .rank = r};
  l.left = view(f->left, m, r, stored);
  l.middle = diagonal ? view(f->diagonal, 1, r, stored) : view(f->core, r, r, stored);
  l.right = view(f->right, r, n, n);
  return l;
}

static void check(fixture *f, const lrp_linear *l, const float *w, const float *bias) {
  double expected[t * m];
  naive_product(f->x, t, n, w, m, n, n, expected);
  for (int i = 0; i < t * m; i++) expected[i] += bias ? (double)bias[i % m] : 0.0;
  assert_int_equal(lrp_linear_apply(l, f->x, t, n, f->y, m, false, &f->scratch), LRP_OK);
  assert_true(distance(f->y, m, expected, t, m) < 3e-5);
  assert_int_equal(lrp_linear_apply(l, f->x, t, n, f->y, m, true, &f->scratch), LRP_OK);
  for (int i = 0; i < t * m; i++) expected[i] *= 2.0;
  assert_true(distance(f->y, m, expected, t, m) < 6e-5);
}

static void test_dense(void **state) {
  fixture *f = *state;
  float *w = random_floats(m * n, 8, 1.0f);
  lrp_linear l = {.n_in = n, .n_out = m, .w = view(w, m, n, n)};
  check(f, &l, w, NULL);
  l.bias = view(f->bias, 1, m, m);
  check(f, &l, w, f->bias);
  free(w);
}

static void test_factors_and_slices(void **state) {
  fixture *f = *state;
  for (int diagonal = 0; diagonal < 2; diagonal++) {
    for (int r = 1; r <= stored; r++) {
      float *w = compose(f, r, diagonal);
      lrp_linear l = factored(f, r, diagonal);
      check(f, &l, w, NULL);
      l.bias = view(f->bias, 1, m, m);
      check(f, &l, w, f->bias);
      free(w);
    }
  }
}

/* Views of the whole stored factors: rank selects the leading part. */
static void test_whole_views(void **state) {
  fixture *f = *state;
  const int r = 3;
  float *w = compose(f, r, false);
  lrp_linear l = factored(f, stored, false);
  l.rank = r;
  check(f, &l, w, NULL);
  free(w);
}

/* y = x W^T with W = left core right: exact in small integers. A transposed core is another map. */
static void test_known_answer(void **state) {
  static const float left[] = {1, 0, 0, 1, 1, 1}; /* 3 x 2 */
  static const float core[] = {1, 2, 0, 3};       /* 2 x 2 */
  static const float right[] = {1, 0, 0, 1};      /* 2 x 2 */
  static const float x[] = {1, 10};
  fixture *f = *state;
  lrp_linear l = {.n_in = 2, .n_out = 3, .rank = 2};
  l.left = view(left, 3, 2, 2);
  l.middle = view(core, 2, 2, 2);
  l.right = view(right, 2, 2, 2);
  float y[3] = {0};
  assert_int_equal(lrp_linear_apply(&l, x, 1, 2, y, 3, false, &f->scratch), LRP_OK);
  assert_true(y[0] == 21.0f && y[1] == 30.0f && y[2] == 51.0f);
}

static void test_rows_are_independent(void **state) {
  fixture *f = *state;
  const lrp_linear l = factored(f, 5, false);
  float y[2 * m];
  assert_int_equal(lrp_linear_apply(&l, f->x, t, n, f->y, m, false, &f->scratch), LRP_OK);
  assert_int_equal(lrp_linear_apply(&l, f->x + 4 * n, 2, n, y, m, false, &f->scratch), LRP_OK);
  assert_memory_equal(y, f->y + 4 * m, sizeof y);
}

/* bf16 factors and bias: the map of the rounded numbers, exactly as if they were floats. */
static void test_half_precision(void **state) {
  fixture *f = *state;
  uint16_t left[m * stored], right[stored * n], bias[m];
  float y[t * m];
  lrp_linear l = factored(f, 4, true);
  l.bias = view(f->bias, 1, m, m);
  lrp_from_f32(left, LRP_BF16, f->left, m * stored);
  lrp_from_f32(right, LRP_BF16, f->right, stored * n);
  lrp_from_f32(bias, LRP_BF16, f->bias, m);
  lrp_to_f32(f->left, left, LRP_BF16, m * stored);
  lrp_to_f32(f->right, right, LRP_BF16, stored * n);
  lrp_to_f32(f->bias, bias, LRP_BF16, m);
  assert_int_equal(lrp_linear_apply(&l, f->x, t, n, f->y, m, false, &f->scratch), LRP_OK);
  l.left.data = left;
  l.right.data = right;
  l.bias.data = bias;
  l.left.dtype = l.right.dtype = l.bias.dtype = LRP_BF16;
  assert_int_equal(lrp_linear_apply(&l, f->x, t, n, y, m, false, &f->scratch), LRP_OK);
  assert_memory_equal(y, f->y, sizeof y);
}

static void round_all(float *x, int64_t count) {
  uint16_t *rounded = malloc((size_t)count * sizeof *rounded);
  lrp_from_f32(rounded, LRP_BF16, x, (size_t)count);
  lrp_to_f32(x, rounded, LRP_BF16, (size_t)count);
  free(rounded);
}

/* y of l in float32, and in bfloat16; whether the bits are equal */
static bool same_in_bf16(fixture *f, const lrp_linear *l, float *y) {
  float y16[t * m];
  f->scratch.operands = LRP_F32;
  assert_int_equal(lrp_linear_apply(l, f->x, t, n, y, m, false, &f->scratch), LRP_OK);
  f->scratch.operands = LRP_BF16;
  assert_int_equal(lrp_linear_apply(l, f->x, t, n, y16, m, false, &f->scratch), LRP_OK);
  const bool same = memcmp(y, y16, sizeof y16) == 0;
  memcpy(y, y16, sizeof y16);
  return same;
}

/* Computing in bfloat16 rounds what dense maps multiply, and nothing else. */
static void test_dense_in_bf16(void **state) {
  fixture *f = *state;
  float *w = random_floats(m * n, 8, 1.0f), y[t * m];
  const lrp_linear l = {
      .n_in = n, .n_out = m, .w = view(w, m, n, n), .bias = view(f->bias, 1, m, m)};
  assert_false(same_in_bf16(f, &l, y));
  round_all(f->x, t * n);
  round_all(w, m * n);
  assert_int_equal(lrp_linear_apply(&l, f->x, t, n, f->y, m, false, &f->scratch), LRP_OK);
  assert_memory_equal(y, f->y, sizeof y);
  assert_true(same_in_bf16(f, &l, y)); /* small: summed in the same order */
  free(w);
}

/* Factors stored as floats keep their precision; those stored as bfloat16 do not save x. */
static void test_factors_in_bf16(void **state) {
  fixture *f = *state;
  uint16_t left[m * stored], right[stored * n];
  float y[t * m];
  for (int diagonal = 0; diagonal < 2; diagonal++) {
    lrp_linear l = factored(f, 4, diagonal);
    assert_true(same_in_bf16(f, &l, y));
    lrp_from_f32(left, LRP_BF16, f->left, m * stored);
    l.left.data = left;
    l.left.dtype = LRP_BF16;
    assert_false(same_in_bf16(f, &l, y));
    l = factored(f, 4, diagonal);
    lrp_from_f32(right, LRP_BF16, f->right, stored * n);
    l.right.data = right;
    l.right.dtype = LRP_BF16;
    assert_false(same_in_bf16(f, &l, y));
    float *w = compose(f, 4, diagonal);
    double expected[t * m];
    naive_product(f->x, t, n, w, m, n, n, expected);
    assert_true(distance(y, m, expected, t, m) < 0.1);
    free(w);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_dense, setup, teardown),
      cmocka_unit_test_setup_teardown(test_factors_and_slices, setup, teardown),
      cmocka_unit_test_setup_teardown(test_whole_views, setup, teardown),
      cmocka_unit_test_setup_teardown(test_known_answer, setup, teardown),
      cmocka_unit_test_setup_teardown(test_rows_are_independent, setup, teardown),
      cmocka_unit_test_setup_teardown(test_half_precision, setup, teardown),
      cmocka_unit_test_setup_teardown(test_dense_in_bf16, setup, teardown),
      cmocka_unit_test_setup_teardown(test_factors_in_bf16, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
