#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/matrix.h"

static uint32_t float_bits(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits;
}

/* The value of a half by its definition, in double arithmetic. */
static double half_value(unsigned h) {
  const int exponent = (int)(h >> 10 & 0x1f);
  const double mantissa = h & 0x3ff;
  const double sign = h & 0x8000 ? -1.0 : 1.0;
  if (exponent == 0) return sign * ldexp(mantissa, -24);
  if (exponent == 31) return mantissa != 0.0 ? NAN : sign * INFINITY;
  return sign * ldexp(1024.0 + mantissa, exponent - 25);
}

static uint16_t narrowed(double x, lrp_dtype dtype) {
  uint16_t h;
  lrp_from_f64(&h, dtype, &x, 1);
  return h;
}

static void test_every_half(void **state) {
  (void)state;
  for (unsigned i = 0; i < 65536; i++) {
    const uint16_t h = (uint16_t)i;
    float f;
    lrp_to_f32(&f, &h, LRP_F16, 1);
    const double expected = half_value(i);
    if (isnan(expected)) {
      assert_true(isnan(f));
      assert_true(isnan(half_value(narrowed(f, LRP_F16))));
    } else {
      assert_true((double)f == expected && !signbit(f) == !(i & 0x8000));
      assert_int_equal(narrowed(f, LRP_F16), h);
    }
  }
}

static void test_every_bfloat(void **state) {
  (void)state;
  for (unsigned i = 0; i < 65536; i++) {
    const uint16_t h = (uint16_t)i;
    float f;
    lrp_to_f32(&f, &h, LRP_BF16, 1);
    assert_int_equal(float_bits(f), i << 16);
    if (isnan(f)) {
      assert_int_equal(narrowed(f, LRP_BF16) & 0x7fc0, 0x7fc0);
    } else {
      assert_int_equal(narrowed(f, LRP_BF16), h);
    }
  }
}

/* Long arrays take the vectorised loop with its remainder; src lies at an odd address. */
static void test_long_and_unaligned(void **state) {
  enum { count = 1003 };
  static const lrp_dtype dtypes[] = {LRP_F32, LRP_F16, LRP_BF16};
  unsigned char bytes[4 * count + 1];
  float dst[count], single;
  (void)state;
  for (int d = 0; d < 3; d++) {
    const size_t size = lrp_dtype_size(dtypes[d]);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 37 % 113);
    lrp_to_f32(dst, bytes + 1, dtypes[d], count);
    for (size_t i = 0; i < count; i++) {
      lrp_to_f32(&single, bytes + 1 + i * size, dtypes[d], 1);
      assert_int_equal(float_bits(dst[i]), float_bits(single));
    }
  }
}

static void test_ties_to_even(void **state) {
  (void)state;
  assert_int_equal(narrowed(1.0 + 0x1p-11, LRP_F16), 0x3c00);           /* tie, down to even */
  assert_int_equal(narrowed(1.0 + 3 * 0x1p-11, LRP_F16), 0x3c02);       /* tie, up to even */
  assert_int_equal(narrowed(1.0 + 0x1p-11 + 0x1p-40, LRP_F16), 0x3c01); /* float would see a tie */
  assert_int_equal(narrowed(1.0 + 3 * 0x1p-11 - 0x1p-40, LRP_F16), 0x3c01);
  assert_int_equal(narrowed(-1.0 - 0x1p-8, LRP_BF16), 0xbf80);
  assert_int_equal(narrowed(1.0 + 3 * 0x1p-8, LRP_BF16), 0x3f82);
  assert_int_equal(narrowed(1.0 + 0x1p-8 + 0x1p-40, LRP_BF16), 0x3f81);
  assert_int_equal(narrowed(2.0 - 0x1p-9, LRP_BF16), 0x4000); /* the carry reaches the exponent */
}

