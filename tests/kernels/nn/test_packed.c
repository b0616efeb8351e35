#include "kernels/nn/packed.h"

#include <omp.h>

#include "kernels/nn/matmul.h"
#include "tests/kernels/nn/nn_test.h"

enum { most_rows = 300 };

static void *aligned(size_t bytes) {
  void *memory = aligned_alloc(64, bytes > 0 ? (bytes + 63) / 64 * 64 : 64);
  assert_non_null(memory);
  return memory;
}

/* Every number of w at its place: units of four bytes, in tiles of 64 rows by 16 units. */
static void check_layout(lrp_dtype operands, lrp_dtype stored, int64_t n, int64_t k) {
  const int64_t each = operands == LRP_BF16 ? 2 : 1;
  const int64_t tiles = (k + 16 * each - 1) / (16 * each);
  const int64_t count = (n + 63) / 64 * tiles * 1024 * each;
  const size_t size = lrp_dtype_size(operands);
  float *w = random_floats(n * (k + 3), 1, 1.0f);
  unsigned char *rows = malloc((size_t)(n * (k + 3)) * 4 + 1);
  unsigned char *memory = aligned((size_t)count * size);
  lrp_matrix m = view(rows + 1, n, k, k + 3); /* neither aligned nor dense */
  lrp_packed packed;
  int64_t zeros = 0;
  m.dtype = stored;
  lrp_from_f32(rows + 1, stored, w, (size_t)(n * (k + 3)));
  memset(memory, 0xff, (size_t)count * size);
  assert_int_equal(lrp_pack(&m, operands, memory, &packed), LRP_OK);
  assert_ptr_equal(packed.data, memory);
  assert_true(packed.n == n && packed.k == k && packed.operands == operands);
  for (int64_t j = 0; j < n; j++) {
    for (int64_t l = 0; l < k; l++) {
      const int64_t unit = l / each, tile = j / 64 * tiles + unit / 16;
      const int64_t at = ((tile * 16 + unit % 16) * 64 + j % 64) * each + l % each;
      float expected;
      uint16_t rounded;
      const unsigned char *element = lrp_matrix_row(&m, j);
      lrp_to_f32(&expected, element + (size_t)l * lrp_dtype_size(stored), stored, 1);
      lrp_from_f32(&rounded, LRP_BF16, &expected, 1);
      assert_memory_equal(memory + (size_t)at * size,
                          operands == LRP_BF16 ? (void *)&rounded : (void *)&expected, size);
    }
  }
  for (int64_t i = 0; i < count; i++) {
    float f;
    lrp_to_f32(&f, memory + (size_t)i * size, operands, 1);
    zeros += f == 0.0f;
  }
  assert_true(zeros >= count - n * k && zeros < count - n * k + 3); /* the rest, and chance */
  free(memory);
  free(rows);
  free(w);
}

static void test_layout(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    const lrp_dtype operands = i ? LRP_BF16 : LRP_F32;
    check_layout(operands, LRP_F32, 1, 1);
    check_layout(operands, LRP_F32, 70, 37);
    check_layout(operands, LRP_BF16, 64, 32);
    check_layout(operands, LRP_F16, 65, 300);
    check_layout(operands, LRP_BF16, 130, 257);
  }
}

/* Operands of one shape: x in both types, of the same numbers, and w both ways. */
typedef struct {
  int64_t n, k;
  lrp_dtype operands;
  float *x, *w, *expected, *y;
  uint16_t *x16;
  void *memory;
  lrp_packed packed;
  lrp_matmul_scratch scratch;
} product;

static void begin(product *p, int64_t n, int64_t k, lrp_dtype operands) {
  *p = (product){.n = n, .k = k, .operands = operands};
  const size_t bytes = lrp_packed_bytes(n, k, operands);
  p->x = random_floats(most_rows * k, 2, 1.0f);
  p->w = random_floats(n * k, 3, 1.0f);
  p->y = random_floats(most_rows * n, 4, 1.0f);
  p->expected = random_floats(most_rows * n, 4, 1.0f);
  p->x16 = malloc((size_t)(most_rows * k) * sizeof *p->x16);
  lrp_to_bf16(p->x16, p->x, (size_t)(most_rows * k));
  if (bytes == 0) return;
  assert_int_equal(bytes % 64, 0);
  p->memory = aligned(bytes);
  const lrp_matrix w = view(p->w, n, k, k);
  assert_int_equal(lrp_pack(&w, operands, p->memory, &p->packed), LRP_OK);
}

static void end(product *p) {
  lrp_matmul_scratch_free(&p->scratch);
  free(p->memory);
  free(p->x16);
  free(p->expected);
  free(p->y);
  free(p->w);
  free(p->x);
}

