#include "kernels/nn/llama.h"

#include <omp.h>

#include "tests/kernels/nn/nn_test.h"

enum { hidden = 24, heads = 4, kv_heads = 2, head = 6, inner = 40, vocab = 53, layers = 2 };
enum { stored = 9 }; /* rank at which the factors are stored */
static const double eps = 1e-5, theta = 10000.0;

static const int64_t outs[LRP_LLAMA_LINEARS] = {
    heads * head, kv_heads *head, kv_heads *head, hidden, inner, inner, hidden};
static const int64_t ins[LRP_LLAMA_LINEARS] = {hidden, hidden, hidden, heads *head,
                                               hidden, hidden, inner};

/* A model, and for the definition each linear map as one matrix and bias in double. */
typedef struct {
  lrp_llama model;
  lrp_llama_layer layer[layers];
  double *w[layers][LRP_LLAMA_LINEARS], *bias[layers][LRP_LLAMA_LINEARS];
  float *owned[256];
  int n_owned;
  lrp_llama_workspace *ws;
} fixture;

static float *fresh(fixture *f, int64_t count, float scale) {
  float *x = random_floats(count, (uint64_t)f->n_owned + 1, scale);
  assert_true(f->n_owned < 256);
  f->owned[f->n_owned++] = x;
  return x;
}

static lrp_matrix fresh_view(fixture *f, int64_t rows, int64_t cols, int64_t ld, float scale) {
  return view(fresh(f, rows * ld, scale), rows, cols, ld);
}

static double at(const lrp_matrix *a, int64_t i, int64_t j) {
  return (double)((const float *)a->data)[i * a->ld + j];
}

/* W(i, j) as the header defines it */
static double weight(const lrp_linear *l, int64_t i, int64_t j) {
  double sum = 0.0;
  if (l->rank == 0) return at(&l->w, i, j);
  for (int64_t a = 0; a < l->rank; a++) {
    for (int64_t b = 0; b < l->rank; b++) {
      double middle = a == b ? at(&l->middle, 0, a) : 0.0;
      if (l->middle.rows > 1) middle = at(&l->middle, a, b);
      sum += at(&l->left, i, a) * middle * at(&l->right, b, j);
    }
  }
  return sum;
}

/* Dense, tucker, svd and biased maps in turn. */
static void fill_linear(fixture *f, int layer, int which) {
  lrp_linear *l = &f->layer[layer].linear[which];
  const int kind = (layer * LRP_LLAMA_LINEARS + which) % 4;
  l->n_in = ins[which];
  l->n_out = outs[which];
  if (kind < 2) {
    l->w = fresh_view(f, l->n_out, l->n_in, l->n_in, 0.3f);
  } else {
    l->rank = kind == 2 ? 5 : 6;
    l->left = fresh_view(f, l->n_out, l->rank, stored, 0.5f);
    l->right = fresh_view(f, l->rank, l->n_in, l->n_in, 0.5f);
    l->middle = fresh_view(f, kind == 2 ? l->rank : 1, l->rank, stored, 0.5f);
  }
  if (which == LRP_Q_PROJ || which == LRP_DOWN_PROJ) {
    l->bias = fresh_view(f, 1, l->n_out, l->n_out, 0.2f);
  }
  double *w = malloc((size_t)(l->n_out * l->n_in) * sizeof *w);
  double *bias = calloc((size_t)l->n_out, sizeof *bias);
  for (int64_t i = 0; i < l->n_out; i++) {
    for (int64_t j = 0; j < l->n_in; j++) w[i * l->n_in + j] = weight(l, i, j);
    if (l->bias.data) bias[i] = at(&l->bias, 0, i);
  }
  f->w[layer][which] = w;
  f->bias[layer][which] = bias;
}

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  f->model = (lrp_llama){.config = {.hidden_size = hidden,
                                    .intermediate_size = inner,
                                    .vocab_size = vocab,
                                    .num_hidden_layers = layers,
                                    .num_attention_heads = heads,
                                    .num_key_value_heads = kv_heads,
                                    .head_dim = head,
                                    .max_position_embeddings = 32,
                                    .rms_norm_eps = eps,
                                    .rope_theta = theta},
                         .layers = f->layer};
  f->model.embed_tokens = fresh_view(f, vocab, hidden, hidden, 1.0f);
  f->model.lm_head = f->model.embed_tokens; /* tied */
  f->model.norm = fresh_view(f, 1, hidden, hidden, 1.0f);
  for (int l = 0; l < layers; l++) {
    f->layer[l].input_norm = fresh_view(f, 1, hidden, hidden, 1.0f);
    f->layer[l].post_attn_norm = fresh_view(f, 1, hidden, hidden, 1.0f);
    for (int i = 0; i < LRP_LLAMA_LINEARS; i++) fill_linear(f, l, i);
  }
  assert_int_equal(lrp_llama_workspace_create(&f->model.config, LRP_F32, &f->ws), LRP_OK);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  lrp_llama_workspace_destroy(&f->ws);
  lrp_llama_workspace_destroy(&f->ws);
  for (int i = 0; i < f->n_owned; i++) free(f->owned[i]);
  for (int l = 0; l < layers; l++) {
    for (int i = 0; i < LRP_LLAMA_LINEARS; i++) {
      free(f->w[l][i]);
      free(f->bias[l][i]);
    }
  }
  free(f);
  return 0;
}

