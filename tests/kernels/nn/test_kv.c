#include "kernels/nn/kv.h"

#include <omp.h>

#include "kernels/nn/kv_parts.h"
#include "tests/kernels/nn/nn_test.h"

/* Rows of tokens: q, k and v by position of a sequence, and where the results go. */
typedef struct {
  lrp_causal_shape shape;
  lrp_dtype operands;
  const lrp_kv_kernels *kernels;
  int64_t t;
  float *q, *k, *v;
} fixture;

static int64_t q_width(const fixture *f) {
  return f->shape.heads * f->shape.head_dim;
}

static int64_t kv_width(const fixture *f) {
  return f->shape.kv_heads * f->shape.head_dim;
}

static void fill(fixture *f, int64_t t) {
  f->t = t;
  f->q = random_floats(t * q_width(f), 1, 2.0f);
  f->k = random_floats(t * kv_width(f), 2, 2.0f);
  f->v = random_floats(t * kv_width(f), 3, 1.0f);
}

static void empty(fixture *f) {
  free(f->q);
  free(f->k);
  free(f->v);
}

static lrp_kv *create(const fixture *f, int layers) {
  lrp_kv *kv;
  assert_int_equal(lrp_kv_create_with(&f->shape, f->operands, layers, f->kernels, &kv), LRP_OK);
  return kv;
}

static size_t row_bytes(const fixture *f) {
  return (size_t)q_width(f) * lrp_dtype_size(f->operands);
}

static void attend(lrp_kv *kv, const fixture *f, const lrp_run *runs, int64_t n, void *out) {
  assert_int_equal(lrp_kv_attention(kv, 0, runs, n, f->q, f->k, f->v, out), LRP_OK);
}

/* Bits of the results of all t rows as one sequence, in one call; free() them. */
static void *whole(const fixture *f) {
  const lrp_branch branch = {-1, 0, f->t};
  const lrp_run run = {0, 0, f->t, 0};
  void *out = malloc((size_t)f->t * row_bytes(f));
  lrp_kv *kv = create(f, 1);
  assert_int_equal(lrp_kv_plan(kv, &branch, 1), LRP_OK);
  attend(kv, f, &run, 1, out);
  lrp_kv_destroy(&kv);
  return out;
}

static double rounded(const fixture *f, float x) {
  if (f->operands == LRP_BF16) lrp_kv_round(&x, 1);
  return (double)x;
}

/* softmax(q k^T / sqrt(d)) v of one row and head of a single sequence, from the definition */
static void naive_attention(const fixture *f, int64_t at, int64_t head, double *out) {
  const int64_t d = f->shape.head_dim, window = f->shape.window;
  const int64_t shared = head / (f->shape.heads / f->shape.kv_heads) * d;
  const float *query = f->q + at * q_width(f) + head * d;
  const int64_t oldest = window > 0 && at >= window ? at - window + 1 : 0;
  double *p = malloc((size_t)(at + 1) * sizeof *p);
  double sum = 0.0;
  for (int64_t j = oldest; j <= at; j++) {
    const float *key = f->k + j * kv_width(f) + shared;
    double dot = 0.0;
    for (int64_t c = 0; c < d; c++) dot += rounded(f, query[c]) * rounded(f, key[c]);
    p[j] = exp(dot / sqrt((double)d));
    sum += p[j];
  }
  for (int64_t c = 0; c < d; c++) {
    out[c] = 0.0;
    for (int64_t j = oldest; j <= at; j++) {
      out[c] += p[j] / sum * rounded(f, f->v[j * kv_width(f) + shared + c]);
    }
  }
  free(p);
}

static void check_definition(fixture f, int64_t t) {
  const int64_t d = f.shape.head_dim;
  const double bound = f.operands == LRP_BF16 ? 8e-3 : 3e-6; /* p and results: 2^-9 of |v| <= 1 */
  double expected[256];
  float row[256];
  fill(&f, t);
  unsigned char *out = whole(&f);
  for (int64_t i = 0; i < t; i++) {
    for (int64_t h = 0; h < f.shape.heads; h++) {
      const size_t at = (size_t)((i * f.shape.heads + h) * d) * lrp_dtype_size(f.operands);
      lrp_to_f32(row, out + at, f.operands, (size_t)d);
      naive_attention(&f, i, h, expected);
      assert_true(distance(row, d, expected, 1, d) < bound);
    }
  }
  free(out);
  empty(&f);
}

/* Every kernel that this processor has, with the operands that it is for. */
static void with_kernels(void (*check)(fixture), const lrp_causal_shape *shape) {
  const lrp_kv_kernels *all[] = {lrp_kv_portable(), lrp_kv_avx512(), lrp_kv_bf16()};
  for (int i = 0; i < 3; i++) {
    if (!all[i]) continue;
    fixture f = {.shape = *shape, .operands = LRP_BF16, .kernels = all[i]};
    check(f);
    f.operands = LRP_F32;
    if (!all[i]->pairs) check(f);
  }
}

static void check_short(fixture f) {
  check_definition(f, 1);
  check_definition(f, 70);
}

static void check_long(fixture f) {
  check_definition(f, 601); /* more than two chunks of positions */
}

static lrp_causal_shape shape_of(int64_t heads, int64_t kv_heads, int64_t d, int64_t window) {
  return (lrp_causal_shape){heads, kv_heads, d, window};
}

static void test_definition(void **state) {
  const lrp_causal_shape shapes[] = {shape_of(1, 1, 1, 0),   shape_of(4, 4, 8, 0),
                                     shape_of(8, 4, 20, 0),  shape_of(6, 2, 17, 0),
                                     shape_of(14, 2, 64, 0), shape_of(2, 1, 80, 0),
                                     shape_of(1, 1, 128, 0), shape_of(1, 1, 256, 0)};
  (void)state;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) with_kernels(check_short, &shapes[i]);
  with_kernels(check_long, &shapes[2]);
  with_kernels(check_long, &shapes[6]);
}

