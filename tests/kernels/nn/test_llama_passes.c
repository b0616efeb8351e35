#include <omp.h>

#include "kernels/nn/ops.h"
#include "tests/kernels/nn/llama_model.h"

/* Every way through a model gives the bits of lrp_llama_logits of each sequence alone, which
 * test_llama compares with the definition. */

static const model_kind kinds[] = {
    {.operands = LRP_F32, .biased = true},
    {.operands = LRP_BF16, .window = 5},
    {.operands = LRP_F32, .large = true, .packed = true},
    {.operands = LRP_BF16, .large = true, .biased = true, .packed = true},
    {.operands = LRP_BF16, .large = true, .factored = true, .window = 70},
    {.operands = LRP_F32, .large = true, .factored = true, .packed = true},
};
enum { n_kinds = sizeof kinds / sizeof *kinds };

/* ---- sequences in forests ---- */

enum { questions = 5, choices = 4, n_sequences = questions * choices, longest = 330 };

typedef struct {
  int32_t tokens[n_sequences][longest];
  lrp_sequence sequences[n_sequences]; /* scored alone */
} exam;

/* Questions with a primer in common, of which two begin alike; the choices of the first question
 * are one token each, some of the others begin alike or are the same. */
static void make_exam(exam *e, int64_t vocab) {
  for (int i = 0; i < n_sequences; i++) {
    const int question = i / choices, choice = i % choices;
    const int64_t context = 40 + 61 * question;
    const int64_t n_score = question == 0 ? 1 : 1 + (choice * 7 + question) % 9;
    int32_t *tokens = e->tokens[i];
    for (int64_t j = 0; j < context + n_score; j++) {
      int64_t source = j < 37 ? 0 : j < 90 ? question / 2 : question;
      if (j >= context + (question % 3)) source = 100 + choice % 3;
      tokens[j] = (int32_t)((j * j * 7 + j * 13 + source * 29) % vocab);
    }
    e->sequences[i] =
        (lrp_sequence){.tokens = tokens, .n_tokens = context + n_score, .n_score = n_score};
  }
}

/* By the logits of the sequence. */
static void score_alone(const test_model *m, lrp_sequence *s) {
  const int64_t vocab = m->model.config.vocab_size, n = s->n_tokens - 1;
  float *logits = random_floats(n * vocab, 1, 1.0f);
  assert_int_equal(lrp_llama_logits(&m->model, m->ws, s->tokens, n, logits), LRP_OK);
  s->loglikelihood = 0.0;
  s->greedy = true;
  for (int64_t i = n - s->n_score; i < n; i++) {
    bool greedy;
    s->loglikelihood += lrp_log_softmax(logits + i * vocab, vocab, s->tokens[i + 1], &greedy);
    s->greedy = s->greedy && greedy;
  }
  free(logits);
}

static void check_scores(const test_model *m, const exam *e, int first, int count) {
  lrp_sequence batch[n_sequences];
  for (int i = 0; i < count; i++) {
    batch[i] = e->sequences[(first + i * 7) % n_sequences]; /* 7 and 20 have no divisor in common */
    batch[i].loglikelihood = NAN;
  }
  assert_int_equal(lrp_llama_score(&m->model, m->ws, batch, count), LRP_OK);
  for (int i = 0; i < count; i++) {
    const lrp_sequence *alone = &e->sequences[(first + i * 7) % n_sequences];
    assert_memory_equal(&batch[i].loglikelihood, &alone->loglikelihood, sizeof(double));
    assert_int_equal(batch[i].greedy, alone->greedy);
  }
}

/* The whole exam is more than a panel of rows. */
static void test_forests(void **state) {
  static exam e;
  (void)state;
  for (int k = 0; k < n_kinds; k++) {
    test_model m;
    model_create(&m, &kinds[k]);
    make_exam(&e, m.model.config.vocab_size);
    omp_set_num_threads(1);
    for (int i = 0; i < n_sequences; i++) score_alone(&m, &e.sequences[i]);
    for (int threads = 1; threads <= 4; threads *= 2) {
      omp_set_num_threads(threads);
      check_scores(&m, &e, threads, n_sequences);
      check_scores(&m, &e, 3 * threads, 1 + 5 * (threads - 1));
    }
    model_free(&m);
  }
  omp_set_num_threads(1);
}