/* ---- The definition, in double, position by position. ---- */

static void apply(const fixture *f, int layer, int which, const double *x, double *y) {
  for (int64_t i = 0; i < outs[which]; i++) {
    y[i] = f->bias[layer][which][i];
    for (int64_t j = 0; j < ins[which]; j++) y[i] += f->w[layer][which][i * ins[which] + j] * x[j];
  }
}

static void norm(const lrp_matrix *w, const double *x, double *y) {
  double sum = 0.0;
  for (int i = 0; i < hidden; i++) sum += x[i] * x[i];
  for (int i = 0; i < hidden; i++) y[i] = x[i] / sqrt(sum / hidden + eps) * at(w, 0, i);
}

static void rope(const lrp_llama_config *c, double *x, int n_heads, int64_t position) {
  for (int h = 0; h < n_heads; h++, x += head) {
    for (int i = 0; i < head / 2; i++) {
      const double angle = (double)position * lrp_rope_frequency(theta, &c->rope_scaling, head, i);
      const double a = x[i], b = x[i + head / 2];
      x[i] = a * cos(angle) - b * sin(angle);
      x[i + head / 2] = a * sin(angle) + b * cos(angle);
    }
  }
}

static void attend(const double *q, const double *k, const double *v, int64_t oldest,
                   int64_t position, int h, double *out) {
  const int shared = h / (heads / kv_heads) * head;
  double sum = 0.0;
  for (int c = 0; c < head; c++) out[c] = 0.0;
  for (int64_t j = oldest; j <= position; j++) {
    double dot = 0.0;
    for (int c = 0; c < head; c++) dot += q[h * head + c] * k[j * kv_heads * head + shared + c];
    const double p = exp(dot / sqrt((double)head));
    for (int c = 0; c < head; c++) out[c] += p * v[j * kv_heads * head + shared + c];
    sum += p;
  }
  for (int c = 0; c < head; c++) out[c] /= sum;
}

static void mlp(const fixture *f, int layer, double *x) {
  double h[hidden], gate[inner], up[inner], y[hidden];
  norm(&f->layer[layer].post_attn_norm, x, h);
  apply(f, layer, LRP_GATE_PROJ, h, gate);
  apply(f, layer, LRP_UP_PROJ, h, up);
  for (int i = 0; i < inner; i++) gate[i] = gate[i] / (1.0 + exp(-gate[i])) * up[i];
  apply(f, layer, LRP_DOWN_PROJ, gate, y);
  for (int i = 0; i < hidden; i++) x[i] += y[i];
}

