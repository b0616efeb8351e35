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

/* y (t x n_out) = l of dense rows of x, or += */
static lrp_status apply(fixture *f, const lrp_linear *l, const float *x, int64_t rows, float *y,
                        bool accumulate) {
  return lrp_linear_apply(l, x, LRP_F32, rows, l->n_in, y, l->n_out, accumulate, &f->scratch);
}

static void check(fixture *f, const lrp_linear *l, const float *w, const float *bias) {
  double expected[t * m];
  naive_product(f->x, t, n, w, m, n, n, expected);
  for (int i = 0; i < t * m; i++) expected[i] += bias ? (double)bias[i % m] : 0.0;
  assert_int_equal(apply(f, l, f->x, t, f->y, false), LRP_OK);
  assert_true(distance(f->y, m, expected, t, m) < 3e-5);
  assert_int_equal(apply(f, l, f->x, t, f->y, true), LRP_OK);
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
  assert_int_equal(apply(f, &l, x, 1, y, false), LRP_OK);
  assert_true(y[0] == 21.0f && y[1] == 30.0f && y[2] == 51.0f);
}

static void test_rows_are_independent(void **state) {
  fixture *f = *state;
  const lrp_linear l = factored(f, 5, false);
  float y[2 * m];
  assert_int_equal(apply(f, &l, f->x, t, f->y, false), LRP_OK);
  assert_int_equal(apply(f, &l, f->x + 4 * n, 2, y, false), LRP_OK);
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
  assert_int_equal(apply(f, &l, f->x, t, f->y, false), LRP_OK);
  l.left.data = left;
  l.right.data = right;
  l.bias.data = bias;
  l.left.dtype = l.right.dtype = l.bias.dtype = LRP_BF16;
  assert_int_equal(apply(f, &l, f->x, t, y, false), LRP_OK);
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
  assert_int_equal(apply(f, l, f->x, t, y, false), LRP_OK);
  f->scratch.operands = LRP_BF16;
  assert_int_equal(apply(f, l, f->x, t, y16, false), LRP_OK);
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
  assert_int_equal(apply(f, &l, f->x, t, f->y, false), LRP_OK);
  assert_memory_equal(y, f->y, sizeof y);
  assert_true(same_in_bf16(f, &l, y)); /* small: summed in the same order */
  free(w);
}

/* Small factors are not rounded, nor what they multiply. */
static void test_small_factors_in_bf16(void **state) {
  fixture *f = *state;
  float y[t * m];
  for (int diagonal = 0; diagonal < 2; diagonal++) {
    const lrp_linear l = factored(f, 4, diagonal);
    assert_true(same_in_bf16(f, &l, y));
  }
}

/* ---- packed ---------------------------------------------------------------------------------- */

enum { large_m = 290, large_n = 310, large_rank = 280, rows = 33 };

/* Maps whose weights are worth packing, and their product in double. */
typedef struct {
  float *left, *middle, *right, *w, *x, *bias;
  uint16_t *x16;
  double *expected;
} large;

/* What stands between the factors. */
enum { core, diagonal, nothing, kinds };

static double middle_element(const large *a, int kind, int i, int j) {
  if (kind == core) return a->middle[i * large_rank + j];
  if (i != j) return 0.0;
  return kind == diagonal ? a->middle[i] : 1.0;
}

/* w = left middle right */
static void compose_large(large *a, int rank, int kind) {
  float *thin = malloc(sizeof(float[large_m * large_rank]));
  for (int i = 0; i < large_m; i++) {
    for (int j = 0; j < rank; j++) {
      double sum = 0.0;
      for (int l = 0; l < rank; l++) {
        sum += (double)a->left[i * large_rank + l] * middle_element(a, kind, l, j);
      }
      thin[i * large_rank + j] = (float)sum;
    }
  }
  for (int i = 0; i < large_m; i++) {
    for (int j = 0; j < large_n; j++) {
      double sum = 0.0;
      for (int l = 0; l < rank; l++) {
        sum += (double)thin[i * large_rank + l] * (double)a->right[l * large_n + j];
      }
      a->w[i * large_n + j] = (float)sum;
    }
  }
  free(thin);
  naive_product(a->x, rows, large_n, a->w, large_m, large_n, large_n, a->expected);
  for (int i = 0; i < rows * large_m; i++) a->expected[i] += (double)a->bias[i % large_m];
}

static large begin_large(void) {
  large a = {.left = random_floats(large_m * large_rank, 11, 0.1f),
             .middle = random_floats(large_rank * large_rank, 12, 0.1f),
             .right = random_floats(large_rank * large_n, 13, 0.1f),
             .w = random_floats(large_m * large_n, 14, 0.1f),
             .x = random_floats(rows * large_n, 15, 1.0f),
             .bias = random_floats(large_m, 16, 1.0f),
             .x16 = malloc(sizeof(uint16_t[rows * large_n])),
             .expected = malloc(sizeof(double[rows * large_m]))};
  round_all(a.x, rows * large_n); /* so that both types of x are the same numbers */
  lrp_to_bf16(a.x16, a.x, rows * large_n);
  return a;
}

static void end_large(large *a) {
  free(a->expected);
  free(a->x16);
  free(a->bias);
  free(a->x);
  free(a->w);
  free(a->right);
  free(a->middle);
  free(a->left);
}

