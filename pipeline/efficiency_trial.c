#include "pipeline/efficiency_trial.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/nn/buffer.h"
#include "pipeline/configure.h"
#include "pipeline/efficiency_bytes.h"
#include "pipeline/memory.h"
#include "pipeline/resident.h"
#include "pipeline/weights.h"

struct lrp_trial {
  const lrp_study *study; /* borrowed, as all of these */
  lrp_store *store;
  const lrp_topology *topo;
  int64_t new_tokens;
  bool encoder;
  int configuration; /* that is held; -1: none */
  lrp_case now;      /* that there is memory for; zero: none */
  bool filled;       /* keys and values of the batch are there */
  /* A causal model. */
  lrp_weights *weights;
  lrp_held_layer *layers; /* owned, layers of the model; zeroed where they are not held */
  lrp_llama_workspace *ws;
  lrp_kv *kv;
  lrp_buffer x; /* rows of hidden_size floats */
  /* An encoder. */
  lrp_forward forward;
  lrp_bert_workspace *bert;
  lrp_buffer outputs;
  /* The batch. */
  lrp_buffer tokens;  /* batch x length int32 */
  lrp_buffer answers; /* 2 x batch int32: what follows the prompts, and the step before */
  lrp_buffer runs;    /* lrp_run, a sequence each */
  lrp_buffer rows;    /* int64: those whose logits are wanted */
  lrp_buffer inputs;  /* lrp_bert_blank, or lrp_bert_input */
};

static const char *const what = "a batch to measure";

static const lrp_config *config_of(const lrp_trial *t) {
  return &t->study->model.config;
}

