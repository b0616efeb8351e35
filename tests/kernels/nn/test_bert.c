#include "kernels/nn/bert.h"

#include <omp.h>

#include "tests/kernels/nn/nn_test.h"

enum { hidden = 24, heads = 4, width = 6, inner = 40, vocab = 53, types = 2, positions = 20 };
enum { layers = 2, labels = 3, most = 20, linears = LRP_BERT_LINEARS };
static const double eps = 1e-6;

/* A model with every head; a test chooses which one its configuration names. */
typedef struct {
  lrp_bert model;
  lrp_bert_layer layer[layers];
  float *owned[256];
  int n_owned;
} fixture;

/* Four inputs of other lengths; the second says nothing about its types. */
enum { n_inputs = 4 };
static const int32_t tokens[n_inputs][most] = {
    {3, 14, 15, 9, 26},
    {5},
    {35, 8, 9, 7, 9, 3, 2, 38, 46, 26, 43, 38, 32, 7, 9, 50, 28, 8, 41, 9},
    {2, 7, 1, 8, 28, 18, 28}};
static const int32_t kinds[n_inputs][most] = {{0, 0, 1, 1, 1}, {0}, {0, 1, 1, 0, 1}, {1, 1}};
static const int64_t lengths[n_inputs] = {5, 1, most, 7};

static lrp_bert_input input_of(int i) {
  return (lrp_bert_input){
      .tokens = tokens[i], .types = i == 1 ? NULL : kinds[i], .n_tokens = lengths[i]};
}

static lrp_matrix fresh(fixture *f, int64_t rows, int64_t cols, float scale) {
  float *x = random_floats(rows * cols, (uint64_t)f->n_owned + 1, scale);
  assert_true(f->n_owned < 256);
  f->owned[f->n_owned++] = x;
  return view(x, rows, cols, cols);
}

static double at(const lrp_matrix *a, int64_t i, int64_t j) {
  return (double)((const float *)a->data)[i * a->ld + j];
}

static lrp_linear dense(fixture *f, int64_t n_out, int64_t n_in) {
  return (lrp_linear){.n_in = n_in,
                      .n_out = n_out,
                      .w = fresh(f, n_out, n_in, 0.3f),
                      .bias = fresh(f, 1, n_out, 0.2f)};
}

/* Dense, tucker and svd maps in turn, all with biases. */
static lrp_linear mixed(fixture *f, int number, int64_t n_out, int64_t n_in) {
  lrp_linear l = dense(f, n_out, n_in);
  if (number % 3 == 0) return l;
  l.rank = 5;
  l.left = fresh(f, n_out, 7, 0.5f);
  l.right = fresh(f, 7, n_in, 0.5f);
  l.middle = number % 3 == 1 ? fresh(f, 7, 7, 0.5f) : fresh(f, 1, 7, 0.9f);
  return l;
}

static lrp_bert_norm fresh_norm(fixture *f) {
  return (lrp_bert_norm){.weight = fresh(f, 1, hidden, 1.0f), .bias = fresh(f, 1, hidden, 0.3f)};
}

static int setup(void **state) {
  fixture *f = calloc(1, sizeof *f);
  f->model = (lrp_bert){.config = {.hidden_size = hidden,
                                   .intermediate_size = inner,
                                   .vocab_size = vocab,
                                   .type_vocab_size = types,
                                   .max_position_embeddings = positions,
                                   .num_hidden_layers = layers,
                                   .num_attention_heads = heads,
                                   .layer_norm_eps = eps},
                        .layers = f->layer};
  f->model.word_embeddings = fresh(f, vocab, hidden, 1.0f);
  f->model.position_embeddings = fresh(f, positions, hidden, 0.5f);
  f->model.type_embeddings = fresh(f, types, hidden, 0.5f);
  f->model.embedding_norm = fresh_norm(f);
  for (int l = 0; l < layers; l++) {
    for (int i = 0; i < linears; i++) {
      f->layer[l].linear[i] = mixed(f, l * linears + i, i == LRP_BERT_INTERMEDIATE ? inner : hidden,
                                    i == LRP_BERT_OUTPUT ? inner : hidden);
    }
    f->layer[l].attention_norm = fresh_norm(f);
    f->layer[l].output_norm = fresh_norm(f);
  }
  f->model.pooler = dense(f, hidden, hidden);
  f->model.transform = dense(f, hidden, hidden);
  f->model.transform_norm = fresh_norm(f);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  fixture *f = *state;
  for (int i = 0; i < f->n_owned; i++) free(f->owned[i]);
  free(f);
  return 0;
}

