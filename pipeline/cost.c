#include "pipeline/cost.h"

#include <math.h>

#include "kernels/linalg/solver.h"

typedef struct {
  const char *name;
  int size[2];
  double guess;
} stage_row;

#define ROW(stage, name, small, large, guess) {name, {small, large}, guess},
static const stage_row stages[] = {LRP_COST_STAGES(ROW)};
#undef ROW

const char *lrp_cost_name(lrp_cost_stage stage) {
  return stages[stage].name;
}

int lrp_cost_size(lrp_cost_stage stage, int i) {
  return stages[stage].size[i];
}

bool lrp_cost_is_file(lrp_cost_stage stage) {
  return stage == LRP_COST_READ || stage == LRP_COST_WRITE || stage == LRP_COST_COMMIT;
}

lrp_cost lrp_cost_guess(int threads) {
  lrp_cost cost;
  for (int s = 0; s < LRP_COST_N_STAGES; s++) {
    const double guess = stages[s].guess * (lrp_cost_is_file((lrp_cost_stage)s) ? 1.0 : threads);
    cost.speed[s][0] = cost.speed[s][1] = guess;
  }
  return cost;
}

/* Vectors of the Krylov space that is enough for most matrices, the first block counted twice. */
static double krylov_size(const lrp_cost_task *t) {
  const double block = t->rank <= 32 ? 16.0 : 32.0;
  return 3.25 * t->rank + 3.0 * block;
}

static double short_side(const lrp_cost_task *t) {
  return (double)(t->m < t->n ? t->m : t->n);
}

/* Thin singular value decomposition in double by way of R (Golub & Van Loan, Matrix Computations,
 * 4th ed., section 8.6), and the products of certificate and rounding. */
static double gesdd_work(const lrp_cost_task *t) {
  const double m = (double)t->m, n = (double)t->n, k = short_side(t), r = t->rank;
  return 6.0 * (m + n - k) * k * k + 20.0 * k * k * k + 8.0 * m * n * r;
}

/* Products with W that grow the space, the last one and the certificate's; then what the vectors of
 * the space cost among themselves. Its size: see kernels/linalg/krylov.c. */
static double krylov_work(const lrp_cost_task *t) {
  const double m = (double)t->m, n = (double)t->n, r = t->rank;
  const double size = krylov_size(t);
  return 4.0 * m * n * size + 6.0 * m * n * r + 4.0 * (m + n) * size * size;
}

/* Three products with W (the other factor, error, residual), a fourth one for the error of rounded
 * factors; orthogonalisation of the longer factor, and the certificate of both, whose operations
 * are counted three times: they are slower than products by so much (measured). */
static double finish_work(const lrp_cost_task *t) {
  const double m = (double)t->m, n = (double)t->n, r = t->rank;
  const double products = t->factors == LRP_F32 ? 3.0 : 4.0, longer = m > n ? m : n;
  return 2.0 * products * m * n * r + (2.0 * longer + 6.0 * (m + n)) * r * r;
}

static double gram_work(lrp_cost_stage stage, const lrp_cost_task *t) {
  const double m = (double)t->m, n = (double)t->n, k = short_side(t), r = t->rank;
  switch (stage) {
    case LRP_COST_GRAM_BF16:
      return t->weights == LRP_BF16 ? m * n * k : 0.0;
    case LRP_COST_GRAM_F32:
      return t->weights == LRP_BF16 ? 0.0 : m * n * k;
    case LRP_COST_EIGEN:
      return 4.0 / 3.0 * k * k * k;
    case LRP_COST_BACK:
      return 4.0 * k * k * r;
    case LRP_COST_FINISH:
      return finish_work(t);
    default:
      return 0.0;
  }
}

double lrp_cost_work(lrp_cost_stage stage, const lrp_cost_task *t) {
  if (stage == LRP_COST_READ || stage == LRP_COST_LOOK) {
    return (double)t->m * (double)t->n * (double)lrp_dtype_size(t->weights);
  }
  if (stage == LRP_COST_WRITE) return lrp_cost_stored_bytes(t);
  if (stage == LRP_COST_COMMIT) return 1.0;
  switch (lrp_solver_for(t->m, t->n, t->rank)) {
    case LRP_SOLVER_GRAM:
      return gram_work(stage, t);
    case LRP_SOLVER_KRYLOV:
      return stage == LRP_COST_KRYLOV ? krylov_work(t) : 0.0;
    default:
      return stage == LRP_COST_GESDD ? gesdd_work(t) : 0.0;
  }
}

