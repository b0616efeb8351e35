#include "kernels/nn/rope.h"

#include "tests/kernels/nn/nn_test.h"

/* Far positions: the angle must be computed in double. */
static void check_rotation(const lrp_rope_scaling *scaling, double stretch) {
  enum { d = 8, heads = 3, t = 4, longest = 9000 };
  const int64_t positions[t] = {0, 1, 17, longest - 1};
  float *table = malloc(sizeof(float[d]) * longest);
  float *x = random_floats(t * heads * d, 1, 1.0f), *y = random_floats(t * heads * d, 1, 1.0f);
  lrp_rope_table(longest, d, 10000.0, scaling, table);
  lrp_rope(y, t, heads, d, positions, table);
  for (int i = 0; i < t * heads; i++) {
    for (int j = 0; j < d / 2; j++) {
      const double angle = (double)positions[i / heads] / stretch / pow(10000.0, 2.0 * j / d);
      const double a = x[i * d + j], b = x[i * d + j + d / 2];
      assert_true(fabs(y[i * d + j] - (a * cos(angle) - b * sin(angle))) < 3e-7);
      assert_true(fabs(y[i * d + j + d / 2] - (b * cos(angle) + a * sin(angle))) < 3e-7);
    }
  }
  assert_memory_equal(x, y, sizeof(float[heads * d])); /* position 0 */
  free(y);
  free(x);
  free(table);
}

static void test_rotation(void **state) {
  const lrp_rope_scaling none = {0};
  const lrp_rope_scaling linear = {.type = LRP_ROPE_LINEAR, .factor = 2.5};
  (void)state;
  check_rotation(&none, 1.0);
  check_rotation(&linear, 2.5); /* positions are divided */
}

/* Llama 3.1. */
enum { head_dim = 128 };
static const double theta = 500000.0;
static const lrp_rope_scaling llama3 = {.type = LRP_ROPE_LLAMA3,
                                        .factor = 8.0,
                                        .low_freq_factor = 1.0,
                                        .high_freq_factor = 4.0,
                                        .original_max_position_embeddings = 8192.0};

/* By wavelengths, as the definition has it. */
static void test_llama3(void **state) {
  int kept = 0, mixed = 0, divided = 0;
  (void)state;
  for (int i = 0; i < head_dim / 2; i++) {
    const double f = 1.0 / pow(theta, 2.0 * i / head_dim);
    const double wavelength = 2.0 * acos(-1.0) / f;
    const double scaled = lrp_rope_frequency(theta, &llama3, head_dim, i);
    if (wavelength < 8192.0 / 4.0) {
      assert_true(fabs(scaled - f) <= 1e-15 * f);
      kept++;
    } else if (wavelength > 8192.0 / 1.0) {
      assert_true(fabs(scaled - f / 8.0) <= 1e-15 * f);
      divided++;
    } else {
      const double smooth = (8192.0 / wavelength - 1.0) / (4.0 - 1.0);
      const double expected = (1.0 - smooth) * f / 8.0 + smooth * f;
      assert_true(fabs(scaled - expected) <= 1e-14 * f);
      assert_true(scaled > f / 8.0 && scaled < f);
      mixed++;
    }
  }
  assert_true(kept == 29 && mixed == 6 && divided == 29);
}

/* What transformers 4.46.3 computes for these parameters, in float32. */
static void test_llama3_of_transformers(void **state) {
  static const struct {
    int i;
    double frequency;
  } known[] = {{0, 1.0},
               {1, 0.8146172165870667},
               {28, 0.0032114461064338684},
               {29, 0.0021665706299245358},
               {30, 0.0013718936825171113},
               {33, 0.0003126936499029398},
               {35, 9.556212171446532e-05},
               {63, 3.068925877869333e-07}};
  (void)state;
  for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
    const double f = lrp_rope_frequency(theta, &llama3, head_dim, known[k].i);
    assert_true(fabs(f / known[k].frequency - 1.0) < 1e-6);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rotation),
      cmocka_unit_test(test_llama3),
      cmocka_unit_test(test_llama3_of_transformers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
