#include "kernels/nn/attention.h"

#include <omp.h>

#include "tests/kernels/nn/nn_test.h"

/* softmax(q k^T / sqrt(d)) v of one query and head, from the definition */
static void naive_attention(const lrp_attention_shape *s, const float *q, const float *k,
                            const float *v, const lrp_span *span, int64_t at, int64_t head,
                            double *out) {
  const int64_t first = span->first;
  const int64_t d = s->head_dim, ld = s->kv_heads * d;
  const int64_t shared = head / (s->heads / s->kv_heads) * d;
  const float *query = q + ((first + at) * s->heads + head) * d;
  const int64_t oldest = s->window > 0 && at >= s->window ? at - s->window + 1 : 0;
  const int64_t newest = s->both_ways ? span->length - 1 : at;
  double *p = malloc((size_t)(newest + 1) * sizeof *p);
  double sum = 0.0;
  for (int64_t j = oldest; j <= newest; j++) {
    double dot = 0.0;
    for (int64_t c = 0; c < d; c++) {
      dot += (double)query[c] * (double)k[(first + j) * ld + shared + c];
    }
    p[j] = exp(dot / sqrt((double)d));
    sum += p[j];
  }
  for (int64_t c = 0; c < d; c++) {
    out[c] = 0.0;
    for (int64_t j = oldest; j <= newest; j++)
      out[c] += p[j] / sum * (double)v[(first + j) * ld + shared + c];
  }
  free(p);
}

typedef struct {
  lrp_attention_shape shape;
  int64_t t;
  float *q, *k, *v, *out;
  lrp_attention_scratch scratch;
} fixture;

static void fill(fixture *f, int64_t heads, int64_t kv_heads, int64_t d, int64_t t) {
  *f = (fixture){.shape = {.heads = heads, .kv_heads = kv_heads, .head_dim = d}, .t = t};
  f->q = random_floats(t * heads * d, 1, 2.0f);
  f->k = random_floats(t * kv_heads * d, 2, 2.0f);
  f->v = random_floats(t * kv_heads * d, 3, 1.0f);
  f->out = random_floats(t * heads * d, 4, 1.0f);
}

static void empty(fixture *f) {
  lrp_attention_scratch_free(&f->scratch);
  free(f->q);
  free(f->k);
  free(f->v);
  free(f->out);
}

static void check_shape(const lrp_attention_shape *shape) {
  static const lrp_span spans[] = {{0, 1}, {1, 2}, {3, 17}, {20, 300}, {320, 6}};
  const int64_t heads = shape->heads, d = shape->head_dim;
  fixture f;
  double expected[64];
  fill(&f, heads, shape->kv_heads, d, 326);
  f.shape = *shape;
  assert_int_equal(lrp_attention(&f.shape, f.q, f.k, f.v, spans, 5, f.out, &f.scratch), LRP_OK);
  for (int s = 0; s < 5; s++) {
    for (int64_t i = 0; i < spans[s].length; i++) {
      for (int64_t h = 0; h < heads; h++) {
        const float *out = f.out + ((spans[s].first + i) * heads + h) * d;
        naive_attention(&f.shape, f.q, f.k, f.v, &spans[s], i, h, expected);
        assert_true(distance(out, d, expected, 1, d) < 2e-6);
      }
    }
  }
  empty(&f);
}

static void check_definition(int64_t heads, int64_t kv_heads, int64_t d, int64_t window) {
  check_shape(&(lrp_attention_shape){
      .heads = heads, .kv_heads = kv_heads, .head_dim = d, .window = window});
}

static void test_definition(void **state) {
  (void)state;
  check_definition(1, 1, 2, 0);
  check_definition(4, 4, 8, 0);
  check_definition(8, 4, 8, 0);
  check_definition(6, 2, 18, 0); /* a group of three, a head that is no multiple of a panel */
  check_definition(4, 1, 64, 0);
}

static void test_window(void **state) {
  (void)state;
  check_definition(1, 1, 2, 1);
  check_definition(4, 2, 8, 2);
  check_definition(4, 2, 8, 16);
  check_definition(4, 2, 8, 299);
  check_definition(4, 2, 8, INT64_MAX);
}

static void test_both_ways(void **state) {
  (void)state;
  check_shape(&(lrp_attention_shape){.heads = 1, .kv_heads = 1, .head_dim = 2, .both_ways = true});
  check_shape(&(lrp_attention_shape){.heads = 6, .kv_heads = 2, .head_dim = 18, .both_ways = true});
  check_shape(&(lrp_attention_shape){.heads = 4, .kv_heads = 4, .head_dim = 64, .both_ways = true});
}

