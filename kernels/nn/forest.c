#include "kernels/nn/forest.h"

#include <stdlib.h>
#include <string.h>

/* Sorted, the inputs of sequences are a walk through their tree from left to right: each one
 * follows the path of the one before for `common` tokens and adds the rest of its own. Later inputs
 * cut what it adds into branches where they fork off. */

/* What the model reads of a sequence: all tokens but the last. */
typedef struct {
  const int32_t *tokens;
  int64_t length, sequence;
} input;

/* Arrays of n or n + 1; all owned. */
typedef struct {
  int64_t n;
  input *inputs;     /* sorted */
  int64_t *common;   /* tokens that an input shares with the one before it */
  int64_t *cuts;     /* positions, ascending for each input */
  int64_t *first;    /* of input i: cuts[first[i]] .. cuts[first[i + 1] - 1] */
  int64_t *targets;  /* where those of sequence s begin */
  int64_t *path;     /* branches from a root on; room for 2 n */
  int64_t path_size; /* of them */
} walk;

static void walk_free(walk *w) {
  free(w->inputs);
  free(w->common);
  free(w->cuts);
  free(w->first);
  free(w->targets);
  free(w->path);
}

static lrp_status walk_init(int64_t n, walk *w) {
  const size_t count = (size_t)n + 1;
  *w = (walk){.n = n};
  w->inputs = calloc(count, sizeof *w->inputs);
  w->common = calloc(count, sizeof *w->common);
  w->cuts = calloc(count, sizeof *w->cuts);
  w->first = calloc(count, sizeof *w->first);
  w->targets = calloc(count, sizeof *w->targets);
  w->path = calloc(count, 2 * sizeof *w->path);
  if (w->inputs && w->common && w->cuts && w->first && w->targets && w->path) return LRP_OK;
  walk_free(w);
  return lrp_fail_memory(count * (sizeof(input) + 6 * sizeof(int64_t)), "a forest of sequences");
}

static int64_t common_tokens(const input *a, const input *b) {
  const int64_t most = a->length < b->length ? a->length : b->length;
  int64_t i = 0;
  while (i < most && a->tokens[i] == b->tokens[i]) i++;
  return i;
}

/* A beginning comes before what continues it. */
static int compare_inputs(const void *a, const void *b) {
  const input *x = a, *y = b;
  const int64_t i = common_tokens(x, y);
  if (i < x->length && i < y->length) return x->tokens[i] < y->tokens[i] ? -1 : 1;
  return (x->length > y->length) - (x->length < y->length);
}

static lrp_status take_inputs(const lrp_sequence *sequences, bool share, walk *w) {
  for (int64_t s = 0; s < w->n; s++) {
    const lrp_sequence *q = &sequences[s];
    if (q->n_score < 1 || q->n_score >= q->n_tokens) {
      return lrp_fail(LRP_ERR_BUG, "a sequence of %lld tokens cannot score %lld of them",
                      (long long)q->n_tokens, (long long)q->n_score);
    }
    w->inputs[s] = (input){.tokens = q->tokens, .length = q->n_tokens - 1, .sequence = s};
    w->targets[s + 1] = w->targets[s] + q->n_score;
  }
  qsort(w->inputs, (size_t)w->n, sizeof *w->inputs, compare_inputs);
  for (int64_t i = 1; share && i < w->n; i++) {
    w->common[i] = common_tokens(&w->inputs[i - 1], &w->inputs[i]);
  }
  return LRP_OK;
}

/* From right to left, keeping what the input at hand has in common with each later one: the least
 * of `common` between them, which only falls, so that it is a stack. What exceeds its own `common`
 * lies in what it adds, and is of no use to earlier inputs. The end of the input is no cut. */
static void find_cuts(walk *w) {
  int64_t *stack = w->path;
  int64_t size = 0;
  int64_t next = w->n;
  w->first[w->n] = next;
  for (int64_t i = w->n - 1; i >= 0; i--) {
    for (; size > 0 && stack[size - 1] > w->common[i]; size--) {
      if (stack[size - 1] < w->inputs[i].length) w->cuts[--next] = stack[size - 1];
    }
    if (size == 0 || stack[size - 1] < w->common[i]) stack[size++] = w->common[i];
    w->first[i] = next;
  }
}

/* Room for what the walk will find. The arrays of the batch are written through these. */
typedef struct {
  int32_t *tokens;
  lrp_run *runs;
  int64_t *rows;
} batch_arrays;

static lrp_status forest_init(const walk *w, lrp_forest *f, batch_arrays *arrays) {
  size_t branches = 1, tokens = 1; /* so that no size is zero */
  for (int64_t i = 0; i < w->n; i++) {
    const int64_t added = w->inputs[i].length - w->common[i];
    if (added == 0) continue;
    tokens += (size_t)added;
    branches += (size_t)(w->first[i + 1] - w->first[i]) + 1;
  }
  f->n_targets = w->targets[w->n];
  f->branches = calloc(branches, sizeof *f->branches);
  f->targets = calloc((size_t)f->n_targets + 1, sizeof *f->targets);
  arrays->tokens = calloc(tokens, sizeof *arrays->tokens);
  arrays->runs = calloc(branches, sizeof *arrays->runs);
  arrays->rows = calloc(tokens, sizeof *arrays->rows);
  f->batch.tokens = arrays->tokens;
  f->batch.runs = arrays->runs;
  f->batch.rows = arrays->rows;
  if (f->branches && f->targets && arrays->tokens && arrays->runs && arrays->rows) return LRP_OK;
  return lrp_fail_memory(tokens * 12 + (branches + (size_t)f->n_targets) * 56,
                         "a forest of sequences; use a smaller batch");
}