static void layer_step(const fixture *f, int layer, double *x, int64_t n) {
  const lrp_llama_config *c = &f->model.config;
  const int64_t window = c->sliding_window > 0 ? c->sliding_window : n;
  double *k = malloc((size_t)n * sizeof(double[kv_heads * head]));
  double *v = malloc((size_t)n * sizeof(double[kv_heads * head]));
  for (int64_t p = 0; p < n; p++) {
    double h[hidden], q[heads * head], mixed[heads * head], y[hidden];
    norm(&f->layer[layer].input_norm, x + p * hidden, h);
    apply(f, layer, LRP_Q_PROJ, h, q);
    apply(f, layer, LRP_K_PROJ, h, k + p * kv_heads * head);
    apply(f, layer, LRP_V_PROJ, h, v + p * kv_heads * head);
    rope(c, q, heads, p);
    rope(c, k + p * kv_heads * head, kv_heads, p);
    for (int i = 0; i < heads; i++) {
      attend(q, k, v, p < window ? 0 : p - window + 1, p, i, mixed + i * head);
    }
    apply(f, layer, LRP_O_PROJ, mixed, y);
    for (int i = 0; i < hidden; i++) x[p * hidden + i] += y[i];
    mlp(f, layer, x + p * hidden);
  }
  free(v);
  free(k);
}

/* n x vocab logits; free() them */
static double *definition(const fixture *f, const int32_t *tokens, int64_t n) {
  double *x = malloc((size_t)n * sizeof(double[hidden]));
  double *logits = malloc((size_t)n * sizeof(double[vocab]));
  for (int64_t i = 0; i < n * hidden; i++) {
    x[i] = at(&f->model.embed_tokens, tokens[i / hidden], i % hidden);
  }
  for (int l = 0; l < layers; l++) layer_step(f, l, x, n);
  for (int64_t p = 0; p < n; p++) {
    double h[hidden];
    norm(&f->model.norm, x + p * hidden, h);
    for (int i = 0; i < vocab; i++) {
      logits[p * vocab + i] = 0.0;
      for (int j = 0; j < hidden; j++) logits[p * vocab + i] += h[j] * at(&f->model.lm_head, i, j);
    }
  }
  free(x);
  return logits;
}

/* ---- Tests ---- */

static void fill_tokens(int32_t *tokens, int64_t n, int seed) {
  for (int64_t i = 0; i < n; i++) tokens[i] = (int32_t)((i * i * 7 + i * 13 + seed * 29) % vocab);
}

/* Lengths grow and shrink, beyond max_position_embeddings. */
static void check_logits(const fixture *f, double tolerance) {
  static const int64_t lengths[] = {1, 2, 17, 300, 5};
  int32_t tokens[300];
  for (int s = 0; s < 5; s++) {
    const int64_t n = lengths[s];
    fill_tokens(tokens, n, s);
    double *expected = definition(f, tokens, n);
    float *logits = random_floats(n * vocab, 1, 1.0f);
    assert_int_equal(lrp_llama_logits(&f->model, f->ws, tokens, n, logits), LRP_OK);
    assert_true(distance(logits, vocab, expected, n, vocab) < tolerance);
    free(logits);
    free(expected);
  }
}

static void test_logits(void **state) {
  check_logits(*state, 1e-5);
}

static void fresh_workspace(fixture *f, lrp_dtype operands) {
  lrp_llama_workspace_destroy(&f->ws);
  assert_int_equal(lrp_llama_workspace_create(&f->model.config, operands, &f->ws), LRP_OK);
}

static void test_logits_of_variants(void **state) {
  fixture *f = *state;
  lrp_llama_config *c = &f->model.config;
  c->sliding_window = 7;
  fresh_workspace(f, LRP_F32);
  check_logits(f, 1e-5);
  c->sliding_window = 0;
  c->rope_scaling = (lrp_rope_scaling){.type = LRP_ROPE_LINEAR, .factor = 4.0};
  fresh_workspace(f, LRP_F32);
  check_logits(f, 1e-5);
  c->rope_scaling = (lrp_rope_scaling){.type = LRP_ROPE_LLAMA3,
                                       .factor = 8.0,
                                       .low_freq_factor = 1.0,
                                       .high_freq_factor = 4.0,
                                       .original_max_position_embeddings = 400.0};
  fresh_workspace(f, LRP_F32);
  check_logits(f, 1e-5);
}

