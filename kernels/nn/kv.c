#include "kernels/nn/kv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/nn/kv_parts.h"

static const char what[] = "keys and values; use a smaller batch or fewer process ranks per host";

static int64_t round_up(int64_t a, int64_t b) {
  return (a + b - 1) / b * b;
}

static const lrp_kv_kernels *choose(lrp_dtype operands) {
  if (operands == LRP_BF16 && lrp_kv_bf16()) return lrp_kv_bf16();
  return lrp_kv_avx512() ? lrp_kv_avx512() : lrp_kv_portable();
}

lrp_status lrp_kv_create_with(const lrp_causal_shape *shape, lrp_dtype operands, int layers,
                              const lrp_kv_kernels *kernels, lrp_kv **kv) {
  assert(operands == LRP_F32 || operands == LRP_BF16);
  assert(layers > 0 && shape->head_dim > 0);
  assert(shape->kv_heads > 0 && shape->heads % shape->kv_heads == 0);
  *kv = calloc(1, sizeof **kv);
  if (!*kv) return lrp_fail_memory(sizeof **kv, "keys and values");
  (*kv)->shape = *shape;
  (*kv)->operands = operands;
  (*kv)->layers = layers;
  (*kv)->kernels = kernels;
  return LRP_OK;
}

lrp_status lrp_kv_create(const lrp_causal_shape *shape, lrp_dtype operands, int layers,
                         lrp_kv **kv) {
  return lrp_kv_create_with(shape, operands, layers, choose(operands), kv);
}

void lrp_kv_destroy(lrp_kv **kv) {
  lrp_kv *k = *kv;
  if (!k) return;
  lrp_buffer_free(&k->thread_memory);
  lrp_buffer_free(&k->piece_memory);
  lrp_buffer_free(&k->value_memory);
  lrp_buffer_free(&k->key_memory);
  lrp_buffer_free(&k->table_memory);
  lrp_buffer_free(&k->offset_memory);
  lrp_buffer_free(&k->branch_memory);
  free(k);
  *kv = NULL;
}

int64_t lrp_kv_key_units(const lrp_kv *kv) {
  return kv->kernels->pairs ? (kv->shape.head_dim + 1) / 2 : kv->shape.head_dim;
}

int64_t lrp_kv_key_panel(const lrp_kv *kv) {
  return lrp_kv_key_units(kv) * LRP_KV_LANES;
}

int64_t lrp_kv_channels(const lrp_kv *kv) {
  return round_up(kv->shape.head_dim, LRP_KV_LANES);
}

int64_t lrp_kv_value_panel(const lrp_kv *kv) {
  return lrp_kv_channels(kv) * (kv->kernels->pairs ? LRP_KV_LANES / 2 : LRP_KV_LANES);
}

static int64_t place(const lrp_kv *kv, int layer, int64_t head, int64_t panel) {
  return (layer * kv->shape.kv_heads + head) * kv->panels + panel;
}

void *lrp_kv_keys(const lrp_kv *kv, int layer, int64_t head, int64_t panel) {
  return (uint32_t *)kv->key_memory.data + place(kv, layer, head, panel) * lrp_kv_key_panel(kv);
}

void *lrp_kv_values(const lrp_kv *kv, int layer, int64_t head, int64_t panel) {
  return (uint32_t *)kv->value_memory.data + place(kv, layer, head, panel) * lrp_kv_value_panel(kv);
}

/* Panels from the one in which a branch begins to its end, and from position 0 on. */
static int64_t own_panels(const lrp_branch *b) {
  return (b->start + b->length - 1) / LRP_KV_LANES - b->start / LRP_KV_LANES + 1;
}

static int64_t all_panels(const lrp_branch *b) {
  return (b->start + b->length - 1) / LRP_KV_LANES + 1;
}

static int64_t count_panels(const lrp_branch *branches, int64_t n) {
  int64_t count = 0;
  for (int64_t b = 0; b < n; b++) count += own_panels(&branches[b]);
  return count;
}

size_t lrp_kv_bytes(const lrp_causal_shape *shape, lrp_dtype operands, int layers,
                    const lrp_branch *branches, int64_t n) {
  const lrp_kv kv = {.shape = *shape, .kernels = choose(operands)};
  const size_t units = (size_t)(lrp_kv_key_panel(&kv) + lrp_kv_value_panel(&kv));
  return (size_t)(layers * shape->kv_heads * count_panels(branches, n)) * units * sizeof(uint32_t);
}

static lrp_status reserve(lrp_kv *kv, const lrp_branch *branches, int64_t n) {
  int64_t entries = 0;
  for (int64_t b = 0; b < n; b++) entries += all_panels(&branches[b]);
  kv->panels = count_panels(branches, n);
  const int64_t panels = kv->layers * kv->shape.kv_heads * kv->panels;
  lrp_status st = lrp_buffer_reserve(&kv->branch_memory, n, 1, sizeof(lrp_branch), what);
  if (st == LRP_OK) st = lrp_buffer_reserve(&kv->offset_memory, n, 1, sizeof(int64_t), what);
  if (st == LRP_OK) st = lrp_buffer_reserve(&kv->table_memory, entries, 1, sizeof(int64_t), what);
  if (st == LRP_OK) {
    st = lrp_buffer_reserve(&kv->key_memory, panels, lrp_kv_key_panel(kv), sizeof(uint32_t), what);
  }
  if (st == LRP_OK) {
    st = lrp_buffer_reserve(&kv->value_memory, panels, lrp_kv_value_panel(kv), sizeof(uint32_t),
                            what);
  }
  return st;
}

/* Positions before the panel in which a branch begins lie where its parent has them. */
static void fill_table(lrp_kv *kv) {
  int64_t entry = 0, panel = 0;
  for (int64_t i = 0; i < kv->n_branches; i++) {
    const lrp_branch *b = &kv->branches[i];
    const int64_t shared = b->start / LRP_KV_LANES, end = b->start + b->length;
    assert(b->length > 0 && b->parent < i && (b->parent >= 0 || b->start == 0));
    kv->tables[i] = entry;
    for (int64_t p = 0; p < shared; p++) kv->table[entry++] = kv->table[kv->tables[b->parent] + p];
    for (int64_t p = own_panels(b); p > 0; p--) kv->table[entry++] = panel++;
    if (end > kv->longest) kv->longest = end;
  }
}

/* Probabilities of positions that are not there yet are zero; their values have to be numbers. */
static void clear_values(const lrp_kv *kv) {
  const int64_t panels = kv->layers * kv->shape.kv_heads * kv->panels;
  const int64_t units = lrp_kv_value_panel(kv);
  uint32_t *values = kv->value_memory.data;
#pragma omp parallel for
  for (int64_t i = 0; i < panels; i++) {
    memset(values + i * units, 0, (size_t)units * sizeof *values);
  }
}

lrp_status lrp_kv_plan(lrp_kv *kv, const lrp_branch *branches, int64_t n) {
  kv->n_branches = 0;
  kv->longest = 0;
  const lrp_status st = reserve(kv, branches, n);
  if (st != LRP_OK) return st;
  kv->branches = kv->branch_memory.data;
  kv->tables = kv->offset_memory.data;
  kv->table = kv->table_memory.data;
  kv->n_branches = n;
  if (n > 0) memcpy(kv->branches, branches, (size_t)n * sizeof *branches);
  fill_table(kv);
  clear_values(kv);
  return LRP_OK;
}
