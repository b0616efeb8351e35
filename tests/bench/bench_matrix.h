/** @file tests/bench/bench_matrix.h
 *  Weight matrices of known spectra, made once and kept in files, with their optimal errors. */
#ifndef LRP_TESTS_BENCH_MATRIX_H
#define LRP_TESTS_BENCH_MATRIX_H

#include "kernels/matrix.h"
#include "kernels/status.h"
#include "tests/bench/bench_cases.h"

typedef struct {
  char *path;    /* owned: file of the bare bfloat16 values */
  lrp_matrix w;  /* that file, mapped */
  double *tails; /* owned, w.cols + 1: tails[r] = sum of all but the r largest squared singular
                    values */
} lrp_bench_matrix;

/** The rows x cols matrix of that spectrum, rows >= cols. Local. Taken from folder, or made, which
 *  takes seconds, and kept there.
 *
 *  W = U diag(s) V^T + 0.02 N, rounded to bfloat16. N: independent standard normal; U, V: random
 *  orthonormal (QR), cols / 4 columns; s_i = c i^-1/2, s_1 doubled, c = 20 sqrt(rows cols) / 4096,
 *  so that signal and noise are in the same proportion at every shape. gauss: without U diag(s)
 * V^T. outlier: also + 2000 c / 20 x y^T with random unit x, y. Random numbers are drawn by counter
 * (SplitMix64, Box-Muller): the same on each machine but for rounding in BLAS and libm. Optimal
 * errors come from the eigenvalues of the Gram matrix in double (dsyevd).
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_NUM. Release with
 *          free, which zeroes */
lrp_status lrp_bench_matrix_open(const char *folder, lrp_bench_spectrum spectrum, int rows,
                                 int cols, lrp_bench_matrix *out);
void lrp_bench_matrix_free(lrp_bench_matrix *m);

/** min |W - X|_F over X of that rank. Local. */
double lrp_bench_optimum(const lrp_bench_matrix *m, int rank);

#endif
