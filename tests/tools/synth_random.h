/** @file tests/tools/synth_random.h
 *  Values of a tensor, drawn by counter: every row by itself, in any order, on any thread. */
#ifndef LRP_TESTS_TOOLS_SYNTH_RANDOM_H
#define LRP_TESTS_TOOLS_SYNTH_RANDOM_H

#include "tests/tools/synth_arch.h"

/** A tensor W = scale (G + U diag(s) V^T) + mean: G has independent entries of variance 1; the
 *  columns of U and V are random; s decays as i^-1/2 behind a few outliers. */
typedef struct {
  uint64_t key; /* of the seed and the name */
  int64_t cols;
  int directions;
  uint64_t *u_keys; /* owned, directions */
  float *s;         /* owned, directions: singular values / sqrt(rows cols) */
  float *v;         /* owned, directions x cols */
  float scale, mean;
} lrp_synth_sampler;

/** Prepare tensor t. Local. Release with free, which zeroes. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_synth_sampler_init(const lrp_synth_tensor *t, int64_t seed, int64_t outliers,
                                  lrp_synth_sampler *out);
void lrp_synth_sampler_free(lrp_synth_sampler *s);

/** row[0..cols) = row i. Local, thread-safe; depends on nothing but seed, name, shape and i. */
void lrp_synth_sampler_row(const lrp_synth_sampler *s, int64_t i, float *row);

#endif
