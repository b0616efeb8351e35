/** @file kernels/nn/kv_parts.h
 *  Parts of kernels/nn/kv.h that its users do not see: how keys and values lie, and the kernels
 *  that compute with them.
 *
 *  A unit is 4 bytes: a float, or a pair of bfloat16. A panel is a matrix of units with 16 columns.
 *  Panels of keys have a column for each of 16 positions and a row for each unit of a key. Panels
 *  of values have a column for each of 16 channels and a row for each position, or pair of
 *  positions; there is one for every 16 channels, one after the other. So both products of
 *  attention are the same. */
#ifndef LRP_KERNELS_NN_KV_PARTS_H
#define LRP_KERNELS_NN_KV_PARTS_H

#include <stdbool.h>

#include "kernels/nn/buffer.h"
#include "kernels/nn/kv.h"

enum {
  LRP_KV_LANES = 16, /* positions of a panel */
  LRP_KV_ROWS = 6,   /* most queries of a tile; with 4 panels, 24 accumulators */
  LRP_KV_PANELS = 4,
  LRP_KV_CHUNK = 16 /* panels of positions whose values are added up by themselves */
};

/** How a processor computes. rows are in [1, LRP_KV_ROWS]. The bits of a row do not depend on the
 *  others, nor on their number. All local. */
typedef struct {
  bool pairs; /* units are pairs of bfloat16 */

  /** Columns from .. from + count - 1 of a panel of keys are rows of k, d floats, ld apart. */
  void (*keep_keys)(const float *k, int64_t ld, int64_t d, int64_t from, int64_t count,
                    void *panel);

  /** The same for the panels of values of 16 positions; channels behind d stay as they are. */
  void (*keep_values)(const float *v, int64_t ld, int64_t d, int64_t from, int64_t count,
                      void *panels);

  /** scores(r, 16 p + i) = query r times column i of panel p, for count panels, 1 to 4.
   *  @param units  of a query, and rows of a panel
   *  @param[out] scores  rows of ld floats */
  void (*score)(int rows, int count, const void *const *queries, const void *const *panels,
                int64_t units, float *scores, int64_t ld);

  /** Replace n scores by exp(scale (score - largest)), as floats, or as bfloat16 from the address
   *  to on, which is not behind scores. Returns their sum.
   *  The order of the sum depends on n alone. */
  double (*weigh)(const float *scores, int64_t n, float scale, void *to);

  /** sums (rows x 16 vectors, ld floats apart) += probabilities times the values of at most
   *  LRP_KV_CHUNK groups of 16 positions, whose sum comes first.
   *  @param probabilities  rows of 16 for each group, floats or bfloat16
   *  @param panels  those of the first channels, for each group */
  void (*mix)(int rows, const void *const *probabilities, const void *const *panels, int64_t groups,
              int64_t vectors, float *sums, int64_t ld);

  /** to = factor x, n numbers, as floats or bfloat16. */
  void (*scale)(const float *x, int64_t n, float factor, void *to);
} lrp_kv_kernels;

/** Kernels for any processor, for AVX-512, and for AVX512_BF16; NULL where this processor, or the
 *  compiler, lacks it. Local; static. */
const lrp_kv_kernels *lrp_kv_portable(void);
const lrp_kv_kernels *lrp_kv_avx512(void);
const lrp_kv_kernels *lrp_kv_bf16(void);

struct lrp_kv {
  lrp_causal_shape shape;
  lrp_dtype operands;
  int layers;
  const lrp_kv_kernels *kernels; /* borrowed */
  lrp_branch *branches;          /* borrowed from branch_memory: n_branches */
  int64_t n_branches;
  int64_t *tables; /* borrowed: where the table of each branch begins */
  int64_t *table;  /* borrowed: for every 16 positions of a branch, from 0 on, their panel */
  int64_t panels;  /* of 16 positions, for each layer and head */
  int64_t longest; /* end of the longest branch */
  lrp_buffer branch_memory, offset_memory, table_memory, key_memory, value_memory;
  lrp_buffer piece_memory, thread_memory;
};

/** lrp_kv_create with these kernels, for tests. */
lrp_status lrp_kv_create_with(const lrp_causal_shape *shape, lrp_dtype operands, int layers,
                              const lrp_kv_kernels *kernels, lrp_kv **kv);

/** Units of a key and of a panel of keys; channels of a value with those that fill the last vector,
 *  and units of its panels. Local. */
int64_t lrp_kv_key_units(const lrp_kv *kv);
int64_t lrp_kv_key_panel(const lrp_kv *kv);
int64_t lrp_kv_channels(const lrp_kv *kv);
int64_t lrp_kv_value_panel(const lrp_kv *kv);

/** Keys and values of a panel of the table, for one head. Local; borrowed. */
void *lrp_kv_keys(const lrp_kv *kv, int layer, int64_t head, int64_t panel);
void *lrp_kv_values(const lrp_kv *kv, int layer, int64_t head, int64_t panel);

/** Part of a run, which one thread takes. */
typedef struct {
  int64_t run, from, count;
} lrp_kv_piece;

/** x[i] rounded to bfloat16. Local. */
void lrp_kv_round(float *x, int64_t n);

/** Keep the keys and values of the rows of runs. Local. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_kv_keep(lrp_kv *kv, int layer, const lrp_run *runs, int64_t n_runs, const float *k,
                       const float *v);

#endif