/* A span by itself, and as one of several, with other threads. */
static void test_spans_do_not_depend_on_the_batch(void **state) {
  static const lrp_span spans[] = {{150, 211}, {0, 150}, {361, 39}};
  const int64_t row = 4 * 12;
  fixture f;
  (void)state;
  fill(&f, 4, 2, 12, 400);
  f.shape.both_ways = true;
  omp_set_num_threads(2);
  assert_int_equal(lrp_attention(&f.shape, f.q, f.k, f.v, spans, 3, f.out, &f.scratch), LRP_OK);
  float *batch = malloc((size_t)(400 * row) * sizeof *batch);
  memcpy(batch, f.out, (size_t)(400 * row) * sizeof *batch);
  omp_set_num_threads(1);
  for (int s = 0; s < 3; s++) {
    assert_int_equal(lrp_attention(&f.shape, f.q, f.k, f.v, &spans[s], 1, f.out, &f.scratch),
                     LRP_OK);
  }
  assert_memory_equal(batch, f.out, (size_t)(400 * row) * sizeof *batch);
  free(batch);
  empty(&f);
}

/* A query of each span by itself has the bits that it has among all. */
static void test_chosen_queries(void **state) {
  static const lrp_span spans[] = {{0, 150}, {150, 1}, {151, 249}};
  static const int64_t chosen[] = {149, 150, 200};
  const int64_t row = 4 * 12;
  float q[3 * 4 * 12], out[3 * 4 * 12];
  fixture f;
  (void)state;
  fill(&f, 4, 2, 12, 400);
  f.shape.both_ways = true;
  assert_int_equal(lrp_attention(&f.shape, f.q, f.k, f.v, spans, 3, f.out, &f.scratch), LRP_OK);
  for (int s = 0; s < 3; s++) memcpy(q + s * row, f.q + chosen[s] * row, (size_t)row * sizeof *q);
  f.shape.queries = 1;
  assert_int_equal(lrp_attention(&f.shape, q, f.k, f.v, spans, 3, out, &f.scratch), LRP_OK);
  for (int s = 0; s < 3; s++) {
    assert_memory_equal(out + s * row, f.out + chosen[s] * row, (size_t)row * sizeof *out);
  }
  empty(&f);
}

/* A row does not depend on the threads, on the batch, nor on how long its sequence goes on. */
static void check_rows(int64_t window) {
  const lrp_span whole = {0, 150};
  fixture f;
  fill(&f, 4, 2, 12, 400);
  f.shape.window = window;
  const int64_t row = 4 * 12;
  float *once = malloc((size_t)(150 * row) * sizeof *once);
  omp_set_num_threads(1);
  assert_int_equal(lrp_attention(&f.shape, f.q, f.k, f.v, &whole, 1, f.out, &f.scratch), LRP_OK);
  memcpy(once, f.out, (size_t)(150 * row) * sizeof *once);
  omp_set_num_threads(2);
  for (int64_t length = 1; length <= 150; length += length < 20 ? 1 : 13) {
    const lrp_span cut[] = {{150, 211}, {0, length}, {361, 39}};
    for (int64_t i = 0; i < 400 * row; i++) f.out[i] = NAN;
    assert_int_equal(lrp_attention(&f.shape, f.q, f.k, f.v, cut, 3, f.out, &f.scratch), LRP_OK);
    assert_memory_equal(f.out, once, (size_t)(length * row) * sizeof *once);
    assert_true(length == 150 || isnan(f.out[length * row])); /* nothing behind it is written */
  }
  free(once);
  empty(&f);
}

static void test_rows_do_not_depend_on_the_batch(void **state) {
  (void)state;
  check_rows(0);
  check_rows(20);
}

static void test_nothing_to_do(void **state) {
  lrp_attention_scratch scratch = {0};
  const lrp_attention_shape shape = {.heads = 2, .kv_heads = 1, .head_dim = 4};
  const lrp_span none = {0, 0};
  (void)state;
  assert_int_equal(lrp_attention(&shape, NULL, NULL, NULL, &none, 1, NULL, &scratch), LRP_OK);
  assert_int_equal(lrp_attention(&shape, NULL, NULL, NULL, NULL, 0, NULL, &scratch), LRP_OK);
  lrp_attention_scratch_free(&scratch);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_definition),
      cmocka_unit_test(test_window),
      cmocka_unit_test(test_both_ways),
      cmocka_unit_test(test_chosen_queries),
      cmocka_unit_test(test_spans_do_not_depend_on_the_batch),
      cmocka_unit_test(test_rows_do_not_depend_on_the_batch),
      cmocka_unit_test(test_nothing_to_do),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
