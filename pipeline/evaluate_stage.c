#include "pipeline/evaluate_stage.h"

#include <stdlib.h>

#include "kernels/log.h"
#include "pipeline/causal.h"
#include "pipeline/decoding.h"
#include "pipeline/partition.h"
#include "pipeline/scorer.h"

/* What a process rank works with. */
typedef struct {
  lrp_scorebook *book;
  lrp_store *store;
  const lrp_topology *topo;
  lrp_control *control;
  lrp_sweep sweep;
  lrp_portions portions;
  lrp_weights *weights; /* of a causal model: weights, causal, decoding; of an
                           encoder: encoder */
  lrp_causal *causal;
  lrp_decoding *decoding; /* NULL if no task generates */
  lrp_scorer *encoder;
  int *todo;  /* owned: configurations of a portion */
  bool *said; /* owned, a flag per portion: its line is in the log; process rank 0 */
} stage;

/* ---- the schedule ---- */

/* Whether a portion is open, and the node of each, dealt by tokens. */
static lrp_status deal_portions(const stage *s, bool *todo, int *node) {
  const int64_t n = s->portions.n;
  double *cost = malloc(((size_t)n + 1) * sizeof *cost);
  int *capacity = malloc((size_t)s->topo->n_nodes * sizeof *capacity);
  lrp_status st =
      cost && capacity ? LRP_OK : lrp_fail_memory((size_t)n * sizeof *cost, "a schedule");
  if (st == LRP_OK) {
    for (int i = 0; i < s->topo->n_nodes; i++) capacity[i] = s->topo->node_ranks[i];
    if (s->weights) lrp_weights_capacity(s->weights, capacity);
    for (int64_t i = 0; i < n; i++) {
      cost[i] = s->portions.portions[i].tokens;
      todo[i] = cost[i] > 0.0;
    }
    st = lrp_partition_lpt(cost, n, capacity, s->topo->n_nodes, node);
  }
  free(capacity);
  free(cost);
  return st;
}

/* Whether the record of a block tells of the products that it took, in which its cost is counted.
 */
static bool counts_products(const lrp_scorebook *book, int64_t b) {
  const lrp_output output = book->study->tasks[book->pairs[book->blocks[b].pair].task].kind->output;
  return !lrp_output_is_encoders(output) && output != LRP_GENERATE;
}

/* Seconds that a process rank needs for a token: a cautious guess. */
static double guess(const lrp_config *config, int threads) {
  const double flops_per_thread = 5e10;
  const double flops_per_token = 2.0 * (double)lrp_config_linear_parameters(config);
  return flops_per_token / (flops_per_thread * threads);
}

/* Predictions start from the blocks that are scored already; without any, from the guess. */
static void learn(const lrp_scorebook *book, lrp_stop *stop, int threads) {
  const lrp_config *config = &book->study->model.config;
  lrp_stop_stage(stop, guess(config, threads));
  for (int64_t b = 0; b < book->n_blocks; b++) {
    lrp_unit_record record;
    if (!lrp_scorebook_done(book, b, &record)) continue;
    const double tokens = counts_products(book, b) ? record.predicted / lrp_config_layers(config)
                                                   : (double)book->blocks[b].tokens;
    lrp_stop_learn(stop, tokens, record.seconds);
  }
}

/* ---- the work ---- */

/* Whether this process rank takes portions, not what others send of them. */
static bool takes_blocks(const stage *s) {
  return !s->weights || lrp_weights_takes(s->weights);
}

/* One configuration at a time: what an encoder computes, or an answer that is
 * generated. */
static lrp_status compute_block(stage *s, const lrp_portion *p, int configuration) {
  const int64_t b = lrp_portion_block(s->book, p, configuration);
  const double start = MPI_Wtime();
  lrp_status st = s->encoder ? lrp_scorer_block(s->encoder, s->book, s->store, b)
                             : lrp_decoding_block(s->decoding, b);
  lrp_stop_learn(s->control->stop, p->tokens, MPI_Wtime() - start);
  if (st == LRP_OK && takes_blocks(s)) lrp_progress_advance(s->control->progress, 1, p->tokens);
  if (st == LRP_OK && lrp_stop_checkpoint(s->control->stop)) st = lrp_scorebook_flush(s->book);
  return st;
}

