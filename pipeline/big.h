/** @file pipeline/big.h
 *  Integers of any size, exactly: what BIGNUM of OpenSSL lacks for counting. All functions are
 *  local. */
#ifndef LRP_PIPELINE_BIG_H
#define LRP_PIPELINE_BIG_H

#include <openssl/bn.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernels/status.h"

/** That a function of BIGNUM failed, which is for lack of memory. @return LRP_ERR_MEM */
lrp_status lrp_big_fail(void);

/** x = x * factor / divisor, which must be an integer; factor >= 0, divisor > 0. @return false if
 *  memory ran out */
bool lrp_big_scale(BIGNUM *x, int64_t factor, int64_t divisor);

/** x in decimal digits; the caller frees *text. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_big_text(const BIGNUM *x, char **text);

/** log2(x), -INFINITY of 0. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_big_log2(const BIGNUM *x, double *log2_x);

/** Whether x is a power of two, and of which exponent. */
bool lrp_big_is_power_of_two(const BIGNUM *x, int *exponent);

#endif
