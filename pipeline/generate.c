#include "pipeline/generate.h"

#include <stdlib.h>
#include <string.h>

/* Most rows of a pass: long prompts are computed piece by piece, which bounds the activations. */
enum { pass_rows = 2048 };

/* Prompts that advance together. All arrays are owned. */
typedef struct {
  int64_t n;
  int32_t *marked;      /* the prompts, each with a mark and a last token behind it */
  lrp_sequence *inputs; /* n: that the forest is built of */
  lrp_forest forest;
  int64_t *branch; /* n: that an answer continues */
  int64_t *count;  /* n: tokens of an answer */
  bool *ended;     /* n */
  int64_t *place;  /* of the forest's wanted rows: which of a pass's each is */
  lrp_batch batch; /* of a pass, through the arrays below */
  int32_t *tokens;
  lrp_run *runs;
  int64_t *rows;
  int32_t *next; /* n: that follow the wanted rows of a pass */
  bool told;     /* all process ranks know of a failure */
} party;

static void party_free(party *p) {
  free(p->marked);
  free(p->inputs);
  lrp_forest_free(&p->forest);
  free(p->branch);
  free(p->count);
  free(p->ended);
  free(p->place);
  free(p->tokens);
  free(p->runs);
  free(p->rows);
  free(p->next);
}

/* ---- the forest of prompts ---- */

/* Behind each prompt stands a mark of its own, -1 - i, where its first token will be: so each has a
 * branch that no other continues. What is behind the mark only ends the sequence. */
static lrp_status mark_prompts(const lrp_prompt *prompts, party *p) {
  size_t total = 0;
  for (int64_t i = 0; i < p->n; i++) total += (size_t)prompts[i].n_tokens + 2;
  p->marked = malloc(total * sizeof *p->marked);
  p->inputs = calloc((size_t)p->n, sizeof *p->inputs);
  if (!p->marked || !p->inputs) return lrp_fail_memory(total * sizeof *p->marked, "prompts");
  int32_t *at = p->marked;
  for (int64_t i = 0; i < p->n; i++) {
    const int64_t length = prompts[i].n_tokens;
    memcpy(at, prompts[i].tokens, (size_t)length * sizeof *at);
    at[length] = (int32_t)(-1 - i);
    at[length + 1] = 0;
    p->inputs[i] = (lrp_sequence){.tokens = at, .n_tokens = length + 2, .n_score = 2};
    at += length + 2;
  }
  return LRP_OK;
}

static lrp_status allocate(party *p) {
  const size_t n = (size_t)p->n, rows = n > pass_rows ? n : pass_rows;
  const size_t runs = (size_t)p->forest.n_branches + n;
  p->branch = calloc(n, sizeof *p->branch);
  p->count = calloc(n, sizeof *p->count);
  p->ended = calloc(n, sizeof *p->ended);
  p->place = calloc((size_t)p->forest.batch.n_rows, sizeof *p->place);
  p->tokens = calloc(rows, sizeof *p->tokens);
  p->runs = calloc(runs, sizeof *p->runs);
  p->rows = calloc(n, sizeof *p->rows);
  p->next = calloc(n, sizeof *p->next);
  p->batch = (lrp_batch){.tokens = p->tokens, .runs = p->runs, .rows = p->rows};
  if (p->branch && p->count && p->ended && p->place && p->tokens && p->runs && p->rows && p->next) {
    return LRP_OK;
  }
  return lrp_fail_memory(rows * sizeof *p->tokens + runs * sizeof *p->runs, "answers");
}

/* A run's last token: a mark, if it is the end of a prompt. */
static int32_t last_token(const lrp_forest *f, const lrp_run *run) {
  return f->batch.tokens[run->first + run->count - 1];
}

/* Room for each answer behind its prompt: the mark's place is that of its first token, and its last
 * token is never read. */
static void make_room(int64_t max_new, party *p) {
  for (int64_t r = 0; r < p->forest.batch.n_runs; r++) {
    const lrp_run *run = &p->forest.batch.runs[r];
    const int32_t mark = last_token(&p->forest, run);
    if (mark >= 0) continue;
    p->branch[-1 - mark] = run->branch;
    p->forest.branches[run->branch].length += max_new - 1;
  }
}

static lrp_status party_init(const lrp_prompt *prompts, int64_t n, int64_t max_new, bool share,
                             party *p) {
  *p = (party){.n = n};
  lrp_status st = mark_prompts(prompts, p);
  if (st == LRP_OK) st = lrp_forest_build(p->inputs, n, share, &p->forest);
  if (st == LRP_OK) st = allocate(p);
  if (st == LRP_OK) make_room(max_new, p);
  return st;
}

/* ---- passes ---- */

static void clear_batch(party *p) {
  p->batch.n_tokens = p->batch.n_runs = p->batch.n_rows = 0;
}

static void add_run(party *p, int64_t branch, int64_t at, const int32_t *tokens, int64_t count) {
  lrp_batch *b = &p->batch;
  p->runs[b->n_runs++] =
      (lrp_run){.branch = branch, .at = at, .count = count, .first = b->n_tokens};
  memcpy(p->tokens + b->n_tokens, tokens, (size_t)count * sizeof *tokens);
  b->n_tokens += count;
}

/* How far the passes through the prompts have come. */
typedef struct {
  int64_t run, done; /* tokens of that run */
  int64_t wanted;    /* rows of the forest's list */
} progress;

/* The next rows of the forest's list, up to its row end, whose tokens were added to the pass last.
 */