static bool generates(const stage *s, const lrp_portion *p) {
  return s->book->study->tasks[p->task].kind->output == LRP_GENERATE;
}

/* The configurations s->todo of portion i are done. */
static void say_portion(stage *s, int64_t i, int n) {
  const lrp_portion *p = &s->portions.portions[i];
  const lrp_study *study = s->book->study;
  const char *task = study->tasks[p->task].kind->name;
  if (n == 1) {
    lrp_progress_line(s->control->progress, i, "evaluated block %lld of %s under %s",
                      (long long)p->block, task, study->plan.configurations[s->todo[0]].name);
  } else {
    lrp_progress_line(s->control->progress, i, "evaluated block %lld of %s under %d configurations",
                      (long long)p->block, task, n);
  }
}

static lrp_status compute(stage *s, const lrp_portion *p, int n) {
  lrp_status st = LRP_OK;
  if (s->causal && !generates(s, p)) {
    st = lrp_causal_portion(s->causal, p, s->todo, n);
    if (st == LRP_OK && lrp_weights_column(s->weights)) {
      lrp_progress_advance(s->control->progress, n, p->tokens);
    }
    return st;
  }
  for (int i = 0; st == LRP_OK && i < n; i++) st = compute_block(s, p, s->todo[i]);
  return st;
}

static lrp_status compute_portion(stage *s, int64_t i) {
  const lrp_portion *p = &s->portions.portions[i];
  const int n = lrp_portion_todo(s->book, &s->sweep, p, s->todo);
  const lrp_status st = compute(s, p, n);
  if (st == LRP_OK && takes_blocks(s)) say_portion(s, i, n);
  return st;
}

static void say_phase(const stage *s, const lrp_portion *p) {
  const char *task = s->book->study->tasks[p->task].kind->name;
  const long long block = p->block;
  lrp_watch_phase(s->control->watch, "evaluate block %lld of task %s", block, task);
  if (takes_blocks(s)) {
    lrp_progress_work(s->control->progress, "block %lld of %s", block, task);
  }
}

/* Take portions until there are none, or the time is up. */
static lrp_status lead(stage *s, lrp_deal *deal) {
  lrp_column *column = s->weights ? lrp_weights_column(s->weights) : NULL;
  lrp_status st = LRP_OK;
  int64_t i;
  while (st == LRP_OK && (i = lrp_deal_next(deal)) >= 0) {
    const lrp_portion *p = &s->portions.portions[i];
    const double tokens = (double)s->book->blocks[lrp_portion_block(s->book, p, 0)].tokens;
    st = lrp_stop_check(s->control->stop, column ? tokens * lrp_spread_depth(column) : tokens);
    if (st != LRP_OK || (column && !lrp_spread_begin(column, i))) break;
    say_phase(s, p);
    st = compute_portion(s, i);
    if (column) lrp_spread_end(column, st);
  }
  return st;
}

/* Compute what the process rank before this one in the column sends. */
static lrp_status follow(stage *s) {
  lrp_column *column = lrp_weights_column(s->weights);
  lrp_status st = LRP_OK;
  int64_t i;
  while (column && lrp_spread_take(column, &i)) {
    const lrp_portion *p = &s->portions.portions[i];
    say_phase(s, p);
    st = generates(s, p) ? compute_portion(s, i) : lrp_causal_follow(s->causal, p);
    lrp_spread_end(column, st);
    lrp_watch_wait(s->control->watch, "evaluate: wait for the process rank before this one");
  }
  return st;
}