static void test_window(void **state) {
  static const int64_t windows[] = {1, 2, 16, 69, INT64_MAX};
  (void)state;
  for (int i = 0; i < 5; i++) {
    const lrp_causal_shape shape = shape_of(4, 2, 8, windows[i]);
    with_kernels(check_short, &shape);
  }
  with_kernels(check_long, &(lrp_causal_shape){4, 1, 24, 300});
}

/* Bits as in one call, when rows arrive by steps of so many. */
static void check_steps(fixture f) {
  const lrp_branch branch = {-1, 0, 290};
  fill(&f, 290);
  unsigned char *once = whole(&f), *out = malloc(290 * row_bytes(&f));
  for (int64_t step = 1; step <= 100; step += step < 7 ? 1 : 31) {
    lrp_kv *kv = create(&f, 1);
    memset(out, 0, 290 * row_bytes(&f));
    assert_int_equal(lrp_kv_plan(kv, &branch, 1), LRP_OK);
    for (int64_t at = 0; at < f.t; at += step) {
      const lrp_run run = {0, at, f.t - at < step ? f.t - at : step, at};
      attend(kv, &f, &run, 1, out);
    }
    assert_memory_equal(out, once, 290 * row_bytes(&f));
    lrp_kv_destroy(&kv);
  }
  free(once);
  free(out);
  empty(&f);
}

static void test_rows_do_not_depend_on_steps(void **state) {
  (void)state;
  with_kernels(check_steps, &(lrp_causal_shape){3, 3, 20, 0});
  with_kernels(check_steps, &(lrp_causal_shape){8, 2, 16, 40});
}

/* A forest with forks at panel boundaries and inside, several in one panel. */
static const lrp_branch forest[] = {
    {-1, 0, 37}, {0, 37, 2},    {1, 39, 1},  {2, 40, 30},  {1, 39, 100}, {0, 37, 11},
    {5, 48, 16}, {5, 48, 1},    {7, 49, 40}, {-1, 0, 1},   {9, 1, 14},   {9, 1, 15},
    {11, 16, 5}, {10, 15, 300}, {6, 64, 1},  {-1, 0, 290}, {15, 290, 3}};
enum { branches = sizeof forest / sizeof *forest, forest_rows = 900 };

static int64_t runs_of_forest(lrp_run runs[branches]) {
  int64_t rows = 0;
  for (int64_t b = 0; b < branches; b++) {
    runs[b] = (lrp_run){b, 0, forest[b].length, rows};
    runs[b].at = forest[b].start;
    rows += forest[b].length;
  }
  return rows;
}

/* The rows of a branch's sequence, from the root to its end, as a single sequence. */
static fixture sequence_of(const fixture *f, const lrp_run *runs, int64_t branch) {
  fixture s = *f;
  s.t = forest[branch].start + forest[branch].length;
  s.q = random_floats(s.t * q_width(f), 1, 1.0f);
  s.k = random_floats(s.t * kv_width(f), 1, 1.0f);
  s.v = random_floats(s.t * kv_width(f), 1, 1.0f);
  for (int64_t b = branch, end = s.t; b >= 0; end = forest[b].start, b = forest[b].parent) {
    const int64_t at = forest[b].start, from = runs[b].first;
    const size_t count = (size_t)(end - at);
    memcpy(s.q + at * q_width(f), f->q + from * q_width(f), count * (size_t)q_width(f) * 4);
    memcpy(s.k + at * kv_width(f), f->k + from * kv_width(f), count * (size_t)kv_width(f) * 4);
    memcpy(s.v + at * kv_width(f), f->v + from * kv_width(f), count * (size_t)kv_width(f) * 4);
  }
  return s;
}

/* Each branch has the bits of its sequence alone. */
static void check_branches(const fixture *f, const lrp_run *runs, const unsigned char *out) {
  for (int64_t b = 0; b < branches; b++) {
    fixture s = sequence_of(f, runs, b);
    unsigned char *alone = whole(&s);
    assert_memory_equal(out + (size_t)runs[b].first * row_bytes(f),
                        alone + (size_t)forest[b].start * row_bytes(f),
                        (size_t)forest[b].length * row_bytes(f));
    free(alone);
    empty(&s);
  }
}

static void check_forest(fixture f) {
  lrp_run runs[branches];
  const int64_t rows = runs_of_forest(runs);
  assert_true(rows <= forest_rows);
  fill(&f, rows);
  unsigned char *out = malloc((size_t)rows * row_bytes(&f));
  lrp_kv *kv = create(&f, 1);
  for (int threads = 1; threads <= 4; threads *= 2) {
    omp_set_num_threads(threads);
    memset(out, 0, (size_t)rows * row_bytes(&f));
    assert_int_equal(lrp_kv_plan(kv, forest, branches), LRP_OK);
    attend(kv, &f, runs, branches, out);
    check_branches(&f, runs, out);
  }
  lrp_kv_destroy(&kv);
  free(out);
  empty(&f);
}

static void test_branches_do_not_depend_on_the_forest(void **state) {
  (void)state;
  with_kernels(check_forest, &(lrp_causal_shape){4, 2, 20, 0});
  with_kernels(check_forest, &(lrp_causal_shape){8, 1, 8, 0});
  with_kernels(check_forest, &(lrp_causal_shape){1, 1, 64, 21});
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_definition),
      cmocka_unit_test(test_window),
      cmocka_unit_test(test_rows_do_not_depend_on_steps),
      cmocka_unit_test(test_branches_do_not_depend_on_the_forest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
