#include "pipeline/scorebook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/json_memory.h"
#include "kernels/log.h"
#include "pipeline/generate.h"
#include "pipeline/protocol.h"

/* A block ends with the first document or window that brings it to this many distinct tokens,
 * enough for matrix products at full speed, and to so many times the beginning that its documents
 * share: each block computes that once. */
enum { block_tokens = 2048, block_beginnings = 8 };

/* And with so many answers of LRP_GENERATE, each of which takes as many passes as it has tokens:
 * they advance together. */
enum { block_answers = 8 };

/* Longest time that a finished block waits for its journal record. */
static const double flush_every_s = 1.0;

/* A dataset of a pair, which has a row per request. */
typedef struct {
  const char *name;
  lrp_ledger_type type;
  int64_t cols; /* 0: one number per request */
} score_part;

enum { parts_max = 2 };

/* The datasets of a pair of this task, in the order of a block's extents. */
static int parts_of(const lrp_task *task, score_part parts[parts_max]) {
  if (task->kind->output == LRP_GENERATE) {
    parts[0] = (score_part){"tokens", LRP_LEDGER_I32, task->kind->max_new};
    return 1;
  }
  parts[0] = (score_part){"loglikelihood", LRP_LEDGER_F64, 0};
  parts[1] = (score_part){"greedy", LRP_LEDGER_U8, 0};
  return 2;
}

/* "/results/<configuration>/<task>/loglikelihood"; freed by the caller. */
static char *part_path(const lrp_study *study, const lrp_pair *pair, const char *part) {
  char *path = NULL;
  if (asprintf(&path, "/results/%s/%s/%s", study->plan.configurations[pair->configuration].name,
               study->tasks[pair->task].kind->name, part) >= 0) {
    return path;
  }
  lrp_fail_memory(strlen(study->tasks[pair->task].kind->name), "a dataset path");
  return NULL;
}

/* A block may end with request r of doc: the choices of a document share their context and stay
 * together, windows of a text and masked tokens do not. */
static bool may_cut(const lrp_task *task, const lrp_doc *doc, int r) {
  const lrp_output output = task->kind->output;
  return output == LRP_ROLLING || output == LRP_BLANKS || r + 1 == doc->n;
}

/* Tokens that two requests begin with. */
static int64_t common_tokens(const lrp_request *a, const lrp_request *b) {
  const int64_t n = a->n_tokens < b->n_tokens ? a->n_tokens : b->n_tokens;
  int64_t i = 0;
  if (!a->tokens || !b->tokens) return 0;
  while (i < n && a->tokens[i] == b->tokens[i]) i++;
  return i;
}

/* Tokens that request r adds to a block that begins with request first: a causal model computes a
 * beginning once that it shares with the request before it, or with the first one. */
static int64_t new_tokens(const lrp_task *task, int64_t first, int64_t r) {
  const lrp_request *q = &task->requests[r];
  const int64_t own = q->n_tokens + task->kind->max_new;
  if (r == first || lrp_output_is_encoders(task->kind->output)) return own;
  const int64_t before = common_tokens(&task->requests[r - 1], q);
  const int64_t begin = common_tokens(&task->requests[first], q);
  return own - (before > begin ? before : begin);
}

/* Whether a block is large enough with document doc as its last. */
static bool is_full(const lrp_task *task, const lrp_doc *doc, const lrp_block *b) {
  if (task->kind->output == LRP_GENERATE) return b->n >= block_answers;
  if (b->tokens < block_tokens) return false;
  if (b->first == doc->first || lrp_output_is_encoders(task->kind->output)) return true;
  const int64_t shared = common_tokens(&task->requests[b->first], &task->requests[doc->first]);
  return b->tokens >= block_beginnings * shared;
}

/* Cut the requests of a pair's task into blocks; with blocks NULL only count them, and their
 * tokens. */
