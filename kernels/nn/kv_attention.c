#include <assert.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "kernels/nn/kv_parts.h"

/* Rows here are pairs of a row of the token matrix and a query head, for one head of keys and
 * values: the query heads that share it stand next to each other, then come those of the next row.
 * A tile is some rows of one run. The tiles of a block, of any runs, go through the keys together,
 * so that those which they share come into the cache once. */
enum {
  lanes = LRP_KV_LANES,
  panels = LRP_KV_PANELS,
  tile_rows = LRP_KV_ROWS,
  most_tiles = 8, /* of a block */
  most_rows = most_tiles * tile_rows,
  block_scores = 1 << 17, /* floats of a block, if that is a tile at least: of the second cache */
  group_blocks = 8
};

static const char what[] = "attention";

/* All that a thread needs to know. */
typedef struct {
  const lrp_kv *kv;
  int layer;
  const lrp_run *runs;
  const float *q;
  unsigned char *out;
  float scale;
  int64_t group;             /* query heads of a head of keys and values */
  const lrp_kv_piece *tiles; /* n_tiles: rows of runs */
  int64_t n_tiles;
  int64_t block_tiles; /* of a block, at most */
  int64_t ld;          /* of scores */
  float *memory;       /* for each thread, memory_floats */
  int64_t memory_floats;
} job;

typedef struct {
  const int64_t *table;
  int row, rows;      /* of the block: row .. row + rows - 1 */
  int64_t begin, end; /* panels that they see; their scores begin with the first */
} tile;

typedef struct {
  const job *j;
  int64_t head;
  int rows, n_tiles;
  tile tiles[most_tiles];
  int64_t begin, end; /* panels that a row sees */
  const void *queries[most_rows];
  int64_t first[most_rows], past[most_rows]; /* positions that a row sees: first .. past - 1 */
  int64_t at[most_rows];                     /* of q and out, in elements */
  float *scores, *sums, *staged;
} block;

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b) {
  return a > b ? a : b;
}

static int64_t round_up(int64_t a, int64_t b) {
  return (a + b - 1) / b * b;
}

/* Scores of all positions, four panels at a time. */
static void score_block(const block *b) {
  const job *j = b->j;
  const int64_t units = lrp_kv_key_units(j->kv);
  for (int64_t p = b->begin / panels * panels; p < b->end; p += panels) {
    for (const tile *t = b->tiles; t < b->tiles + b->n_tiles; t++) {
      const int64_t from = most(p, t->begin), count = least(p + panels, t->end) - from;
      const void *keys[panels];
      for (int64_t i = 0; i < count; i++) {
        keys[i] = lrp_kv_keys(j->kv, j->layer, b->head, t->table[from + i]);
      }
      if (count <= 0) continue;
      j->kv->kernels->score(t->rows, (int)count, b->queries + t->row, keys, units,
                            b->scores + t->row * j->ld + (from - t->begin) * lanes, j->ld);
    }
  }
}

/* Scores become probabilities, but for a factor, inverse[r]; they are zero where the row does not
 * see the position. */
static void weigh_row(const block *b, const tile *t, int r, float *inverse) {
  const lrp_kv *kv = b->j->kv;
  const int64_t size = kv->kernels->pairs ? 2 : 4;
  const int64_t all = (t->end - t->begin) * lanes;
  const int64_t first = b->first[r] - t->begin * lanes, past = b->past[r] - t->begin * lanes;
  float *row = b->scores + r * b->j->ld;
  unsigned char *to = (unsigned char *)row;
  const double sum = kv->kernels->weigh(row + first, past - first, b->j->scale, to + first * size);
  memset(to, 0, (size_t)(first * size));
  memset(to + past * size, 0, (size_t)((all - past) * size));
  if (kv->operands == LRP_BF16 && !kv->kernels->pairs) lrp_kv_round(row, all);
  inverse[r] = (float)(1.0 / sum);
}

static void weigh_block(const block *b, float *inverse) {
  for (const tile *t = b->tiles; t < b->tiles + b->n_tiles; t++) {
    for (int r = t->row; r < t->row + t->rows; r++) weigh_row(b, t, r, inverse);
  }
}

/* Add what the panels from .. to - 1 give to the sums of a tile. */
static void mix_tile(const block *b, const tile *t, int64_t from, int64_t to) {
  const lrp_kv *kv = b->j->kv;
  const int64_t channels = lrp_kv_channels(kv);
  const int64_t bytes = (kv->kernels->pairs ? 2 : 4) * lanes; /* of probabilities of a panel */
  const void *probabilities[tile_rows], *values[LRP_KV_CHUNK];
  for (int64_t p = from; p < to; p++) {
    values[p - from] = lrp_kv_values(kv, b->j->layer, b->head, t->table[p]);
  }
  for (int r = 0; r < t->rows; r++) {
    const float *row = b->scores + (t->row + r) * b->j->ld;
    probabilities[r] = (const unsigned char *)row + (from - t->begin) * bytes;
  }
  kv->kernels->mix(t->rows, probabilities, values, to - from, channels / lanes,
                   b->sums + t->row * channels, channels);
}

