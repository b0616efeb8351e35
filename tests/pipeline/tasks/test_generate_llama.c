/* Answers of a model with kept keys and values against those that lrp_llama_logits of all tokens
 * gives, one after the other. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <omp.h>

#include "byte_tokenizer.h"
#include "kernels/nn/kv.h"
#include "pipeline/generate.h"
#include "tests/kernels/nn/llama_model.h"

enum { n_prompts = 8, longest = 90, max_new = 12 };

typedef struct {
  test_model *model;
  lrp_kv *kv;
  float *x; /* room for a pass */
} llama_decoder;

static size_t bytes(void *self, const lrp_branch *branch) {
  const llama_decoder *d = self;
  const lrp_causal_shape shape = lrp_llama_causal_shape(&d->model->model.config);
  return lrp_kv_bytes(&shape, d->model->kind.operands, model_layers, branch, 1);
}

static lrp_status plan(void *self, lrp_status mine, const lrp_branch *branches, int64_t n) {
  llama_decoder *d = self;
  return mine == LRP_OK ? lrp_kv_plan(d->kv, branches, n) : mine;
}

static lrp_status next(void *self, lrp_status mine, const lrp_batch *batch, int32_t *tokens) {
  llama_decoder *d = self;
  const lrp_llama *model = &d->model->model;
  if (mine != LRP_OK || !batch) return mine;
  lrp_status st = lrp_llama_embed(model, batch, d->x);
  for (int l = 0; st == LRP_OK && l < model_layers; l++) {
    st = lrp_llama_layer_apply(&model->layers[l], d->model->ws, d->kv, l, batch,
                               l == model_layers - 1, d->x);
  }
  return st == LRP_OK ? lrp_llama_argmax(model, d->model->ws, d->x, batch->n_rows, tokens) : st;
}

typedef struct {
  int32_t tokens[n_prompts][longest + max_new];
  lrp_prompt prompts[n_prompts];
  int32_t answers[n_prompts][max_new]; /* of the definition */
} exercise;

static int32_t likeliest(const float *logits, int64_t n) {
  int32_t best = 0;
  for (int32_t i = 1; i < n; i++) {
    if (logits[i] > logits[best]) best = i;
  }
  return best;
}

static void answer_alone(test_model *m, const lrp_endings *e, exercise *x, int i) {
  const int64_t vocab = m->model.config.vocab_size, n = x->prompts[i].n_tokens;
  float *logits = random_floats((n + max_new) * vocab, 1, 1.0f);
  bool ended = false;
  for (int j = 0; j < max_new; j++) x->answers[i][j] = -1;
  for (int64_t j = 0; !ended; j++) {
    assert_int_equal(lrp_llama_logits(&m->model, m->ws, x->tokens[i], n + j, logits), LRP_OK);
    x->answers[i][j] = x->tokens[i][n + j] = likeliest(logits + (n + j - 1) * vocab, vocab);
    assert_int_equal(lrp_endings_reached(e, x->answers[i], j + 1, &ended), LRP_OK);
  }
  free(logits);
}

/* A common beginning, an end within another prompt, equal ones. */
static void make_exercise(test_model *m, const lrp_endings *e, exercise *x) {
  static const int64_t lengths[n_prompts] = {90, 17, 48, 48, 33, 1, 64, 90};
  for (int i = 0; i < n_prompts; i++) {
    for (int64_t j = 0; j < lengths[i]; j++) {
      const int64_t source = j < 20 || i == 3 ? 2 : i;
      x->tokens[i][j] = (int32_t)((j * j * 5 + j * 11 + source * 17) % m->model.config.vocab_size);
    }
    x->prompts[i] = (lrp_prompt){.tokens = x->tokens[i], .n_tokens = lengths[i]};
    answer_alone(m, e, x, i);
  }
}

static void check(test_model *m, const lrp_endings *e, const exercise *x, int first, int n,
                  bool share) {
  const int64_t rows = (int64_t)n_prompts * longest;
  llama_decoder d = {.model = m, .x = random_floats(rows * m->model.config.hidden_size, 1, 1.0f)};
  const lrp_decoder decoder = {.self = &d, .bytes = bytes, .plan = plan, .next = next};
  const lrp_generate_options options = {.share = share, .bytes_limit = INT64_MAX};
  int32_t out[n_prompts][max_new];
  int64_t computed;
  assert_int_equal(lrp_llama_kv_create(&m->model.config, m->kind.operands, model_layers, &d.kv),
                   LRP_OK);
  assert_int_equal(lrp_generate(&decoder, e, x->prompts + first, n, &options, out[0], &computed),
                   LRP_OK);
  for (int i = 0; i < n; i++) {
    assert_memory_equal(out[i], x->answers[first + i], sizeof out[i]);
  }
  lrp_kv_destroy(&d.kv);
  free(d.x);
}

static void test_answers_are_those_of_all_logits(void **state) {
  static const model_kind kinds[] = {
      {.operands = LRP_F32, .biased = true},
      {.operands = LRP_F32, .window = 7},
      {.operands = LRP_BF16, .large = true, .packed = true},
      {.operands = LRP_BF16, .large = true, .factored = true, .window = 40},
      {.operands = LRP_F32, .large = true, .factored = true, .packed = true},
  };
  static exercise x;
  const lrp_task_kind kind = {.max_new = max_new};
  lrp_endings e;
  (void)state;
  assert_int_equal(lrp_endings_init(&kind, NULL, &e), LRP_OK);
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    test_model m;
    model_create(&m, &kinds[k]);
    omp_set_num_threads(1);
    make_exercise(&m, &e, &x);
    for (int i = 0; i < n_prompts; i += 3) check(&m, &e, &x, i, 1, true);
    for (int threads = 1; threads <= 3; threads += 2) {
      omp_set_num_threads(threads);
      for (int first = 0; first + 3 <= n_prompts; first += 2) check(&m, &e, &x, first, 3, true);
      check(&m, &e, &x, 0, n_prompts, true);
      check(&m, &e, &x, 0, n_prompts, false);
    }
    omp_set_num_threads(1);
    model_free(&m);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_answers_are_those_of_all_logits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
