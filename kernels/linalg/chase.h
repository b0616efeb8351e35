/** @file kernels/linalg/chase.h
 *  Band matrix -> tridiagonal matrix of the same eigenvalues.
 *
 *  Sweep s makes column s tridiagonal with a reflector of the rows s + 1.., and chases the bulge
 *  that this makes down the band with one reflector per LRP_BAND rows: step k of the sweep. */
#ifndef LRP_KERNELS_LINALG_CHASE_H
#define LRP_KERNELS_LINALG_CHASE_H

#include "kernels/linalg/band.h"

/** Reflectors of step k of the LRP_SWEEPS sweeps from s on act on LRP_DIAMOND_ROWS rows from
 *  s + 1 + k LRP_BAND on. A diamond is their V, row-major, in column c the one of sweep s + c
 *  (from row c on), and behind it their T, row-major, of which lrp_chase() sets
 *  the diagonal. */
enum {
  LRP_SWEEPS = 8,
  LRP_DIAMOND_ROWS = LRP_BAND + LRP_SWEEPS - 1,
  LRP_DIAMOND_T = LRP_DIAMOND_ROWS * LRP_SWEEPS,
  LRP_DIAMOND_SIZE = LRP_DIAMOND_T + LRP_SWEEPS * LRP_SWEEPS + LRP_SWEEPS, /* whole lines */
};

/** Sweeps of an order n, groups of LRP_SWEEPS, and diamonds of a group and of all. */
static inline int lrp_chase_sweeps(int n) {
  return n < 3 ? 0 : n - 2;
}
static inline int lrp_chase_groups(int n) {
  return (lrp_chase_sweeps(n) + LRP_SWEEPS - 1) / LRP_SWEEPS;
}
static inline int64_t lrp_chase_steps(int n, int64_t sweep) {
  return (n - 2 - sweep + LRP_BAND - 1) / LRP_BAND;
}

/** Diamonds of the groups before this one; of all for group = lrp_chase_groups(n). Local. */
int64_t lrp_chase_diamonds(int n, int group);

/** d, e = diagonal and subdiagonal of Q^T B Q. Local, on the OpenMP threads; the same bits whatever
 *  their number.
 *  @param[in,out] band  as lrp_band_reduce() leaves it; overwritten
 *  @param[out] d  n;  @param[out] e  n - 1
 *  @param[out] diamonds  LRP_DIAMOND_SIZE x lrp_chase_diamonds(n, all); NULL: not wanted
 *  @return LRP_OK, LRP_ERR_MEM
 *  Source: Haidar, Ltaief & Dongarra, SC'11. */
lrp_status lrp_chase(int n, float *band, float *d, float *e, float *diamonds, lrp_scratch *scratch);

#endif
