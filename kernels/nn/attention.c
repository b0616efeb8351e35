#include "kernels/nn/attention.h"

#include <assert.h>
#include <math.h>
#include <omp.h>
#include <stdalign.h>
#include <string.h>

#include "kernels/nn/ops.h"
#include "kernels/nn/product.h"

/* Keys lie in panels of 16 positions, values in panels of 16 channels, so that both products of
 * attention are sequences of lrp_tile_product. The tiles of a query start at fixed positions and
 * cover the keys up to the end of its tile (rounded up to a panel), however long the sequence is:
 * so the order of every sum depends on the query's position only. */
enum {
  rows = lrp_tile_rows,
  cols = lrp_tile_cols,
  task_rows = 8 * rows /* queries of a task: enough to hide the cost of dealing it out */
};

/* Query rows from .. from + task_rows - 1 of one sequence, for one head. */
typedef struct {
  int64_t span, head, from;
} task;

/* lrp_tile_product, or the same in float */
typedef void (*tile_product)(const float *const x[rows], const float *panel, int64_t k,
                             float tile[rows * cols]);

/* All that a thread needs to know. */
typedef struct {
  const lrp_attention_shape *shape;
  const lrp_span *spans;
  const int64_t *padded; /* first position of each span's panels; causal only */
  const float *q, *k, *v;
  float *keys, *values;
  int64_t channels; /* head_dim, rounded up to a panel */
  tile_product multiply;
  float *out;
} job;

static int64_t round_up(int64_t a, int64_t b) {
  return (a + b - 1) / b * b;
}

/* Positions that the last tile of a sequence covers. */
static int64_t padded_length(int64_t length) {
  return round_up(round_up(length, rows), cols);
}

void lrp_attention_scratch_free(lrp_attention_scratch *scratch) {
  lrp_buffer_free(&scratch->spans);
  lrp_buffer_free(&scratch->tasks);
  lrp_buffer_free(&scratch->keys);
  lrp_buffer_free(&scratch->values);
  lrp_buffer_free(&scratch->probabilities);
}

static float *keys_of(const job *j, int64_t span, int64_t kv_head) {
  const int64_t d = j->shape->head_dim;
  return j->keys +
         (j->padded[span] * j->shape->kv_heads + kv_head * padded_length(j->spans[span].length)) *
             d;
}

static float *values_of(const job *j, int64_t span, int64_t kv_head) {
  return j->values +
         (j->padded[span] * j->shape->kv_heads + kv_head * padded_length(j->spans[span].length)) *
             j->channels;
}

/* panel p of the keys: element (c, i) = k(16 p + i, c) */
static void pack_keys(const float *k, int64_t ld, int64_t length, int64_t d, float *panels) {
  const int64_t padded = padded_length(length);
  for (int64_t i = 0; i < padded; i++) {
    float *column = panels + i / cols * (cols * d) + i % cols;
    for (int64_t c = 0; c < d; c++) column[c * cols] = i < length ? k[i * ld + c] : 0.0f;
  }
}

/* panel p of the values: element (i, c) = v(i, 16 p + c) */
static void pack_values(const float *v, int64_t ld, int64_t length, int64_t d, float *panels) {
  const int64_t padded = padded_length(length);
  for (int64_t p = 0; p * cols < d; p++) {
    const int64_t width = d - p * cols < cols ? d - p * cols : cols;
    float *panel = panels + p * padded * cols;
    memset(panel, 0, (size_t)(padded * cols) * sizeof *panel);
    for (int64_t i = 0; i < length; i++) {
      memcpy(panel + i * cols, v + i * ld + p * cols, (size_t)width * sizeof *panel);
    }
  }
}

/* The keys and values of one head */
static void pack_head(const job *j, int64_t span, int64_t kv_head, float *keys, float *values) {
  const int64_t d = j->shape->head_dim;
  const int64_t ld = j->shape->kv_heads * d;
  const int64_t at = j->spans[span].first * ld + kv_head * d;
  pack_keys(j->k + at, ld, j->spans[span].length, d, keys);
  pack_values(j->v + at, ld, j->spans[span].length, d, values);
}

static void pack(const job *j, int64_t count) {
  const int64_t kv_heads = j->shape->kv_heads;
#pragma omp parallel for schedule(dynamic)
  for (int64_t item = 0; item < count * kv_heads; item++) {
    const int64_t span = item / kv_heads;
    const int64_t head = item % kv_heads;
    pack_head(j, span, head, keys_of(j, span, head), values_of(j, span, head));
  }
}