static void want_rows(party *p, progress *at, int64_t end) {
  const lrp_batch *all = &p->forest.batch;
  for (; at->wanted < all->n_rows && all->rows[at->wanted] < end; at->wanted++) {
    const int64_t row = all->rows[at->wanted];
    p->place[at->wanted] = p->batch.n_rows;
    p->rows[p->batch.n_rows++] = p->batch.n_tokens - (end - row);
  }
}

/* The next rows of the prompts, as many as a pass may have. */
static void fill_batch(party *p, progress *at) {
  const lrp_batch *all = &p->forest.batch;
  clear_batch(p);
  while (at->run < all->n_runs && p->batch.n_tokens < pass_rows) {
    const lrp_run *run = &all->runs[at->run];
    const int64_t length = run->count - (last_token(&p->forest, run) < 0);
    const int64_t room = pass_rows - p->batch.n_tokens, left = length - at->done;
    const int64_t take = left < room ? left : room, first = run->first + at->done;
    if (take > 0) add_run(p, run->branch, run->at + at->done, all->tokens + first, take);
    want_rows(p, at, first + take);
    at->done += take;
    if (at->done < length) continue;
    if (length < run->count) at->wanted++; /* the mark is of no pass */
    at->run++;
    at->done = 0;
  }
}

/* ---- answers ---- */

/* What all parts work with. */
typedef struct {
  const lrp_decoder *decoder;
  const lrp_endings *endings;
  const lrp_prompt *prompts; /* of the party */
  int32_t *out;              /* of the party */
  int64_t *computed;
} generation;

static int32_t *answer(const generation *t, int64_t i) {
  return t->out + i * t->endings->max_new;
}

static lrp_status append(const generation *t, party *p, int64_t i, int32_t token) {
  answer(t, i)[p->count[i]++] = token;
  return lrp_endings_reached(t->endings, answer(t, i), p->count[i], &p->ended[i]);
}

/* A failure that all process ranks know of need not be told again. */
static lrp_status run_pass(const generation *t, party *p) {
  const lrp_status st = t->decoder->next(t->decoder->self, LRP_OK, &p->batch, p->next);
  if (st == LRP_OK) *t->computed += p->batch.n_tokens;
  p->told = st != LRP_OK;
  return st;
}

/* The prompts, and the first token of each answer. */
static lrp_status begin(const generation *t, party *p) {
  progress at = {0};
  lrp_status st = LRP_OK;
  while (st == LRP_OK && at.run < p->forest.batch.n_runs) {
    const int64_t from = at.wanted;
    fill_batch(p, &at);
    if (p->batch.n_tokens == 0) continue;
    st = run_pass(t, p);
    for (int64_t i = 0; st == LRP_OK && i < p->n; i++) {
      const int64_t row = p->forest.targets[2 * i].row;
      if (row < from || row >= at.wanted) continue;
      st = append(t, p, i, p->next[p->place[row]]);
    }
  }
  return st;
}

/* A row for each answer that has not ended: its last token. */
static void fill_step(const generation *t, party *p) {
  clear_batch(p);
  for (int64_t i = 0; i < p->n; i++) {
    if (p->ended[i]) continue;
    const int64_t at = t->prompts[i].n_tokens + p->count[i] - 1;
    p->rows[p->batch.n_rows++] = p->batch.n_tokens;
    add_run(p, p->branch[i], at, &answer(t, i)[p->count[i] - 1], 1);
  }
}

/* One more token for each answer, until all have ended. */
static lrp_status advance(const generation *t, party *p) {
  lrp_status st = LRP_OK;
  fill_step(t, p);
  while (st == LRP_OK && p->batch.n_tokens > 0) {
    st = run_pass(t, p);
    for (int64_t i = 0, row = 0; st == LRP_OK && i < p->n; i++) {
      if (!p->ended[i]) st = append(t, p, i, p->next[row++]);
    }
    if (st == LRP_OK) fill_step(t, p);
  }
  return st;
}

/* A process rank that fails alone tells so where the others compute their next pass, or end. */
static lrp_status run_party(const generation *t, int64_t n, bool share) {
  const lrp_decoder *d = t->decoder;
  party p;
  lrp_status st = party_init(t->prompts, n, t->endings->max_new, share, &p);
  st = d->plan(d->self, st, p.forest.branches, p.forest.n_branches);
  if (st == LRP_OK) {
    st = begin(t, &p);
    if (st == LRP_OK) st = advance(t, &p);
    if (!p.told) st = d->next(d->self, st, NULL, NULL);
  }
  party_free(&p);
  return st;
}

/* How many prompts, of n > 0, may advance together: at least one. */
static int64_t party_size(const generation *t, int64_t n, int64_t bytes_limit) {
  int64_t bytes = 0, count = 0;
  while (count < n) {
    const lrp_branch alone = {.parent = -1,
                              .length = t->prompts[count].n_tokens + t->endings->max_new};
    bytes += (int64_t)t->decoder->bytes(t->decoder->self, &alone);
    if (count > 0 && bytes > bytes_limit) break;
    count++;
  }
  return count;
}

lrp_status lrp_generate(const lrp_decoder *decoder, const lrp_endings *endings,
                        const lrp_prompt *prompts, int64_t n, const lrp_generate_options *options,
                        int32_t *out, int64_t *computed) {
  lrp_status st = LRP_OK;
  *computed = 0;
  for (int64_t i = 0; i < n * endings->max_new; i++) out[i] = -1;
  for (int64_t first = 0; st == LRP_OK && first < n;) {
    const generation t = {.decoder = decoder,
                          .endings = endings,
                          .prompts = prompts + first,
                          .out = out + first * endings->max_new,
                          .computed = computed};
    const int64_t count = party_size(&t, n - first, options->bytes_limit);
    st = run_party(&t, count, options->share);
    first += count;
  }
  return st;
}
