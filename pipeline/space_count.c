#include "pipeline/space_count.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/big.h"

#define NAME(axis, name, meaning)    name,
#define MEANING(axis, name, meaning) meaning,
static const char *const names[] = {LRP_SPACE_AXES(NAME)};
static const char *const meanings[] = {LRP_SPACE_AXES(MEANING)};

const char *lrp_space_axis_name(lrp_space_axis axis) {
  return names[axis];
}

const char *lrp_space_axis_meaning(lrp_space_axis axis) {
  return meanings[axis];
}

static int64_t largest_rank(const lrp_config *config, int tensor) {
  int64_t m, n;
  lrp_config_tensor_shape(config, tensor, &m, &n);
  return m < n ? m : n;
}

/* Ranks 1 .. r of the tensor with fewer than m n parameters: the break-even rank itself may save
 * nothing. */
static int64_t saving_ranks(const lrp_config *config, lrp_method method, int tensor) {
  int64_t m, n;
  lrp_config_tensor_shape(config, tensor, &m, &n);
  const int64_t r = lrp_break_even_rank(method, m, n);
  return lrp_factor_parameters(method, m, n, r) < m * n ? r : r - 1;
}

static bool power_of_two(BIGNUM *x, int exponent) {
  return BN_one(x) && BN_lshift(x, x, exponent);
}

/* A set of tensors has as many ranks as the largest of its matrices: those beyond a matrix's own
 * are capped there, and change the others only. */
static int64_t ranks_of_sets(const lrp_config *config) {
  const int tensors = lrp_config_layer_tensors(config);
  int64_t sum = 0;

  for (unsigned set = 1; set < 1u << tensors; set++) {
    int64_t most = 0;
    for (int t = 0; t < tensors; t++) {
      const int64_t ranks = largest_rank(config, t);
      if ((set >> t & 1u) && ranks > most) most = ranks;
    }
    sum += most;
  }
  return sum;
}

/* (2^layers - 1) * factor + 1: the dense model is one of them. */
static bool different(BIGNUM *x, int layers, int64_t factor) {
  return power_of_two(x, layers) && BN_sub_word(x, 1) && BN_mul_word(x, (BN_ULONG)factor) &&
         BN_add_word(x, 1);
}

/* Product of 1 + ranks over all matrices. */
static bool product_of_ranks(BIGNUM *x, const lrp_config *config, lrp_method method, bool any) {
  const int layers = lrp_config_layers(config), tensors = lrp_config_layer_tensors(config);
  bool done = BN_one(x);

  for (int i = 0; done && i < layers * tensors; i++) {
    const int t = i % tensors;
    const int64_t r = any ? largest_rank(config, t) : saving_ranks(config, method, t);
    done = BN_mul_word(x, (BN_ULONG)(1 + r));
  }
  return done;
}

static bool count(lrp_space_axis axis, const lrp_config *config, lrp_method method, BIGNUM *x) {
  const int layers = lrp_config_layers(config), tensors = lrp_config_layer_tensors(config);

  switch (axis) {
    case LRP_SPACE_MASKS:
      return power_of_two(x, layers + tensors);
    case LRP_SPACE_DIFFERENT:
      return different(x, layers, (1 << tensors) - 1);
    case LRP_SPACE_ONE_RANK:
      return different(x, layers, ranks_of_sets(config));
    case LRP_SPACE_LAYER_MASKS:
      return power_of_two(x, layers * tensors);
    case LRP_SPACE_SAVING_RANKS:
      return product_of_ranks(x, config, method, false);
    case LRP_SPACE_ANY_RANKS:
      return product_of_ranks(x, config, method, true);
    case LRP_SPACE_N_AXES:
      break;
  }
  return false;
}

static lrp_status describe(const BIGNUM *x, lrp_space_size *size) {
  double log2_x;
  int exponent;
  lrp_status st = lrp_big_log2(x, &log2_x);

  if (st == LRP_OK) st = lrp_big_text(x, &size->digits);
  if (st != LRP_OK) return st;
  if (lrp_big_is_power_of_two(x, &exponent)) {
    snprintf(size->log2, sizeof size->log2, "%d", exponent);
  } else {
    snprintf(size->log2, sizeof size->log2, "%.2f", log2_x);
  }
  return LRP_OK;
}

lrp_status lrp_space_count(const lrp_config *config, lrp_method method,
                           lrp_space_size sizes[LRP_SPACE_N_AXES]) {
  lrp_status st = LRP_OK;
  BIGNUM *x = BN_new();

  for (int i = 0; i < LRP_SPACE_N_AXES; i++) sizes[i] = (lrp_space_size){0};
  for (int i = 0; st == LRP_OK && i < LRP_SPACE_N_AXES; i++) {
    const bool done = x && count((lrp_space_axis)i, config, method, x);
    st = done ? describe(x, &sizes[i]) : lrp_big_fail();
  }
  BN_free(x);
  if (st != LRP_OK) lrp_space_count_free(sizes);
  return st;
}

void lrp_space_count_free(lrp_space_size sizes[LRP_SPACE_N_AXES]) {
  for (int i = 0; i < LRP_SPACE_N_AXES; i++) {
    free(sizes[i].digits);
    sizes[i].digits = NULL;
  }
}

/* Of tucker r^2 + (m + n) r = m n, without taking the difference of near numbers. */
double lrp_break_even(lrp_method method, int64_t m, int64_t n) {
  const double sum = (double)m + (double)n, product = (double)m * (double)n;
  if (method == LRP_SVD) return product / sum;
  return 2.0 * product / (sum + sqrt(sum * sum + 4.0 * product));
}