/* p (6 rows of ld) = queries keys^T for `keys` positions, a multiple of a panel */
static void scores(tile_product multiply, const float *const queries[rows], const float *panels,
                   int64_t d, int64_t keys, float *p, int64_t ld) {
  for (int64_t i = 0; i < keys; i += cols) {
    alignas(64) float tile[rows * cols] = {0};
    multiply(queries, panels + i * d, d, tile);
    for (int64_t r = 0; r < rows; r++) {
      memcpy(p + r * ld + i, tile + r * cols, sizeof(float[cols]));
    }
  }
}

/* Turn the scores of `keys` positions into unnormalised probabilities of the positions first .. end
 * - 1, which the query sees, and zero of the others; returns 1 / sum. */
static float weigh(float *p, int64_t first, int64_t end, int64_t keys, float scale) {
  const double sum = lrp_exp_row(p + first, end - first, scale);
  memset(p, 0, (size_t)first * sizeof *p);
  memset(p + end, 0, (size_t)(keys - end) * sizeof *p);
  return (float)(1.0 / sum);
}

/* out rows = diag(inverse) p values, for the `live` rows that exist */
static void mix(tile_product multiply, const float *p, int64_t ld, int64_t keys,
                const float inverse[rows], const float *panels, int64_t panel_size, int64_t d,
                int64_t live, float *out, int64_t ld_out) {
  const float *p_rows[rows];
  for (int64_t r = 0; r < rows; r++) p_rows[r] = p + r * ld;
  for (int64_t c = 0; c < d; c += cols) {
    alignas(64) float tile[rows * cols] = {0};
    const int64_t width = d - c < cols ? d - c : cols;
    multiply(p_rows, panels + c / cols * panel_size, keys, tile);
    for (int64_t r = 0; r < live; r++) {
      for (int64_t i = 0; i < width; i++) {
        out[r * ld_out + c + i] = tile[r * cols + i] * inverse[r];
      }
    }
  }
}

static int64_t queries_of(const job *j, int64_t span) {
  return j->shape->queries > 0 ? j->shape->queries : j->spans[span].length;
}

/* Six queries at positions from .. from + 5 of one sequence. Those past its end repeat the last and
 * are not stored. */
static void attend_tile(const job *j, const task *k, const float *packed_keys,
                        const float *packed_values, int64_t from, float *p) {
  const lrp_span *span = &j->spans[k->span];
  const int64_t d = j->shape->head_dim;
  const int64_t ld = j->shape->heads * d;
  const int64_t padded = padded_length(span->length);
  const int64_t window = j->shape->window;
  const int64_t keys = j->shape->both_ways ? padded : round_up(from + rows, cols);
  const int64_t left = queries_of(j, k->span) - from;
  const int64_t live = left < rows ? left : rows;
  const int64_t first_row = j->shape->queries > 0 ? k->span * j->shape->queries : span->first;
  const int64_t at = (first_row + from) * ld + k->head * d;
  const float scale = (float)(1.0 / sqrt((double)d));
  const float *queries[rows];
  float inverse[rows];

  for (int64_t r = 0; r < rows; r++) queries[r] = j->q + at + (r < live ? r : live - 1) * ld;
  scores(j->multiply, queries, packed_keys, d, keys, p, padded);
  for (int64_t r = 0; r < rows; r++) {
    const int64_t at_most = from + r + 1; /* keys, if it sees no later ones */
    const int64_t first = window > 0 && at_most > window ? at_most - window : 0;
    inverse[r] = j->shape->both_ways ? weigh(p + r * padded, 0, span->length, keys, scale)
                                     : weigh(p + r * padded, first, at_most, keys, scale);
  }
  mix(j->multiply, p, padded, keys, inverse, packed_values, padded * cols, d, live, j->out + at,
      ld);
}

/* Causal: sequences may be long, so several threads share the packed keys of one. */
static void attend_blocks(const job *j, const task *tasks, int64_t count, float *probabilities,
                          int64_t per_thread) {
  const int64_t group = j->shape->heads / j->shape->kv_heads;
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < count; i++) {
    const task *k = &tasks[i];
    const int64_t length = j->spans[k->span].length;
    const float *keys = keys_of(j, k->span, k->head / group);
    const float *values = values_of(j, k->span, k->head / group);
    float *p = probabilities + omp_get_thread_num() * per_thread;
    for (int64_t from = k->from; from < length && from < k->from + task_rows; from += rows) {
      attend_tile(j, k, keys, values, from, p);
    }
  }
}

