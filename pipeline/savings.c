#include "pipeline/savings.h"

#include <stdlib.h>

#include "kernels/nn/forest.h"

/* Tokens of a block: of all requests, and distinct ones. */
static lrp_status count_tokens(const lrp_task *task, const lrp_block *block, int64_t *alone,
                               int64_t *distinct) {
  lrp_sequence *sequences = calloc((size_t)block->n + 1, sizeof *sequences);
  lrp_forest forest = {0};
  if (!sequences) return lrp_fail_memory((size_t)block->n * sizeof *sequences, "a count of tokens");
  *alone = 0;
  for (int64_t i = 0; i < block->n; i++) {
    const lrp_request *r = &task->requests[block->first + i];
    sequences[i] =
        (lrp_sequence){.tokens = r->tokens, .n_tokens = r->n_tokens, .n_score = r->n_score};
    *alone += r->n_tokens - 1;
  }
  const lrp_status st = lrp_forest_build(sequences, block->n, true, &forest);
  *distinct = forest.batch.n_tokens;
  lrp_forest_free(&forest);
  free(sequences);
  return st;
}

/* Block b of task t under every configuration. */
static lrp_status add_block(const lrp_scorebook *book, int t, int64_t b, lrp_savings *out) {
  const lrp_study *study = book->study;
  const int layers = study->plan.layers;
  int64_t alone = 0, distinct = 0;
  const lrp_status st = count_tokens(
      &study->tasks[t], &book->blocks[book->pairs[t].first_block + b], &alone, &distinct);
  for (int c = 0; st == LRP_OK && c < study->plan.n_configurations; c++) {
    const lrp_pair *pair = &book->pairs[c * study->n_tasks + t];
    lrp_unit_record record;
    if (!lrp_scorebook_done(book, pair->first_block + b, &record)) continue;
    out->alone += alone * layers;
    out->distinct += distinct * layers;
    out->computed += (int64_t)record.predicted;
  }
  return st;
}

lrp_status lrp_savings_of(const lrp_scorebook *book, lrp_savings *out) {
  const lrp_study *study = book->study;
  lrp_status st = LRP_OK;
  *out = (lrp_savings){0};
  for (int t = 0; t < study->n_tasks; t++) {
    const lrp_output output = study->tasks[t].kind->output;
    if (lrp_output_is_encoders(output) || output == LRP_GENERATE) continue;
    for (int64_t b = 0; st == LRP_OK && b < book->pairs[t].n_blocks; b++) {
      st = add_block(book, t, b, out);
    }
  }
  return st;
}