static lrp_bert_workspace *choose(fixture *f, lrp_bert_head head, lrp_activation activation) {
  static const int64_t outputs[] = {[LRP_BERT_CLASSIFIER] = labels, [LRP_BERT_SPANS] = 2};
  lrp_bert_workspace *ws = NULL;
  f->model.config.head = head;
  f->model.config.hidden_act = activation;
  f->model.config.num_labels = 0;
  f->model.output = (lrp_linear){0};
  if (head == LRP_BERT_CLASSIFIER || head == LRP_BERT_SPANS) {
    f->model.config.num_labels = outputs[head];
    f->model.output = dense(f, outputs[head], hidden);
  } else if (head == LRP_BERT_MASKED) {
    f->model.output = (lrp_linear){.n_in = hidden,
                                   .n_out = vocab,
                                   .w = f->model.word_embeddings,
                                   .bias = fresh(f, 1, vocab, 0.2f)};
  }
  assert_int_equal(lrp_bert_workspace_create(&f->model.config, LRP_F32, &ws), LRP_OK);
  return ws;
}

/* ---- The definition, in double. ---- */

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

static void apply(const lrp_linear *l, const double *x, double *y) {
  for (int64_t i = 0; i < l->n_out; i++) {
    y[i] = at(&l->bias, 0, i);
    for (int64_t j = 0; j < l->n_in; j++) y[i] += weight(l, i, j) * x[j];
  }
}

static void norm(const lrp_bert_norm *w, double *x) {
  double mean = 0.0, variance = 0.0;
  for (int i = 0; i < hidden; i++) mean += x[i] / hidden;
  for (int i = 0; i < hidden; i++) variance += (x[i] - mean) * (x[i] - mean) / hidden;
  for (int i = 0; i < hidden; i++) {
    x[i] = (x[i] - mean) / sqrt(variance + eps) * at(&w->weight, 0, i) + at(&w->bias, 0, i);
  }
}

