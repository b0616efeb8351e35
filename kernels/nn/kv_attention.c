#include <assert.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "kernels/nn/kv_parts.h"

/* Rows here are pairs of a row of the token matrix and a query head, for one head of keys and
 * values: the query heads that share it stand next to each other, then come those of the next row.
 * A block of rows goes through the keys together, so that they stay in the cache for all of them.
 */
enum {
  lanes = LRP_KV_LANES,
  panels = LRP_KV_PANELS,
  block_tiles = 8,
  block_rows = block_tiles * LRP_KV_ROWS,
  group_pieces = 32,
  block_scores = 1 << 17 /* floats of a block, if that is a tile at least: of the second cache */
};

static const char what[] = "attention";

/* All that a thread needs to know. */
typedef struct {
  const lrp_kv *kv;
  int layer;
  const lrp_run *runs;
  const float *q;
  unsigned char *out;
  int64_t group; /* query heads of a head of keys and values */
  int64_t ld;    /* of scores */
  int64_t rows;  /* of a block, at most */
  float *memory; /* for each thread, memory_floats */
  int64_t memory_floats;
} job;

/* The rows from .. from + rows - 1 of a run, for one head. */
typedef struct {
  const job *j;
  int64_t head;
  const int64_t *table;
  int rows, tiles;
  int tile[block_tiles + 1]; /* first rows of the tiles, and where the last one ends */
  int64_t begin, end;        /* panels that a row sees */
  const void *queries[block_rows];
  int64_t first[block_rows], past[block_rows]; /* positions that a row sees: first .. past - 1 */
  int64_t at[block_rows];                      /* of q and out, in elements */
  float *scores, *sums, *staged;
} block;

static int64_t round_up(int64_t a, int64_t b) {
  return (a + b - 1) / b * b;
}

/* Panels that the rows of a tile see, of those from .. to - 1; whether there are any. */
static bool clip(const block *b, int tile, int64_t *from, int64_t *to) {
  const int64_t begin = b->first[b->tile[tile]] / lanes;
  const int64_t end = (b->past[b->tile[tile + 1] - 1] - 1) / lanes + 1;
  if (*from < begin) *from = begin;
  if (*to > end) *to = end;
  return *from < *to;
}

/* Scores of all positions of four panels at a time. */
static void score_block(const block *b) {
  const job *j = b->j;
  const int64_t units = lrp_kv_key_units(j->kv);
  for (int64_t p = b->begin; p < b->end; p += panels) {
    const void *keys[panels];
    for (int i = 0; i < panels && p + i < b->end; i++) {
      keys[i] = lrp_kv_keys(j->kv, j->layer, b->head, b->table[p + i]);
    }
    for (int t = 0; t < b->tiles; t++) {
      const int row = b->tile[t];
      int64_t from = p, to = p + panels;
      if (!clip(b, t, &from, &to)) continue;
      j->kv->kernels->score(b->tile[t + 1] - row, (int)(to - from), b->queries + row,
                            keys + (from - p), units,
                            b->scores + row * j->ld + (from - b->begin) * lanes, j->ld);
    }
  }
}

/* Scores become probabilities, but for a factor, inverse[r]; they are zero where the row
 * does not see the position. */
static void weigh_block(const block *b, float *inverse) {
  const job *j = b->j;
  const lrp_kv *kv = j->kv;
  const float scale = (float)(1.0 / sqrt((double)kv->shape.head_dim));
  const int64_t size = kv->kernels->pairs ? 2 : 4;
  const int64_t origin = b->begin * lanes, all = (b->end - b->begin) * lanes;
  for (int r = 0; r < b->rows; r++) {
    float *row = b->scores + r * j->ld;
    unsigned char *to = (unsigned char *)row;
    const int64_t first = b->first[r] - origin, past = b->past[r] - origin;
    const double sum = kv->kernels->weigh(row + first, past - first, scale, to + first * size);
    memset(to, 0, (size_t)(first * size));
    memset(to + past * size, 0, (size_t)((all - past) * size));
    if (kv->operands == LRP_BF16 && !kv->kernels->pairs) lrp_kv_round(row, all);
    inverse[r] = (float)(1.0 / sum);
  }
}