static int64_t cut_blocks(const lrp_task *task, int pair, lrp_block *blocks, int64_t *tokens) {
  lrp_block b = {.pair = pair};
  int64_t n = 0;
  *tokens = 0;
  for (int64_t d = 0; d < task->n_docs; d++) {
    const lrp_doc *doc = &task->docs[d];
    for (int r = 0; r < doc->n; r++) {
      const bool last = doc->first + r + 1 == task->n_requests;
      b.n++;
      b.tokens += new_tokens(task, b.first, doc->first + r);
      if (!last && !(may_cut(task, doc, r) && is_full(task, doc, &b))) continue;
      if (blocks) blocks[n] = b;
      n++;
      *tokens += b.tokens;
      b = (lrp_block){.pair = pair, .first = b.first + b.n};
    }
  }
  return n;
}

int64_t lrp_scorebook_tokens(const lrp_task *task) {
  int64_t tokens;
  cut_blocks(task, 0, NULL, &tokens);
  return tokens;
}

/* Blocks of a task are the same under each configuration: those of the first one are cut, the
 * others copied. */
static void fill_blocks(lrp_scorebook *book) {
  const int n_tasks = book->study->n_tasks;
  int64_t tokens;
  for (int p = 0; p < book->n_pairs; p++) {
    const lrp_pair *pair = &book->pairs[p];
    lrp_block *blocks = book->blocks + pair->first_block;
    if (p < n_tasks) {
      cut_blocks(&book->study->tasks[p], p, blocks, &tokens);
      continue;
    }
    memcpy(blocks, book->blocks + book->pairs[p % n_tasks].first_block,
           (size_t)pair->n_blocks * sizeof *blocks);
    for (int64_t b = 0; b < pair->n_blocks; b++) blocks[b].pair = p;
  }
}

static lrp_status make_blocks(lrp_scorebook *book) {
  const lrp_study *study = book->study;
  const int n_tasks = study->n_tasks;
  int64_t tokens;
  book->n_pairs = study->plan.n_configurations * n_tasks;
  book->pairs = calloc((size_t)book->n_pairs + 1, sizeof *book->pairs);
  if (!book->pairs) return lrp_fail_memory(sizeof *book->pairs, "the blocks of requests");
  for (int p = 0; p < book->n_pairs; p++) {
    const int t = p % n_tasks;
    const int64_t n =
        p < n_tasks ? cut_blocks(&study->tasks[t], p, NULL, &tokens) : book->pairs[t].n_blocks;
    book->pairs[p] = (lrp_pair){.configuration = p / n_tasks,
                                .task = t,
                                .ledger = -1,
                                .first_block = book->n_blocks,
                                .n_blocks = n};
    book->n_blocks += n;
  }
  book->blocks = calloc((size_t)book->n_blocks + 1, sizeof *book->blocks);
  if (!book->blocks) {
    return lrp_fail_memory((size_t)book->n_blocks * sizeof *book->blocks, "the blocks of requests");
  }
  fill_blocks(book);
  return LRP_OK;
}

/* The plan of a ledger for the pairs that have none yet. */
typedef struct {
  lrp_ledger_plan plan;
  lrp_ledger_dataset *datasets;
  lrp_ledger_extent *extents;
  lrp_ledger_unit *units;
} score_plan;

static void score_plan_free(score_plan *p) {
  for (int64_t i = 0; p->datasets && i < p->plan.n_datasets; i++) free(p->datasets[i].path);
  for (int64_t i = 0; p->units && i < p->plan.n_units; i++) free(p->units[i].name);
  free(p->datasets);
  free(p->extents);
  free(p->units);
}

static lrp_status add_block(score_plan *p, const lrp_study *study, const lrp_pair *pair,
                            const lrp_block *b, int64_t first_dataset, int n_parts) {
  lrp_ledger_unit *unit = &p->units[p->plan.n_units++];
  *unit = (lrp_ledger_unit){.first_extent = p->plan.n_extents, .n_extents = n_parts};
  if (asprintf(&unit->name, "%s/%s/%lld+%lld", study->plan.configurations[pair->configuration].name,
               study->tasks[pair->task].kind->name, (long long)b->first, (long long)b->n) < 0) {
    unit->name = NULL;
    return lrp_fail_memory(sizeof *unit, "the plan of the evaluation");
  }
  for (int part = 0; part < n_parts; part++) {
    p->extents[p->plan.n_extents++] =
        (lrp_ledger_extent){.dataset = first_dataset + part, .row = b->first, .rows = b->n};
  }
  return LRP_OK;
}

