/** @file pipeline/python_random.h
 *  CPython's random.Random(seed), as far as benchmarks use it: MT19937, its random() and sample().
 *  All functions are local. Source: Matsumoto and Nishimura, ACM TOMACS 8 (1998) 3. */
#ifndef LRP_PIPELINE_PYTHON_RANDOM_H
#define LRP_PIPELINE_PYTHON_RANDOM_H

#include <stdint.h>

#include "kernels/status.h"

enum { lrp_random_words = 624, lrp_random_block = lrp_random_words / 2 };

/** Numbers are made a block at a time, which is faster than one by one. */
typedef struct {
  uint32_t state[lrp_random_words];
  double block[lrp_random_block]; /* in [0, 1) */
  int used;                       /* so many of block are taken */
  int words;                      /* so many of state are taken, one by one */
} lrp_random;

/** random.Random(seed) */
void lrp_random_seed(lrp_random *random, uint32_t seed);

/** The next *count values of random.random(), at least one and at most `most` (> 0) of them; valid
 *  until the next call. */
const double *lrp_random_take(lrp_random *random, int64_t most, int *count);

/** random.sample(range(size), k), k <= size < 2^31: k different numbers of 0..size-1 in rows. Calls
 * go on from each other; a generator that lrp_random_take has drawn from is not for this, nor the
 * other way round. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_random_sample(lrp_random *random, int64_t size, int64_t k, int64_t *rows);

#endif
