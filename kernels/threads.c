#include "kernels/threads.h"

#include <omp.h>
#include <sched.h>
#include <stdlib.h>

/* openblas_get_parallel() of a build that uses OpenMP. */
enum { openblas_openmp = 2 };

/* Work space of a thread in the 64-bit x86 builds of OpenBLAS 0.3 (BUFFER_SIZE), the largest. */
static const size_t blas_buffer_bytes = (size_t)128 << 20;

char *openblas_get_corename(void);
char *openblas_get_config(void);
int openblas_get_parallel(void);
void dgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k,
            const double *alpha, const double *a, const int *lda, const double *b, const int *ldb,
            const double *beta, double *c, const int *ldc, size_t, size_t);

/* How many process ranks of this host may run on each core, and this rank's share of its cores. */
static int fair_share(MPI_Comm comm) {
  cpu_set_t mine;
  unsigned char uses[CPU_SETSIZE];
  int users[CPU_SETSIZE];
  double share = 0.0;
  MPI_Comm node;

  CPU_ZERO(&mine);
  if (sched_getaffinity(0, sizeof mine, &mine) != 0) CPU_SET(0, &mine);
  for (int c = 0; c < CPU_SETSIZE; c++) {
    uses[c] = CPU_ISSET(c, &mine) ? 1 : 0;
    users[c] = uses[c];
  }
  MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
  MPI_Allreduce(MPI_IN_PLACE, users, CPU_SETSIZE, MPI_INT, MPI_SUM, node);
  MPI_Comm_free(&node);
  for (int c = 0; c < CPU_SETSIZE; c++) {
    if (uses[c]) share += 1.0 / users[c];
  }
  return share < 1.0 ? 1 : (int)(share + 1e-9);
}

/* OpenBLAS takes a buffer per thread at its first product and keeps it; if there is no room it
 * tries again for ever. So look for the room first, then let it take the buffers with a product
 * that is large enough for all threads. */
static lrp_status take_blas_buffers(int threads) {
  enum { n = 256 };
  const size_t bytes = (size_t)threads * blas_buffer_bytes;
  const int order = n;
  const double one = 1.0, zero = 0.0;
  void *room = malloc(bytes);
  double *a = calloc((size_t)n * n * 3, sizeof *a);
  lrp_status st = LRP_OK;
  if (!room || !a) st = lrp_fail_memory(bytes, "the work space of BLAS");
  free(room);
  if (st == LRP_OK) {
    dgemm_("N", "N", &order, &order, &order, &one, a, &order, a + n * n, &order, &zero,
           a + 2 * n * n, &order, 1, 1);
  }
  free(a);
  return st;
}

lrp_status lrp_threads_init(MPI_Comm comm, int *threads) {
  const int share = fair_share(comm);
  if (!getenv("OMP_NUM_THREADS")) omp_set_num_threads(share);
  *threads = omp_get_max_threads();
  return lrp_agree(take_blas_buffers(*threads), comm);
}

const char *lrp_blas_kernel(void) {
  return openblas_get_corename();
}

const char *lrp_blas_build(void) {
  return openblas_get_config();
}

int lrp_blas_is_openmp(void) {
  return openblas_get_parallel() == openblas_openmp;
}
