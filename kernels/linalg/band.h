/** @file kernels/linalg/band.h
 *  Symmetric matrix -> band matrix of the same eigenvalues.
 *
 *  B = Q^T G Q, Q = Q_1 Q_2 ...: a block reflector Q_p = I - V T V^T for every LRP_BAND columns. */
#ifndef LRP_KERNELS_LINALG_BAND_H
#define LRP_KERNELS_LINALG_BAND_H

#include "kernels/linalg/rows.h"
#include "kernels/linalg/scratch.h"

/** A band as chasing needs it: of column j the rows j - 31 .. j + 64; above the diagonal so that
 *  blocks on it are whole. Blocks of it are dense, of leading dimension LRP_BAND_LD - 1. */
enum { LRP_BAND_LD = 3 * LRP_BAND };

/** Columns of a band of order n, with room for blocks that reach over its end. */
static inline int64_t lrp_band_columns(int n) {
  return (int64_t)n + 3 * LRP_BAND;
}

/** Where element (i, j) is stored, -LRP_BAND < i - j <= 2 LRP_BAND. */
static inline float *lrp_band_at(float *band, int64_t i, int64_t j) {
  return band + j * (LRP_BAND_LD - 1) + i + LRP_BAND - 1;
}

/** Block reflectors of an order n. */
static inline int lrp_band_panels(int n) {
  return n < LRP_BAND + 2 ? 0 : (n - LRP_BAND - 2) / LRP_BAND + 1;
}

/** What is kept of Q: the V of each panel, row-major of LRP_BAND columns, and its T. */
typedef struct {
  float *v; /* borrowed, LRP_BAND x lrp_band_v_rows(n, all) */
  float *t; /* borrowed, LRP_BAND x LRP_BAND per panel: row-major, upper triangular */
} lrp_band_q;

/** Rows of the V before that of a panel, which has n - (panel + 1) LRP_BAND of them. Local. */
static inline int64_t lrp_band_v_rows(int64_t n, int64_t panel) {
  return panel * n - panel * (panel + 1) / 2 * LRP_BAND;
}

/** B = Q^T G Q. Local, on the OpenMP threads; the same bits for the same number of threads.
 *  @param[in,out] g  n x n, symmetric, both triangles, of numbers of about 1; overwritten
 *  @param ld         of g, at least n; best: an odd multiple of a cache line
 *  @param[out] band  LRP_BAND_LD x lrp_band_columns(n); zero outside the band
 *  @param[out] q     into space of the caller
 *  @return LRP_OK, LRP_ERR_MEM
 *  Source: Bischof, Lang & Sun, ACM TOMS 26 (2000), 581-601. */
lrp_status lrp_band_reduce(int n, float *g, int ld, float *band, lrp_band_q q,
                           lrp_scratch *scratch);

/** Householder QR of a panel. Local, one thread: a hundredth of all work, but not its barriers.
 *  @param[in,out] p  m x LRP_BAND, row-major; becomes V, unit lower trapezoidal, upper part zero
 *  @param[out] r     LRP_BAND x LRP_BAND, row-major, upper triangular, zero below
 *  @param[out] tau   LRP_BAND; 0: no reflector */
void lrp_panel_qr(int64_t m, float *p, float *r, float *tau);

#endif
