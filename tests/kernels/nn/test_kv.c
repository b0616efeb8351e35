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

/* The operands as they are multiplied; empty() it. */
static fixture rounded(const fixture *f) {
  fixture r = *f;
  fill(&r, f->t);
  memcpy(r.q, f->q, (size_t)(f->t * q_width(f)) * sizeof *r.q);
  memcpy(r.k, f->k, (size_t)(f->t * kv_width(f)) * sizeof *r.k);
  memcpy(r.v, f->v, (size_t)(f->t * kv_width(f)) * sizeof *r.v);
  if (f->operands == LRP_F32) return r;
  lrp_kv_round(r.q, f->t * q_width(f));
  lrp_kv_round(r.k, f->t * kv_width(f));
  lrp_kv_round(r.v, f->t * kv_width(f));
  return r;
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
    for (int64_t c = 0; c < d; c++) dot += (double)query[c] * (double)key[c];
    p[j] = exp(dot / sqrt((double)d));
    sum += p[j];
  }
  for (int64_t c = 0; c < d; c++) {
    out[c] = 0.0;
    for (int64_t j = oldest; j <= at; j++) {
      out[c] += p[j] / sum * (double)f->v[j * kv_width(f) + shared + c];
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
  fixture exact = rounded(&f);
  for (int64_t i = 0; i < t; i += i < 70 ? 1 : 17) {
    for (int64_t h = 0; h < f.shape.heads; h++) {
      const size_t at = (size_t)((i * f.shape.heads + h) * d) * lrp_dtype_size(f.operands);
      lrp_to_f32(row, out + at, f.operands, (size_t)d);
      naive_attention(&exact, i, h, expected);
      assert_true(distance(row, d, expected, 1, d) < bound);
    }
  }
  unsigned char *same = whole(&exact); /* nothing else than the rounded operands is used */
  assert_memory_equal(same, out, (size_t)t * row_bytes(&f));
  free(same);
  empty(&exact);
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
  static const int64_t steps[] = {1, 3, 16, 50};
  const lrp_branch branch = {-1, 0, 600};
  fill(&f, 600);
  unsigned char *once = whole(&f), *out = malloc(600 * row_bytes(&f));
  for (int i = 0; i < 4; i++) {
    const int64_t step = steps[i];
    lrp_kv *kv = create(&f, 1);
    memset(out, 0, 600 * row_bytes(&f));
    assert_int_equal(lrp_kv_plan(kv, &branch, 1), LRP_OK);
    for (int64_t at = 0; at < f.t; at += step) {
      const lrp_run run = {0, at, f.t - at < step ? f.t - at : step, at};
      attend(kv, &f, &run, 1, out);
    }
    assert_memory_equal(out, once, 600 * row_bytes(&f));
    lrp_kv_destroy(&kv);
  }
  free(once);
  free(out);
  empty(&f);
}

static void test_rows_do_not_depend_on_steps(void **state) {
  (void)state;
  with_kernels(check_steps, &(lrp_causal_shape){3, 3, 20, 0});
  with_kernels(check_steps, &(lrp_causal_shape){8, 2, 8, 40});
  with_kernels(check_steps, &(lrp_causal_shape){1, 1, 16, 270}); /* more than a chunk */
}

/* A forest with forks at panel boundaries and inside, several in one panel. */
static const lrp_branch forest[] = {
    {-1, 0, 37}, {0, 37, 2},    {1, 39, 1},  {2, 40, 30},  {1, 39, 100}, {0, 37, 11},
    {5, 48, 16}, {5, 48, 1},    {7, 49, 40}, {-1, 0, 1},   {9, 1, 14},   {9, 1, 15},
    {11, 16, 5}, {10, 15, 300}, {6, 64, 1},  {-1, 0, 290}, {15, 290, 3}};
enum { branches = sizeof forest / sizeof *forest };

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
  const size_t bytes = (size_t)rows * row_bytes(&f);
  fill(&f, rows);
  unsigned char *out = malloc(bytes), *first = malloc(bytes);
  lrp_kv *kv = create(&f, 1);
  omp_set_num_threads(1);
  assert_int_equal(lrp_kv_plan(kv, forest, branches), LRP_OK);
  attend(kv, &f, runs, branches, first);
  check_branches(&f, runs, first);
  for (int threads = 2; threads <= 4; threads *= 2) {
    omp_set_num_threads(threads);
    memset(out, 0, bytes);
    assert_int_equal(lrp_kv_plan(kv, forest, branches), LRP_OK);
    attend(kv, &f, runs, branches, out);
    assert_memory_equal(out, first, bytes);
  }
  omp_set_num_threads(1); /* the other tests make many small calls */
  lrp_kv_destroy(&kv);
  free(first);
  free(out);
  empty(&f);
}

