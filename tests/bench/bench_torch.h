/** @file tests/bench/bench_torch.h
 *  A Python with PyTorch, running peers.py beside the benchmark. */
#ifndef LRP_TESTS_BENCH_TORCH_H
#define LRP_TESTS_BENCH_TORCH_H

#include "tests/bench/bench_check.h"
#include "tests/bench/bench_python.h"

/** Power iterations of svd_lowrank, PyTorch's default. */
enum { LRP_BENCH_NITER = 2 };

typedef struct {
  lrp_bench_python python; /* not running where there is no PyTorch */
  char *path;              /* owned: file of its factors */
} lrp_bench_torch;

/** Start python with that many threads. Local. Where there is no PyTorch, that is said on stderr
 *  and *out is not running; nothing else may be called then but stop.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_IO */
lrp_status lrp_bench_torch_start(const char *python, int threads, const char *folder,
                                 lrp_bench_torch *out);

/** End it. Local; accepts one that is not running. */
void lrp_bench_torch_stop(lrp_bench_torch *t);

/** Have it take the matrix. Local. @return LRP_OK, LRP_ERR_IO, LRP_ERR_MEM, LRP_ERR_DATA */
lrp_status lrp_bench_torch_load(lrp_bench_torch *t, const lrp_bench_matrix *m);

/** torch.linalg.svd(full_matrices=False) where q = 0, else torch.svd_lowrank(q, niter = 2). Local.
 *  @param[out] seconds  NaN if PyTorch failed, which is said on stderr
 *  @return LRP_OK, LRP_ERR_IO, LRP_ERR_MEM, LRP_ERR_DATA */
lrp_status lrp_bench_torch_run(lrp_bench_torch *t, int q, double *seconds);

/** How good the leading rank triplets of its last result are. Local.
 *  @return LRP_OK, LRP_ERR_IO, LRP_ERR_MEM, LRP_ERR_DATA */
lrp_status lrp_bench_torch_check(lrp_bench_torch *t, const lrp_bench_matrix *m, int rank,
                                 lrp_bench_quality *q);

#endif