/* Both ways: each thread packs the keys and values of a head, which stay in its cache. */
static void attend_heads(const job *j, int64_t count, int64_t longest, float *probabilities) {
  const int64_t kv_heads = j->shape->kv_heads;
  const int64_t group = j->shape->heads / kv_heads;
#pragma omp parallel for schedule(dynamic)
  for (int64_t item = 0; item < count * kv_heads; item++) {
    const int64_t me = omp_get_thread_num();
    const int64_t first = item % kv_heads * group;
    task k = {.span = item / kv_heads};
    float *keys = j->keys + me * longest * j->shape->head_dim;
    float *values = j->values + me * longest * j->channels;
    pack_head(j, k.span, item % kv_heads, keys, values);
    for (k.head = first; k.head < first + group; k.head++) {
      for (int64_t from = 0; from < queries_of(j, k.span); from += rows) {
        attend_tile(j, &k, keys, values, from, probabilities + me * rows * longest);
      }
    }
  }
}

/* Sizes that follow from the spans. */
typedef struct {
  int64_t tasks, positions, longest; /* longest, positions: padded */
} extent;

static extent measure(const lrp_attention_shape *shape, const lrp_span *spans, int64_t count) {
  extent e = {0};
  for (int64_t s = 0; s < count; s++) {
    const int64_t padded = padded_length(spans[s].length);
    e.tasks += (spans[s].length + task_rows - 1) / task_rows * shape->heads;
    e.positions += padded;
    if (padded > e.longest) e.longest = padded;
  }
  return e;
}

static lrp_status reserve(lrp_attention_scratch *scratch, const job *j, const extent *e,
                          int64_t count, int64_t threads) {
  static const char what[] = "attention";
  const int64_t positions =
      j->shape->both_ways ? threads * e->longest : e->positions * j->shape->kv_heads;
  lrp_status st = lrp_buffer_reserve(&scratch->spans, count, 1, sizeof(int64_t), what);
  if (st == LRP_OK) st = lrp_buffer_reserve(&scratch->tasks, e->tasks, 1, sizeof(task), what);
  if (st == LRP_OK) st = lrp_buffer_floats(&scratch->keys, positions, j->shape->head_dim, what);
  if (st == LRP_OK) st = lrp_buffer_floats(&scratch->values, positions, j->channels, what);
  if (st == LRP_OK) {
    st = lrp_buffer_floats(&scratch->probabilities, threads * rows, e->longest, what);
  }
  return st;
}

/* Later blocks of a sequence see more keys, so they are dealt out first. */
static void list_tasks(const job *j, int64_t count, int64_t *padded, task *tasks) {
  int64_t next = 0;
  int64_t position = 0;
  for (int64_t s = 0; s < count; s++) {
    const int64_t blocks = (j->spans[s].length + task_rows - 1) / task_rows;
    padded[s] = position;
    position += padded_length(j->spans[s].length);
    for (int64_t b = blocks - 1; b >= 0; b--) {
      for (int64_t h = 0; h < j->shape->heads; h++) {
        tasks[next++] = (task){.span = s, .head = h, .from = b * task_rows};
      }
    }
  }
}

lrp_status lrp_attention(const lrp_attention_shape *shape, const float *q, const float *k,
                         const float *v, const lrp_span *spans, int64_t count, float *out,
                         lrp_attention_scratch *scratch) {
  const int64_t threads = omp_get_max_threads();
  const extent e = measure(shape, spans, count);
  job j = {.shape = shape,
           .spans = spans,
           .q = q,
           .k = k,
           .v = v,
           .channels = round_up(shape->head_dim, cols),
           .multiply = shape->both_ways ? lrp_tile_product_float : lrp_tile_product,
           .out = out};
  assert(shape->kv_heads > 0 && shape->heads % shape->kv_heads == 0);
  assert(shape->queries == 0 || shape->both_ways);
  if (e.tasks == 0) return LRP_OK;
  const lrp_status st = reserve(scratch, &j, &e, count, threads);
  if (st != LRP_OK) return st;
  j.keys = scratch->keys.data;
  j.values = scratch->values.data;
  if (shape->both_ways) {
    attend_heads(&j, count, e.longest, scratch->probabilities.data);
    return LRP_OK;
  }
  list_tasks(&j, count, scratch->spans.data, scratch->tasks.data);
  j.padded = scratch->spans.data;
  pack(&j, count);
  attend_blocks(&j, scratch->tasks.data, e.tasks, scratch->probabilities.data, rows * e.longest);
  return LRP_OK;
}
