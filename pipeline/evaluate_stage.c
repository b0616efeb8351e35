#include "pipeline/evaluate_stage.h"

#include <stdlib.h>

#include "kernels/log.h"
#include "pipeline/partition.h"
#include "pipeline/scorer.h"

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

static lrp_status work(lrp_scorer *s, lrp_scorebook *book, lrp_store *store, lrp_deal *deal,
                       lrp_control *control) {
  lrp_status st = LRP_OK;
  int64_t b;
  while (st == LRP_OK && (b = lrp_deal_next(deal)) >= 0) {
    const double tokens = (double)book->blocks[b].tokens, start = MPI_Wtime();
    st = lrp_stop_check(control->stop, tokens);
    if (st != LRP_OK) break;
    lrp_watch_phase(control->watch, "evaluate block %lld", (long long)b);
    st = lrp_scorer_block(s, book, store, b);
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
  lrp_scorer *scorer = NULL;
  int64_t n_todo = 0;
  lrp_status st = todo && node ? LRP_OK : lrp_fail_memory(n * sizeof *node, "a schedule");

  if (st == LRP_OK) st = list_blocks(book, topo, todo, node, &n_todo);
  if (st == LRP_OK) st = lrp_scorer_create(book, &scorer);
  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) st = lrp_deal_create(topo, node, todo, NULL, book->n_blocks, &deal);
  if (st == LRP_OK) {
    lrp_log("evaluate: %lld of %lld blocks to do", (long long)n_todo, (long long)book->n_blocks);
    lrp_progress_begin(control->progress, "evaluate", book->n_blocks, book->n_blocks - n_todo);
    learn(book, control->stop, topo->threads);
    st = work(scorer, book, store, deal, control);
    lrp_watch_wait(control->watch, "evaluate: wait for the other process ranks");
    st = lrp_agree(st, topo->comm);
    lrp_deal_destroy(&deal);
  }
  if (st == LRP_OK) st = lrp_scorebook_refresh(book);
  lrp_scorer_destroy(&scorer);
  free(node);
  free(todo);
  return st;
}