/* Fewer rows than tokens of the exam, and the same results as without a forest. */
static void test_sharing_changes_nothing(void **state) {
  static exam e;
  lrp_forest shared, single;
  test_model m;
  (void)state;
  model_create(&m, &kinds[0]);
  make_exam(&e, m.model.config.vocab_size);
  assert_int_equal(lrp_forest_build(e.sequences, n_sequences, true, &shared), LRP_OK);
  assert_int_equal(lrp_forest_build(e.sequences, n_sequences, false, &single), LRP_OK);
  assert_true(shared.batch.n_tokens > 512);
  assert_true(2 * shared.batch.n_tokens < single.batch.n_tokens);
  float *x = random_floats(single.batch.n_tokens * m.model.config.hidden_size, 1, 1.0f);
  lrp_forest *forests[] = {&shared, &single};
  for (int f = 0; f < 2; f++) {
    const lrp_batch *batch = &forests[f]->batch;
    assert_int_equal(lrp_llama_plan(m.ws, forests[f]->branches, forests[f]->n_branches), LRP_OK);
    assert_int_equal(lrp_llama_embed(&m.model, batch, x), LRP_OK);
    for (int l = 0; l < model_layers; l++) {
      assert_int_equal(
          lrp_llama_layer_apply(&m.layers[l], m.ws, NULL, 0, batch, l == model_layers - 1, x),
          LRP_OK);
    }
    assert_int_equal(lrp_llama_logprobs(&m.model, m.ws, x, batch->n_rows, forests[f]->targets,
                                        forests[f]->n_targets),
                     LRP_OK);
  }
  for (int64_t i = 0; i < shared.n_targets; i++) {
    assert_memory_equal(&shared.targets[i].logprob, &single.targets[i].logprob, sizeof(double));
    assert_int_equal(shared.targets[i].greedy, single.targets[i].greedy);
  }
  free(x);
  lrp_forest_free(&single);
  lrp_forest_free(&shared);
  model_free(&m);
}

/* Packed weights are the same numbers. */
static void test_packing_changes_nothing(void **state) {
  static exam e;
  (void)state;
  for (int b = 0; b < 2; b++) {
    model_kind kind = {.operands = b ? LRP_BF16 : LRP_F32, .large = true, .packed = true};
    test_model packed, plain;
    model_create(&packed, &kind);
    kind.packed = false;
    model_create(&plain, &kind);
    /* The numbers of a matrix depend on its turn, so that both models view those of one. */
    for (int l = 0; l < model_layers; l++) {
      for (int i = 0; i < LRP_LLAMA_LINEARS; i++) {
        plain.layers[l].linear[i].w = packed.layers[l].linear[i].w;
      }
      plain.layers[l].input_norm = packed.layers[l].input_norm;
      plain.layers[l].post_attn_norm = packed.layers[l].post_attn_norm;
    }
    make_exam(&e, plain.model.config.vocab_size);
    for (int i = 0; i < n_sequences; i++) score_alone(&plain, &e.sequences[i]);
    check_scores(&packed, &e, 0, n_sequences);
    model_free(&plain);
    model_free(&packed);
  }
}

/* ---- generation: a pass over the prompts, then a row for each of them ---- */

enum { documents = 3, steps = 6, prompt_longest = 140 };

/* Two prompts have a beginning in common: a root, and a branch for each with room for what follows;
 * the third one is alone. */
typedef struct {
  int32_t prompts[documents][prompt_longest];
  int64_t lengths[documents];
  int64_t common;
  lrp_branch branches[4]; /* the root, then one of each document */
} dialogue;