/* sums = probabilities times values. Chunks begin at fixed positions. */
static void mix_block(const block *b) {
  const int64_t channels = lrp_kv_channels(b->j->kv);
  memset(b->sums, 0, (size_t)(b->rows * channels) * sizeof *b->sums);
  for (int64_t c = b->begin / LRP_KV_CHUNK * LRP_KV_CHUNK; c < b->end; c += LRP_KV_CHUNK) {
    for (const tile *t = b->tiles; t < b->tiles + b->n_tiles; t++) {
      const int64_t from = most(c, t->begin), to = least(c + LRP_KV_CHUNK, t->end);
      if (from < to) mix_tile(b, t, from, to);
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

static void take_tile(block *b, tile *t, const lrp_kv_piece *piece) {
  const job *j = b->j;
  const lrp_causal_shape *s = &j->kv->shape;
  const lrp_run *run = &j->runs[piece->run];
  const int64_t channels = lrp_kv_channels(j->kv);
  int64_t row = piece->from / j->group, member = piece->from % j->group;
  t->row = b->rows;
  t->rows = (int)piece->count;
  t->table = j->kv->table + j->kv->tables[run->branch];
  for (int r = t->row; r < t->row + t->rows; r++) {
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
  b->rows += t->rows;
  t->begin = b->first[t->row] / lanes;
  t->end = (b->past[b->rows - 1] - 1) / lanes + 1;
}

static void attend(const job *j, int64_t index, int64_t head) {
  const int64_t first = index * j->block_tiles;
  const int64_t rows = j->block_tiles * tile_rows;
  float inverse[most_rows];
  block b;
  b.j = j;
  b.head = head;
  b.scores = j->memory + omp_get_thread_num() * j->memory_floats;
  b.sums = b.scores + rows * j->ld;
  b.staged = b.sums + rows * lrp_kv_channels(j->kv);
  b.rows = 0;
  b.n_tiles = (int)least(j->block_tiles, j->n_tiles - first);
  for (int t = 0; t < b.n_tiles; t++) {
    take_tile(&b, &b.tiles[t], &j->tiles[first + t]);
    b.begin = t == 0 ? b.tiles[t].begin : least(b.begin, b.tiles[t].begin);
    b.end = t == 0 ? b.tiles[t].end : most(b.end, b.tiles[t].end);
  }
  score_block(&b);
  weigh_block(&b, inverse);
  mix_block(&b);
  store_block(&b, inverse);
}

/* Some blocks for a head, then the same ones for the next head: their queries are still in the
 * cache, as are the keys that neighbouring blocks share. */
static void attend_all(const job *j) {
  const int64_t heads = j->kv->shape.kv_heads;
  const int64_t blocks = (j->n_tiles + j->block_tiles - 1) / j->block_tiles;
#pragma omp parallel for schedule(dynamic) if (blocks * heads > 1)
  for (int64_t i = 0; i < blocks * heads; i++) {
    const int64_t first = i / (heads * group_blocks) * group_blocks;
    const int64_t width = least(group_blocks, blocks - first);
    const int64_t k = i - first * heads;
    attend(j, first + k % width, k / width);
  }
}

/* Most positions between the first that a tile sees and its last. */
static int64_t reach(const lrp_kv *kv) {
  const int64_t window = kv->shape.window;
  return window > 0 && window < kv->longest - tile_rows ? window + tile_rows : kv->longest;
}

/* Tiles of a block: as many as the cache holds, but enough blocks for the threads. */
static void size_blocks(job *j, int64_t threads) {
  const int64_t ld = round_up(reach(j->kv) + 2 * lanes, panels * lanes) + lanes;
  const int64_t fit = block_scores / (ld * tile_rows);
  const int64_t share = j->n_tiles * j->kv->shape.kv_heads / (4 * threads);
  j->ld = ld; /* no power of two: rows would share places in the first cache */
  j->block_tiles = most(1, least(most_tiles, least(fit, share)));
  j->memory_floats = j->block_tiles * tile_rows * (ld + 2 * lrp_kv_channels(j->kv));
}

/* Rows of a run, as evenly as possible; the later ones see more keys, so they come first. */
static int64_t list_tiles(const job *j, int64_t n_runs, lrp_kv_piece *tiles) {
  int64_t count = 0;
  for (int64_t r = 0; r < n_runs; r++) {
    const int64_t rows = j->runs[r].count * j->group;
    const int64_t n = (rows + tile_rows - 1) / tile_rows;
    for (int64_t t = n; t-- > 0; count++) {
      const int64_t from = rows * t / n, to = rows * (t + 1) / n;
      if (tiles) tiles[count] = (lrp_kv_piece){r, from, to - from};
    }
  }
  return count;
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
  const int64_t threads = omp_get_max_threads();
  assert(layer >= 0 && layer < kv->layers);
  check_runs(kv, runs, n_runs);
  lrp_status st = lrp_kv_keep(kv, layer, runs, n_runs, k, v);
  if (st != LRP_OK) return st;
  j.scale = (float)(1.0 / sqrt((double)kv->shape.head_dim));
  j.group = kv->shape.heads / kv->shape.kv_heads;
  j.n_tiles = list_tiles(&j, n_runs, NULL);
  size_blocks(&j, threads);
  st = lrp_buffer_reserve(&kv->piece_memory, j.n_tiles, 1, sizeof(lrp_kv_piece), what);
  if (st == LRP_OK) st = lrp_buffer_floats(&kv->thread_memory, threads, j.memory_floats, what);
  if (st != LRP_OK) return st;
  list_tiles(&j, n_runs, kv->piece_memory.data);
  j.tiles = kv->piece_memory.data;
  j.memory = kv->thread_memory.data;
  attend_all(&j);
  return LRP_OK;
}
