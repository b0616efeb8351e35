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
    lrp_rms_norm(x, t, n, w, 1e-5, y);
    for (int i = 0; i < t; i++) {
      double sum = 0.0;
      for (int j = 0; j < n; j++) sum += (double)x[i * n + j] * (double)x[i * n + j];
      for (int j = 0; j < n; j++) {
        const double exact = (double)x[i * n + j] / sqrt(sum / n + 1e-5) * (double)w[j];
        assert_true(fabs((double)y[i * n + j] - exact) < 1e-6);
      }
    }
    lrp_rms_norm(x, t, n, w, 1e-5, x); /* in place */
    assert_memory_equal(x, y, sizeof(float) * (size_t)(t * n));
    free(y);
    free(w);
    free(x);
  }
}

static void test_swiglu(void **state) {
  enum { t = 3, n = 37 };
  float *gate = random_floats(t * n, 1, 20.0f), *up = random_floats(t * n, 2, 1.0f);
  float *y = random_floats(t * n, 1, 20.0f);
  (void)state;
  gate[0] = y[0] = -200.0f;
  gate[1] = y[1] = 200.0f;
  lrp_swiglu(y, up, t, n);
  for (int i = 0; i < t * n; i++) {
    const double exact = (double)gate[i] / (1.0 + exp(-(double)gate[i])) * (double)up[i];
    assert_true(fabs((double)y[i] - exact) <= 1e-6 * fabs(exact) + 1e-30);
  }
  free(y);
  free(up);
  free(gate);
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_exp),         cmocka_unit_test(test_rms_norm),
      cmocka_unit_test(test_swiglu),      cmocka_unit_test(test_log_softmax),
      cmocka_unit_test(test_greedy_ties),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
