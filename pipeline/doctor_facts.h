/** @file pipeline/doctor_facts.h
 *  What each process rank sees, and the checks that lrpipe doctor makes of it. */
#ifndef LRP_PIPELINE_DOCTOR_FACTS_H
#define LRP_PIPELINE_DOCTOR_FACTS_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/findings.h"
#include "pipeline/outlook.h"
#include "pipeline/topology.h"

/** Instruction sets of x86 that halve or double a matrix product. */
typedef enum { LRP_ISA_OLD, LRP_ISA_AVX, LRP_ISA_AVX2, LRP_ISA_AVX512 } lrp_isa;

/** Sent between process ranks as bytes: no pointers. */
typedef struct {
  char host[64];
  int node;        /* index of the host */
  cpu_set_t cores; /* that this process rank may use */
  int host_cores;  /* that the job may use on this host */
  int threads;     /* OpenMP */
  char omp[32];    /* OMP_NUM_THREADS; "": not set */
  char blas[32];   /* kernel */
  bool blas_openmp;
  char coretype[32]; /* OPENBLAS_CORETYPE; "": not set */
  char dnnl[32];     /* instruction set of oneDNN */
  bool dnnl_lesser;  /* than the processor has */
  lrp_isa isa;       /* of the processor */
  double memory;     /* bytes that are free on this host, limits of the job counted */
} lrp_facts;

/** Facts of this process rank. Local. */
void lrp_facts_collect(const lrp_topology *topo, lrp_facts *facts);

/** Print what the facts of all size process ranks say about ranks, cores and threads / libraries /
 *  memory / the time limit / the energy that a job measures. Local, process rank 0. o: NULL without
 *  a job. */
void lrp_check_cores(const lrp_topology *topo, const lrp_facts *facts, lrp_findings *f);
void lrp_check_libraries(const lrp_facts *facts, int size, lrp_findings *f);
void lrp_check_memory(const lrp_topology *topo, const lrp_facts *facts, const lrp_outlook *o,
                      lrp_findings *f);
void lrp_check_time(lrp_findings *f);
void lrp_check_energy(const lrp_outlook *o, lrp_findings *f);

/** Print what can be said about the directory output: file system, permission, what a probe file
 *  meets, the MPI-IO driver, free space, lock. Collective over topo->comm; o counts on process rank
 * 0. */
void lrp_check_output(const lrp_topology *topo, const char *output, const lrp_outlook *o,
                      lrp_findings *f);

/** The directory where output is or would be made: the nearest one that is there. Local.
 *  @param[out] dir  of size bytes
 *  @return 0, or errno of what is in the way */
int lrp_nearest_directory(const char *output, char *dir, size_t size);

#endif
