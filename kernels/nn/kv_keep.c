#include <math.h>
#include <string.h>

#include "kernels/clones.h"
#include "kernels/nn/kv_parts.h"

enum {
  lanes = LRP_KV_LANES,
  parallel_elements = 1 << 10 /* of 16 positions: below, threads cost more than they save */
};

static const char what[] = "attention";

/* All that a thread needs to know. */
typedef struct {
  const lrp_kv *kv;
  int layer;
  const lrp_run *runs;
  const float *k, *v;
} job;

void lrp_kv_round(float *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const uint32_t bits = (uint32_t)lrp_bf16_bits(x[i]) << 16;
    memcpy(&x[i], &bits, sizeof bits);
  }
}

/* Whether products with zero are zero, as floats and as bfloat16. */
LRP_VECTOR_CLONES static bool is_finite(const float *x, int64_t n) {
  int bad = 0;
  for (int64_t i = 0; i < n; i++) bad |= !(fabsf(x[i]) < 0x1.ffp127f);
  return bad == 0;
}

/* Where 16 channels of position i lie: 16 floats, or every other one of 32 bfloat16. */
static void *slot(const lrp_kv *kv, void *panels, int64_t channel, int64_t i) {
  if (!kv->kernels->pairs) return (float *)panels + channel * lanes + i * lanes;
  return (uint16_t *)panels + channel * lanes + i / 2 * (2 * lanes) + i % 2;
}

static void copy_half(uint16_t *dst, const uint16_t *src, int64_t step) {
  for (int64_t j = 0; j < lanes; j++) dst[2 * j] = src[step * j];
}

static void copy_value(const lrp_kv *kv, void *to, const void *from) {
  if (kv->kernels->pairs) {
    copy_half(to, from, 2);
  } else {
    memcpy(to, from, sizeof(float[lanes]));
  }
}

/* A value that is infinite or not a number would spoil the results of queries that do not see it,
 * by way of their zero probabilities: it is kept as zero, and its key as NaN, which only those
 * notice that see it. */
static void spoil(const lrp_kv *kv, int64_t i, float *keys, void *values) {
  for (int64_t u = 0; u < lrp_kv_key_units(kv); u++) {
    memset(keys + u * lanes + i, 0xff, sizeof *keys);
  }
  for (int64_t c = 0; c < lrp_kv_channels(kv); c += lanes) {
    const uint16_t zeros[lanes] = {0};
    if (kv->kernels->pairs) {
      copy_half(slot(kv, values, c, i), zeros, 1);
    } else {
      memset(slot(kv, values, c, i), 0, sizeof(float[lanes]));
    }
  }
}

/* Where units are floats, those of bfloat16 operands are rounded. */
static void round_position(const lrp_kv *kv, int64_t i, float *keys, void *values) {
  for (int64_t u = 0; u < lrp_kv_key_units(kv); u++) lrp_kv_round(keys + u * lanes + i, 1);
  for (int64_t c = 0; c < lrp_kv_channels(kv); c += lanes) {
    lrp_kv_round(slot(kv, values, c, i), lanes);
  }
}

/* Positions from .. from + count - 1 of one panel are rows of k and v. */
static void keep_panel(const job *j, int64_t head, int64_t row, int64_t from, int64_t count,
                       int64_t panel) {
  const lrp_kv *kv = j->kv;
  const int64_t d = kv->shape.head_dim, ld = kv->shape.kv_heads * d;
  const float *v = j->v + row * ld + head * d;
  void *keys = lrp_kv_keys(kv, j->layer, head, panel);
  void *values = lrp_kv_values(kv, j->layer, head, panel);
  kv->kernels->keep_keys(j->k + row * ld + head * d, ld, d, from, count, keys);
  kv->kernels->keep_values(v, ld, d, from, count, values);
  for (int64_t i = 0; i < count; i++) {
    if (!is_finite(v + i * ld, d)) spoil(kv, from + i, keys, values);
    if (kv->operands == LRP_BF16 && !kv->kernels->pairs) round_position(kv, from + i, keys, values);
  }
}