/* sums = probabilities times values. Chunks begin at fixed positions. */
static void mix_block(const block *b) {
  const job *j = b->j;
  const lrp_kv *kv = j->kv;
  const int64_t channels = lrp_kv_channels(kv);
  const int64_t group = (kv->kernels->pairs ? 2 : 4) * lanes; /* bytes of probabilities */
  memset(b->sums, 0, (size_t)(b->rows * channels) * sizeof *b->sums);
  for (int64_t c = b->begin / LRP_KV_CHUNK * LRP_KV_CHUNK; c < b->end; c += LRP_KV_CHUNK) {
    for (int t = 0; t < b->tiles; t++) {
      const int row = b->tile[t], rows = b->tile[t + 1] - row;
      const void *probabilities[LRP_KV_ROWS], *values[LRP_KV_CHUNK];
      int64_t from = c, to = c + LRP_KV_CHUNK;
      if (!clip(b, t, &from, &to)) continue;
      for (int64_t p = from; p < to; p++) {
        values[p - from] = lrp_kv_values(kv, j->layer, b->head, b->table[p]);
      }
      for (int r = 0; r < rows; r++) {
        const void *scores = b->scores + (row + r) * j->ld;
        probabilities[r] = (const unsigned char *)scores + (from - b->begin) * group;
      }
      kv->kernels->mix(rows, probabilities, values, to - from, channels / lanes,
                       b->sums + row * channels, channels);
    }
  }
}

static void store_block(const block *b, const float *inverse) {
  const lrp_kv *kv = b->j->kv;
  const int64_t d = kv->shape.head_dim, channels = lrp_kv_channels(kv);
  const int64_t size = (int64_t)lrp_dtype_size(kv->operands);
  for (int r = 0; r < b->rows; r++) {
    float *sum = b->sums + r * channels;
    unsigned char *out = b->j->out + b->at[r] * size;
    if ((kv->operands == LRP_BF16) == kv->kernels->pairs) {
      kv->kernels->scale(sum, d, inverse[r], out);
    } else {
      kv->kernels->scale(sum, d, inverse[r], sum);
      lrp_from_f32(out, kv->operands, sum, (size_t)d);
    }
  }
}

/* The query of a row as units. */
static const void *stage(const lrp_kv *kv, const float *query, float *units) {
  const int64_t d = kv->shape.head_dim;
  if (kv->operands == LRP_F32) return query;
  units[lrp_kv_key_units(kv) - 1] = 0.0f; /* half of it may be left over */
  kv->kernels->scale(query, d, 1.0f, units);
  if (!kv->kernels->pairs) lrp_kv_round(units, d);
  return units;
}

static void take_rows(block *b, const lrp_kv_piece *piece) {
  const job *j = b->j;
  const lrp_causal_shape *s = &j->kv->shape;
  const lrp_run *run = &j->runs[piece->run];
  const int64_t channels = lrp_kv_channels(j->kv);
  int64_t row = piece->from / j->group, member = piece->from % j->group;
  for (int r = 0; r < b->rows; r++) {
    const int64_t past = run->at + row + 1;
    b->past[r] = past;
    b->first[r] = s->window > 0 && past > s->window ? past - s->window : 0;
    b->at[r] = ((run->first + row) * s->heads + b->head * j->group + member) * s->head_dim;
    b->queries[r] = stage(j->kv, j->q + b->at[r], b->staged + r * channels);
    if (++member == j->group) {
      member = 0;
      row++;
    }
  }
  b->begin = b->first[0] / lanes;
  b->end = (b->past[b->rows - 1] - 1) / lanes + 1;
}

/* Rows are dealt to tiles as evenly as possible. */
static void deal_tiles(block *b, int rows) {
  b->rows = rows;
  b->tiles = (rows + LRP_KV_ROWS - 1) / LRP_KV_ROWS;
  for (int t = 0; t <= b->tiles; t++) b->tile[t] = rows * t / b->tiles;
}