static lrp_status add_pair(score_plan *p, const lrp_scorebook *book, const lrp_pair *pair) {
  const lrp_study *study = book->study;
  const lrp_task *task = &study->tasks[pair->task];
  const int64_t first_dataset = p->plan.n_datasets;
  lrp_status st = LRP_OK;
  score_part parts[parts_max];
  const int n_parts = parts_of(task, parts);
  for (int part = 0; part < n_parts; part++) {
    lrp_ledger_dataset *d = &p->datasets[p->plan.n_datasets++];
    *d = (lrp_ledger_dataset){.path = part_path(study, pair, parts[part].name),
                              .type = parts[part].type,
                              .rows = task->n_requests,
                              .cols = parts[part].cols};
    if (!d->path) return LRP_ERR_MEM;
  }
  for (int64_t b = 0; st == LRP_OK && b < pair->n_blocks; b++) {
    st = add_block(p, study, pair, &book->blocks[pair->first_block + b], first_dataset, n_parts);
  }
  return st;
}

static lrp_status score_plan_init(score_plan *p, const lrp_scorebook *book) {
  const size_t pairs = (size_t)book->n_pairs + 1, blocks = (size_t)book->n_blocks + 1;
  lrp_status st = LRP_OK;

  *p = (score_plan){0};
  p->datasets = calloc(pairs * parts_max, sizeof *p->datasets);
  p->extents = calloc(blocks * parts_max, sizeof *p->extents);
  p->units = calloc(blocks, sizeof *p->units);
  if (!p->datasets || !p->extents || !p->units) {
    st = lrp_fail_memory(blocks * parts_max * sizeof *p->extents, "the plan of the evaluation");
  }
  for (int i = 0; st == LRP_OK && i < book->n_pairs; i++) {
    if (book->pairs[i].ledger < 0) st = add_pair(p, book, &book->pairs[i]);
  }
  p->plan.format = LRP_EVALUATION_FORMAT;
  p->plan.datasets = p->datasets;
  p->plan.extents = p->extents;
  p->plan.units = p->units;
  return st;
}

/* Pairs that ledger number l has find their place there; its blocks lie in the order of its pairs.
 */
static lrp_status find_places(lrp_scorebook *book, int l, const json_t *covers) {
  const lrp_study *study = book->study;
  int64_t slot = 0;
  size_t i;
  const json_t *stored;

  json_array_foreach(json_object_get(covers, "pairs"), i, stored) {
    const int64_t blocks = json_integer_value(json_object_get(stored, "blocks"));
    for (int p = 0; p < book->n_pairs; p++) {
      lrp_pair *pair = &book->pairs[p];
      if (pair->ledger >= 0 ||
          !lrp_protocol_same_pair(study, pair->configuration, pair->task, stored))
        continue;
      if (pair->n_blocks != blocks) {
        return lrp_fail(LRP_ERR_JOB,
                        "%s: was evaluated in other blocks, by another version of lrpipe;"
                        " choose another output",
                        study->job.output);
      }
      pair->ledger = l;
      pair->first_slot = slot;
    }
    slot += blocks;
  }
  if (slot == lrp_ledger_units(book->ledgers.ledger[l])) return LRP_OK;
  return lrp_fail(LRP_ERR_DATA, "%s: an evaluation ledger is damaged: units and plan differ",
                  study->job.output);
}

static lrp_status adopt(lrp_scorebook *book, int l) {
  json_t *covers = NULL;
  lrp_status st = lrp_ledgers_note(book->ledgers.ledger[l], "covers", &covers);
  if (st == LRP_OK) st = lrp_protocol_check(book->study, covers);
  if (st == LRP_OK) st = find_places(book, l, covers);
  json_decref(covers);
  return lrp_json_checked(st);
}