static void test_branches_do_not_depend_on_the_forest(void **state) {
  (void)state;
  with_kernels(check_forest, &(lrp_causal_shape){4, 2, 20, 0});
  with_kernels(check_forest, &(lrp_causal_shape){8, 1, 8, 0});
  with_kernels(check_forest, &(lrp_causal_shape){1, 1, 64, 21});
}

/* Branches that grow side by side, by one row or two at a time, and runs without rows. */
static void check_growth(fixture f) {
  lrp_run runs[branches], next[branches];
  const int64_t rows = runs_of_forest(runs);
  const size_t bytes = (size_t)rows * row_bytes(&f);
  fill(&f, rows);
  unsigned char *out = malloc(bytes);
  int64_t done[branches] = {0}, left = rows;
  lrp_kv *kv = create(&f, 1);
  assert_int_equal(lrp_kv_plan(kv, forest, branches), LRP_OK);
  while (left > 0) {
    for (int64_t b = 0; b < branches; b++) {
      const int64_t parent = forest[b].parent, rest = forest[b].length - done[b];
      const bool ready = parent < 0 || done[parent] == forest[parent].length;
      const int64_t count = !ready ? 0 : rest < b % 2 + 1 ? rest : b % 2 + 1;
      next[b] = (lrp_run){b, forest[b].start + done[b], count, runs[b].first + done[b]};
      done[b] += count;
      left -= count;
    }
    attend(kv, &f, next, branches, out);
  }
  check_branches(&f, runs, out);
  lrp_kv_destroy(&kv);
  free(out);
  empty(&f);
}

static void test_branches_grow_side_by_side(void **state) {
  (void)state;
  with_kernels(check_growth, &(lrp_causal_shape){2, 1, 18, 0});
}

/* Two layers are kept; a smaller plan in the memory of a larger one finds nothing of it. */
static void check_layers(fixture f) {
  const lrp_branch large = {-1, 0, 100}, small = {-1, 0, 35};
  const lrp_run all = {0, 0, 35, 0}, begin = {0, 0, 20, 0}, rest = {0, 20, 15, 20};
  const int64_t width = kv_width(&f);
  fill(&f, 100);
  const int64_t t = f.t;
  f.t = 35;
  unsigned char *alone = whole(&f);
  unsigned char *out = malloc((size_t)t * row_bytes(&f)),
                *other = malloc((size_t)t * row_bytes(&f));
  lrp_kv *kv = create(&f, 2);
  float *nan = malloc((size_t)(t * width) * sizeof *nan);
  for (int64_t i = 0; i < t * width; i++) nan[i] = NAN;
  assert_int_equal(lrp_kv_plan(kv, &large, 1), LRP_OK);
  const lrp_run used = {0, 0, 100, 0};
  for (int l = 0; l < 2; l++) {
    assert_int_equal(lrp_kv_attention(kv, l, &used, 1, f.q, nan, nan, out), LRP_OK);
  }
  assert_int_equal(lrp_kv_plan(kv, &small, 1), LRP_OK);
  memset(out, 0, (size_t)t * row_bytes(&f));
  attend(kv, &f, &begin, 1, out);
  assert_int_equal(lrp_kv_attention(kv, 1, &all, 1, f.q, f.v, f.k, other), LRP_OK);
  attend(kv, &f, &rest, 1, out);
  assert_memory_equal(out, alone, 35 * row_bytes(&f));
  assert_memory_not_equal(other, alone, 35 * row_bytes(&f));
  lrp_kv_destroy(&kv);
  free(nan);
  free(other);
  free(out);
  free(alone);
  empty(&f);
}

static void test_layers_and_plans_are_apart(void **state) {
  (void)state;
  with_kernels(check_layers, &(lrp_causal_shape){2, 2, 20, 0});
}

/* A value that is no number changes the rows that see it alone. */
static void check_not_finite(fixture f, float value) {
  const int64_t bad = 20, width = kv_width(&f);
  const size_t bytes = row_bytes(&f);
  float row[64];
  fill(&f, 40);
  unsigned char *good = whole(&f);
  f.v[bad * width + width - 1] = value; /* of the last head */
  unsigned char *out = whole(&f);
  assert_memory_equal(out, good, (size_t)bad * bytes);
  for (int64_t i = bad; i < f.t; i++) {
    lrp_to_f32(row, out + (size_t)i * bytes, f.operands, (size_t)q_width(&f));
    assert_true(isnan(row[q_width(&f) - 1]));
    assert_memory_equal(out + (size_t)i * bytes, good + (size_t)i * bytes, bytes / 2);
  }
  free(out);
  free(good);
  empty(&f);
}

static void check_spoilt(fixture f) {
  check_not_finite(f, NAN);
  check_not_finite(f, INFINITY);
}