static void make_dialogue(dialogue *d, int64_t vocab) {
  const int64_t lengths[documents] = {90, 103, 140};
  d->common = 77;
  for (int i = 0; i < documents; i++) {
    d->lengths[i] = lengths[i];
    for (int64_t j = 0; j < lengths[i]; j++) {
      const int64_t source = i == 2 ? 9 : j < d->common ? 0 : i;
      d->prompts[i][j] = (int32_t)((j * j * 11 + j * 5 + source * 31) % vocab);
    }
    const int64_t start = i == 2 ? 0 : d->common;
    d->branches[i + 1] = (lrp_branch){
        .parent = i == 2 ? -1 : 0, .start = start, .length = lengths[i] - start + steps};
  }
  d->branches[0] = (lrp_branch){.parent = -1, .length = d->common};
}

/* One pass through all layers; the largest logits and log-probabilities of the wanted rows. */
static void pass(const test_model *m, lrp_kv *kv, const lrp_batch *batch, int32_t *tokens,
                 double *logprobs) {
  lrp_target targets[documents];
  float *x = random_floats(batch->n_tokens * m->model.config.hidden_size, 1, 1.0f);
  assert_int_equal(lrp_llama_embed(&m->model, batch, x), LRP_OK);
  for (int l = 0; l < model_layers; l++) {
    assert_int_equal(
        lrp_llama_layer_apply(&m->layers[l], m->ws, kv, l, batch, l == model_layers - 1, x),
        LRP_OK);
  }
  assert_int_equal(lrp_llama_argmax(&m->model, m->ws, x, batch->n_rows, tokens), LRP_OK);
  /* rows backwards: the order of targets is free */
  for (int64_t i = 0; i < batch->n_rows; i++) {
    const int64_t row = batch->n_rows - 1 - i;
    targets[i] = (lrp_target){.row = row, .token = tokens[row]};
  }
  assert_int_equal(lrp_llama_logprobs(&m->model, m->ws, x, batch->n_rows, targets, batch->n_rows),
                   LRP_OK);
  for (int64_t i = 0; i < batch->n_rows; i++) {
    assert_true(targets[i].greedy);
    logprobs[targets[i].row] = targets[i].logprob;
  }
  free(x);
}

static void prefill(const test_model *m, lrp_kv *kv, const dialogue *d, int32_t *next,
                    double *logprobs) {
  int32_t tokens[documents * prompt_longest];
  lrp_run runs[4];
  int64_t rows[documents];
  int64_t n = 0;
  for (int b = 0; b < 4; b++) {
    const int64_t start = d->branches[b].start;
    const int64_t count = b == 0 ? d->common : d->lengths[b - 1] - start;
    memcpy(tokens + n, d->prompts[b == 0 ? 0 : b - 1] + start, sizeof(int32_t) * (size_t)count);
    runs[b] = (lrp_run){.branch = b, .at = start, .count = count, .first = n};
    n += count;
    if (b > 0) rows[b - 1] = n - 1;
  }
  const lrp_batch batch = {.tokens = tokens,
                           .n_tokens = n,
                           .runs = runs,
                           .n_runs = 4,
                           .rows = rows,
                           .n_rows = documents};
  pass(m, kv, &batch, next, logprobs);
}

static void advance(const test_model *m, lrp_kv *kv, const dialogue *d, int step, int32_t *next,
                    double *logprobs) {
  lrp_run runs[documents];
  int64_t rows[documents];
  int32_t tokens[documents];
  for (int i = 0; i < documents; i++) {
    tokens[i] = next[i];
    rows[i] = i;
    runs[i] = (lrp_run){.branch = i + 1, .at = d->lengths[i] + step, .count = 1, .first = i};
  }
  const lrp_batch batch = {.tokens = tokens,
                           .n_tokens = documents,
                           .runs = runs,
                           .n_runs = documents,
                           .rows = rows,
                           .n_rows = documents};
  pass(m, kv, &batch, next, logprobs);
}