static lrp_status work(stage *s, lrp_deal *deal) {
  lrp_column *column = s->weights ? lrp_weights_column(s->weights) : NULL;
  lrp_status st = takes_blocks(s) ? lead(s, deal) : follow(s);
  if (column) st = lrp_spread_finish(column, st);
  if (st > LRP_STOPPED) {
    lrp_deal_stop(deal);
    lrp_stop_abandon(s->control->stop);
  }
  const lrp_status flushed = lrp_scorebook_flush(s->book); /* what is done stays done */
  return st > flushed ? st : flushed;
}

/* ---- the stage ---- */

static bool has_generation(const lrp_study *study) {
  for (int t = 0; t < study->n_tasks; t++) {
    if (study->tasks[t].kind->output == LRP_GENERATE) return true;
  }
  return false;
}

/* What the process ranks compute with. Collective. */
static lrp_status open_scorers(stage *s) {
  const lrp_study *study = s->book->study;
  if (study->model.config.family == LRP_FAMILY_BERT) {
    return lrp_agree(lrp_scorer_create(s->book, &s->encoder), s->topo->comm);
  }
  lrp_status st = lrp_weights_open(study, s->topo, &s->weights);
  if (st != LRP_OK) return st;
  st = lrp_causal_create(s->book, s->store, &s->sweep, s->weights, s->control, &s->causal);
  if (st == LRP_OK && has_generation(study)) {
    st = lrp_decoding_create(s->book, s->store, s->weights, &s->decoding);
  }
  return lrp_agree(st, s->topo->comm);
}

/* Scorers, and portions for the process ranks that take any. Collective. */
static lrp_status prepare(stage *s) {
  const lrp_study *study = s->book->study;
  lrp_status st = lrp_agree(lrp_sweep_create(&study->plan, &s->sweep), s->topo->comm);
  if (st == LRP_OK) st = open_scorers(s);
  if (st != LRP_OK) return st;
  int workers = takes_blocks(s);
  MPI_Allreduce(MPI_IN_PLACE, &workers, 1, MPI_INT, MPI_SUM, s->topo->comm);
  s->todo = calloc((size_t)study->plan.n_configurations + 1, sizeof *s->todo);
  if (!s->todo) st = lrp_fail_memory(sizeof *s->todo, "a schedule");
  if (st == LRP_OK) st = lrp_portions_create(s->book, &s->sweep, workers, &s->portions);
  if (st == LRP_OK) {
    s->said = calloc((size_t)s->portions.n + 1, sizeof *s->said);
    if (!s->said) st = lrp_fail_memory((size_t)s->portions.n, "a schedule");
  }
  return lrp_agree(st, s->topo->comm);
}

static int64_t count_open(const lrp_scorebook *book) {
  int64_t n = 0;
  for (int64_t b = 0; b < book->n_blocks; b++) n += !lrp_scorebook_done(book, b, NULL);
  return n;
}

/* What this node has to do, dealt to node[]. Collective over the node. */
static void begin_progress(stage *s, const int *node) {
  const int64_t n_blocks = s->book->n_blocks;
  double tokens = 0.0;
  int workers = takes_blocks(s);
  for (int64_t i = 0; i < s->portions.n; i++) {
    if (node[i] == s->topo->node_index) tokens += s->portions.portions[i].tokens;
  }
  MPI_Allreduce(MPI_IN_PLACE, &workers, 1, MPI_INT, MPI_SUM, s->topo->node);
  lrp_progress_begin(
      s->control->progress,
      &(lrp_progress_stage){.name = "evaluate",
                            .items = "blocks",
                            .total = n_blocks,
                            .done = n_blocks - count_open(s->book),
                            .cost = tokens,
                            .seconds_per_cost = lrp_stop_predict(s->control->stop, 1.0),
                            .workers = workers,
                            .said = s->said});
}

