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
  double *p = malloc((size_t)span->length * sizeof *p);
  double sum = 0.0;
  for (int64_t j = 0; j < span->length; j++) {
    double dot = 0.0;
    for (int64_t c = 0; c < d; c++) {
      dot += (double)query[c] * (double)k[(first + j) * ld + shared + c];
    }
    p[j] = exp(dot / sqrt((double)d));
    sum += p[j];
  }
  for (int64_t c = 0; c < d; c++) {
    out[c] = 0.0;
    for (int64_t j = 0; j < span->length; j++) {
      out[c] += p[j] / sum * (double)v[(first + j) * ld + shared + c];
    }
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

static void check_definition(int64_t heads, int64_t kv_heads, int64_t d) {
  static const lrp_span spans[] = {{0, 1}, {1, 2}, {3, 17}, {20, 300}, {320, 6}};
  fixture f;
  double expected[64];
  fill(&f, heads, kv_heads, d, 326);
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

static void test_definition(void **state) {
  (void)state;
  check_definition(1, 1, 2);
  check_definition(4, 4, 8);
  check_definition(8, 4, 8);
  check_definition(6, 2, 18); /* a group of three, a head that is no multiple of a panel */
  check_definition(4, 4, 64);
}

/* A span by itself, and as one of several, with other threads. */
static void test_spans_do_not_depend_on_the_batch(void **state) {
  static const lrp_span spans[] = {{150, 211}, {0, 150}, {361, 39}};
  const int64_t row = 4 * 12;
  fixture f;
  (void)state;
  fill(&f, 4, 2, 12, 400);
  omp_set_num_threads(2);
  assert_int_equal(lrp_attention(&f.shape, f.q, f.k, f.v, spans, 3, f.out, &f.scratch), LRP_OK);
  float *batch = malloc((size_t)(400 * row) * sizeof *batch);
  memcpy(batch, f.out, (size_t)(400 * row) * sizeof *batch);
  omp_set_num_threads(1);
  for (int64_t i = 0; i < 400 * row; i++) f.out[i] = NAN;
  for (int s = 0; s < 3; s++) {
    const lrp_span next = spans[(s + 1) % 3];
    assert_int_equal(lrp_attention(&f.shape, f.q, f.k, f.v, &spans[s], 1, f.out, &f.scratch),
                     LRP_OK);
    assert_true(s == 2 || isnan(f.out[next.first * row])); /* nothing else is written */
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
  assert_int_equal(lrp_attention(&f.shape, f.q, f.k, f.v, spans, 3, f.out, &f.scratch), LRP_OK);
  for (int s = 0; s < 3; s++) memcpy(q + s * row, f.q + chosen[s] * row, (size_t)row * sizeof *q);
  f.shape.queries = 1;
  assert_int_equal(lrp_attention(&f.shape, q, f.k, f.v, spans, 3, out, &f.scratch), LRP_OK);
  for (int s = 0; s < 3; s++) {
    assert_memory_equal(out + s * row, f.out + chosen[s] * row, (size_t)row * sizeof *out);
  }
  empty(&f);
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
      cmocka_unit_test(test_chosen_queries),
      cmocka_unit_test(test_spans_do_not_depend_on_the_batch),
      cmocka_unit_test(test_nothing_to_do),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