/* The pairs that a new ledger is planned for. NULL when out of memory. */
static json_t *missing_pairs(const lrp_scorebook *book) {
  json_t *pairs = json_array();
  for (int p = 0; p < book->n_pairs; p++) {
    const lrp_pair *pair = &book->pairs[p];
    if (pair->ledger >= 0) continue;
    json_array_append_new(
        pairs, lrp_protocol_pair(book->study, pair->configuration, pair->task, pair->n_blocks));
  }
  return pairs;
}

static lrp_status add_missing(lrp_scorebook *book, const lrp_topology *topo,
                              const json_t *provenance) {
  const lrp_study *study = book->study;
  score_plan p = {0};
  json_t *pairs = missing_pairs(book);
  const bool missing = json_array_size(pairs) > 0;
  json_t *covers = lrp_protocol_covers(study, pairs);
  lrp_status st = score_plan_init(&p, book);

  if (st == LRP_OK && !covers) st = lrp_fail_memory(0, "the plan of the evaluation");
  st = lrp_agree(lrp_json_checked(st), topo->comm);
  if (st == LRP_OK && missing) {
    st = lrp_ledgers_add(study->job.output, LRP_EVALUATION_STEM, &p.plan, covers, provenance,
                         study->job_yaml, topo->comm, &book->ledgers);
    if (st == LRP_OK) st = lrp_agree(adopt(book, book->ledgers.n - 1), topo->comm);
  }
  json_decref(covers);
  score_plan_free(&p);
  return st;
}

lrp_status lrp_scorebook_open(const lrp_study *study, const lrp_topology *topo,
                              const json_t *provenance, int attempt, lrp_scorebook *book) {
  *book = (lrp_scorebook){.study = study, .attempt = attempt};
  lrp_status st = lrp_agree(make_blocks(book), topo->comm);
  if (st == LRP_OK) {
    st = lrp_ledgers_open(study->job.output, LRP_EVALUATION_STEM, LRP_EVALUATION_FORMAT, topo->comm,
                          &book->ledgers);
  }
  for (int l = 0; st == LRP_OK && l < book->ledgers.n; l++) st = adopt(book, l);
  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) st = add_missing(book, topo, provenance);
  if (st != LRP_OK) lrp_scorebook_close(book);
  return st;
}

lrp_status lrp_scorebook_close(lrp_scorebook *book) {
  const lrp_status st = lrp_ledgers_close(&book->ledgers);
  free(book->pairs);
  free(book->blocks);
  *book = (lrp_scorebook){0};
  return st;
}

/* Ledger and slot of block b. */
static lrp_ledger *locate(const lrp_scorebook *book, int64_t b, int64_t *slot) {
  const lrp_pair *pair = &book->pairs[book->blocks[b].pair];
  *slot = pair->first_slot + (b - pair->first_block);
  return book->ledgers.ledger[pair->ledger];
}

bool lrp_scorebook_done(const lrp_scorebook *book, int64_t b, lrp_unit_record *record) {
  int64_t slot;
  const lrp_ledger *ledger = locate(book, b, &slot);
  return lrp_ledger_done(ledger, slot, record);
}

/* data: a buffer for each part of the block's task. */
static lrp_status put(lrp_scorebook *book, int64_t b, const void *const *data, double seconds,
                      int64_t products) {
  const lrp_unit_record record = {.attempt = book->attempt,
                                  .process_ranks = 1,
                                  .seconds = seconds,
                                  .predicted = (double)products};
  int64_t slot;
  lrp_ledger *ledger = locate(book, b, &slot);
  lrp_status st = lrp_ledger_write(ledger, slot, data, &record);
  for (int l = 0; st == LRP_OK && l < book->ledgers.n; l++) {
    st = lrp_ledger_flush_after(book->ledgers.ledger[l], flush_every_s);
  }
  return st;
}

