/** @file pipeline/bootstrap.h
 *  Standard errors by resampling, draw for draw as lm-evaluation-harness makes them. */
#ifndef LRP_PIPELINE_BOOTSTRAP_H
#define LRP_PIPELINE_BOOTSTRAP_H

#include <stdint.h>

#include "kernels/status.h"

/** The harness's bootstrap_iters. */
enum { LRP_BOOTSTRAP_REPLICATES = 100000 };

/** *error = standard deviation of exp(-mean) over replicates, each the mean of n draws with
 *  replacement from the n values of x; NaN if n < 2. Local. Chunks of 1000 replicates (or of fewer,
 *  if fewer are asked for; the rest of the division is dropped) draw each from CPython's generator,
 *  random.Random(chunk).choices(x, k=n). Bits do not depend on the number of threads.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_bootstrap_perplexity(const double *x, int64_t n, int64_t replicates, double *error);

/** The same of score(count), where count says how often each of 0, 1, 2, 3 was drawn from x, which
 *  holds nothing else. */
lrp_status lrp_bootstrap_confusion(const double *x, int64_t n, int64_t replicates,
                                   double (*score)(const int64_t count[4]), double *error);

#endif
