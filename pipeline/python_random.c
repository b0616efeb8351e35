#include "pipeline/python_random.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { n = lrp_random_words, middle = 397 };

static void init_genrand(uint32_t *state, uint32_t seed) {
  state[0] = seed;
  for (uint32_t i = 1; i < n; i++) {
    state[i] = 1812433253u * (state[i - 1] ^ (state[i - 1] >> 30)) + i;
  }
}

/* init_by_array of the one word seed. */
void lrp_random_seed(lrp_random *random, uint32_t seed) {
  uint32_t *s = random->state;
  uint32_t i = 1;

  init_genrand(s, 19650218u);
  for (int k = 0; k < n; k++) {
    s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1664525u)) + seed;
    if (++i == n) {
      s[0] = s[n - 1];
      i = 1;
    }
  }
  for (int k = 0; k < n - 1; k++) {
    s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1566083941u)) - i;
    if (++i == n) {
      s[0] = s[n - 1];
      i = 1;
    }
  }
  s[0] = 0x80000000u;
  random->used = lrp_random_block;
  random->words = lrp_random_words;
}

static uint32_t twist(uint32_t high, uint32_t low) {
  const uint32_t y = (high & 0x80000000u) | (low & 0x7fffffffu);
  return (y >> 1) ^ (-(y & 1u) & 0x9908b0dfu);
}

/* The next n words of the recurrence. */
static void next_state(uint32_t *s) {
  for (int i = 0; i < n - middle; i++) s[i] = s[i + middle] ^ twist(s[i], s[i + 1]);
  for (int i = n - middle; i < n - 1; i++) s[i] = s[i + middle - n] ^ twist(s[i], s[i + 1]);
  s[n - 1] = s[middle - 1] ^ twist(s[n - 1], s[0]);
}

static uint32_t temper(uint32_t y) {
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

/* 53 bits from each pair of words: 27 of the first, 26 of the second. */
static void fill(lrp_random *random) {
  next_state(random->state);
  for (int i = 0; i < lrp_random_block; i++) {
    const int32_t high = (int32_t)(temper(random->state[2 * i]) >> 5);
    const int32_t low = (int32_t)(temper(random->state[2 * i + 1]) >> 6);
    random->block[i] = ((double)high * 67108864.0 + (double)low) * 0x1p-53;
  }
  random->used = 0;
}

const double *lrp_random_take(lrp_random *random, int64_t most, int *count) {
  if (random->used == lrp_random_block) fill(random);
  const int left = lrp_random_block - random->used;
  *count = most < left ? (int)most : left;
  random->used += *count;
  return random->block + (random->used - *count);
}

static uint32_t next_word(lrp_random *random) {
  if (random->words == lrp_random_words) {
    next_state(random->state);
    random->words = 0;
  }
  return temper(random->state[random->words++]);
}

/* A number of 0..size-1, size > 0: as many bits as size has, drawn again until they are less. */
static int64_t below(lrp_random *random, int64_t size) {
  int bits = 0;
  int64_t x;
  while (size >> bits > 0) bits++;
  do {
    x = (int64_t)(next_word(random) >> (32 - bits));
  } while (x >= size);
  return x;
}

/* Draws from a pool of what is left. */
static lrp_status sample_pool(lrp_random *random, int64_t size, int64_t k, int64_t *rows) {
  int64_t *pool = malloc(((size_t)size + 1) * sizeof *pool);
  if (!pool) return lrp_fail_memory((size_t)size * sizeof *pool, "a sample of rows");
  for (int64_t i = 0; i < size; i++) pool[i] = i;
  for (int64_t i = 0; i < k; i++) {
    const int64_t j = below(random, size - i);
    rows[i] = pool[j];
    pool[j] = pool[size - i - 1];
  }
  free(pool);
  return LRP_OK;
}

static bool contains(const int64_t *rows, int64_t count, int64_t row) {
  for (int64_t i = 0; i < count; i++) {
    if (rows[i] == row) return true;
  }
  return false;
}

/* Which of its two ways Python takes decides what is drawn. */
lrp_status lrp_random_sample(lrp_random *random, int64_t size, int64_t k, int64_t *rows) {
  const double set_size = k > 5 ? 21.0 + pow(4.0, ceil(log(3.0 * (double)k) / log(4.0))) : 21.0;
  if ((double)size <= set_size) return sample_pool(random, size, k, rows);
  for (int64_t i = 0; i < k; i++) {
    do {
      rows[i] = below(random, size);
    } while (contains(rows, i, rows[i]));
  }
  return LRP_OK;
}
