/** @file tests/bench/evaluate/model.h
 *  A model of random weights in memory, and passes through it. */
#ifndef LRP_TESTS_BENCH_EVALUATE_MODEL_H
#define LRP_TESTS_BENCH_EVALUATE_MODEL_H

#include "tests/bench/evaluate/cases.h"

typedef struct {
  const lrp_bench_pass *pass; /* borrowed */
  lrp_llama model;            /* its layers are owned */
  lrp_llama_workspace *ws;    /* owned */
  void *values, *ones;        /* owned: what all weights, all norms are views of */
  void **packed;              /* owned, and each of them: the layers' linear maps and the head */
  int32_t *tokens;            /* owned, LRP_BENCH_TOKENS + 1 */
  float *x;                   /* owned: rows of a pass without a head */
} lrp_bench_llama;

/** Make the model of a case. Local. Its weights are one block of random numbers, seen as matrices
 *  of every shape, and laid out for products once for each layer, as those of a model are.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG; nothing to free upon failure */
lrp_status lrp_bench_llama_create(const lrp_bench_pass *pass, lrp_bench_llama *out);

/** Seconds of a pass. Local.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_BUG, LRP_ERR_NUM: the result is no number */
lrp_status lrp_bench_llama_run(lrp_bench_llama *m, double *seconds);

/** Release everything. Local; accepts a zeroed one. */
void lrp_bench_llama_free(lrp_bench_llama *m);

#endif
