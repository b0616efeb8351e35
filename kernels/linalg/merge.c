#include "kernels/linalg/merge.h"

#include <math.h>

#include "kernels/linalg/lapack.h"

/* Rows of w that a thread works out at a time. */
enum { rows_of_task = 256 };

/* The secular equation that is left when what needs no change is set aside (deflated):
 * diag(lambda) + rho w w^T, of order k. */
typedef struct {
  int k;
  float rho;
  float *lambda, *w;   /* k */
  float *q2;           /* vectors of the upper problem, n1 x n12, and of the lower, n2 x n23 */
  const int *row;      /* row[i] - 1: in which row of the equation stands row i of the product */
  int first, n12, n23; /* rows before those of the lower problem; rows of each */
} secular;

/* Source: slaed1 of LAPACK 3, whose layout of the work space this is. */
static lrp_status deflate(lrp_merge *m, secular *s) {
  const int n = m->n;
  int *indx = m->iwork, *indxc = indx + n, *type = indx + 2 * n, *indxp = indx + 3 * n;
  float *z = m->work;
  int info = 0;
  s->lambda = z + n;
  s->w = z + 2 * (size_t)n;
  s->q2 = z + 3 * (size_t)n;
  s->row = indxc;
  s->rho = m->rho;
  for (int i = 0; i < n; i++) {
    /* The last row of the upper problem, the first of the lower. */
    const int64_t row = i < m->n1 ? m->n1 - 1 : m->n1;
    z[i] = m->q[(int64_t)i * m->ld + row];
  }
  slaed2_(&s->k, &n, &m->n1, m->d, m->q, &m->ld, m->order, &s->rho, z, s->lambda, s->w, s->q2, indx,
          indxc, indxp, type, &info);
  if (info != 0) return LRP_ERR_NUM;
  s->first = type[0];
  s->n12 = type[0] + type[1];
  s->n23 = type[1] + type[2];
  return LRP_OK;
}

/* d = roots; column j of q: lambda - root j, each difference to full relative accuracy. */
static lrp_status find_roots(lrp_merge *m, const secular *s) {
  int failed = 0;
#pragma omp parallel for schedule(dynamic, 8) reduction(| : failed)
  for (int j = 1; j <= s->k; j++) {
    int info = 0;
    slaed4_(&s->k, &j, s->lambda, s->w, m->q + (int64_t)(j - 1) * m->ld, &s->rho, &m->d[j - 1],
            &info);
    failed |= info;
  }
  return failed ? LRP_ERR_NUM : LRP_OK;
}

/* w of which the roots found are the exact ones: w_i^2 = prod_j (lambda_i - root_j) / (lambda_i -
 * lambda_j), without j = i below. So the vectors made of it are orthogonal. */
static void adjust_w(const lrp_merge *m, secular *s) {
  const float *lambda = s->lambda;
#pragma omp parallel for schedule(static)
  for (int from = 0; from < s->k; from += rows_of_task) {
    const int to = s->k - from < rows_of_task ? s->k : from + rows_of_task;
    float product[rows_of_task];
    for (int i = from; i < to; i++) product[i - from] = m->q[(int64_t)i * m->ld + i];
    for (int j = 0; j < s->k; j++) {
      const float *q = m->q + (int64_t)j * m->ld, at = lambda[j];
      const int before = j < to ? j : to;
      for (int i = from; i < before; i++) product[i - from] *= q[i] / (lambda[i] - at);
      for (int i = j + 1 > from ? j + 1 : from; i < to; i++) {
        product[i - from] *= q[i] / (lambda[i] - at);
      }
    }
    for (int i = from; i < to; i++) s->w[i] = copysignf(sqrtf(-product[i - from]), s->w[i]);
  }
}

/* Vectors of the secular equation from column j0 on, in the order of the columns of q2: the rows
 * for the upper problem in upper, those for the lower in lower. */
static void make_vectors(const lrp_merge *m, const secular *s, int j0, float *upper, float *lower) {
#pragma omp parallel for schedule(static)
  for (int j = j0; j < s->k; j++) {
    float *q = m->q + (int64_t)j * m->ld;
    float *u = upper + (int64_t)(j - j0) * s->n12, *l = lower + (int64_t)(j - j0) * s->n23;
    double sum = 0.0;
    if (s->k > 2) { /* xLAED4 makes the vectors of smaller ones itself */
      for (int i = 0; i < s->k; i++) q[i] = s->w[i] / q[i];
    }
    for (int i = 0; i < s->k; i++) sum += (double)q[i] * q[i];
    const float scale = (float)(1.0 / sqrt(sum));
    for (int i = 0; i < s->n12; i++) u[i] = scale * q[s->row[i] - 1];
    for (int i = 0; i < s->n23; i++) l[i] = scale * q[s->row[s->first + i] - 1];
  }
}

/* First root whose vector is wanted. */
static int first_wanted(const lrp_merge *m, int k) {
  int j0 = k;
  for (int i = m->n - m->wanted; i < m->n; i++) {
    if (m->order[i] <= j0) j0 = m->order[i] - 1;
  }
  return j0;
}

/* The vectors of the two problems times those of the secular equation. */
static void multiply(const lrp_merge *m, const secular *s, int j0) {
  const int columns = s->k - j0, n2 = m->n - m->n1;
  const float one = 1.0f, zero = 0.0f;
  const float *q2_lower = s->q2 + (int64_t)m->n1 * s->n12;
  float *upper = s->q2 + (int64_t)m->n1 * s->n12 + (int64_t)n2 * s->n23;
  float *lower = upper + (int64_t)s->n12 * columns;
  float *q = m->q + (int64_t)j0 * m->ld;
  if (columns == 0) return;
  make_vectors(m, s, j0, upper, lower);
  /* A product over no rows is zero; its leading dimensions are at least 1 all the same. */
  const int ld12 = s->n12 > 0 ? s->n12 : 1, ld23 = s->n23 > 0 ? s->n23 : 1;
  sgemm_("N", "N", &m->n1, &columns, &s->n12, &one, s->q2, &m->n1, upper, &ld12, &zero, q, &m->ld,
         1, 1);
  sgemm_("N", "N", &n2, &columns, &s->n23, &one, q2_lower, &n2, lower, &ld23, &zero, q + m->n1,
         &m->ld, 1, 1);
}

lrp_status lrp_merge_halves(lrp_merge *m) {
  const int up = 1, down = -1;
  secular s = {0};
  lrp_status st = deflate(m, &s);
  if (st != LRP_OK) return st;
  if (s.k == 0) { /* the halves do not touch; sorted already */
    for (int i = 0; i < m->n; i++) m->order[i] = i + 1;
    return LRP_OK;
  }
  st = find_roots(m, &s);
  if (st != LRP_OK) return st;
  const int set_aside = m->n - s.k;
  slamrg_(&s.k, &set_aside, m->d, &up, &down, m->order);
  if (s.k > 2) adjust_w(m, &s);
  multiply(m, &s, first_wanted(m, s.k));
  return LRP_OK;
}
