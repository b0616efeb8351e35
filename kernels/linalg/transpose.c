#include "kernels/linalg/transpose.h"

#include <string.h>

/* One cache line of float32. */
enum { side = 16 };

static void small_block(int64_t m, int64_t n, const float *a, int64_t lda, float *b, int64_t ldb) {
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < n; j++) b[i * ldb + j] = a[j * lda + i];
  }
}

/* By way of a buffer: columns of a whose distance is a power of two evict each other. */
static void whole_block(const float *a, int64_t lda, float *b, int64_t ldb) {
  float block[side][side];
  for (int j = 0; j < side; j++) memcpy(block[j], a + j * lda, sizeof block[j]);
  for (int i = 0; i < side; i++) {
    float row[side];
    for (int j = 0; j < side; j++) row[j] = block[j][i];
    memcpy(b + i * ldb, row, sizeof row);
  }
}

void lrp_transpose(int64_t m, int64_t n, const float *a, int64_t lda, float *b, int64_t ldb) {
  for (int64_t i = 0; i < m; i += side) {
    for (int64_t j = 0; j < n; j += side) {
      const float *from = a + j * lda + i;
      float *to = b + i * ldb + j;
      if (m - i >= side && n - j >= side) {
        whole_block(from, lda, to, ldb);
      } else {
        small_block(m - i < side ? m - i : side, n - j < side ? n - j : side, from, lda, to, ldb);
      }
    }
  }
}

void lrp_mirror(int64_t n, float *a, int64_t ld) {
  for (int64_t j = 0; j < n; j += side) {
    const int64_t below = j + side < n ? j + side : n;
    for (int64_t i = j; i < below; i++) {
      for (int64_t c = j; c < i; c++) a[i * ld + c] = a[c * ld + i];
    }
    lrp_transpose(n - below, below - j, a + j * ld + below, ld, a + below * ld + j, ld);
  }
}