static void test_overflow(void **state) {
  (void)state;
  assert_int_equal(narrowed(65504.0, LRP_F16), 0x7bff);
  assert_int_equal(narrowed(65519.99, LRP_F16), 0x7bff);
  assert_int_equal(narrowed(65520.0, LRP_F16), 0x7c00);
  assert_int_equal(narrowed(-1e300, LRP_F16), 0xfc00);
  assert_int_equal(narrowed(0x1.fep127, LRP_BF16), 0x7f7f);
  assert_int_equal(narrowed(0x1.fefffp127, LRP_BF16), 0x7f7f);
  assert_int_equal(narrowed(0x1.ffp127, LRP_BF16), 0x7f80);
  assert_int_equal(narrowed(-INFINITY, LRP_BF16), 0xff80);
  assert_int_equal(narrowed(INFINITY, LRP_F16), 0x7c00);
}

static void test_subnormals(void **state) {
  (void)state;
  assert_int_equal(narrowed(0x1p-24, LRP_F16), 0x0001);
  assert_int_equal(narrowed(0x1p-25, LRP_F16), 0x0000); /* tie, down to even */
  assert_int_equal(narrowed(-0x1.001p-25, LRP_F16), 0x8001);
  assert_int_equal(narrowed(3 * 0x1p-25, LRP_F16), 0x0002);
  assert_int_equal(narrowed(0x1p-14 - 0x1p-26, LRP_F16), 0x0400); /* up to the first normal */
  assert_int_equal(narrowed(-0.0, LRP_F16), 0x8000);
  assert_int_equal(narrowed(0x1p-133, LRP_BF16), 0x0001);
  assert_int_equal(narrowed(0x1p-134, LRP_BF16), 0x0000);
  assert_int_equal(narrowed(0x1.8p-133, LRP_BF16), 0x0002);
  assert_int_equal(narrowed(-0.0, LRP_BF16), 0x8000);
  assert_int_equal(narrowed(-5e-324, LRP_BF16), 0x8000);
}

static void test_from_f32(void **state) {
  enum { count = 2500 }; /* more than two chunks */
  float src[count];
  uint16_t dst[count];
  (void)state;
  for (int i = 0; i < count; i++) src[i] = (float)(i - 1250) * 1.2345e-3f;
  lrp_from_f32(dst, LRP_BF16, src, count);
  for (int i = 0; i < count; i++) assert_int_equal(dst[i], narrowed(src[i], LRP_BF16));
  lrp_from_f32(dst, LRP_F32, src, count / 2);
  assert_memory_equal(dst, src, count / 2 * sizeof *src);
}