/* Pack a copy of l; *memory is to be freed, or NULL if l is best used as it lies. */
static lrp_linear pack(const lrp_linear *l, lrp_dtype operands, void **memory) {
  const size_t bytes = lrp_linear_packed_bytes(l, operands);
  lrp_linear packed = *l;
  *memory = NULL;
  assert_int_equal(bytes % 64, 0);
  if (bytes == 0) return packed;
  *memory = aligned_alloc(64, bytes);
  assert_non_null(*memory);
  assert_int_equal(lrp_linear_pack(&packed, operands, *memory), LRP_OK);
  return packed;
}

/* y of l, by either type of x; rows of x and y have gaps if there is room for them */
static void apply_large(const lrp_linear *l, const large *a, lrp_dtype x_type, lrp_dtype operands,
                        float *y) {
  lrp_linear_scratch scratch = {.operands = operands};
  const void *x = x_type == LRP_BF16 ? (const void *)a->x16 : (const void *)a->x;
  for (int i = 0; i < rows * large_m; i++) y[i] = 0.0f;
  assert_int_equal(lrp_linear_apply(l, x, x_type, rows, large_n, y, large_m, true, &scratch),
                   LRP_OK);
  lrp_linear_scratch_free(&scratch);
}

static void test_packed_dense(void **state) {
  large a = begin_large();
  float *y = malloc(sizeof(float[rows * large_m])), *plain = malloc(sizeof(float[rows * large_m]));
  const lrp_linear l = {.n_in = large_n,
                        .n_out = large_m,
                        .w = view(a.w, large_m, large_n, large_n),
                        .bias = view(a.bias, 1, large_m, large_m)};
  (void)state;
  for (int i = 0; i < 2; i++) {
    const lrp_dtype operands = i ? LRP_BF16 : LRP_F32;
    void *memory;
    const lrp_linear packed = pack(&l, operands, &memory);
    assert_true((memory != NULL) == (lrp_packed_bytes(large_m, large_n, operands) > 0));
    apply_large(&l, &a, LRP_F32, operands, plain);
    for (int x_type = 0; x_type < 2; x_type++) {
      apply_large(&packed, &a, x_type ? LRP_BF16 : LRP_F32, operands, y);
      assert_memory_equal(y, plain, sizeof(float[rows * large_m]));
      apply_large(&l, &a, x_type ? LRP_BF16 : LRP_F32, operands, y);
      assert_memory_equal(y, plain, sizeof(float[rows * large_m]));
    }
    free(memory);
  }
  free(plain);
  free(y);
  end_large(&a);
}

/* Factors in memory that is filled with NaNs and given back in the end. */
static lrp_linear copied_factors(const large *a, int rank, int kind, float *copies[3]) {
  const float *originals[] = {a->left, a->middle, a->right};
  const size_t bytes[] = {sizeof(float[large_m * large_rank]),
                          sizeof(float[large_rank * large_rank]),
                          sizeof(float[large_rank * large_n])};
  for (int i = 0; i < 3; i++) {
    copies[i] = malloc(bytes[i]);
    memcpy(copies[i], originals[i], bytes[i]);
  }
  lrp_linear l = {.n_in = large_n, .n_out = large_m, .rank = rank};
  l.left = view(copies[0], large_m, large_rank, large_rank);
  if (kind != nothing) {
    l.middle = view(copies[1], kind == diagonal ? 1 : large_rank, large_rank, large_rank);
  }
  l.right = view(copies[2], large_rank, large_n, large_n);
  l.bias = view(a->bias, 1, large_m, large_m);
  return l;
}

static void forget(float *copies[3]) {
  const size_t bytes[] = {sizeof(float[large_m * large_rank]),
                          sizeof(float[large_rank * large_rank]),
                          sizeof(float[large_rank * large_n])};
  for (int i = 0; i < 3; i++) {
    memset(copies[i], 0xff, bytes[i]);
    free(copies[i]);
  }
}

/* Packed or not, the same map; the middle is folded, and nothing but memory and the bias is read
 * any more. */
static void check_factors(const large *a, int rank, int kind, lrp_dtype operands,
                          double tolerance) {
  float *y = malloc(sizeof(float[rows * large_m])), *plain = malloc(sizeof(float[rows * large_m]));
  float *copies[3];
  void *memory;
  const lrp_linear l = copied_factors(a, rank, kind, copies);
  apply_large(&l, a, LRP_F32, operands, plain);
  assert_true(distance(plain, large_m, a->expected, rows, large_m) < tolerance);
  const lrp_linear packed = pack(&l, operands, &memory);
  assert_non_null(memory);
  assert_null(packed.middle.data);
  forget(copies);
  for (int x_type = 0; x_type < 2; x_type++) {
    apply_large(&packed, a, x_type ? LRP_BF16 : LRP_F32, operands, y);
    assert_true(distance(y, large_m, a->expected, rows, large_m) < tolerance);
    if (kind == nothing) assert_memory_equal(y, plain, sizeof(float[rows * large_m]));
  }
  free(memory);
  free(plain);
  free(y);
}

static void test_large_factors(void **state) {
  static const int ranks[] = {1, 211, 212, 226, 280}; /* none is rounded and packed, one or both */
  large a = begin_large();
  (void)state;
  for (size_t r = 0; r < sizeof ranks / sizeof *ranks; r++) {
    for (int kind = 0; kind < kinds; kind++) {
      compose_large(&a, ranks[r], kind);
      check_factors(&a, ranks[r], kind, LRP_F32, 5e-6);
      check_factors(&a, ranks[r], kind, LRP_BF16, ranks[r] < 212 ? 1e-6 : 0.02);
    }
  }
  end_large(&a);
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
      cmocka_unit_test_setup_teardown(test_small_factors_in_bf16, setup, teardown),
      cmocka_unit_test(test_packed_dense),
      cmocka_unit_test(test_large_factors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
