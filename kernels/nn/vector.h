/** @file kernels/nn/vector.h
 *  What the hand-written loops of this folder share to be fast and reproducible.
 *
 *  Sums run in an order that the source states (lanes or sequence), never in one that the compiler,
 *  the number of threads or an address chooses; so a result depends on its operands alone. */
#ifndef LRP_KERNELS_NN_VECTOR_H
#define LRP_KERNELS_NN_VECTOR_H

#include <stdint.h>
#include <string.h>

#include "kernels/clones.h"

/** exp(x) to 2e-7 relative, for x clamped to [-87, 88]; vectorises. Local.
 *  x = n ln 2 + r, |r| <= ln(2) / 2; the Taylor polynomial of degree 7 leaves r^8 / 8! < 6e-9. */
static inline float lrp_exp(float x) {
  const float round_magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float n = (x * 1.44269504f + round_magic) - round_magic;
  const float r = (x - n * 0.693145752f) - n * 1.42860677e-6f;
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  /* A NaN has no integer value: its n is replaced, and p carries the NaN on. */
  const int32_t bits = ((int32_t)(n == n ? n : 0.0f) + 127) << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  return p * power;
}

#endif