/* Rounding bits gives what rounding the number gives: all signs, exponents, ties and near ties. */
static void test_to_bf16(void **state) {
  static const uint32_t tails[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
  enum { n_tails = 6 };
  (void)state;
  for (uint32_t head = 0; head <= UINT16_MAX; head++) {
    float src[n_tails];
    uint16_t dst[n_tails];
    for (int i = 0; i < n_tails; i++) {
      const uint32_t bits = head << 16 | tails[i];
      memcpy(&src[i], &bits, sizeof bits);
    }
    lrp_to_bf16(dst, src, n_tails);
    for (int i = 0; i < n_tails; i++) {
      assert_int_equal(dst[i], lrp_bf16_bits(src[i]));
      if (isnan(src[i])) {
        assert_true((dst[i] & 0x7fff) > 0x7f80);
        continue;
      }
      assert_int_equal(dst[i], narrowed(src[i], LRP_BF16));
    }
  }
}

/* From every type to those of products, from any address. */
static void test_convert(void **state) {
  enum { count = 2500 };
  static unsigned char stored[4 * count + 1];
  float src[count], floats[count], expected[count];
  uint16_t rounded[count], expected16[count];
  (void)state;
  for (int i = 0; i < count; i++) src[i] = (float)(i - 1250) * 1.2345e-3f;
  for (int type = 0; type < 3; type++) {
    for (int offset = 0; offset < 2; offset++) {
      lrp_from_f32(stored + offset, (lrp_dtype)type, src, count);
      lrp_to_f32(expected, stored + offset, (lrp_dtype)type, count);
      lrp_from_f32(expected16, LRP_BF16, expected, count);
      lrp_convert(floats, LRP_F32, stored + offset, (lrp_dtype)type, count);
      lrp_convert(rounded, LRP_BF16, stored + offset, (lrp_dtype)type, count);
      assert_memory_equal(floats, expected, sizeof floats);
      assert_memory_equal(rounded, expected16, sizeof rounded);
    }
  }
}

static void test_views(void **state) {
  const uint16_t a[] = {0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0, 0x40c0}; /* 1 .. 6 */
  const lrp_matrix whole = {a, LRP_BF16, 2, 3, 3};
  const lrp_matrix corner = lrp_matrix_slice(whole, 2, 2);
  const float expected[] = {1, 2, 4, 5};
  float f[4];
  double d[4];
  (void)state;
  assert_ptr_equal(lrp_matrix_row(&whole, 1), a + 3);
  lrp_matrix_to_f32(f, &corner);
  lrp_matrix_to_f64(d, &corner);
  for (int i = 0; i < 4; i++) {
    assert_true(f[i] == expected[i]);
    assert_true(d[i] == f[i]);
  }
  assert_null(lrp_matrix_f32(&whole));

  const lrp_matrix aligned = {f, LRP_F32, 2, 2, 2};
  const lrp_matrix odd = {(const char *)f + 1, LRP_F32, 1, 2, 2};
  assert_ptr_equal(lrp_matrix_f32(&aligned), f);
  assert_null(lrp_matrix_f32(&odd));
}

/* Columns beyond the view and beyond one chunk of the conversion. */
static void test_count_nonfinite(void **state) {
  enum { rows = 3, cols = 1500, ld = 1501 };
  static const lrp_dtype dtypes[] = {LRP_F32, LRP_F16, LRP_BF16};
  const double bad[] = {NAN, INFINITY, -INFINITY};
  const double largest[] = {[LRP_F32] = FLT_MAX, [LRP_F16] = 65504.0, [LRP_BF16] = 0x1.fep127};
  (void)state;
  for (int d = 0; d < 3; d++) {
    const size_t size = lrp_dtype_size(dtypes[d]);
    unsigned char *p = calloc(rows * ld, size);
    assert_non_null(p);
    const lrp_matrix a = {p, dtypes[d], rows, cols, ld};
    int64_t row = -1, col = -1;
    lrp_from_f64(p + (ld - 1) * size, dtypes[d], &bad[0], 1); /* in the gap */
    lrp_from_f64(p + 7 * size, dtypes[d], &largest[d], 1);
    assert_int_equal(lrp_matrix_count_nonfinite(&a, &row, &col), 0);
    lrp_from_f64(p + (1 * ld + 1400) * size, dtypes[d], &bad[2], 1);
    lrp_from_f64(p + (2 * ld + 0) * size, dtypes[d], &bad[0], 1);
    lrp_from_f64(p + (2 * ld + 1499) * size, dtypes[d], &bad[1], 1);
    assert_int_equal(lrp_matrix_count_nonfinite(&a, &row, &col), 3);
    assert_int_equal(row, 1);
    assert_int_equal(col, 1400);
    free(p);
  }
}

static void test_names(void **state) {
  (void)state;
  assert_int_equal(lrp_dtype_size(LRP_F32), 4);
  assert_int_equal(lrp_dtype_size(LRP_F16), 2);
  assert_int_equal(lrp_dtype_size(LRP_BF16), 2);
  assert_string_equal(lrp_dtype_name(LRP_F32), "float32");
  assert_string_equal(lrp_dtype_name(LRP_F16), "float16");
  assert_string_equal(lrp_dtype_name(LRP_BF16), "bfloat16");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_half),
      cmocka_unit_test(test_every_bfloat),
      cmocka_unit_test(test_long_and_unaligned),
      cmocka_unit_test(test_ties_to_even),
      cmocka_unit_test(test_overflow),
      cmocka_unit_test(test_subnormals),
      cmocka_unit_test(test_from_f32),
      cmocka_unit_test(test_to_bf16),
      cmocka_unit_test(test_convert),
      cmocka_unit_test(test_views),
      cmocka_unit_test(test_count_nonfinite),
      cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
