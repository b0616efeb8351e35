/** @file pipeline/python_random.h
 *  CPython's random.Random(seed), as far as benchmarks use it: MT19937 and its random().
 *  All functions are local. Source: Matsumoto and Nishimura, ACM TOMACS 8 (1998) 3. */
#ifndef LRP_PIPELINE_PYTHON_RANDOM_H
#define LRP_PIPELINE_PYTHON_RANDOM_H

#include <stdint.h>

enum { lrp_random_words = 624, lrp_random_block = lrp_random_words / 2 };

/** Numbers are made a block at a time, which is faster than one by one. */
typedef struct {
  uint32_t state[lrp_random_words];
  double block[lrp_random_block]; /* in [0, 1) */
  int used;                       /* so many of block are taken */
} lrp_random;

/** random.Random(seed) */
void lrp_random_seed(lrp_random *random, uint32_t seed);

/** The next *count values of random.random(), at least one and at most `most` (> 0) of them; valid
 *  until the next call. */
const double *lrp_random_take(lrp_random *random, int64_t most, int *count);

#endif