static void attend(const job *j, const lrp_kv_piece *piece, int64_t head) {
  float inverse[block_rows];
  block b;
  b.j = j;
  b.head = head;
  b.table = j->kv->table + j->kv->tables[j->runs[piece->run].branch];
  b.scores = j->memory + omp_get_thread_num() * j->memory_floats;
  b.sums = b.scores + j->rows * j->ld;
  b.staged = b.sums + j->rows * lrp_kv_channels(j->kv);
  deal_tiles(&b, (int)piece->count);
  take_rows(&b, piece);
  score_block(&b);
  weigh_block(&b, inverse);
  mix_block(&b);
  store_block(&b, inverse);
}

/* Most positions between the first that a block sees and its last. */
static int64_t reach(const lrp_kv *kv) {
  const int64_t window = kv->shape.window;
  if (window <= 0 || window > kv->longest - block_rows) return kv->longest;
  return window + block_rows;
}

/* Rows of a block, and the memory for one. */
static void size_blocks(job *j) {
  const int64_t ld = round_up(reach(j->kv) + lanes, panels * lanes) + lanes;
  const int64_t tiles = block_scores / (ld * LRP_KV_ROWS);
  j->ld = ld; /* no power of two: rows would share places in the first cache */
  j->rows = (tiles < 1 ? 1 : tiles > block_tiles ? block_tiles : tiles) * LRP_KV_ROWS;
  j->memory_floats = j->rows * (ld + 2 * lrp_kv_channels(j->kv));
}

/* Later blocks of a run see more keys, so they are dealt out first. */
static int64_t list_pieces(const job *j, int64_t n_runs, lrp_kv_piece *pieces) {
  int64_t count = 0;
  for (int64_t r = 0; r < n_runs; r++) {
    const int64_t rows = j->runs[r].count * j->group;
    for (int64_t b = (rows + j->rows - 1) / j->rows; b-- > 0; count++) {
      const int64_t from = b * j->rows, left = rows - from;
      if (!pieces) continue;
      pieces[count] = (lrp_kv_piece){r, from, left < j->rows ? left : j->rows};
    }
  }
  return count;
}

/* Some pieces for a head, then the same ones for the next head: queries are still in the cache, as
 * are the keys that neighbouring pieces share. */
static void attend_all(const job *j, const lrp_kv_piece *pieces, int64_t count) {
  const int64_t heads = j->kv->shape.kv_heads;
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < count * heads; i++) {
    const int64_t first = i / (heads * group_pieces) * group_pieces;
    const int64_t left = count - first;
    const int64_t width = left < group_pieces ? left : group_pieces;
    const int64_t k = i - first * heads;
    attend(j, &pieces[first + k % width], k / width);
  }
}

static void check_runs(const lrp_kv *kv, const lrp_run *runs, int64_t n_runs) {
  for (int64_t r = 0; r < n_runs; r++) {
    assert(runs[r].branch >= 0 && runs[r].branch < kv->n_branches);
    const lrp_branch *b = &kv->branches[runs[r].branch];
    assert(runs[r].at >= b->start && runs[r].at + runs[r].count <= b->start + b->length);
    (void)b;
  }
}

lrp_status lrp_kv_attention(lrp_kv *kv, int layer, const lrp_run *runs, int64_t n_runs,
                            const float *q, const float *k, const float *v, void *out) {
  job j = {.kv = kv, .layer = layer, .runs = runs, .q = q, .out = out};
  assert(layer >= 0 && layer < kv->layers);
  check_runs(kv, runs, n_runs);
  lrp_status st = lrp_kv_keep(kv, layer, runs, n_runs, k, v);
  if (st != LRP_OK) return st;
  j.group = kv->shape.heads / kv->shape.kv_heads;
  size_blocks(&j);
  const int64_t count = list_pieces(&j, n_runs, NULL);
  st = lrp_buffer_reserve(&kv->piece_memory, count, 1, sizeof(lrp_kv_piece), what);
  if (st == LRP_OK) {
    st = lrp_buffer_floats(&kv->thread_memory, omp_get_max_threads(), j.memory_floats, what);
  }
  if (st != LRP_OK) return st;
  lrp_kv_piece *pieces = kv->piece_memory.data;
  j.memory = kv->thread_memory.data;
  list_pieces(&j, n_runs, pieces);
  attend_all(&j, pieces, count);
  return LRP_OK;
}
