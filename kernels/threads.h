/** @file kernels/threads.h
 *  How many threads a process rank computes with, and which BLAS it found. */
#ifndef LRP_KERNELS_THREADS_H
#define LRP_KERNELS_THREADS_H

#include "kernels/status.h"

/** Set the OpenMP thread count of this process rank. Collective over comm.
 *  OMP_NUM_THREADS where set; else the cores this process may use, shared with the other process
 *  ranks of the host that may use them too. At least 1. Also makes BLAS take its work space now:
 *  where memory is limited, OpenBLAS would later ask for it for ever.
 *  @param[out] threads  of this process rank
 *  @return LRP_OK, LRP_ERR_MEM; the same on every process rank */
lrp_status lrp_threads_init(MPI_Comm comm, int *threads);

/** Name of the BLAS kernel that the library chose ("Cooperlake"), and its build ("OpenBLAS
 *  0.3.21 ..."). Local; static strings. */
const char *lrp_blas_kernel(void);
const char *lrp_blas_build(void);

/** Whether BLAS shares the OpenMP pool of this program (the openmp build of OpenBLAS). Local. */
int lrp_blas_is_openmp(void);

#endif