lrp_status lrp_scorebook_put(lrp_scorebook *book, int64_t b, const double *ll,
                             const uint8_t *greedy, double seconds, int64_t products) {
  const void *const data[] = {ll, greedy};
  return put(book, b, data, seconds, products);
}

lrp_status lrp_scorebook_put_tokens(lrp_scorebook *book, int64_t b, const int32_t *tokens,
                                    double seconds, int64_t products) {
  const void *const data[] = {tokens};
  return put(book, b, data, seconds, products);
}

lrp_status lrp_scorebook_flush(lrp_scorebook *book) {
  lrp_status st = LRP_OK;
  for (int l = 0; l < book->ledgers.n; l++) {
    const lrp_status flushed = lrp_ledger_flush(book->ledgers.ledger[l]);
    if (flushed > st) st = flushed;
  }
  return st;
}

lrp_status lrp_scorebook_refresh(lrp_scorebook *book) {
  lrp_status st = LRP_OK;
  for (int l = 0; st == LRP_OK && l < book->ledgers.n; l++) {
    st = lrp_ledger_refresh(book->ledgers.ledger[l]);
  }
  return st;
}

static lrp_status read_part(lrp_scorebook *book, const lrp_pair *pair, const char *part,
                            void *buffer) {
  const lrp_task *task = &book->study->tasks[pair->task];
  char *path = part_path(book->study, pair, part);
  if (!path) return LRP_ERR_MEM;
  const lrp_status st =
      lrp_ledger_read(book->ledgers.ledger[pair->ledger], path, 0, task->n_requests, buffer);
  free(path);
  return st;
}

lrp_status lrp_scorebook_read(lrp_scorebook *book, int p, double **ll, uint8_t **greedy) {
  const lrp_pair *pair = &book->pairs[p];
  const size_t n = (size_t)book->study->tasks[pair->task].n_requests;
  lrp_status st = LRP_OK;

  *ll = malloc(n * sizeof **ll);
  *greedy = malloc(n);
  if (!*ll || !*greedy) st = lrp_fail_memory(n * sizeof **ll, "the scores");
  if (st == LRP_OK) st = read_part(book, pair, "loglikelihood", *ll);
  if (st == LRP_OK) st = read_part(book, pair, "greedy", *greedy);
  if (st != LRP_OK) {
    free(*ll);
    free(*greedy);
    *ll = NULL;
    *greedy = NULL;
  }
  return st;
}

static lrp_status read_tokens(lrp_scorebook *book, const lrp_pair *pair, int32_t **tokens) {
  const lrp_task *task = &book->study->tasks[pair->task];
  const size_t bytes = (size_t)task->n_requests * (size_t)task->kind->max_new * sizeof **tokens;
  *tokens = malloc(bytes);
  return *tokens ? read_part(book, pair, "tokens", *tokens)
                 : lrp_fail_memory(bytes, "the generated tokens");
}

lrp_status lrp_scorebook_read_texts(lrp_scorebook *book, int p, char **texts) {
  const lrp_pair *pair = &book->pairs[p];
  const lrp_task *task = &book->study->tasks[pair->task];
  lrp_endings endings;
  int32_t *tokens = NULL;
  lrp_status st = lrp_endings_init(task->kind, book->study->tokenizer, &endings);

  if (st == LRP_OK) st = read_tokens(book, pair, &tokens);
  for (int64_t i = 0; st == LRP_OK && i < task->n_requests; i++) {
    texts[i] = lrp_endings_text(&endings, tokens + i * endings.max_new);
    if (!texts[i]) st = LRP_ERR_MEM;
  }
  free(tokens);
  return st;
}

lrp_effort lrp_scorebook_effort(const lrp_scorebook *book, int p) {
  const lrp_pair *pair = &book->pairs[p];
  lrp_effort effort = {0};
  for (int64_t b = 0; b < pair->n_blocks; b++) {
    lrp_unit_record record;
    if (!lrp_scorebook_done(book, pair->first_block + b, &record)) continue;
    effort.seconds += record.seconds;
    effort.products += (int64_t)record.predicted;
  }
  return effort;
}
