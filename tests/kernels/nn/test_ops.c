#include "kernels/nn/ops.h"

#include <float.h>

#include "kernels/nn/vector.h"
#include "tests/kernels/nn/nn_test.h"

static void test_exp(void **state) {
  (void)state;
  for (float x = -87.0f; x < 88.0f; x += 0.0137f) {
    const double exact = exp((double)x);
    assert_true(fabs((double)lrp_exp(x) - exact) <= 3e-7 * exact);
  }
  assert_true(lrp_exp(0.0f) == 1.0f);
  assert_true(lrp_exp(-1000.0f) < 2e-38f && lrp_exp(-INFINITY) < 2e-38f);
  assert_true(isfinite(lrp_exp(INFINITY)));
  assert_true(isnan(lrp_exp(NAN)));
}

static void test_rms_norm(void **state) {
  (void)state;
  for (int n = 1; n < 70; n += 3) {
    const int t = 5;
    float *x = random_floats(t * n, 1, 3.0f), *w = random_floats(n, 2, 1.0f);
    float *y = random_floats(t * n, 3, 1.0f);
    uint16_t *narrow = malloc(sizeof *narrow * (size_t)(t * n)), rounded;
    lrp_rms_norm(x, t, n, w, 1e-5, LRP_F32, y);
    lrp_rms_norm(x, t, n, w, 1e-5, LRP_BF16, narrow);
    for (int i = 0; i < t; i++) {
      double sum = 0.0;
      for (int j = 0; j < n; j++) sum += (double)x[i * n + j] * (double)x[i * n + j];
      for (int j = 0; j < n; j++) {
        const double exact = (double)x[i * n + j] / sqrt(sum / n + 1e-5) * (double)w[j];
        assert_true(fabs((double)y[i * n + j] - exact) < 1e-6);
        lrp_to_bf16(&rounded, &y[i * n + j], 1);
        assert_int_equal(narrow[i * n + j], rounded);
      }
    }
    lrp_rms_norm(x, t, n, w, 1e-5, LRP_F32, x); /* in place */
    assert_memory_equal(x, y, sizeof(float) * (size_t)(t * n));
    free(narrow);
    free(y);
    free(w);
    free(x);
  }
}

static void test_swiglu(void **state) {
  enum { t = 3, n = 37 };
  float *gate = random_floats(t * n, 1, 20.0f), *up = random_floats(t * n, 2, 1.0f);
  float *y = random_floats(t * n, 1, 20.0f);
  uint16_t narrow[t * n], rounded;
  (void)state;
  gate[0] = y[0] = -200.0f;
  gate[1] = y[1] = 200.0f;
  lrp_swiglu(y, up, t, n, LRP_F32, y); /* in place */
  lrp_swiglu(gate, up, t, n, LRP_BF16, narrow);
  for (int i = 0; i < t * n; i++) {
    const double exact = (double)gate[i] / (1.0 + exp(-(double)gate[i])) * (double)up[i];
    assert_true(fabs((double)y[i] - exact) <= 1e-6 * fabs(exact) + 1e-30);
    lrp_to_bf16(&rounded, &y[i], 1);
    assert_int_equal(narrow[i], rounded);
  }
  free(y);
  free(up);
  free(gate);
}

static void test_layer_norm(void **state) {
  (void)state;
  for (int n = 1; n < 70; n += 3) {
    const int t = 5;
    float *x = random_floats(t * n, 1, 3.0f), *w = random_floats(n, 2, 1.0f);
    float *b = random_floats(n, 3, 1.0f), *y = random_floats(t * n, 4, 1.0f);
    for (int i = 0; i < n; i++) x[i] += 100.0f; /* a mean much larger than the deviation */
    lrp_layer_norm(x, t, n, w, b, 1e-5, y);
    for (int i = 0; i < t; i++) {
      double mean = 0.0, variance = 0.0;
      for (int j = 0; j < n; j++) mean += (double)x[i * n + j] / n;
      for (int j = 0; j < n; j++) variance += pow((double)x[i * n + j] - mean, 2.0) / n;
      for (int j = 0; j < n; j++) {
        const double exact =
            ((double)x[i * n + j] - mean) / sqrt(variance + 1e-5) * (double)w[j] + (double)b[j];
        assert_true(fabs((double)y[i * n + j] - exact) < 1e-5);
      }
    }
    lrp_layer_norm(x, t, n, w, b, 1e-5, x); /* in place */
    assert_memory_equal(x, y, sizeof(float) * (size_t)(t * n));
    free(y);
    free(b);
    free(w);
    free(x);
  }
}