/* Between the two sizes speed is a power of the size, beyond them constant. */
static double speed_at(const lrp_cost *cost, lrp_cost_stage stage, double size) {
  const double *speed = cost->speed[stage];
  const double small = stages[stage].size[0], large = stages[stage].size[1];
  if (size <= small) return speed[0];
  if (size >= large) return speed[1];
  return speed[0] * pow(speed[1] / speed[0], log(size / small) / log(large / small));
}

double lrp_cost_stage_seconds(const lrp_cost *cost, lrp_cost_stage stage, const lrp_cost_task *t) {
  const double size = stage == LRP_COST_KRYLOV ? t->rank : short_side(t);
  return lrp_cost_work(stage, t) / speed_at(cost, stage, size);
}

static double larger(double a, double b) {
  return a > b ? a : b;
}

double lrp_cost_seconds(const lrp_cost *cost, const lrp_cost_task *t) {
  double seconds = 0.0;
  for (int s = 0; s < LRP_COST_N_STAGES; s++) {
    if (s != LRP_COST_READ) seconds += lrp_cost_stage_seconds(cost, (lrp_cost_stage)s, t);
  }
  return larger(seconds, lrp_cost_stage_seconds(cost, LRP_COST_READ, t));
}

/* In double: W, the thin u and vt, s, and the work space of gesdd (4 k^2 + 7 k). */
static double gesdd_bytes(const lrp_cost_task *t) {
  const double m = (double)t->m, n = (double)t->n, k = short_side(t);
  return 8.0 * (m * n + k * (m + n) + 4.0 * k * k + 8.0 * k);
}

/* Eigenvectors, while the eigenproblem is solved (G and work space), or while the other factor is
 * made of them. */
static double gram_bytes(const lrp_cost_task *t) {
  const double k = short_side(t), r = t->rank, longer = (double)(t->m > t->n ? t->m : t->n);
  const double eigh = 2.4; /* k^2 numbers of work space */
  return 4.0 * (k * r + larger((1.0 + eigh) * k * k, (2.0 * k + longer) * r));
}

/* The space and its image, with room to grow, and blocks of vectors. */
static double krylov_bytes(const lrp_cost_task *t) {
  return 4.0 * (double)(t->m + t->n) * (1.75 * krylov_size(t) + 128.0 + 2.0 * t->rank);
}

static double method_bytes(const lrp_cost_task *t) {
  switch (lrp_solver_for(t->m, t->n, t->rank)) {
    case LRP_SOLVER_GRAM:
      return gram_bytes(t);
    case LRP_SOLVER_KRYLOV:
      return krylov_bytes(t);
    default:
      return gesdd_bytes(t);
  }
}

/* Triplets in float32 beside the method; they become the factors, or are copied to them. */
double lrp_cost_bytes(const lrp_cost_task *t) {
  const double triplets = 4.0 * (double)(t->m + t->n) * t->rank;
  const double factors = lrp_cost_stored_bytes(t) - (t->factors == LRP_F32 ? triplets : 0.0);
  return method_bytes(t) + triplets + factors;
}

/* A part of W beside Gram matrix, vectors and the eigensolver's work space, or beside vectors and
 * W V; and process rank 0 collects the triplets. See kernels/linalg/grid_svd.h. */
double lrp_cost_grid_bytes(const lrp_cost_task *t, int size) {
  const double m = (double)t->m, n = (double)t->n, k = short_side(t), r = t->rank;
  const double element = k > LRP_EXACT_SIDE ? 4.0 : 8.0, panel = 64 << 20;
  const double beside = larger(4.0 * k * k, k * k + (m > n ? m : n) * r);
  return element * (m * n + beside) / size + 4.0 * (m + n) * r + panel;
}

double lrp_cost_stored_bytes(const lrp_cost_task *t) {
  const double m = (double)t->m, n = (double)t->n, r = t->rank;
  const double middle = t->method == LRP_TUCKER ? r * r : r;
  return (double)lrp_dtype_size(t->factors) * r * (m + n) + 4.0 * middle + 8.0 * short_side(t);
}
