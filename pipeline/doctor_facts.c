#include "pipeline/doctor_facts.h"

#include <dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/threads.h"
#include "pipeline/memory.h"

/* ---- Cores ----------------------------------------------------------------------------------- */

static int count_cores(pid_t pid, cpu_set_t *cores) {
  CPU_ZERO(cores);
  return sched_getaffinity(pid, sizeof *cores, cores) == 0 ? CPU_COUNT(cores) : 0;
}

/* A process rank may be bound to few of the cores of its job. What started it is not: Slurm says
 * how many there are, and mpirun's daemon, our parent, may use them all. */
static int cores_of_job(void) {
  const char *slurm = getenv("SLURM_CPUS_ON_NODE");
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  const int most = online > 0 && online < CPU_SETSIZE ? (int)online : CPU_SETSIZE;
  const long allocated = slurm ? strtol(slurm, NULL, 10) : 0;
  cpu_set_t own, parent;
  const int n_own = count_cores(0, &own), n_parent = count_cores(getppid(), &parent);

  if (allocated > 0) return allocated < most ? (int)allocated : most;
  return n_parent > n_own ? n_parent : n_own;
}

/* ---- Processor and libraries ----------------------------------------------------------------- */

static void copy_environment(char *to, size_t size, const char *name) {
  const char *value = getenv(name);
  snprintf(to, size, "%s", value ? value : "");
}

static lrp_isa isa_of_processor(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    return LRP_ISA_AVX512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return LRP_ISA_AVX2;
  if (__builtin_cpu_supports("avx")) return LRP_ISA_AVX;
#endif
  return LRP_ISA_OLD;
}

static bool has_bf16(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

static const struct {
  dnnl_cpu_isa_t isa;
  const char *name;
  lrp_isa level;
} dnnl_isas[] = {{dnnl_cpu_isa_sse41, "SSE4.1", LRP_ISA_OLD},
                 {dnnl_cpu_isa_avx, "AVX", LRP_ISA_AVX},
                 {dnnl_cpu_isa_avx2, "AVX2", LRP_ISA_AVX2},
                 {dnnl_cpu_isa_avx2_vnni, "AVX2-VNNI", LRP_ISA_AVX2},
                 {dnnl_cpu_isa_avx512_core, "AVX-512", LRP_ISA_AVX512},
                 {dnnl_cpu_isa_avx512_core_vnni, "AVX-512-VNNI", LRP_ISA_AVX512},
                 {dnnl_cpu_isa_avx512_core_bf16, "AVX-512-BF16", LRP_ISA_AVX512},
                 {dnnl_cpu_isa_avx512_core_amx, "AVX-512-AMX", LRP_ISA_AVX512}};
enum { n_dnnl_isas = sizeof dnnl_isas / sizeof dnnl_isas[0], first_bf16 = n_dnnl_isas - 2 };

static void collect_dnnl(lrp_facts *facts) {
  const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();

  snprintf(facts->dnnl, sizeof facts->dnnl, "generic code");
  facts->dnnl_lesser = facts->isa > LRP_ISA_OLD;
  for (int i = 0; i < n_dnnl_isas; i++) {
    if (dnnl_isas[i].isa != isa) continue;
    snprintf(facts->dnnl, sizeof facts->dnnl, "%s", dnnl_isas[i].name);
    facts->dnnl_lesser = dnnl_isas[i].level < facts->isa || (has_bf16() && i < first_bf16);
  }
}

void lrp_facts_collect(const lrp_topology *topo, lrp_facts *facts) {
  memset(facts, 0, sizeof *facts);
  gethostname(facts->host, sizeof facts->host - 1);
  facts->node = topo->node_index;
  count_cores(0, &facts->cores);
  facts->host_cores = cores_of_job();
  facts->threads = topo->threads;
  copy_environment(facts->omp, sizeof facts->omp, "OMP_NUM_THREADS");
  snprintf(facts->blas, sizeof facts->blas, "%s", lrp_blas_kernel());
  facts->blas_openmp = lrp_blas_is_openmp();
  copy_environment(facts->coretype, sizeof facts->coretype, "OPENBLAS_CORETYPE");
  facts->isa = isa_of_processor();
  collect_dnnl(facts);
  facts->memory = lrp_memory_available();
}