/* Operands of 8 bits: logits of size 1 come within some hundredths, and not closer. */
static void test_logits_in_bf16(void **state) {
  fixture *f = *state;
  float exact[20 * vocab], logits[20 * vocab];
  int32_t tokens[20];
  fill_tokens(tokens, 20, 1);
  assert_int_equal(lrp_llama_logits(&f->model, f->ws, tokens, 20, exact), LRP_OK);
  fresh_workspace(f, LRP_BF16);
  check_logits(f, 0.2);
  assert_int_equal(lrp_llama_logits(&f->model, f->ws, tokens, 20, logits), LRP_OK);
  assert_memory_not_equal(logits, exact, sizeof logits);
}

static void expected_score(const fixture *f, const lrp_sequence *s, double *sum, bool *greedy) {
  double *logits = definition(f, s->tokens, s->n_tokens - 1);
  *sum = 0.0;
  *greedy = true;
  for (int64_t i = s->n_tokens - s->n_score; i < s->n_tokens; i++) {
    const double *row = logits + (i - 1) * vocab;
    double total = 0.0;
    for (int j = 0; j < vocab; j++) {
      total += exp(row[j]);
      if (row[j] > row[s->tokens[i]]) *greedy = false;
    }
    *sum += row[s->tokens[i]] - log(total);
  }
  free(logits);
}

enum { n_sequences = 7 };
static const int64_t lengths[n_sequences] = {2, 40, 3, 7, 100, 9, 13};
static const int64_t scored[n_sequences] = {1, 39, 1, 3, 5, 1, 12};

/* Sequences of which some end with what the model itself would say; of the last, one token only. */
static void make_sequences(fixture *f, lrp_sequence *s, int32_t tokens[n_sequences][100]) {
  for (int i = 0; i < n_sequences; i++) {
    fill_tokens(tokens[i], lengths[i], i);
    s[i] = (lrp_sequence){
        .tokens = tokens[i], .n_tokens = lengths[i], .n_score = scored[i], .greedy = i % 2};
    int64_t from = i % 2 ? lengths[i] - scored[i] : lengths[i];
    if (i == n_sequences - 1) from = lengths[i] - 1;
    for (int64_t j = from; j < lengths[i]; j++) {
      double *logits = definition(f, tokens[i], j);
      const double *row = logits + (j - 1) * vocab;
      tokens[i][j] = 0;
      for (int c = 1; c < vocab; c++) {
        if (row[c] > row[tokens[i][j]]) tokens[i][j] = (int32_t)c;
      }
      free(logits);
    }
  }
}

static void test_scores(void **state) {
  fixture *f = *state;
  lrp_sequence s[n_sequences];
  int32_t tokens[n_sequences][100];
  int seen[2] = {0, 0};
  make_sequences(f, s, tokens);
  assert_int_equal(lrp_llama_score(&f->model, f->ws, s, n_sequences), LRP_OK);
  for (int i = 0; i < n_sequences; i++) {
    double sum;
    bool greedy;
    expected_score(f, &s[i], &sum, &greedy);
    assert_true(fabs(s[i].loglikelihood - sum) < 2e-6 * (double)scored[i] + 1e-6);
    assert_int_equal(s[i].greedy, greedy);
    seen[greedy]++;
  }
  assert_true(seen[0] > 0 && seen[1] > 0);
}

static void check_batches(fixture *f) {
  lrp_sequence alone[n_sequences], batch[n_sequences];
  int32_t tokens[n_sequences][100];
  make_sequences(f, alone, tokens);
  omp_set_num_threads(1);
  for (int i = 0; i < n_sequences; i++) {
    assert_int_equal(lrp_llama_score(&f->model, f->ws, &alone[i], 1), LRP_OK);
  }
  for (int threads = 1; threads <= 2; threads++) {
    omp_set_num_threads(threads);
    for (int shift = 0; shift < n_sequences; shift++) { /* other orders, and parts of the batch */
      for (int i = 0; i < n_sequences; i++) {
        batch[i] = alone[(i + shift) % n_sequences];
        batch[i].loglikelihood = NAN;
      }
      assert_int_equal(lrp_llama_score(&f->model, f->ws, batch, n_sequences - shift), LRP_OK);
      for (int i = 0; i < n_sequences - shift; i++) {
        const lrp_sequence *one = &alone[(i + shift) % n_sequences];
        assert_memory_equal(&batch[i].loglikelihood, &one->loglikelihood, sizeof(double));
        assert_int_equal(batch[i].greedy, one->greedy);
      }
    }
  }
}

