/** @file kernels/linalg/factors.h
 *  Low-rank factors of one weight matrix, as they are stored, with their certificate. */
#ifndef LRP_KERNELS_LINALG_FACTORS_H
#define LRP_KERNELS_LINALG_FACTORS_H

#include "kernels/linalg/scratch.h"
#include "kernels/matrix.h"
#include "kernels/status.h"

/** Matrices whose short side is at most this are solved exactly, in double, whatever the rank: what
 *  a unit stores at a rank does not depend on the largest rank asked. */
enum { LRP_EXACT_SIDE = 1024 };

/** Form of the factors. With a matrix both have the same error; they differ in what is stored:
 *  tucker: W ~ u1 (m x r) core (r x r) u2 (r x n);  svd: W ~ u (m x r) diag(s) vt (r x n). */
typedef enum { LRP_TUCKER, LRP_SVD } lrp_method;

/** "tucker", "svd". Local. */
const char *lrp_method_name(lrp_method method);

/** How the triplets were computed. The numbers are stored in ledgers. */
typedef enum {
  LRP_SOLVER_GESDD,  /* LAPACK, double */
  LRP_SOLVER_GESVD,  /* LAPACK, double */
  LRP_SOLVER_GRID,   /* ScaLAPACK over several process ranks */
  LRP_SOLVER_KRYLOV, /* block Krylov: few triplets */
  LRP_SOLVER_GRAM    /* eigenvectors of the Gram matrix: many */
} lrp_solver;

/** "gesdd", "gesvd", "grid", "krylov", "gram". Local. */
const char *lrp_solver_name(lrp_solver solver);

/** Leading singular triplets: W ~ u diag(s) vt. */
typedef struct {
  int m, n, rank; /* rank <= k = min(m, n) */
  int k;
  double *s; /* owned, length k: all computed singular values, descending; NaN if not computed */
  float *u;  /* owned, m x rank, row-major, orthonormal columns */
  float *vt; /* owned, rank x n, row-major, orthonormal rows */
} lrp_triplets;

/** Room for the leading rank triplets of an m x n matrix, not filled. Local.
 *  @return LRP_OK, LRP_ERR_MEM: then *t is zeroed */
lrp_status lrp_triplets_create(lrp_triplets *t, int m, int n, int rank);

/** Keep the leading rank <= t->rank triplets (and all of s). Local. */
void lrp_triplets_truncate(lrp_triplets *t, int rank);

/** Release the arrays and zero *t. Local; accepts a zeroed one. */
void lrp_triplets_free(lrp_triplets *t);

/** Proof that triplets belong to W, computed from W itself. For W = 0, where the
 * quotients have no meaning: 0 if the triplets' product is zero, too, else Inf. */
typedef struct {
  double relative_error; /* |W - u diag(s) vt|_F / |W|_F */
  double predicted;      /* sqrt(max(0, 1 - sum_{i<rank} s_i^2 / |W|_F^2)) */
  double orthogonality;  /* max(|u^T u - I|_max, |vt vt^T - I|_max) */
  double residual;       /* max_i |W^T u_i - s_i v_i|_2 / s_1 */
  double norm;           /* |W|_F */
} lrp_certificate;

/** Compute the certificate of t from w, by panels. Local, on the OpenMP threads; needs n x rank
 *  elements and a few panels of work space. All in double where min(m, n) <= LRP_EXACT_SIDE; else
 *  products of panels in float32 and sums in double, which is ten times finer than the limits of
 *  lrp_certificate_passes.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_certify(const lrp_matrix *w, const lrp_triplets *t, lrp_scratch *scratch,
                       lrp_certificate *c);

/** Whether c passes: |relative_error - predicted| <= 1e-5, orthogonality <= 1e-5,
 *  residual <= 1e-4. NaN fails. Local. */
bool lrp_certificate_passes(const lrp_certificate *c);

/** Factors in the stored types. The middle factor is always float32, the others dtype. */
typedef struct {
  lrp_method method;
  lrp_dtype dtype;
  lrp_solver solver;
  int m, n, rank, k;
  double *spectrum;            /* owned, k: as lrp_triplets.s */
  void *left;                  /* owned, m x rank: u1 or u */
  float *middle;               /* owned, tucker: core, rank x rank, diagonal; svd: s, rank */
  void *right;                 /* owned, rank x n: u2 or vt */
  lrp_certificate certificate; /* before rounding, except relative_error: of the stored factors */
} lrp_factors;

/** Round t to the stored types, and recompute relative_error where that changes the factors. Local.
 *  @param t    its u and vt may be taken over: they are NULL then
 *  @param c    certificate of t; s_1 must not exceed what float32 holds
 *  @param[out] out  owned by the caller; zeroed on error
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_factors_init(lrp_factors *out, const lrp_matrix *w, lrp_triplets *t,
                            const lrp_certificate *c, lrp_method method, lrp_dtype dtype,
                            lrp_scratch *scratch);

/** Release the arrays and zero *f. Local; accepts a zeroed one. */
void lrp_factors_free(lrp_factors *f);

/** Parameters of a rank-r factorization of an m x n matrix as it is counted:
 *  tucker r (m + n) + r^2; svd r (m + n) (s folded); INT64_MAX if it is larger. Local. */
int64_t lrp_factor_parameters(lrp_method method, int64_t m, int64_t n, int64_t rank);

/** Largest r in [1, min(m, n)] with lrp_factor_parameters(r) <= budget; 1 if there is none. Local.
 *  lrp_break_even_rank is the one whose budget is m n. */
int lrp_rank_for_budget(lrp_method method, int64_t m, int64_t n, double budget);
int lrp_break_even_rank(lrp_method method, int64_t m, int64_t n);

/** Smallest r >= 1 with s_1^2 + .. + s_r^2 >= energy * total; k if there is none. Local.
 *  total = |W|_F^2. Source: Eckart & Young, Psychometrika 1 (1936), 211-218. */
int lrp_rank_for_energy(const double *s, int k, double energy, double total);

#endif
