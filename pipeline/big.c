#include "pipeline/big.h"

#include <float.h>
#include <math.h>
#include <string.h>

lrp_status lrp_big_fail(void) {
  return lrp_fail(LRP_ERR_MEM, "out of memory: numbers of configurations");
}

bool lrp_big_scale(BIGNUM *x, int64_t factor, int64_t divisor) {
  return BN_mul_word(x, (BN_ULONG)factor) &&
         BN_div_word(x, (BN_ULONG)divisor) != (BN_ULONG)-1; /* else the remainder, 0 */
}

lrp_status lrp_big_text(const BIGNUM *x, char **text) {
  char *digits = BN_bn2dec(x); /* released by OPENSSL_free */
  *text = digits ? strdup(digits) : NULL;
  OPENSSL_free(digits);
  return *text ? LRP_OK : lrp_big_fail();
}

/* By the leading digits, as many as a double has. */
lrp_status lrp_big_log2(const BIGNUM *x, double *log2_x) {
  const int bits = BN_num_bits(x), beyond = bits > DBL_MANT_DIG ? bits - DBL_MANT_DIG : 0;
  BIGNUM *leading = BN_new();
  const bool done = leading && BN_rshift(leading, x, beyond);

  if (done) *log2_x = log2((double)BN_get_word(leading)) + beyond;
  BN_free(leading);
  return done ? LRP_OK : lrp_big_fail();
}

bool lrp_big_is_power_of_two(const BIGNUM *x, int *exponent) {
  *exponent = BN_num_bits(x) - 1;
  for (int i = 0; i < *exponent; i++) {
    if (BN_is_bit_set(x, i)) return false;
  }
  return *exponent >= 0;
}