static int n_layers(const lrp_trial *t) {
  return lrp_config_layers(config_of(t));
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void release_workspace(lrp_trial *t) {
  lrp_bert_workspace_destroy(&t->bert);
  lrp_llama_workspace_destroy(&t->ws);
  lrp_kv_destroy(&t->kv);
  lrp_buffer_free(&t->x);
  lrp_buffer_free(&t->outputs);
  t->filled = false;
}

/* What lrp_llama_* and lrp_bert_* need besides the weights. */
static lrp_status create_workspace(lrp_trial *t) {
  const lrp_dtype operands = t->study->eval_dtype;
  if (t->encoder) return lrp_bert_workspace_create(&config_of(t)->bert, operands, &t->bert);
  const lrp_status st = lrp_llama_workspace_create(&config_of(t)->llama, operands, &t->ws);
  if (st != LRP_OK) return st;
  return lrp_llama_kv_create(&config_of(t)->llama, operands, n_layers(t), &t->kv);
}

/* Room for keys and values of the batch. */
static lrp_status plan_branches(lrp_trial *t) {
  const int64_t n = t->now.batch_size;
  lrp_branch *branches = malloc((size_t)n * sizeof *branches);
  if (!branches) return lrp_fail_memory((size_t)n * sizeof *branches, what);
  for (int64_t i = 0; i < n; i++) {
    branches[i] = (lrp_branch){.parent = -1, .length = t->now.sequence_length + t->new_tokens};
  }
  const lrp_status st = lrp_kv_plan(t->kv, branches, n);
  free(branches);
  return st;
}

static lrp_status reserve_activations(lrp_trial *t) {
  const int64_t batch = t->now.batch_size, length = t->now.sequence_length;
  if (!t->encoder) {
    const lrp_status st =
        lrp_buffer_floats(&t->x, batch * length, config_of(t)->llama.hidden_size, what);
    return st == LRP_OK ? plan_branches(t) : st;
  }
  const lrp_bert_config *bert = &config_of(t)->bert;
  const bool masked = bert->head == LRP_BERT_MASKED; /* scored at one position */
  return lrp_buffer_floats(&t->outputs, batch, masked ? 1 : lrp_bert_outputs(bert, length), what);
}

/* The step of a sequence of pseudo-random numbers. Source: Steele, Lea and Flood, Fast Splittable
 * Pseudorandom Number Generators, OOPSLA 2014. */
static uint64_t split_mix(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static void fill_tokens(lrp_trial *t) {
  const uint64_t vocab = (uint64_t)lrp_config_vocab_size(config_of(t));
  const int64_t n = t->now.batch_size * t->now.sequence_length;
  int32_t *tokens = t->tokens.data;
  uint64_t state = 0;
  for (int64_t i = 0; i < n; i++) tokens[i] = (int32_t)(split_mix(&state) % vocab);
}

static lrp_status reserve_batch(lrp_trial *t) {
  const int64_t batch = t->now.batch_size, length = t->now.sequence_length;
  lrp_status st = lrp_buffer_reserve(&t->tokens, batch, length, sizeof(int32_t), what);
  if (st == LRP_OK) st = lrp_buffer_reserve(&t->answers, 2, batch, sizeof(int32_t), what);
  if (st == LRP_OK) st = lrp_buffer_reserve(&t->runs, batch, 1, sizeof(lrp_run), what);
  if (st == LRP_OK) st = lrp_buffer_reserve(&t->rows, batch, 1, sizeof(int64_t), what);
  if (st == LRP_OK) st = lrp_buffer_reserve(&t->inputs, batch, 1, sizeof(lrp_bert_blank), what);
  if (st == LRP_OK) fill_tokens(t);
  return st;
}

/* Of float32 activations, keys and values, roughly and rather too much. */
static double batch_bytes(const lrp_trial *t, const lrp_case *one) {
  const double tokens = (double)one->batch_size * (double)one->sequence_length;
  double floats, kv = 0.0;
  if (t->encoder) {
    const lrp_bert_config *c = &config_of(t)->bert;
    floats = 8.0 * (double)c->hidden_size + 2.0 * (double)c->intermediate_size;
    if (c->head != LRP_BERT_MASKED) floats += (double)lrp_bert_outputs(c, 1);
  } else {
    const lrp_llama_config *c = &config_of(t)->llama;
    const lrp_causal_shape shape = lrp_llama_causal_shape(c);
    const lrp_branch branch = {.parent = -1, .length = one->sequence_length + t->new_tokens};
    floats = 3.0 * (double)c->hidden_size + 3.0 * (double)c->intermediate_size +
             2.0 * (double)((shape.heads + shape.kv_heads) * shape.head_dim);
    kv = (double)one->batch_size *
         (double)lrp_kv_bytes(&shape, t->study->eval_dtype, n_layers(t), &branch, 1);
  }
  return 4.0 * tokens * floats + kv;
}

lrp_status lrp_trial_fits(const lrp_trial *t, const lrp_case *one) {
  const double need = batch_bytes(t, one);
  const double spare =
      t->encoder ? lrp_memory_available()
                 : (double)lrp_weights_spare(t->weights) * t->topo->node_ranks[t->topo->node_index];
  if (spare < 0.0 || need <= spare) return LRP_OK;
  return lrp_fail(LRP_ERR_MEM,
                  "measure: %lld sequences of %lld tokens need about %.3g GB besides the weights, "
                  "and there are %.3g GB; use a smaller measure.batch_size or "
                  "measure.sequence_length",
                  (long long)one->batch_size, (long long)one->sequence_length, 1e-9 * need,
                  1e-9 * spare);
}

/* ---- weights --------------------------------------------------------------------------------- */

static void release_configuration(lrp_trial *t) {
  lrp_forward_free(&t->forward);
  for (int l = 0; t->weights && l < n_layers(t); l++) {
    lrp_layer_release(t->weights, &t->layers[l]);
  }
  t->configuration = -1;
  t->filled = false;
}

static lrp_status hold_configuration(lrp_trial *t, int c) {
  lrp_status st = LRP_OK;
  if (t->configuration == c) return LRP_OK;
  release_configuration(t);
  if (t->encoder) st = lrp_configured_model(t->store, c, &t->forward);
  for (int l = 0; st == LRP_OK && !t->encoder && l < n_layers(t); l++) {
    st = lrp_weights_layer(t->weights, t->store, c, l, &t->layers[l]);
  }
  if (st != LRP_OK) release_configuration(t);
  if (st == LRP_OK) t->configuration = c;
  return st;
}

static lrp_status hold_case(lrp_trial *t, const lrp_case *one) {
  if (t->now.batch_size == one->batch_size && t->now.sequence_length == one->sequence_length) {
    return LRP_OK;
  }
  t->filled = false;
  t->now = *one;
  lrp_status st = t->ws || t->bert ? LRP_OK : create_workspace(t);
  if (st == LRP_OK) st = reserve_batch(t);
  if (st == LRP_OK) st = reserve_activations(t);
  if (st != LRP_OK) t->now = (lrp_case){0};
  return st;
}

lrp_status lrp_trial_prepare(lrp_trial *t, int c, const lrp_case *one) {
  const lrp_status st = hold_configuration(t, c);
  return st == LRP_OK ? hold_case(t, one) : st;
}

int64_t lrp_trial_weight_bytes(const lrp_trial *t) {
  const lrp_dtype operands = t->study->eval_dtype;
  if (t->encoder) return lrp_bert_bytes(&t->forward.bert);
  const lrp_llama *dense = lrp_weights_dense(t->weights);
  int64_t bytes = lrp_llama_outer_bytes(dense, operands);
  for (int l = 0; l < n_layers(t); l++) {
    bytes += lrp_llama_layer_bytes(&t->layers[l].layer, operands);
  }
  return bytes;
}

bool lrp_trial_is_packed(const lrp_trial *t) {
  if (t->encoder) return false;
  const lrp_llama *dense = lrp_weights_dense(t->weights);
  for (int i = 0; i < LRP_LLAMA_LINEARS; i++) {
    if (dense->layers[0].linear[i].packed.data) return true;
  }
  return dense->packed_head.data != NULL;
}

/* ---- passes ---------------------------------------------------------------------------------- */

static lrp_status apply(lrp_trial *t, const lrp_batch *batch, int32_t *next) {
  const lrp_llama *model = lrp_weights_dense(t->weights);
  lrp_status st = lrp_llama_embed(model, batch, t->x.data);
  for (int l = 0; st == LRP_OK && l < n_layers(t); l++) {
    const bool last = l + 1 == n_layers(t);
    st = lrp_llama_layer_apply(&t->layers[l].layer, t->ws, t->kv, l, batch, last, t->x.data);
  }
  return st == LRP_OK ? lrp_llama_argmax(model, t->ws, t->x.data, batch->n_rows, next) : st;
}

/* A run of count positions of every sequence; the logits of the last of each are wanted. */
static lrp_batch make_batch(lrp_trial *t, const int32_t *tokens, int64_t at, int64_t count) {
  const int64_t n = t->now.batch_size;
  lrp_run *runs = t->runs.data;
  int64_t *rows = t->rows.data;
  for (int64_t i = 0; i < n; i++) {
    runs[i] = (lrp_run){.branch = i, .at = at, .count = count, .first = i * count};
    rows[i] = (i + 1) * count - 1;
  }
  return (lrp_batch){.tokens = tokens,
                     .n_tokens = n * count,
                     .runs = runs,
                     .n_runs = n,
                     .rows = rows,
                     .n_rows = n};
}

static lrp_status prefill(lrp_trial *t) {
  const lrp_batch batch = make_batch(t, t->tokens.data, 0, t->now.sequence_length);
  const lrp_status st = apply(t, &batch, t->answers.data);
  t->filled = st == LRP_OK;
  return st;
}

static lrp_status decode(lrp_trial *t) {
  const int64_t n = t->now.batch_size;
  int32_t *first = t->answers.data, *step = first + n;
  lrp_status st = LRP_OK;
  assert(t->filled);
  memcpy(step, first, (size_t)n * sizeof *step);
  for (int64_t i = 0; st == LRP_OK && i < t->new_tokens; i++) {
    const lrp_batch batch = make_batch(t, step, t->now.sequence_length + i, 1);
    st = apply(t, &batch, step);
  }
  return st;
}

static lrp_bert_input input_of(const lrp_trial *t, int64_t i) {
  const int64_t length = t->now.sequence_length;
  return (lrp_bert_input){.tokens = (const int32_t *)t->tokens.data + i * length,
                          .n_tokens = length};
}

static lrp_status encode(lrp_trial *t) {
  const int64_t n = t->now.batch_size;
  if (config_of(t)->bert.head == LRP_BERT_MASKED) {
    lrp_bert_blank *blanks = t->inputs.data;
    for (int64_t i = 0; i < n; i++) blanks[i] = (lrp_bert_blank){.input = input_of(t, i)};
    return lrp_bert_score(&t->forward.bert, t->bert, blanks, n);
  }
  lrp_bert_input *inputs = t->inputs.data;
  for (int64_t i = 0; i < n; i++) inputs[i] = input_of(t, i);
  return lrp_bert_forward(&t->forward.bert, t->bert, inputs, n, t->outputs.data);
}

lrp_status lrp_trial_pass(lrp_trial *t, lrp_phase phase) {
  if (t->encoder) return encode(t);
  return phase == LRP_PREFILL ? prefill(t) : decode(t);
}

bool lrp_trial_is_filled(const lrp_trial *t) {
  return t->filled;
}

lrp_status lrp_trial_growth(lrp_trial *t, int64_t *bytes) {
  release_workspace(t);
  malloc_trim(0); /* else memory that was given back is still resident, and is used again unseen */
  const bool can = lrp_resident_restart();
  const int64_t before = lrp_resident_bytes();
  *bytes = -1;
  lrp_status st = create_workspace(t);
  if (st == LRP_OK) st = reserve_activations(t);
  if (st == LRP_OK) st = lrp_trial_pass(t, LRP_PREFILL);
  if (st == LRP_OK && t->new_tokens > 0) st = lrp_trial_pass(t, LRP_DECODE);
  const int64_t peak = lrp_resident_peak();
  if (can && before >= 0 && peak >= 0) *bytes = peak > before ? peak - before : 0;
  if (st != LRP_OK) t->now = (lrp_case){0};
  return st;
}

/* ---- opening --------------------------------------------------------------------------------- */

lrp_status lrp_trial_open(const lrp_study *study, lrp_store *store, const lrp_topology *topo,
                          int64_t new_tokens, lrp_trial **out) {
  lrp_trial *t = calloc(1, sizeof *t);
  lrp_status st = t ? LRP_OK : lrp_fail_memory(sizeof *t, what);
  *out = NULL;
  if (st == LRP_OK) {
    *t = (lrp_trial){.study = study, .store = store, .topo = topo, .configuration = -1};
    t->encoder = study->model.config.family == LRP_FAMILY_BERT;
    t->new_tokens = t->encoder ? 0 : new_tokens;
    t->layers = calloc((size_t)n_layers(t) + 1, sizeof *t->layers);
    if (!t->layers) st = lrp_fail_memory((size_t)n_layers(t) * sizeof *t->layers, what);
  }
  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK && !t->encoder) st = lrp_weights_open(study, topo, &t->weights);
  if (st != LRP_OK) lrp_trial_close(&t);
  *out = t;
  return st;
}

void lrp_trial_close(lrp_trial **trial) {
  lrp_trial *t = *trial;
  if (!t) return;
  release_workspace(t);
  release_configuration(t);
  lrp_buffer_free(&t->tokens);
  lrp_buffer_free(&t->answers);
  lrp_buffer_free(&t->runs);
  lrp_buffer_free(&t->rows);
  lrp_buffer_free(&t->inputs);
  lrp_weights_close(&t->weights);
  free(t->layers);
  free(t);
  *trial = NULL;
}

bool lrp_trial_is_spread(const lrp_trial *t) {
  int from = 0, to = 0;
  if (t->encoder) return false;
  lrp_weights_range(t->weights, &from, &to);
  return to - from < n_layers(t);
}