/* The packed product of rows first .. first + t - 1 has the bits of the plain one of all rows. */
static void check_rows(product *p, int64_t first, int64_t t, bool narrow, bool accumulate) {
  const lrp_matrix x = {
      .data = narrow ? (const void *)(p->x16 + first * p->k) : (const void *)(p->x + first * p->k),
      .dtype = narrow ? LRP_BF16 : LRP_F32,
      .rows = t,
      .cols = p->k,
      .ld = p->k};
  for (int64_t i = 0; i < t * p->n; i++) p->y[i] = 0.25f;
  assert_int_equal(lrp_matmul_packed(&x, &p->packed, p->y, p->n, accumulate, &p->scratch), LRP_OK);
  assert_memory_equal(p->y, p->expected + first * p->n, (size_t)(t * p->n) * sizeof *p->y);
}

static void check_shape(int64_t n, int64_t k, lrp_dtype operands) {
  static const int64_t counts[] = {1, 2, 3, 7, 16, 33, 64, 100, 129, 299, 300};
  product p;
  begin(&p, n, k, operands);
  const lrp_matrix x = view(p.x, most_rows, k, k), w = view(p.w, n, k, k);
  for (int accumulate = 0; accumulate < 2 && p.packed.data; accumulate++) {
    omp_set_num_threads(2);
    for (int64_t i = 0; i < most_rows * n; i++) p.expected[i] = 0.25f;
    assert_int_equal(lrp_matmul(&x, &w, operands, p.expected, n, accumulate, &p.scratch), LRP_OK);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
      const int64_t t = counts[c];
      omp_set_num_threads(1 << (c + (size_t)accumulate) % 3);
      check_rows(&p, c % 2 ? 0 : most_rows - t, t, operands == LRP_BF16 && c % 3 == 0, accumulate);
    }
  }
  end(&p);
}

static void test_bits_of_plain_weights(void **state) {
  static const int64_t shapes[][2] = {{256, 256}, {257, 256}, {300, 253}, {16, 4096},
                                      {4097, 16}, {1, 5000},  {5000, 1},  {63, 1055},
                                      {768, 768}, {3, 1031},  {1031, 3},  {1000, 1001}};
  (void)state;
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    check_shape(shapes[s][0], shapes[s][1], LRP_F32);
    check_shape(shapes[s][0], shapes[s][1], LRP_BF16);
  }
}

static void test_any_number_of_rows(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    product p;
    begin(&p, 290, 300, i ? LRP_BF16 : LRP_F32);
    const lrp_matrix x = view(p.x, most_rows, p.k, p.k), w = view(p.w, p.n, p.k, p.k);
    assert_int_equal(lrp_matmul(&x, &w, p.operands, p.expected, p.n, false, &p.scratch), LRP_OK);
    for (int64_t t = 1; t <= most_rows && p.packed.data; t++) check_rows(&p, 0, t, false, false);
    end(&p);
  }
}

static void test_what_is_not_packed(void **state) {
  (void)state;
  assert_int_equal(lrp_packed_bytes(255, 256, LRP_F32), 0); /* too small */
  assert_int_equal(lrp_packed_bytes(255, 256, LRP_BF16), 0);
  assert_int_equal(lrp_packed_bytes(1, 512, LRP_F32), 0);
  if (!lrp_matmul_has_bf16()) assert_int_equal(lrp_packed_bytes(512, 512, LRP_BF16), 0);
  if (lrp_packed_bytes(512, 512, LRP_F32) == 0) return; /* a processor without the kernels */
  assert_int_equal(lrp_packed_bytes(256, 256, LRP_F32), 256 * 256 * 4);
  assert_int_equal(lrp_packed_bytes(257, 257, LRP_F32), 320 * 272 * 4);
  assert_int_equal(lrp_packed_bytes(1, 513, LRP_F32), 64 * 528 * 4); /* thin, but long */
  if (lrp_matmul_has_bf16()) assert_int_equal(lrp_packed_bytes(257, 257, LRP_BF16), 320 * 288 * 2);
}

static void test_unaligned_memory(void **state) {
  float w[4] = {0};
  const lrp_matrix m = view(w, 2, 2, 2);
  char *memory = aligned(128);
  lrp_packed packed;
  (void)state;
  assert_int_equal(lrp_pack(&m, LRP_F32, memory + 4, &packed), LRP_ERR_BUG);
  lrp_failure_clear();
  free(memory);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_layout),
      cmocka_unit_test(test_bits_of_plain_weights),
      cmocka_unit_test(test_any_number_of_rows),
      cmocka_unit_test(test_what_is_not_packed),
      cmocka_unit_test(test_unaligned_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