/* The token and its log-probability that follow a sequence, by its logits. */
static void check_next(const test_model *m, const int32_t *tokens, int64_t n, int32_t next,
                       double logprob) {
  const int64_t vocab = m->model.config.vocab_size;
  float *logits = random_floats(n * vocab, 1, 1.0f);
  const float *row = logits + (n - 1) * vocab;
  bool greedy;
  assert_int_equal(lrp_llama_logits(&m->model, m->ws, tokens, n, logits), LRP_OK);
  assert_int_equal(lrp_argmax(row, vocab), next);
  const double expected = lrp_log_softmax(row, vocab, next, &greedy);
  assert_memory_equal(&logprob, &expected, sizeof logprob);
  free(logits);
}

static void test_generation(void **state) {
  (void)state;
  for (int k = 0; k < n_kinds; k++) {
    test_model m;
    dialogue d;
    lrp_kv *kv = NULL;
    int32_t texts[documents][prompt_longest + steps], next[documents];
    double logprobs[documents];
    model_create(&m, &kinds[k]);
    make_dialogue(&d, m.model.config.vocab_size);
    omp_set_num_threads(1 + k % 2);
    assert_int_equal(lrp_llama_kv_create(&m.model.config, kinds[k].operands, model_layers, &kv),
                     LRP_OK);
    assert_int_equal(lrp_kv_plan(kv, d.branches, 4), LRP_OK);
    prefill(&m, kv, &d, next, logprobs);
    for (int i = 0; i < documents; i++) {
      memcpy(texts[i], d.prompts[i], sizeof(int32_t) * (size_t)d.lengths[i]);
    }
    for (int step = 0; step < steps; step++) {
      for (int i = 0; i < documents; i++) {
        check_next(&m, texts[i], d.lengths[i] + step, next[i], logprobs[i]);
        texts[i][d.lengths[i] + step] = next[i];
      }
      advance(&m, kv, &d, step, next, logprobs);
    }
    lrp_kv_destroy(&kv);
    model_free(&m);
  }
  omp_set_num_threads(1);
}

/* ---- failures ---- */

static void test_nonsense(void **state) {
  static float x[2 * 24];
  const int32_t bad[] = {1, 53};
  const lrp_run run = {.count = 2};
  const lrp_batch batch = {.tokens = bad, .n_tokens = 2, .runs = &run, .n_runs = 1};
  lrp_target targets[] = {{.row = 1, .token = 4}, {.row = 0, .token = 5}};
  int32_t tokens[2];
  test_model m;
  (void)state;
  model_create(&m, &kinds[0]);
  assert_int_equal(lrp_llama_embed(&m.model, &batch, x), LRP_ERR_BUG);
  memset(x, 0, sizeof x);
  assert_int_equal(lrp_llama_logprobs(&m.model, m.ws, x, 2, targets, 2), LRP_OK);
  assert_true(targets[0].logprob == targets[1].logprob); /* of rows of zeros */
  targets[1].token = 53;
  assert_int_equal(lrp_llama_logprobs(&m.model, m.ws, x, 2, targets, 2), LRP_ERR_BUG);
  targets[1] = (lrp_target){.row = 2, .token = 5};
  assert_int_equal(lrp_llama_logprobs(&m.model, m.ws, x, 2, targets, 2), LRP_ERR_BUG);
  lrp_failure_clear();
  assert_int_equal(lrp_llama_argmax(&m.model, m.ws, x, 2, tokens), LRP_OK);
  assert_int_equal(tokens[0], 0); /* all are equal */
  x[30] = NAN;
  assert_int_equal(lrp_llama_argmax(&m.model, m.ws, x, 2, tokens), LRP_ERR_DATA);
  lrp_failure_clear();
  model_free(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_forests),
      cmocka_unit_test(test_sharing_changes_nothing),
      cmocka_unit_test(test_packing_changes_nothing),
      cmocka_unit_test(test_generation),
      cmocka_unit_test(test_nonsense),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
