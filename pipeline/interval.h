/** @file pipeline/interval.h
 *  The middle of repeated measurements, and how sure it is: nothing is assumed about how they are
 *  distributed, but that they are independent of each other.
 *  Source: David and Nagaraja, Order Statistics, Wiley 2003, section 7.1. */
#ifndef LRP_PIPELINE_INTERVAL_H
#define LRP_PIPELINE_INTERVAL_H

#include <stdint.h>

#include "kernels/status.h"

typedef struct {
  double median;
  double low, high; /* the k-th smallest and the k-th largest sample */
  double coverage;  /* probability that the true median lies in [low, high]: 0.95 or more, if there
                       are at least 6 samples; else what the smallest and the largest have */
} lrp_interval;

/** Median and interval of n samples, in any order. Local.
 *  k is the largest for which 1 - 2 P(Binomial(n, 1/2) < k) is at least 0.95, else 1: n = 5 has
 *  0.9375. n = 1: low and high are the sample, coverage 0. n = 0, or a sample that is NaN: all NaN,
 *  coverage 0.
 *  @return LRP_OK, LRP_ERR_MEM: then *out is that of no samples */
lrp_status lrp_interval_of(const double *samples, int64_t n, lrp_interval *out);

#endif
