/** @file tests/bench/bench_recipe.h
 *  Entries and squared singular values of the matrices of bench_matrix.h. */
#ifndef LRP_TESTS_BENCH_RECIPE_H
#define LRP_TESTS_BENCH_RECIPE_H

#include "kernels/matrix.h"
#include "kernels/status.h"
#include "tests/bench/bench_cases.h"

/** Part of the names of files: to be raised when the recipe changes. */
enum { LRP_BENCH_RECIPE = 1 };

typedef struct {
  lrp_bench_spectrum spectrum;
  int rows, cols; /* rows >= cols */
} lrp_bench_recipe;

/** left right^T of rank count; nothing if count = 0. Column-major. */
typedef struct {
  int count;
  double *left;  /* owned, rows x count: scaled by the singular values */
  double *right; /* owned, cols x count */
} lrp_bench_signal;

/** Local. @return LRP_OK, LRP_ERR_MEM, LRP_ERR_NUM. Release with free, which zeroes */
lrp_status lrp_bench_signal_init(const lrp_bench_recipe *r, lrp_bench_signal *out);
void lrp_bench_signal_free(lrp_bench_signal *s);

/** panel = rows first .. first + count - 1 of the matrix, row-major, before rounding. Local. */
void lrp_bench_rows(const lrp_bench_recipe *r, const lrp_bench_signal *s, int first, int count,
                    double *panel);

/** tails[i] = sum of all but the i largest eigenvalues of W^T W, i <= w->cols. Local.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_NUM */
lrp_status lrp_bench_tails(const lrp_matrix *w, double *tails);

#endif
