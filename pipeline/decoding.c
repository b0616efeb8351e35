#include "pipeline/decoding.h"

#include <mpi.h>
#include <stdlib.h>

#include "kernels/nn/buffer.h"
#include "pipeline/generate.h"

/* Of the memory that is left besides the weights, keys and values take one part in so many:
 * activations and kept factors need some, too. */
enum { kv_share = 2 };

struct lrp_decoding {
  lrp_scorebook *book;
  lrp_store *store;
  lrp_weights *weights;
  lrp_column *column;     /* or NULL */
  int from, to;           /* layers of this process rank */
  int most_layers;        /* of a process rank of the column; 0: not known yet */
  int configuration;      /* that layers are of, and to be of */
  int held;               /* layers[from .. from + held) are there */
  lrp_held_layer *layers; /* owned, to - from */
  lrp_causal_shape shape;
  lrp_llama_workspace *ws;
  lrp_kv *kv;
  lrp_buffer x;              /* rows of hidden_size floats */
  const lrp_task_kind *kind; /* whose endings are there; NULL: none yet */
  lrp_endings endings;
};

static const lrp_llama_config *config_of(const lrp_decoding *d) {
  return &d->book->study->model.config.llama;
}

/* Every process rank of the column must know the same memory of a prompt. Collective over it. */
static void agree_layers(lrp_decoding *d) {
  if (d->most_layers > 0) return;
  d->most_layers = d->to - d->from;
  if (!d->column) return;
  MPI_Allreduce(MPI_IN_PLACE, &d->most_layers, 1, MPI_INT, MPI_MAX, lrp_spread_comm(d->column));
}

/* The worst status of the process ranks that compute together. */
static lrp_status together(lrp_decoding *d, lrp_status mine) {
  return d->column ? lrp_spread_tokens(d->column, mine, NULL, 0) : mine;
}

static bool is_last(const lrp_decoding *d) {
  return !d->column || lrp_spread_next(d->column) < 0;
}

static void release_layers(lrp_decoding *d) {
  for (int l = 0; l < d->held; l++) lrp_layer_release(d->weights, &d->layers[l]);
  d->held = 0;
}

/* Layers of the configuration. */
static lrp_status hold_layers(lrp_decoding *d, int configuration) {
  lrp_status st = LRP_OK;
  if (d->configuration != configuration) release_layers(d);
  d->configuration = configuration;
  while (st == LRP_OK && d->from + d->held < d->to) {
    st = lrp_weights_layer(d->weights, d->store, configuration, d->from + d->held,
                           &d->layers[d->held]);
    if (st == LRP_OK) d->held++;
  }
  return st;
}

static lrp_status find_endings(lrp_decoding *d, const lrp_task_kind *kind) {
  const lrp_study *study = d->book->study;
  if (d->kind == kind) return LRP_OK;
  lrp_status st = lrp_endings_init(kind, study->tokenizer, &d->endings);
  if (st == LRP_OK) st = lrp_endings_of_model(&d->endings, study->job.model);
  d->kind = st == LRP_OK ? kind : NULL;
  return st;
}

/* ---- what lrp_generate asks for ---- */

static size_t bytes(void *self, const lrp_branch *branch) {
  const lrp_decoding *d = self;
  return lrp_kv_bytes(&d->shape, d->book->study->eval_dtype, d->most_layers, branch, 1);
}

static lrp_status plan(void *self, lrp_status mine, const lrp_branch *branches, int64_t n) {
  lrp_decoding *d = self;
  return together(d, mine == LRP_OK ? lrp_kv_plan(d->kv, branches, n) : mine);
}

/* x = what the layers before those of this process rank make of the batch. */
static lrp_status enter(lrp_decoding *d, const lrp_batch *batch) {
  const int64_t cols = config_of(d)->hidden_size;
  const lrp_status st = lrp_buffer_floats(&d->x, batch->n_tokens, cols, "activations");
  if (d->column && lrp_spread_previous(d->column) >= 0) {
    int set[1], n;
    lrp_spread_receive(d->column, set, 1, &n, d->x.data, batch->n_tokens, cols);
    return st != LRP_OK ? st : lrp_spread_status(d->column);
  }
  return st == LRP_OK ? lrp_llama_embed(lrp_weights_dense(d->weights), batch, d->x.data) : st;
}

static lrp_status apply_layers(lrp_decoding *d, const lrp_batch *batch) {
  lrp_status st = LRP_OK;
  for (int l = 0; st == LRP_OK && l < d->held; l++) {
    const bool last = d->from + l + 1 == config_of(d)->num_hidden_layers;
    st = lrp_llama_layer_apply(&d->layers[l].layer, d->ws, d->kv, l, batch, last, d->x.data);
  }
  return st;
}