/* The configurations of a portion that this attempt has evaluated, written to s->todo. */
static int find_evaluated(const stage *s, const lrp_portion *p) {
  int n = 0;
  for (int i = p->first; i < p->first + p->n; i++) {
    const int c = s->sweep.order[i];
    lrp_unit_record r;
    if (lrp_scorebook_done(s->book, lrp_portion_block(s->book, p, c), &r) &&
        r.attempt == s->book->attempt) {
      s->todo[n++] = c;
    }
  }
  return n;
}

/* The lines of portions that other nodes have done, which process rank 0 finds in the journal. */
static void end_progress(stage *s) {
  lrp_progress_settle(s->control->progress, s->book->n_blocks - count_open(s->book));
  for (int64_t i = 0; s->topo->me == 0 && i < s->portions.n; i++) {
    const int n = s->said[i] ? 0 : find_evaluated(s, &s->portions.portions[i]);
    if (n > 0) say_portion(s, i, n);
  }
  lrp_progress_end(s->control->progress);
}

/* Deal out what there is to do and do it. Collective. */
static lrp_status run(stage *s) {
  const size_t n = (size_t)s->portions.n + 1;
  bool *todo = calloc(n, sizeof *todo);
  int *node = calloc(n, sizeof *node);
  lrp_deal *deal = NULL;
  lrp_status st = todo && node ? LRP_OK : lrp_fail_memory(n * sizeof *node, "a schedule");
  if (st == LRP_OK) st = deal_portions(s, todo, node);
  st = lrp_agree(st, s->topo->comm);
  if (st == LRP_OK) st = lrp_deal_create(s->topo, node, todo, NULL, s->portions.n, &deal);
  if (st == LRP_OK) {
    learn(s->book, s->control->stop, s->topo->threads);
    begin_progress(s, node);
    st = work(s, deal);
    lrp_watch_wait(s->control->watch, "evaluate: wait for the other process ranks");
    st = lrp_agree(st, s->topo->comm);
    lrp_deal_destroy(&deal);
    if (st <= LRP_STOPPED) {
      const lrp_status read = lrp_scorebook_refresh(s->book);
      st = read > st ? read : st;
    }
    end_progress(s);
  }
  free(node);
  free(todo);
  return st;
}

lrp_status lrp_evaluate_stage(lrp_scorebook *book, lrp_store *store, const lrp_topology *topo,
                              lrp_control *control) {
  stage s = {.book = book, .store = store, .topo = topo, .control = control};
  const int64_t n_todo = count_open(book);

  lrp_log("evaluate: %lld of %lld blocks to do", (long long)n_todo, (long long)book->n_blocks);
  if (n_todo == 0) return LRP_OK;
  lrp_status st = prepare(&s);
  if (st == LRP_OK) st = run(&s);
  lrp_scorer_destroy(&s.encoder);
  lrp_decoding_destroy(&s.decoding);
  lrp_causal_destroy(&s.causal);
  lrp_weights_close(&s.weights);
  lrp_portions_free(&s.portions);
  lrp_sweep_free(&s.sweep);
  free(s.said);
  free(s.todo);
  return st;
}

double lrp_evaluate_predict(const lrp_study *study, const lrp_topology *topo) {
  const int n = study->plan.n_configurations;
  const lrp_config *config = &study->model.config;
  lrp_sweep sweep = {0};
  double tokens = 0.0;
  lrp_status st = lrp_sweep_create(&study->plan, &sweep);
  const int64_t layers =
      st == LRP_OK ? lrp_sweep_cost(&sweep, sweep.order, n, 0, sweep.layers, n) : -1;
  lrp_sweep_free(&sweep);
  if (layers < 0) {
    lrp_failure_clear(); /* nothing depends on it */
    return 0.0;
  }
  for (int t = 0; t < study->n_tasks; t++) {
    const lrp_task *task = &study->tasks[t];
    const bool alone = config->family == LRP_FAMILY_BERT || task->kind->output == LRP_GENERATE;
    const double walks = alone ? n : (double)layers / lrp_config_layers(config);
    tokens += walks * (double)lrp_scorebook_tokens(task);
  }
  return tokens * guess(config, topo->threads) / topo->size;
}
