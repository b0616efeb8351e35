#include "kernels/threads.h"

#include <omp.h>
#include <sched.h>
#include <stdlib.h>

/* openblas_get_parallel() of a build that uses OpenMP. */
enum { openblas_openmp = 2 };

char *openblas_get_corename(void);
char *openblas_get_config(void);
int openblas_get_parallel(void);

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

int lrp_threads_init(MPI_Comm comm) {
  const int share = fair_share(comm);
  if (!getenv("OMP_NUM_THREADS")) omp_set_num_threads(share);
  return omp_get_max_threads();
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