static void test_scores_do_not_depend_on_the_batch(void **state) {
  check_batches(*state);
  fresh_workspace(*state, LRP_BF16);
  check_batches(*state);
}

/* More scored rows than the head takes at a time. */
static void test_long_sequence(void **state) {
  enum { n = 1100 };
  fixture *f = *state;
  int32_t tokens[n];
  double sum;
  bool greedy;
  lrp_sequence s = {.tokens = tokens, .n_tokens = n, .n_score = n - 1};
  fill_tokens(tokens, n, 3);
  assert_int_equal(lrp_llama_score(&f->model, f->ws, &s, 1), LRP_OK);
  expected_score(f, &s, &sum, &greedy);
  assert_true(fabs(s.loglikelihood - sum) < 1e-3);
  assert_int_equal(s.greedy, greedy);
}

static void test_stored_as_bf16(void **state) {
  fixture *f = *state;
  int32_t tokens[20];
  float exact[20 * vocab], logits[20 * vocab];
  uint16_t table[vocab * hidden], weights[hidden];
  float *floats = f->owned[0], *norm_floats = f->owned[1];
  assert_ptr_equal(f->model.embed_tokens.data, floats);
  assert_ptr_equal(f->model.norm.data, norm_floats);
  lrp_from_f32(table, LRP_BF16, floats, vocab * hidden);
  lrp_to_f32(floats, table, LRP_BF16, vocab * hidden);
  lrp_from_f32(weights, LRP_BF16, norm_floats, hidden);
  lrp_to_f32(norm_floats, weights, LRP_BF16, hidden);
  fill_tokens(tokens, 20, 1);
  assert_int_equal(lrp_llama_logits(&f->model, f->ws, tokens, 20, exact), LRP_OK);
  f->model.embed_tokens.data = table;
  f->model.norm.data = weights;
  f->model.embed_tokens.dtype = f->model.norm.dtype = LRP_BF16;
  f->model.lm_head = f->model.embed_tokens;
  assert_int_equal(lrp_llama_logits(&f->model, f->ws, tokens, 20, logits), LRP_OK);
  assert_memory_equal(logits, exact, sizeof logits);
}

static void test_nothing_and_nonsense(void **state) {
  fixture *f = *state;
  const int32_t tokens[3] = {1, 2, 3};
  lrp_sequence s = {.tokens = tokens, .n_tokens = 3, .n_score = 3};
  assert_int_equal(lrp_llama_score(&f->model, f->ws, NULL, 0), LRP_OK);
  assert_int_equal(lrp_llama_score(&f->model, f->ws, &s, 1), LRP_ERR_BUG);
  s.n_score = 0;
  assert_int_equal(lrp_llama_score(&f->model, f->ws, &s, 1), LRP_ERR_BUG);
  lrp_failure_clear();
  s.n_score = 2;
  assert_int_equal(lrp_llama_score(&f->model, f->ws, &s, 1), LRP_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_logits, setup, teardown),
      cmocka_unit_test_setup_teardown(test_logits_of_variants, setup, teardown),
      cmocka_unit_test_setup_teardown(test_logits_in_bf16, setup, teardown),
      cmocka_unit_test_setup_teardown(test_scores, setup, teardown),
      cmocka_unit_test_setup_teardown(test_scores_do_not_depend_on_the_batch, setup, teardown),
      cmocka_unit_test_setup_teardown(test_long_sequence, setup, teardown),
      cmocka_unit_test_setup_teardown(test_stored_as_bf16, setup, teardown),
      cmocka_unit_test_setup_teardown(test_nothing_and_nonsense, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
