#include "pipeline/causal.h"

#include <math.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/nn/buffer.h"

/* Activations never take more of what is left beside the weights than a quarter. */
enum { spare_share = 4, most_buffers = 16 };

struct lrp_causal {
  lrp_scorebook *book;
  lrp_store *store;
  const lrp_sweep *sweep;
  lrp_weights *weights;
  lrp_control *control;
  lrp_llama_workspace *ws;
  lrp_column *column; /* borrowed; NULL: the whole model is here */
  int from, to;       /* layers that are */
  lrp_sequence *sequences;
  double *ll;
  uint8_t *greedy; /* of the largest block, like sequences */
  lrp_buffer x[most_buffers], received;
  /* Of the block in work: */
  const lrp_portion *portion;
  const lrp_block *block;
  const lrp_task *task;
  lrp_forest forest;
  int64_t products, learned; /* layers x tokens computed, now and when learn() was called */
  int64_t before;            /* by the process ranks before this one, not recorded yet */
  double mark;               /* when that was */
};

/* ---- memory ---- */

static size_t largest_block(const lrp_scorebook *book) {
  int64_t most = 1;
  for (int t = 0; t < book->study->n_tasks; t++) {
    for (int64_t b = 0; b < book->pairs[t].n_blocks; b++) {
      const int64_t n = book->blocks[book->pairs[t].first_block + b].n;
      if (n > most) most = n;
    }
  }
  return (size_t)most;
}

lrp_status lrp_causal_create(lrp_scorebook *book, lrp_store *store, const lrp_sweep *sweep,
                             lrp_weights *weights, lrp_control *control, lrp_causal **out) {
  const lrp_study *study = book->study;
  const size_t n = largest_block(book);
  lrp_causal *s = calloc(1, sizeof *s);

  *out = NULL;
  if (!s) return lrp_fail_memory(sizeof *s, "a scorer");
  *s = (lrp_causal){.book = book,
                    .store = store,
                    .sweep = sweep,
                    .weights = weights,
                    .control = control,
                    .column = lrp_weights_column(weights)};
  lrp_weights_range(weights, &s->from, &s->to);
  s->sequences = calloc(n, sizeof *s->sequences);
  s->ll = calloc(n, sizeof *s->ll);
  s->greedy = calloc(n, 1);
  lrp_status st = s->sequences && s->ll && s->greedy
                      ? LRP_OK
                      : lrp_fail_memory(n * sizeof *s->sequences, "a block of requests");
  if (st == LRP_OK) {
    st = lrp_llama_workspace_create(&study->model.config.llama, study->eval_dtype, &s->ws);
  }
  if (st != LRP_OK) lrp_causal_destroy(&s);
  *out = s;
  return st;
}

void lrp_causal_destroy(lrp_causal **causal) {
  lrp_causal *s = *causal;
  if (!s) return;
  for (int i = 0; i < most_buffers; i++) lrp_buffer_free(&s->x[i]);
  lrp_buffer_free(&s->received);
  lrp_forest_free(&s->forest);
  lrp_llama_workspace_destroy(&s->ws);
  free(s->sequences);
  free(s->ll);
  free(s->greedy);
  free(s);
  *causal = NULL;
}

static int64_t hidden(const lrp_causal *s) {
  return s->book->study->model.config.llama.hidden_size;
}

/* Buffers of activations that the walk may use for the block in work. */
static int room(const lrp_causal *s) {
  const int64_t bytes = s->forest.batch.n_tokens * hidden(s) * (int64_t)sizeof(float);
  const int64_t fit = lrp_weights_spare(s->weights) / spare_share / bytes;
  if (fit < 2) return 2;
  return fit < most_buffers ? (int)fit : most_buffers;
}

/* ---- the steps of a walk ---- */

static float *activations(const lrp_causal *s, int x) {
  return s->x[x].data;
}

static lrp_status reserve(lrp_causal *s, lrp_buffer *buffer) {
  return lrp_buffer_floats(buffer, s->forest.batch.n_tokens, hidden(s),
                           "activations; use fewer process ranks per host");
}