static void test_what_is_no_number(void **state) {
  (void)state;
  with_kernels(check_spoilt, &(lrp_causal_shape){2, 2, 5, 0});
  with_kernels(check_spoilt, &(lrp_causal_shape){2, 2, 8, 0});
}

/* Scores of hundreds: the largest key takes all, and nothing overflows. */
static void check_peaked(fixture f) {
  const int64_t d = f.shape.head_dim;
  float row[64];
  fill(&f, 50);
  for (int64_t i = 0; i < f.t * d; i++) {
    f.q[i] = 16.0f;
    f.k[i] = i / d == 10 ? 16.0f : -16.0f;
  }
  unsigned char *out = whole(&f);
  fixture exact = rounded(&f);
  for (int64_t i = 10; i < f.t; i++) {
    lrp_to_f32(row, out + (size_t)i * row_bytes(&f), f.operands, (size_t)d);
    for (int64_t c = 0; c < d; c++) {
      assert_true(fabsf(row[c] - exact.v[10 * d + c]) < 1e-6f);
    }
  }
  empty(&exact);
  free(out);
  empty(&f);
}

static void test_peaked(void **state) {
  (void)state;
  with_kernels(check_peaked, &(lrp_causal_shape){1, 1, 16, 0});
}

/* More positions than the scores of a block have room for. */
static void check_far(fixture f) {
  enum { t = 25000 };
  const lrp_branch branch = {-1, 0, t};
  const lrp_run run = {0, 0, t - 7, 0}, last = {0, t - 7, 7, t - 7};
  const double bound = f.operands == LRP_BF16 ? 1e-3 : 1e-6; /* means of v are small */
  double expected[4];
  float row[8];
  fill(&f, t);
  fixture exact = rounded(&f);
  unsigned char *out = malloc(t * row_bytes(&f));
  lrp_kv *kv = create(&f, 1);
  assert_int_equal(lrp_kv_plan(kv, &branch, 1), LRP_OK);
  assert_int_equal(lrp_kv_keep(kv, 0, &run, 1, f.k, f.v), LRP_OK);
  attend(kv, &f, &last, 1, out);
  for (int64_t i = t - 7; i < t; i++) {
    lrp_to_f32(row, out + (size_t)i * row_bytes(&f), f.operands, 8);
    for (int64_t h = 0; h < 2; h++) {
      naive_attention(&exact, i, h, expected);
      assert_true(distance(row + 4 * h, 4, expected, 1, 4) < bound);
    }
  }
  lrp_kv_destroy(&kv);
  free(out);
  empty(&exact);
  empty(&f);
}

static void test_far(void **state) {
  (void)state;
  with_kernels(check_far, &(lrp_causal_shape){2, 1, 4, 0});
}

/* 37 + 2 positions: three panels, and one that begins with the last. */
static void test_memory(void **state) {
  const lrp_branch two[] = {{-1, 0, 37}, {0, 37, 2}};
  const lrp_branch endless = {-1, 0, INT64_C(1) << 62};
  const lrp_branch many[] = {endless, endless, endless, endless};
  const lrp_causal_shape shape = {4, 2, 20, 0};
  lrp_kv *kv;
  (void)state;
  assert_int_equal(lrp_kv_bytes(&shape, LRP_F32, 3, two, 2), 3 * 2 * 4 * 16 * (20 + 32) * 4);
  assert_int_equal(lrp_kv_bytes(&shape, LRP_F32, 1, two, 0), 0);
  assert_int_equal(lrp_kv_create(&shape, LRP_F32, 1, &kv), LRP_OK);
  assert_int_equal(lrp_kv_plan(kv, many, 4), LRP_ERR_MEM);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_MEM), "keys and values"));
  lrp_failure_clear();
  assert_int_equal(lrp_kv_plan(kv, two, 2), LRP_OK);
  assert_int_equal(lrp_kv_attention(kv, 0, NULL, 0, NULL, NULL, NULL, NULL), LRP_OK);
  assert_int_equal(lrp_kv_plan(kv, NULL, 0), LRP_OK);
  assert_int_equal(lrp_kv_attention(kv, 0, NULL, 0, NULL, NULL, NULL, NULL), LRP_OK);
  lrp_kv_destroy(&kv);
  lrp_kv_destroy(&kv);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_definition),
      cmocka_unit_test(test_window),
      cmocka_unit_test(test_rows_do_not_depend_on_steps),
      cmocka_unit_test(test_branches_do_not_depend_on_the_forest),
      cmocka_unit_test(test_branches_grow_side_by_side),
      cmocka_unit_test(test_layers_and_plans_are_apart),
      cmocka_unit_test(test_what_is_no_number),
      cmocka_unit_test(test_peaked),
      cmocka_unit_test(test_far),
      cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