static int64_t end_of(const lrp_branch *b) {
  return b->start + b->length;
}

/* The tokens of an input from start to end continue the path as a branch. */
static void add_branch(walk *w, const input *in, int64_t start, int64_t end, lrp_forest *f,
                       const batch_arrays *arrays) {
  const int64_t b = f->n_branches++;
  const int64_t parent = w->path_size > 0 ? w->path[w->path_size - 1] : -1;
  f->branches[b] = (lrp_branch){.parent = parent, .start = start, .length = end - start};
  arrays->runs[b] =
      (lrp_run){.branch = b, .at = start, .count = end - start, .first = f->batch.n_tokens};
  memcpy(arrays->tokens + f->batch.n_tokens, in->tokens + start,
         (size_t)(end - start) * sizeof *in->tokens);
  f->batch.n_tokens += end - start;
  f->batch.n_runs++;
  w->path[w->path_size++] = b;
}

/* The scored positions of an input lie on the path, at its end. Rows are those of the batch. */
static void aim(const walk *w, const input *in, const lrp_sequence *sequence, lrp_forest *f) {
  lrp_target *targets = f->targets + w->targets[in->sequence];
  int64_t at = w->path_size - 1;
  for (int64_t k = sequence->n_score - 1; k >= 0; k--) {
    const int64_t position = in->length - sequence->n_score + k;
    while (f->branches[w->path[at]].start > position) at--;
    const lrp_run *run = &f->batch.runs[w->path[at]];
    targets[k] =
        (lrp_target){.row = run->first + position - run->at, .token = in->tokens[position + 1]};
  }
}

static void grow(walk *w, const lrp_sequence *sequences, lrp_forest *f,
                 const batch_arrays *arrays) {
  w->path_size = 0;
  for (int64_t i = 0; i < w->n; i++) {
    const input *in = &w->inputs[i];
    int64_t from = w->common[i];
    while (w->path_size > 0 && end_of(&f->branches[w->path[w->path_size - 1]]) > from) {
      w->path_size--;
    }
    for (int64_t c = w->first[i]; c < w->first[i + 1]; c++) {
      add_branch(w, in, from, w->cuts[c], f, arrays);
      from = w->cuts[c];
    }
    if (from < in->length) add_branch(w, in, from, in->length, f, arrays);
    aim(w, in, &sequences[in->sequence], f);
  }
}

/* Targets point to rows of the batch: mark those, list them, and point to the list. */
static void list_rows(lrp_forest *f, int64_t *rows) {
  memset(rows, 0, (size_t)f->batch.n_tokens * sizeof *rows);
  for (int64_t i = 0; i < f->n_targets; i++) rows[f->targets[i].row] = 1;
  for (int64_t r = 0; r < f->batch.n_tokens; r++) {
    f->batch.n_rows += rows[r];
    rows[r] = f->batch.n_rows - 1; /* of a row that is wanted, its place in the list */
  }
  for (int64_t i = 0; i < f->n_targets; i++) f->targets[i].row = rows[f->targets[i].row];
  int64_t listed = 0;
  for (int64_t r = 0; r < f->batch.n_tokens; r++) {
    if (rows[r] == listed) rows[listed++] = r; /* the list is shorter than what is left to read */
  }
}

lrp_status lrp_forest_build(const lrp_sequence *sequences, int64_t count, bool share,
                            lrp_forest *out) {
  walk w;
  batch_arrays arrays = {0};
  *out = (lrp_forest){0};
  lrp_status st = walk_init(count > 0 ? count : 0, &w);
  if (st != LRP_OK) return st;
  st = take_inputs(sequences, share, &w);
  if (st == LRP_OK) {
    find_cuts(&w);
    st = forest_init(&w, out, &arrays);
  }
  if (st == LRP_OK) {
    grow(&w, sequences, out, &arrays);
    list_rows(out, arrays.rows);
  }
  if (st != LRP_OK) lrp_forest_free(out);
  walk_free(&w);
  return st;
}

void lrp_forest_collect(const lrp_forest *forest, lrp_sequence *sequences, int64_t count) {
  const lrp_target *target = forest->targets;
  for (int64_t s = 0; s < count; s++) {
    lrp_sequence *q = &sequences[s];
    q->loglikelihood = 0.0;
    q->greedy = true;
    for (int64_t i = 0; i < q->n_score; i++, target++) {
      q->loglikelihood += target->logprob;
      q->greedy = q->greedy && target->greedy;
    }
  }
}

void lrp_forest_free(lrp_forest *forest) {
  /* Owned, but const to those who read the batch. */
  free((void *)(uintptr_t)forest->batch.tokens);
  free((void *)(uintptr_t)forest->batch.runs);
  free((void *)(uintptr_t)forest->batch.rows);
  free(forest->branches);
  free(forest->targets);
  *forest = (lrp_forest){0};
}
