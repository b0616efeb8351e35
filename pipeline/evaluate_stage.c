#include "pipeline/evaluate_stage.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/log.h"
#include "pipeline/configure.h"
#include "pipeline/partition.h"

/* What a process rank keeps from block to block. */
typedef struct {
  lrp_llama model;
  int configuration; /* that model is of; -1: none yet */
  lrp_llama_workspace *workspace;
  lrp_sequence *sequences; /* capacity of each: the largest block */
  double *ll;
  uint8_t *greedy;
} scorer;

static lrp_status scorer_init(scorer *s, const lrp_scorebook *book) {
  size_t most = 1;
  *s = (scorer){.configuration = -1};
  for (int64_t b = 0; b < book->n_blocks; b++) {
    if ((size_t)book->blocks[b].n > most) most = (size_t)book->blocks[b].n;
  }
  s->sequences = calloc(most, sizeof *s->sequences);
  s->ll = calloc(most, sizeof *s->ll);
  s->greedy = calloc(most, 1);
  if (!s->sequences || !s->ll || !s->greedy) {
    return lrp_fail_memory(most * sizeof *s->sequences, "a block of requests");
  }
  return lrp_llama_workspace_create(&book->study->model.config.llama, book->study->eval_dtype,
                                    &s->workspace);
}

static void scorer_free(scorer *s) {
  if (s->configuration >= 0) lrp_model_llama_free(&s->model);
  lrp_llama_workspace_destroy(&s->workspace);
  free(s->sequences);
  free(s->ll);
  free(s->greedy);
}

static lrp_status choose_model(scorer *s, lrp_store *store, int configuration) {
  if (s->configuration == configuration) return LRP_OK;
  if (s->configuration >= 0) lrp_model_llama_free(&s->model);
  s->configuration = -1;
  const lrp_status st = lrp_configured_model(store, configuration, &s->model);
  if (st == LRP_OK) s->configuration = configuration;
  return st;
}

static lrp_status score_block(scorer *s, lrp_scorebook *book, lrp_store *store, int64_t b) {
  const lrp_block *block = &book->blocks[b];
  const lrp_pair *pair = &book->pairs[block->pair];
  const lrp_task *task = &book->study->tasks[pair->task];
  const double start = MPI_Wtime();
  lrp_status st = choose_model(s, store, pair->configuration);

  for (int64_t i = 0; i < block->n; i++) {
    const lrp_request *r = &task->requests[block->first + i];
    s->sequences[i] =
        (lrp_sequence){.tokens = r->tokens, .n_tokens = r->n_tokens, .n_score = r->n_score};
  }
  if (st == LRP_OK) st = lrp_llama_score(&s->model, s->workspace, s->sequences, block->n);
  for (int64_t i = 0; st == LRP_OK && i < block->n; i++) {
    s->ll[i] = s->sequences[i].loglikelihood;
    s->greedy[i] = s->sequences[i].greedy;
    if (!isfinite(s->ll[i])) {
      st =
          lrp_fail(LRP_ERR_DATA,
                   "configuration %s, task %s, request %lld: the log-likelihood is not finite; the "
                   "model overflows in %s",
                   book->study->plan.configurations[pair->configuration].name, task->kind->name,
                   (long long)(block->first + i), lrp_dtype_name(book->study->eval_dtype));
    }
  }
  if (st == LRP_OK) st = lrp_scorebook_put(book, b, s->ll, s->greedy, MPI_Wtime() - start);
  return st;
}

/* Which blocks are open, and the node of each, dealt by tokens. */
static lrp_status list_blocks(const lrp_scorebook *book, const lrp_topology *topo, bool *todo,
                              int *node, int64_t *n_todo) {
  double *cost = malloc(((size_t)book->n_blocks + 1) * sizeof *cost);
  if (!cost) return lrp_fail_memory((size_t)book->n_blocks * sizeof *cost, "a schedule");
  *n_todo = 0;
  for (int64_t b = 0; b < book->n_blocks; b++) {
    todo[b] = !lrp_scorebook_done(book, b, NULL);
    cost[b] = todo[b] ? (double)book->blocks[b].tokens : 0.0;
    *n_todo += todo[b];
  }
  const lrp_status st =
      lrp_partition_lpt(cost, book->n_blocks, topo->node_ranks, topo->n_nodes, node);
  free(cost);
  return st;
}

/* Predictions start from the blocks that are scored already; without any, from a cautious guess. */
static void learn(const lrp_scorebook *book, lrp_stop *stop, int threads) {
  const double flops_per_thread = 5e10;
  const double flops_per_token =
      2.0 * (double)lrp_config_linear_parameters(&book->study->model.config);
  lrp_stop_stage(stop, flops_per_token / (flops_per_thread * threads));
  for (int64_t b = 0; b < book->n_blocks; b++) {
    lrp_unit_record record;
    if (!lrp_scorebook_done(book, b, &record)) continue;
    lrp_stop_learn(stop, (double)book->blocks[b].tokens, record.seconds);
  }
}

static lrp_status work(scorer *s, lrp_scorebook *book, lrp_store *store, lrp_deal *deal,
                       lrp_control *control) {
  lrp_status st = LRP_OK;
  int64_t b;
  while (st == LRP_OK && (b = lrp_deal_next(deal)) >= 0) {
    const double tokens = (double)book->blocks[b].tokens, start = MPI_Wtime();
    st = lrp_stop_check(control->stop, tokens);
    if (st != LRP_OK) break;
    lrp_watch_phase(control->watch, "evaluate block %lld", (long long)b);
    st = score_block(s, book, store, b);
    lrp_stop_learn(control->stop, tokens, MPI_Wtime() - start);
    if (st == LRP_OK) lrp_progress_advance(control->progress, 1);
    if (st == LRP_OK && lrp_stop_checkpoint(control->stop)) st = lrp_scorebook_flush(book);
  }
  if (st > LRP_STOPPED) {
    lrp_deal_stop(deal);
    lrp_stop_abandon(control->stop);
  }
  const lrp_status flushed = lrp_scorebook_flush(book); /* what is done stays done */
  return st > flushed ? st : flushed;
}

lrp_status lrp_evaluate_stage(lrp_scorebook *book, lrp_store *store, const lrp_topology *topo,
                              lrp_control *control) {
  const size_t n = (size_t)book->n_blocks + 1;
  bool *todo = calloc(n, sizeof *todo);
  int *node = calloc(n, sizeof *node);
  lrp_deal *deal = NULL;
  scorer s = {.configuration = -1};
  int64_t n_todo = 0;
  lrp_status st = todo && node ? LRP_OK : lrp_fail_memory(n * sizeof *node, "a schedule");

  if (st == LRP_OK) st = list_blocks(book, topo, todo, node, &n_todo);
  if (st == LRP_OK) st = scorer_init(&s, book);
  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) st = lrp_deal_create(topo, node, todo, NULL, book->n_blocks, &deal);
  if (st == LRP_OK) {
    lrp_log("evaluate: %lld of %lld blocks to do", (long long)n_todo, (long long)book->n_blocks);
    lrp_progress_begin(control->progress, "evaluate", book->n_blocks, book->n_blocks - n_todo);
    learn(book, control->stop, topo->threads);
    st = work(&s, book, store, deal, control);
    lrp_watch_wait(control->watch, "evaluate: wait for the other process ranks");
    st = lrp_agree(st, topo->comm);
    lrp_deal_destroy(&deal);
  }
  if (st == LRP_OK) st = lrp_scorebook_refresh(book);
  scorer_free(&s);
  free(node);
  free(todo);
  return st;
}