static double activation(lrp_activation a, double x) {
  if (a == LRP_RELU) return x > 0.0 ? x : 0.0;
  if (a == LRP_GELU) return x / 2.0 * (1.0 + erf(x / sqrt(2.0)));
  return x / 2.0 * (1.0 + tanh(sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}

static void attend(double q[most][hidden], double k[most][hidden], double v[most][hidden],
                   int64_t n, double out[most][hidden]) {
  for (int64_t i = 0; i < n; i++) {
    for (int h = 0; h < heads; h++) {
      double p[most], sum = 0.0;
      for (int64_t j = 0; j < n; j++) {
        double dot = 0.0;
        for (int c = h * width; c < (h + 1) * width; c++) dot += q[i][c] * k[j][c];
        p[j] = exp(dot / sqrt((double)width));
        sum += p[j];
      }
      for (int c = h * width; c < (h + 1) * width; c++) {
        out[i][c] = 0.0;
        for (int64_t j = 0; j < n; j++) out[i][c] += p[j] / sum * v[j][c];
      }
    }
  }
}

static void pass_layer(const lrp_bert *m, const lrp_bert_layer *layer, int64_t n,
                       double x[most][hidden]) {
  double q[most][hidden], k[most][hidden], v[most][hidden], mixed_rows[most][hidden];
  for (int64_t i = 0; i < n; i++) {
    apply(&layer->linear[LRP_BERT_QUERY], x[i], q[i]);
    apply(&layer->linear[LRP_BERT_KEY], x[i], k[i]);
    apply(&layer->linear[LRP_BERT_VALUE], x[i], v[i]);
  }
  attend(q, k, v, n, mixed_rows);
  for (int64_t i = 0; i < n; i++) {
    double y[hidden], wide[inner];
    apply(&layer->linear[LRP_BERT_ATTENTION_OUTPUT], mixed_rows[i], y);
    for (int c = 0; c < hidden; c++) x[i][c] += y[c];
    norm(&layer->attention_norm, x[i]);
    apply(&layer->linear[LRP_BERT_INTERMEDIATE], x[i], wide);
    for (int c = 0; c < inner; c++) wide[c] = activation(m->config.hidden_act, wide[c]);
    apply(&layer->linear[LRP_BERT_OUTPUT], wide, y);
    for (int c = 0; c < hidden; c++) x[i][c] += y[c];
    norm(&layer->output_norm, x[i]);
  }
}

static void encode(const lrp_bert *m, const lrp_bert_input *in, double x[most][hidden]) {
  for (int64_t i = 0; i < in->n_tokens; i++) {
    for (int c = 0; c < hidden; c++) {
      x[i][c] = at(&m->word_embeddings, in->tokens[i], c) + at(&m->position_embeddings, i, c) +
                at(&m->type_embeddings, in->types ? in->types[i] : 0, c);
    }
    norm(&m->embedding_norm, x[i]);
  }
  for (int l = 0; l < layers; l++) pass_layer(m, &m->layers[l], in->n_tokens, x);
}

/* Outputs of one token for its hidden state x. */
static void head_of(const lrp_bert *m, const double *x, double *out) {
  double h[hidden];
  if (m->config.head == LRP_BERT_BARE) {
    memcpy(out, x, sizeof h);
  } else if (m->config.head == LRP_BERT_CLASSIFIER) {
    apply(&m->pooler, x, h);
    for (int c = 0; c < hidden; c++) h[c] = tanh(h[c]);
    apply(&m->output, h, out);
  } else if (m->config.head == LRP_BERT_SPANS) {
    apply(&m->output, x, out);
  } else {
    apply(&m->transform, x, h);
    for (int c = 0; c < hidden; c++) h[c] = activation(m->config.hidden_act, h[c]);
    norm(&m->transform_norm, h);
    apply(&m->output, h, out);
  }
}

/* ---- Tests ---- */

/* All inputs in one batch agree with the definition. */
static void check_head(fixture *f, lrp_bert_head head, lrp_activation act, int64_t per_token) {
  static float out[32 * vocab + 40 * hidden];
  lrp_bert_workspace *ws = choose(f, head, act);
  lrp_bert_input inputs[n_inputs];
  const bool pooled = head == LRP_BERT_CLASSIFIER;
  const float *next = out;
  for (int i = 0; i < n_inputs; i++) inputs[i] = input_of(i);
  assert_int_equal(lrp_bert_forward(&f->model, ws, inputs, n_inputs, out), LRP_OK);
  for (int i = 0; i < n_inputs; i++) {
    double x[most][hidden], expected[vocab];
    const int64_t rows = pooled ? 1 : lengths[i];
    assert_int_equal(lrp_bert_outputs(&f->model.config, lengths[i]), rows * per_token);
    encode(&f->model, &inputs[i], x);
    for (int64_t r = 0; r < rows; r++, next += per_token) {
      head_of(&f->model, x[r], expected);
      assert_true(distance(next, per_token, expected, 1, per_token) < 2e-5);
    }
  }
  lrp_bert_workspace_destroy(&ws);
  lrp_bert_workspace_destroy(&ws);
}

static void test_hidden_states(void **state) {
  check_head(*state, LRP_BERT_BARE, LRP_GELU, hidden);
  check_head(*state, LRP_BERT_BARE, LRP_GELU_TANH, hidden);
  check_head(*state, LRP_BERT_BARE, LRP_RELU, hidden);
}

static void test_classifier(void **state) {
  check_head(*state, LRP_BERT_CLASSIFIER, LRP_GELU, labels);
}

static void test_spans(void **state) {
  check_head(*state, LRP_BERT_SPANS, LRP_GELU, 2);
}

static void test_masked(void **state) {
  check_head(*state, LRP_BERT_MASKED, LRP_GELU, vocab);
  check_head(*state, LRP_BERT_MASKED, LRP_RELU, vocab);
}

/* Scores are those of the logits; the first of equal logits is the greedy one. */
static void test_score(void **state) {
  fixture *f = *state;
  static float logits[most * vocab];
  lrp_bert_workspace *ws = choose(f, LRP_BERT_MASKED, LRP_GELU);
  lrp_bert_blank blanks[3 * n_inputs];
  const lrp_bert_input input = input_of(2);
  assert_int_equal(lrp_bert_forward(&f->model, ws, &input, 1, logits), LRP_OK);
  for (int i = 0; i < 3 * n_inputs; i++) {
    blanks[i] = (lrp_bert_blank){.input = input_of(i % n_inputs), .target = (7 * i) % vocab};
    if (i % n_inputs == 2) blanks[i].position = 19 - i;
  }
  assert_int_equal(lrp_bert_score(&f->model, ws, blanks, 3 * n_inputs), LRP_OK);
  for (int i = 2; i < 3 * n_inputs; i += n_inputs) {
    const float *row = logits + blanks[i].position * vocab;
    double sum = 0.0;
    int best = 0;
    for (int j = 0; j < vocab; j++) {
      sum += exp((double)row[j]);
      if (row[j] > row[best]) best = j;
    }
    assert_true(fabs(blanks[i].loglikelihood - ((double)row[blanks[i].target] - log(sum))) < 1e-5);
    assert_int_equal(blanks[i].greedy, best == blanks[i].target);
    blanks[i].target = best;
  }
  assert_int_equal(lrp_bert_score(&f->model, ws, blanks, 3 * n_inputs), LRP_OK);
  for (int i = 2; i < 3 * n_inputs; i += n_inputs) assert_true(blanks[i].greedy);
  lrp_bert_workspace_destroy(&ws);
}

/* Outputs do not depend on the batch, its order, or the threads, bitwise. */
static void test_batches(void **state) {
  fixture *f = *state;
  lrp_bert_workspace *ws = choose(f, LRP_BERT_BARE, LRP_GELU);
  static float alone[n_inputs][most * hidden], batch[40 * hidden];
  lrp_bert_input turned[n_inputs];
  omp_set_num_threads(1);
  for (int i = 0; i < n_inputs; i++) {
    const lrp_bert_input input = input_of(i);
    turned[n_inputs - 1 - i] = input;
    assert_int_equal(lrp_bert_forward(&f->model, ws, &input, 1, alone[i]), LRP_OK);
  }
  omp_set_num_threads(2);
  assert_int_equal(lrp_bert_forward(&f->model, ws, turned, n_inputs, batch), LRP_OK);
  const float *next = batch;
  for (int i = n_inputs - 1; i >= 0; i--) {
    assert_memory_equal(next, alone[i], (size_t)(lengths[i] * hidden) * sizeof *next);
    next += lengths[i] * hidden;
  }
  lrp_bert_workspace_destroy(&ws);
}

static void test_failures(void **state) {
  fixture *f = *state;
  static const int32_t zeros[positions + 1];
  lrp_bert_workspace *ws = choose(f, LRP_BERT_CLASSIFIER, LRP_GELU);
  const lrp_bert_input empty = {.tokens = zeros}, long_one = {.tokens = zeros, .n_tokens = 21};
  lrp_bert_blank blank = {.input = {.tokens = zeros, .n_tokens = 3}};
  float out[labels];
  assert_int_equal(lrp_bert_forward(&f->model, ws, NULL, 0, NULL), LRP_OK);
  assert_int_equal(lrp_bert_forward(&f->model, ws, &empty, 1, out), LRP_ERR_BUG);
  assert_int_equal(lrp_bert_forward(&f->model, ws, &long_one, 1, out), LRP_ERR_BUG);
  assert_int_equal(lrp_bert_score(&f->model, ws, &blank, 1), LRP_ERR_BUG); /* no decoder */
  lrp_bert_workspace_destroy(&ws);
  ws = choose(f, LRP_BERT_MASKED, LRP_GELU);
  assert_int_equal(lrp_bert_score(&f->model, ws, &blank, 1), LRP_OK);
  assert_int_equal(lrp_bert_score(&f->model, ws, NULL, 0), LRP_OK);
  blank.position = 3;
  assert_int_equal(lrp_bert_score(&f->model, ws, &blank, 1), LRP_ERR_BUG);
  blank.position = 0;
  blank.target = vocab;
  assert_int_equal(lrp_bert_score(&f->model, ws, &blank, 1), LRP_ERR_BUG);
  lrp_bert_workspace_destroy(&ws);
  lrp_failure_clear();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_hidden_states, setup, teardown),
      cmocka_unit_test_setup_teardown(test_classifier, setup, teardown),
      cmocka_unit_test_setup_teardown(test_spans, setup, teardown),
      cmocka_unit_test_setup_teardown(test_masked, setup, teardown),
      cmocka_unit_test_setup_teardown(test_score, setup, teardown),
      cmocka_unit_test_setup_teardown(test_batches, setup, teardown),
      cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