static double activation(lrp_activation a, double x) {
  if (a == LRP_RELU) return x > 0.0 ? x : 0.0;
  if (a == LRP_GELU) return x / 2.0 * erfc(-x / sqrt(2.0));
  /* (1 + tanh(u)) / 2, without its cancellation */
  return x / (1.0 + exp(-2.0 * sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}

static void test_activations(void **state) {
  enum { t = 7, n = 1001 };
  (void)state;
  for (int a = LRP_GELU; a <= LRP_RELU; a++) {
    float *x = random_floats(t * n, 1, 6.0f), *y = random_floats(t * n, 1, 6.0f);
    float *bias = random_floats(n, 2, 1.0f);
    memset(bias, 0, 10 * sizeof *bias);
    x[0] = y[0] = -100.0f;
    x[1] = y[1] = 100.0f;
    x[2] = y[2] = 0.0f;
    x[3] = y[3] = 1e-8f;
    lrp_activate((lrp_activation)a, y, t, n, bias);
    for (int i = 0; i < t * n; i++) {
      const double exact = activation((lrp_activation)a, (double)(x[i] + bias[i % n]));
      assert_true(fabs((double)y[i] - exact) <= 1e-5 * fabs(exact) + 1e-30);
      assert_true(fabs((double)y[i] - exact) <= 4e-7 * fmax(1.0, fabs(exact)));
    }
    y[5] = NAN;
    lrp_activate((lrp_activation)a, y, 1, 10, bias);
    assert_true(isnan(y[5]) && !isnan(y[4]) && !isnan(y[6]));
    free(bias);
    free(y);
    free(x);
  }
}

static double naive_log_softmax(const float *x, int n, int chosen) {
  double max = -INFINITY, sum = 0.0;
  for (int i = 0; i < n; i++) max = fmax(max, (double)x[i]);
  for (int i = 0; i < n; i++) sum += exp((double)x[i] - max);
  return (double)x[chosen] - max - log(sum);
}

static void test_log_softmax(void **state) {
  (void)state;
  for (int n = 1; n < 100; n += 7) {
    float *x = random_floats(n, (uint64_t)n, 15.0f);
    for (int c = 0; c < n; c++) {
      bool greedy;
      int best = 0;
      for (int i = 0; i < n; i++) best = x[i] > x[best] ? i : best;
      assert_true(fabs(lrp_log_softmax(x, n, c, &greedy) - naive_log_softmax(x, n, c)) < 1e-6);
      assert_int_equal(greedy, c == best);
    }
    free(x);
  }
}

static void test_greedy_ties(void **state) {
  float x[40] = {0};
  bool greedy;
  (void)state;
  x[20] = x[3] = 2.0f;
  lrp_log_softmax(x, 40, 3, &greedy);
  assert_true(greedy);
  lrp_log_softmax(x, 40, 20, &greedy); /* as large, but not the first */
  assert_false(greedy);
  x[39] = NAN;
  assert_true(isnan(lrp_log_softmax(x, 40, 3, &greedy)));
}

static void test_log_probabilities_of_a_row(void **state) {
  float *x = random_floats(1000, 5, 9.0f);
  const lrp_softmax of = lrp_softmax_of(x, 1000);
  double sum = 0.0;
  (void)state;
  for (int c = 0; c < 1000; c++) {
    bool greedy, alone;
    const double p = lrp_log_probability(x, &of, c, &greedy);
    assert_true(p == lrp_log_softmax(x, 1000, c, &alone));
    assert_int_equal(greedy, alone);
    sum += exp(p);
  }
  assert_true(fabs(sum - 1.0) < 1e-6);
  free(x);
}

static void test_argmax(void **state) {
  (void)state;
  for (int n = 1; n < 100; n += 9) {
    float *x = random_floats(n, (uint64_t)n, 15.0f);
    int best = 0;
    for (int i = 0; i < n; i++) best = x[i] > x[best] ? i : best;
    assert_int_equal(lrp_argmax(x, n), best);
    x[n - 1] = x[best]; /* a tie: the first one counts */
    assert_int_equal(lrp_argmax(x, n), best);
    x[n / 2] = NAN;
    assert_int_equal(lrp_argmax(x, n), -1);
    x[n / 2] = -INFINITY;
    assert_int_equal(lrp_argmax(x, n), -1);
    free(x);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_exp),         cmocka_unit_test(test_rms_norm),
      cmocka_unit_test(test_swiglu),      cmocka_unit_test(test_log_softmax),
      cmocka_unit_test(test_greedy_ties), cmocka_unit_test(test_layer_norm),
      cmocka_unit_test(test_activations), cmocka_unit_test(test_log_probabilities_of_a_row),
      cmocka_unit_test(test_argmax),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