/* Neighbouring heads one after the other: their rows are neighbours, too. */
static void keep_piece(const job *j, const lrp_kv_piece *piece) {
  const lrp_run *run = &j->runs[piece->run];
  const int64_t at = piece->from, row = run->first + at - run->at;
  const int64_t panel = j->kv->table[j->kv->tables[run->branch] + at / lanes];
  for (int64_t head = 0; head < j->kv->shape.kv_heads; head++) {
    keep_panel(j, head, row, at % lanes, piece->count, panel);
  }
}

/* Positions from .. to - 1 of a panel as they lie in another one. */
static void copy_positions(const lrp_kv *kv, const float *from_keys, void *from_values, float *keys,
                           void *values, int64_t from, int64_t to) {
  for (int64_t u = 0; u < lrp_kv_key_units(kv); u++) {
    const int64_t at = u * lanes + from;
    memcpy(keys + at, from_keys + at, (size_t)(to - from) * sizeof *keys);
  }
  for (int64_t c = 0; c < lrp_kv_channels(kv); c += lanes) {
    for (int64_t i = from; i < to; i++) {
      copy_value(kv, slot(kv, values, c, i), slot(kv, from_values, c, i));
    }
  }
}

/* A branch that begins inside a panel has its own, in which the positions before it are those of
 * its ancestors. Each is taken from where it was kept, so the order of branches does not matter. */
static void inherit(const job *j, int64_t branch, int64_t head) {
  const lrp_kv *kv = j->kv;
  const int64_t start = kv->branches[branch].start, index = start / lanes;
  const int64_t own = kv->table[kv->tables[branch] + index];
  int64_t owner = branch;
  for (int64_t to = start; to > index * lanes;) {
    owner = kv->branches[owner].parent;
    const int64_t begin = kv->branches[owner].start;
    const int64_t from = begin > index * lanes ? begin : index * lanes;
    const int64_t panel = kv->table[kv->tables[owner] + index];
    if (from >= to) continue;
    copy_positions(kv, lrp_kv_keys(kv, j->layer, head, panel),
                   lrp_kv_values(kv, j->layer, head, panel), lrp_kv_keys(kv, j->layer, head, own),
                   lrp_kv_values(kv, j->layer, head, own), from - index * lanes,
                   to - index * lanes);
    to = from;
  }
}

/* A piece is what a run has of a panel. */
static int64_t list_pieces(const lrp_run *runs, int64_t n_runs, lrp_kv_piece *pieces) {
  int64_t count = 0;
  for (int64_t r = 0; r < n_runs; r++) {
    const int64_t end = runs[r].at + runs[r].count;
    for (int64_t at = runs[r].at; at < end; count++) {
      const int64_t next = (at / lanes + 1) * lanes;
      const int64_t part = (next < end ? next : end) - at;
      if (pieces) pieces[count] = (lrp_kv_piece){.run = r, .from = at, .count = part};
      at += part;
    }
  }
  return count;
}

lrp_status lrp_kv_keep(lrp_kv *kv, int layer, const lrp_run *runs, int64_t n_runs, const float *k,
                       const float *v) {
  const job j = {.kv = kv, .layer = layer, .runs = runs, .k = k, .v = v};
  const int64_t heads = kv->shape.kv_heads;
  const int64_t count = list_pieces(runs, n_runs, NULL);
  const lrp_status st = lrp_buffer_reserve(&kv->piece_memory, count, 1, sizeof(lrp_kv_piece), what);
  if (st != LRP_OK) return st;
  lrp_kv_piece *pieces = kv->piece_memory.data;
  list_pieces(runs, n_runs, pieces);
#pragma omp parallel if (count * heads * kv->shape.head_dim > parallel_elements)
  {
#pragma omp for schedule(dynamic, 4)
    for (int64_t i = 0; i < count; i++) keep_piece(&j, &pieces[i]);
#pragma omp for schedule(dynamic, 4)
    for (int64_t i = 0; i < n_runs; i++) {
      if (runs[i].count == 0 || runs[i].at > kv->branches[runs[i].branch].start) continue;
      for (int64_t h = 0; h < heads; h++) inherit(&j, runs[i].branch, h);
    }
  }
  return LRP_OK;
}