static lrp_status next(void *self, lrp_status mine, const lrp_batch *batch, int32_t *tokens) {
  lrp_decoding *d = self;
  lrp_status st = together(d, mine); /* else the others would wait for activations */
  if (st != LRP_OK || !batch) return st;
  st = enter(d, batch);
  if (st == LRP_OK) st = apply_layers(d, batch);
  if (d->column) {
    lrp_spread_send(d->column, st, &d->configuration, 1, d->x.data, batch->n_tokens,
                    config_of(d)->hidden_size);
  }
  if (st == LRP_OK && is_last(d)) {
    st = lrp_llama_argmax(lrp_weights_dense(d->weights), d->ws, d->x.data, batch->n_rows, tokens);
  }
  return d->column ? lrp_spread_tokens(d->column, st, tokens, batch->n_rows) : st;
}

/* ---- blocks ---- */

static lrp_status take_prompts(const lrp_task *task, const lrp_block *block, lrp_prompt **prompts) {
  *prompts = calloc((size_t)block->n, sizeof **prompts);
  if (!*prompts) return lrp_fail_memory((size_t)block->n * sizeof **prompts, "prompts");
  for (int64_t i = 0; i < block->n; i++) {
    const lrp_request *r = &task->requests[block->first + i];
    (*prompts)[i] = (lrp_prompt){.tokens = r->tokens, .n_tokens = r->n_tokens};
  }
  return LRP_OK;
}

static lrp_status allocate_answers(int64_t n, int64_t max_new, int32_t **answers) {
  const size_t size = (size_t)n * (size_t)max_new * sizeof **answers;
  *answers = malloc(size);
  return *answers ? LRP_OK : lrp_fail_memory(size, "answers");
}

lrp_status lrp_decoding_block(lrp_decoding *d, int64_t b) {
  const lrp_study *study = d->book->study;
  const lrp_block *block = &d->book->blocks[b];
  const lrp_pair *pair = &d->book->pairs[block->pair];
  const lrp_task *task = &study->tasks[pair->task];
  const lrp_decoder decoder = {.self = d, .bytes = bytes, .plan = plan, .next = next};
  const lrp_generate_options options = {.share = study->job.evaluate.prefix_sharing,
                                        .bytes_limit = lrp_weights_spare(d->weights) / kv_share};
  const double start = MPI_Wtime();
  lrp_prompt *prompts = NULL;
  int32_t *answers = NULL;
  int64_t computed = 0;

  agree_layers(d);
  lrp_status st = hold_layers(d, pair->configuration);
  if (st == LRP_OK) st = find_endings(d, task->kind);
  if (st == LRP_OK) st = take_prompts(task, block, &prompts);
  if (st == LRP_OK) st = allocate_answers(block->n, task->kind->max_new, &answers);
  st = together(d, st);
  if (st == LRP_OK) {
    st = lrp_generate(&decoder, &d->endings, prompts, block->n, &options, answers, &computed);
  }
  if (st == LRP_OK && is_last(d)) {
    st = lrp_scorebook_put_tokens(d->book, b, answers, MPI_Wtime() - start,
                                  computed * config_of(d)->num_hidden_layers);
  }
  free(answers);
  free(prompts);
  return st;
}

/* ---- memory ---- */

static lrp_status allocate(lrp_decoding *d) {
  const lrp_dtype operands = d->book->study->eval_dtype;
  const int layers = d->to - d->from;
  d->layers = calloc((size_t)layers + 1, sizeof *d->layers);
  if (!d->layers) return lrp_fail_memory((size_t)layers * sizeof *d->layers, "layers");
  const lrp_status st = lrp_llama_workspace_create(config_of(d), operands, &d->ws);
  if (st != LRP_OK) return st;
  return lrp_llama_kv_create(config_of(d), operands, layers > 0 ? layers : 1, &d->kv);
}

lrp_status lrp_decoding_create(lrp_scorebook *book, lrp_store *store, lrp_weights *weights,
                               lrp_decoding **out) {
  lrp_decoding *d = calloc(1, sizeof *d);
  *out = NULL;
  if (!d) return lrp_fail_memory(sizeof *d, "a decoder");
  *d = (lrp_decoding){.book = book,
                      .store = store,
                      .weights = weights,
                      .column = lrp_weights_column(weights),
                      .configuration = -1};
  lrp_weights_range(weights, &d->from, &d->to);
  d->shape = lrp_llama_causal_shape(config_of(d));
  const lrp_status st = allocate(d);
  if (st != LRP_OK) lrp_decoding_destroy(&d);
  *out = d;
  return st;
}

void lrp_decoding_destroy(lrp_decoding **decoding) {
  lrp_decoding *d = *decoding;
  if (!d) return;
  release_layers(d);
  lrp_kv_destroy(&d->kv);
  lrp_llama_workspace_destroy(&d->ws);
  lrp_buffer_free(&d->x);
  free(d->layers);
  free(d);
  *decoding = NULL;
}