static size_t activation_bytes(const lrp_causal *s) {
  return (size_t)(s->forest.batch.n_tokens * hidden(s)) * sizeof(float);
}

static lrp_status start(void *context, int x) {
  lrp_causal *s = context;
  const lrp_status st = reserve(s, &s->x[x]);
  if (st != LRP_OK) return st;
  if (s->from == 0) {
    return lrp_llama_embed(lrp_weights_dense(s->weights), &s->forest.batch, activations(s, x));
  }
  memcpy(s->x[x].data, s->received.data, activation_bytes(s));
  return LRP_OK;
}

static lrp_status apply(void *context, int configuration, int layer, int x) {
  lrp_causal *s = context;
  const bool last = layer == s->sweep->layers - 1;
  lrp_held_layer held;
  lrp_status st = lrp_weights_layer(s->weights, s->store, configuration, layer, &held);
  if (st != LRP_OK) return st;
  st =
      lrp_llama_layer_apply(&held.layer, s->ws, NULL, 0, &s->forest.batch, last, activations(s, x));
  lrp_layer_release(s->weights, &held);
  s->products += s->forest.batch.n_tokens;
  return st;
}

static lrp_status copy(void *context, int from, int to) {
  lrp_causal *s = context;
  const lrp_status st = reserve(s, &s->x[to]);
  if (st == LRP_OK) memcpy(s->x[to].data, s->x[from].data, activation_bytes(s));
  return st;
}

static lrp_status check_finite(const lrp_causal *s, int configuration) {
  const lrp_study *study = s->book->study;
  for (int64_t i = 0; i < s->block->n; i++) {
    if (isfinite(s->ll[i])) continue;
    return lrp_fail(LRP_ERR_DATA,
                    "configuration %s, task %s, request %lld: the score is not finite; the model "
                    "overflows in %s",
                    study->plan.configurations[configuration].name, s->task->kind->name,
                    (long long)(s->block->first + i), lrp_dtype_name(study->eval_dtype));
  }
  return LRP_OK;
}

/* The work since the last time, for predictions, in tokens through all layers that are here. */
static double learn(lrp_causal *s) {
  const double now = MPI_Wtime(), seconds = now - s->mark;
  const int layers = s->to > s->from ? s->to - s->from : 1;
  lrp_stop_learn(s->control->stop, (double)(s->products - s->learned) / layers, seconds);
  s->mark = now;
  s->learned = s->products;
  return seconds;
}

/* Write the scores down, with the work that was done since the last time. What a column has done is
 * counted by its first process rank: the last one may be of another node than progress.json. */
static lrp_status record(lrp_causal *s, int configuration) {
  const int64_t work = s->products - s->learned + s->before, tokens = s->forest.batch.n_tokens;
  lrp_status st = check_finite(s, configuration);
  if (st != LRP_OK) return st;
  s->before = 0;
  st = lrp_scorebook_put(s->book, lrp_portion_block(s->book, s->portion, configuration), s->ll,
                         s->greedy, learn(s), work);
  if (st == LRP_OK && !s->column) { /* in units of the portion's cost: what is shared is free */
    const double walks = (double)work / (double)(tokens * s->sweep->layers);
    lrp_progress_advance(s->control->progress, 1, walks * (double)s->block->tokens);
  }
  if (st == LRP_OK && lrp_stop_checkpoint(s->control->stop)) st = lrp_scorebook_flush(s->book);
  return st;
}

static lrp_status score(lrp_causal *s, int x) {
  lrp_status st =
      lrp_llama_logprobs(lrp_weights_dense(s->weights), s->ws, activations(s, x),
                         s->forest.batch.n_rows, s->forest.targets, s->forest.n_targets);
  if (st != LRP_OK) return st;
  lrp_forest_collect(&s->forest, s->sequences, s->block->n);
  for (int64_t i = 0; i < s->block->n; i++) {
    s->ll[i] = s->sequences[i].loglikelihood;
    s->greedy[i] = s->sequences[i].greedy;
  }
  return LRP_OK;
}

