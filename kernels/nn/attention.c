#include "kernels/nn/attention.h"

#include <assert.h>
#include <math.h>
#include <omp.h>
#include <stdalign.h>
#include <string.h>

#include "kernels/nn/ops.h"
#include "kernels/nn/product.h"

/* Keys lie in panels of 16 positions, values in panels of 16 channels, so that both products of
 * attention are sequences of lrp_tile_product_float. */
enum { rows = lrp_tile_rows, cols = lrp_tile_cols };

/* All that a thread needs to know. */
typedef struct {
  const lrp_attention_shape *shape;
  const lrp_span *spans;
  const float *q, *k, *v;
  int64_t channels; /* head_dim, rounded up to a panel */
  int64_t longest;  /* positions of the longest span, rounded up to a panel */
  float *out;
} job;

/* A head of a span, and the memory of the thread that computes it. */
typedef struct {
  int64_t span, head; /* of the keys and values */
  float *keys, *values, *probabilities;
} task;

static int64_t round_up(int64_t a, int64_t b) {
  return (a + b - 1) / b * b;
}

static int64_t padded_length(int64_t length) {
  return round_up(length, cols);
}

void lrp_attention_scratch_free(lrp_attention_scratch *scratch) {
  lrp_buffer_free(&scratch->keys);
  lrp_buffer_free(&scratch->values);
  lrp_buffer_free(&scratch->probabilities);
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

static void pack_head(const job *j, const task *t) {
  const int64_t d = j->shape->head_dim;
  const int64_t ld = j->shape->kv_heads * d;
  const int64_t at = j->spans[t->span].first * ld + t->head * d;
  pack_keys(j->k + at, ld, j->spans[t->span].length, d, t->keys);
  pack_values(j->v + at, ld, j->spans[t->span].length, d, t->values);
}

/* p (6 rows of ld) = queries keys^T for `keys` positions, a multiple of a panel */
static void scores(const float *const queries[rows], const float *panels, int64_t d, int64_t keys,
                   float *p, int64_t ld) {
  for (int64_t i = 0; i < keys; i += cols) {
    alignas(64) float tile[rows * cols] = {0};
    lrp_tile_product_float(queries, panels + i * d, d, tile);
    for (int64_t r = 0; r < rows; r++) {
      memcpy(p + r * ld + i, tile + r * cols, sizeof(float[cols]));
    }
  }
}

/* out rows = diag(inverse) p values, for the `live` rows that exist */
static void mix(const float *p, int64_t ld, int64_t keys, const float inverse[rows],
                const float *panels, int64_t panel_size, int64_t d, int64_t live, float *out,
                int64_t ld_out) {
  const float *p_rows[rows];
  for (int64_t r = 0; r < rows; r++) p_rows[r] = p + r * ld;
  for (int64_t c = 0; c < d; c += cols) {
    alignas(64) float tile[rows * cols] = {0};
    const int64_t width = d - c < cols ? d - c : cols;
    lrp_tile_product_float(p_rows, panels + c / cols * panel_size, keys, tile);
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

/* Six queries from .. from + 5 of a span, for one of the heads that share the packed keys. Those
 * past the end repeat the last and are not stored. */
static void attend_tile(const job *j, const task *t, int64_t head, int64_t from) {
  const lrp_span *span = &j->spans[t->span];
  const int64_t d = j->shape->head_dim;
  const int64_t ld = j->shape->heads * d;
  const int64_t padded = padded_length(span->length);
  const int64_t left = queries_of(j, t->span) - from;
  const int64_t live = left < rows ? left : rows;
  const int64_t first_row = j->shape->queries > 0 ? t->span * j->shape->queries : span->first;
  const int64_t at = (first_row + from) * ld + head * d;
  const float scale = (float)(1.0 / sqrt((double)d));
  const float *queries[rows];
  float inverse[rows];

  for (int64_t r = 0; r < rows; r++) queries[r] = j->q + at + (r < live ? r : live - 1) * ld;
  scores(queries, t->keys, d, padded, t->probabilities, padded);
  for (int64_t r = 0; r < rows; r++) {
    float *p = t->probabilities + r * padded;
    inverse[r] = (float)(1.0 / lrp_exp_row(p, span->length, scale));
    memset(p + span->length, 0, (size_t)(padded - span->length) * sizeof *p);
  }
  mix(t->probabilities, padded, padded, inverse, t->values, padded * cols, d, live, j->out + at,
      ld);
}

/* Each thread packs the keys and values of a head, which stay in its cache. */
static void attend_all(const job *j, int64_t count, const lrp_attention_scratch *scratch) {
  const int64_t kv_heads = j->shape->kv_heads;
  const int64_t group = j->shape->heads / kv_heads;
#pragma omp parallel for schedule(dynamic)
  for (int64_t item = 0; item < count * kv_heads; item++) {
    const int64_t me = omp_get_thread_num();
    const task t = {.span = item / kv_heads,
                    .head = item % kv_heads,
                    .keys = (float *)scratch->keys.data + me * j->longest * j->shape->head_dim,
                    .values = (float *)scratch->values.data + me * j->longest * j->channels,
                    .probabilities = (float *)scratch->probabilities.data + me * rows * j->longest};
    pack_head(j, &t);
    for (int64_t head = t.head * group; head < (t.head + 1) * group; head++) {
      for (int64_t from = 0; from < queries_of(j, t.span); from += rows) {
        attend_tile(j, &t, head, from);
      }
    }
  }
}

static int64_t longest_of(const lrp_span *spans, int64_t count) {
  int64_t longest = 0;
  for (int64_t s = 0; s < count; s++) {
    if (spans[s].length > longest) longest = spans[s].length;
  }
  return longest;
}

lrp_status lrp_attention(const lrp_attention_shape *shape, const float *q, const float *k,
                         const float *v, const lrp_span *spans, int64_t count, float *out,
                         lrp_attention_scratch *scratch) {
  static const char what[] = "attention";
  const int64_t threads = omp_get_max_threads();
  const job j = {.shape = shape,
                 .spans = spans,
                 .q = q,
                 .k = k,
                 .v = v,
                 .channels = round_up(shape->head_dim, cols),
                 .longest = padded_length(longest_of(spans, count)),
                 .out = out};
  assert(shape->kv_heads > 0 && shape->heads % shape->kv_heads == 0);
  if (j.longest == 0) return LRP_OK;
  lrp_status st = lrp_buffer_floats(&scratch->keys, threads * j.longest, shape->head_dim, what);
  if (st == LRP_OK) st = lrp_buffer_floats(&scratch->values, threads * j.longest, j.channels, what);
  if (st == LRP_OK) {
    st = lrp_buffer_floats(&scratch->probabilities, threads * rows, j.longest, what);
  }
  if (st == LRP_OK) attend_all(&j, count, scratch);
  return st;
}
