#include "pipeline/scorer.h"

#include <math.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/configure.h"

struct lrp_scorer {
  lrp_forward model;
  int configuration; /* that model is of; -1: none yet */
  lrp_bert_workspace *bert;
  /* Capacity of each: the largest block. */
  lrp_bert_input *inputs;
  lrp_bert_blank *blanks;
  int32_t *masked; /* inputs of blanks, one after the other */
  float *outputs;  /* of inputs, one after the other */
  double *ll;
  uint8_t *greedy;
};

/* ---- memory ---- */

/* What the largest block needs. */
typedef struct {
  size_t requests, masked, outputs;
} sizes;

static size_t larger(size_t a, int64_t b) {
  return b > 0 && (size_t)b > a ? (size_t)b : a;
}

static sizes measure(const lrp_scorebook *book) {
  const lrp_bert_config *bert = &book->study->model.config.bert;
  sizes most = {.requests = 1, .masked = 1, .outputs = 1};
  for (int64_t b = 0; b < book->n_blocks; b++) {
    const lrp_block *block = &book->blocks[b];
    const lrp_task *task = &book->study->tasks[book->pairs[block->pair].task];
    const bool forward = task->kind->output == LRP_CLASSES || task->kind->output == LRP_SPANS;
    int64_t outputs = 0;
    for (int64_t r = block->first; forward && r < block->first + block->n; r++) {
      const lrp_request *q = &task->requests[r];
      if (q->tokens) outputs += lrp_bert_outputs(bert, q->n_tokens);
    }
    most.requests = larger(most.requests, block->n);
    most.outputs = larger(most.outputs, outputs);
    if (task->kind->output == LRP_BLANKS) most.masked = larger(most.masked, block->tokens);
  }
  return most;
}

static lrp_status allocate(lrp_scorer *s, const sizes *most) {
  const size_t n = most->requests;
  s->ll = calloc(n, sizeof *s->ll);
  s->greedy = calloc(n, 1);
  s->inputs = calloc(n, sizeof *s->inputs);
  s->blanks = calloc(n, sizeof *s->blanks);
  s->masked = calloc(most->masked, sizeof *s->masked);
  s->outputs = calloc(most->outputs, sizeof *s->outputs);
  if (s->ll && s->greedy && s->inputs && s->blanks && s->masked && s->outputs) return LRP_OK;
  return lrp_fail_memory(n * sizeof *s->blanks, "a block of requests");
}

lrp_status lrp_scorer_create(const lrp_scorebook *book, lrp_scorer **out) {
  const lrp_study *study = book->study;
  const sizes most = measure(book);
  lrp_scorer *s = calloc(1, sizeof *s);

  *out = NULL;
  if (!s) return lrp_fail_memory(sizeof *s, "a scorer");
  s->configuration = -1;
  lrp_status st = allocate(s, &most);
  if (st == LRP_OK) {
    st = lrp_bert_workspace_create(&study->model.config.bert, study->eval_dtype, &s->bert);
  }
  if (st != LRP_OK) lrp_scorer_destroy(&s);
  *out = s;
  return st;
}

void lrp_scorer_destroy(lrp_scorer **scorer) {
  lrp_scorer *s = *scorer;
  if (!s) return;
  lrp_forward_free(&s->model);
  lrp_bert_workspace_destroy(&s->bert);
  free(s->inputs);
  free(s->blanks);
  free(s->masked);
  free(s->outputs);
  free(s->ll);
  free(s->greedy);
  free(s);
  *scorer = NULL;
}

static lrp_status choose_model(lrp_scorer *s, lrp_store *store, int configuration) {
  if (s->configuration == configuration) return LRP_OK;
  lrp_forward_free(&s->model);
  s->configuration = -1;
  const lrp_status st = lrp_configured_model(store, configuration, &s->model);
  if (st == LRP_OK) s->configuration = configuration;
  return st;
}

/* ---- scores: n requests from first on, into ll and greedy ---- */

/* The outputs of all inputs that lie among the requests. */
static lrp_status run_inputs(lrp_scorer *s, const lrp_request *requests, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) {
    const lrp_request *r = &requests[i];
    if (!r->tokens) continue;
    s->inputs[count++] =
        (lrp_bert_input){.tokens = r->tokens, .types = r->types, .n_tokens = r->n_tokens};
  }
  return lrp_bert_forward(&s->model.bert, s->bert, s->inputs, count, s->outputs);
}

/* First index of the largest. */
static int64_t argmax(const float *x, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; i++) {
    if (x[i] > x[best]) best = i;
  }
  return best;
}