static lrp_status finish(void *context, const int *configurations, int n, int x) {
  lrp_causal *s = context;
  const lrp_batch *batch = &s->forest.batch;
  if (s->to < s->sweep->layers) {
    lrp_spread_send(s->column, LRP_OK, configurations, n, activations(s, x), batch->n_tokens,
                    hidden(s));
    return LRP_OK;
  }
  lrp_status st = score(s, x);
  for (int i = 0; st == LRP_OK && i < n; i++) st = record(s, configurations[i]);
  return st;
}

/* Whoever takes blocks decides; the others of a column do what they are sent. */
static lrp_status go_on(void *context, int layers) {
  lrp_causal *s = context;
  double tokens = (double)s->forest.batch.n_tokens * layers / s->sweep->layers;
  if (s->column) {
    const lrp_status st = lrp_spread_status(s->column);
    if (st != LRP_OK || s->from > 0) return st;
    tokens *= lrp_spread_depth(s->column);
  }
  lrp_watch_phase(s->control->watch, "evaluate block %lld of task %s", (long long)s->portion->block,
                  s->task->kind->name);
  return lrp_stop_check(s->control->stop, tokens);
}

/* ---- blocks ---- */

/* The forest of a block; where each request is to be computed by itself, of as many trees. */
static lrp_status begin(lrp_causal *s, const lrp_portion *portion) {
  const lrp_study *study = s->book->study;
  s->portion = portion;
  s->block = &s->book->blocks[lrp_portion_block(s->book, portion, 0)];
  s->task = &study->tasks[portion->task];
  s->products = s->learned = s->before = 0;
  s->mark = MPI_Wtime();
  for (int64_t i = 0; i < s->block->n; i++) {
    const lrp_request *r = &s->task->requests[s->block->first + i];
    s->sequences[i] =
        (lrp_sequence){.tokens = r->tokens, .n_tokens = r->n_tokens, .n_score = r->n_score};
  }
  lrp_forest_free(&s->forest);
  lrp_status st =
      lrp_forest_build(s->sequences, s->block->n, study->job.evaluate.prefix_sharing, &s->forest);
  if (st == LRP_OK) st = lrp_llama_plan(s->ws, s->forest.branches, s->forest.n_branches);
  return st;
}

static lrp_status walk(lrp_causal *s, const int *configurations, int n) {
  const lrp_sweep_steps steps = {
      .context = s, .start = start, .apply = apply, .copy = copy, .finish = finish, .go_on = go_on};
  const lrp_status st =
      lrp_sweep_walk(s->sweep, configurations, n, s->from, s->to, room(s), &steps);
  learn(s); /* where nothing was recorded, as activations went on to the next process rank */
  return st;
}

lrp_status lrp_causal_portion(lrp_causal *causal, const lrp_portion *portion,
                              const int *configurations, int n) {
  const lrp_status st = begin(causal, portion);
  return st == LRP_OK ? walk(causal, configurations, n) : st;
}

/* Products of the process ranks before this one: the same walk, which all of them have room for, up
 * to the layers here. set: memory for configurations */
static lrp_status count_before(lrp_causal *s, const lrp_portion *portion, int *set) {
  const int n = lrp_portion_todo(s->book, s->sweep, portion, set);
  const int64_t layers = lrp_sweep_cost(s->sweep, set, n, 0, s->from, room(s));
  s->before = s->forest.batch.n_tokens * layers;
  return layers < 0 ? LRP_ERR_MEM : LRP_OK;
}

lrp_status lrp_causal_follow(lrp_causal *causal, const lrp_portion *portion) {
  lrp_causal *s = causal;
  int *set = calloc((size_t)portion->n, sizeof *set), n = 0;
  lrp_status st = set ? begin(s, portion) : lrp_fail_memory(sizeof *set, "a block of requests");
  if (st == LRP_OK) st = count_before(s, portion, set);
  if (st == LRP_OK) st = reserve(s, &s->received);
  float *x = st == LRP_OK ? s->received.data : NULL;
  while (
      lrp_spread_receive(s->column, set, portion->n, &n, x, s->forest.batch.n_tokens, hidden(s))) {
    if (st == LRP_OK) st = lrp_spread_status(s->column);
    if (st == LRP_OK) st = walk(s, set, n);
  }
  free(set);
  return st;
}
