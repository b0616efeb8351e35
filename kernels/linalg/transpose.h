/** @file kernels/linalg/transpose.h
 *  Transposed copies of float32 matrices that are column-major (or both row-major). */
#ifndef LRP_KERNELS_LINALG_TRANSPOSE_H
#define LRP_KERNELS_LINALG_TRANSPOSE_H

#include <stdint.h>

/** b[i * ldb + j] = a[j * lda + i], i < m, j < n. Every cache line of a is read once, whatever lda.
 *  Local, one thread; a and b do not overlap. */
void lrp_transpose(int64_t m, int64_t n, const float *a, int64_t lda, float *b, int64_t ldb);

/** a[i * ld + j] = a[j * ld + i], j < i < n: the triangle that the first index runs in to the other
 *  one. Local, one thread. */
void lrp_mirror(int64_t n, float *a, int64_t ld);

#endif