static lrp_status score_classes(lrp_scorer *s, const lrp_request *requests, int64_t n) {
  const int64_t labels = s->model.bert.config.num_labels;
  int64_t input = -1;
  const lrp_status st = run_inputs(s, requests, n);
  for (int64_t i = 0; st == LRP_OK && i < n; i++) {
    if (requests[i].tokens) input++;
    const float *logits = s->outputs + input * labels;
    s->ll[i] = (double)logits[requests[i].target];
    s->greedy[i] = argmax(logits, labels) == requests[i].target;
  }
  return st;
}

/* A window whose logits are not numbers has a score that is none. */
static double checked(const float *logits, int64_t n, double score) {
  for (int64_t i = 0; i < n; i++) {
    if (!isfinite(logits[i])) return NAN;
  }
  return score;
}

static lrp_status score_spans(lrp_scorer *s, const lrp_request *requests, int64_t n) {
  const float *logits = s->outputs;
  const lrp_status st = run_inputs(s, requests, n);
  for (int64_t i = 0; i < n; i++) s->greedy[i] = 0;
  for (int64_t i = 0; st == LRP_OK && i < n; i += LRP_SPAN_VALUES) {
    const lrp_request *r = &requests[i];
    double score;
    const lrp_char_range best = lrp_squad_best(logits, r->ranges, r->n_tokens, &score);
    s->ll[i + LRP_SPAN_SCORE] = checked(logits, 2 * r->n_tokens, score);
    s->ll[i + LRP_SPAN_FIRST] = (double)best.first;
    s->ll[i + LRP_SPAN_END] = (double)best.end;
    logits += 2 * r->n_tokens;
  }
  return st;
}

static lrp_status score_blanks(lrp_scorer *s, const lrp_task *task, int64_t first, int64_t n,
                               int32_t mask) {
  int32_t *tokens = s->masked;
  for (int64_t i = 0; i < n; i++) {
    const lrp_request *r = &task->requests[first + i], *input = &task->requests[r->input];
    memcpy(tokens, input->tokens, (size_t)r->n_tokens * sizeof *tokens);
    tokens[r->position] = mask;
    s->blanks[i] = (lrp_bert_blank){
        .input = {.tokens = tokens, .types = input->types, .n_tokens = r->n_tokens},
        .position = r->position,
        .target = r->target};
    tokens += r->n_tokens;
  }
  const lrp_status st = lrp_bert_score(&s->model.bert, s->bert, s->blanks, n);
  for (int64_t i = 0; st == LRP_OK && i < n; i++) {
    s->ll[i] = s->blanks[i].loglikelihood;
    s->greedy[i] = s->blanks[i].greedy;
  }
  return st;
}

static lrp_status score(lrp_scorer *s, const lrp_study *study, const lrp_task *task,
                        const lrp_block *block) {
  const lrp_request *requests = task->requests + block->first;
  switch (task->kind->output) {
    case LRP_CLASSES:
      return score_classes(s, requests, block->n);
    case LRP_SPANS:
      return score_spans(s, requests, block->n);
    case LRP_BLANKS:
      return score_blanks(s, task, block->first, block->n, lrp_wordpiece_mask(study->pieces));
    case LRP_MULTIPLE_CHOICE:
    case LRP_LOGLIKELIHOOD:
    case LRP_ROLLING:
    case LRP_TOKEN_WINDOWS:
    case LRP_GENERATE:
      break; /* pipeline/causal.h, pipeline/decoding.h */
  }
  return lrp_fail(LRP_ERR_BUG, "task %s asks nothing of an encoder", task->kind->name);
}

static lrp_status check_finite(const lrp_scorer *s, const lrp_study *study, const lrp_task *task,
                               const lrp_block *block) {
  for (int64_t i = 0; i < block->n; i++) {
    if (isfinite(s->ll[i])) continue;
    return lrp_fail(LRP_ERR_DATA,
                    "configuration %s, task %s, request %lld: the score is not finite; the model "
                    "overflows in %s",
                    study->plan.configurations[s->configuration].name, task->kind->name,
                    (long long)(block->first + i), lrp_dtype_name(study->eval_dtype));
  }
  return LRP_OK;
}

lrp_status lrp_scorer_block(lrp_scorer *s, lrp_scorebook *book, lrp_store *store, int64_t b) {
  const lrp_block *block = &book->blocks[b];
  const lrp_pair *pair = &book->pairs[block->pair];
  const lrp_study *study = book->study;
  const lrp_task *task = &study->tasks[pair->task];
  const double start = MPI_Wtime();

  lrp_status st = choose_model(s, store, pair->configuration);
  if (st == LRP_OK) st = score(s, study, task, block);
  if (st == LRP_OK) st = check_finite(s, study, task, block);
  if (st == LRP_OK) st = lrp_scorebook_put(book, b, s->ll, s->greedy, MPI_Wtime() - start, 0);
  return st;
}
