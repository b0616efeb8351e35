#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "pipeline/doctor_facts.h"

static const char *isa_name(lrp_isa isa) {
  static const char *const names[] = {"SSE", "AVX", "AVX2", "AVX-512"};
  return names[isa];
}

/* What the kernels of OpenBLAS for x86 make use of; those that are not listed, of less. */
static lrp_isa isa_of_kernel(const char *kernel) {
  static const struct {
    const char *kernel;
    lrp_isa isa;
  } kernels[] = {{"SkylakeX", LRP_ISA_AVX512},
                 {"Cooperlake", LRP_ISA_AVX512},
                 {"SapphireRapids", LRP_ISA_AVX512},
                 {"Haswell", LRP_ISA_AVX2},
                 {"Zen", LRP_ISA_AVX2},
                 {"Excavator", LRP_ISA_AVX2},
                 {"Sandybridge", LRP_ISA_AVX},
                 {"Bulldozer", LRP_ISA_AVX},
                 {"Piledriver", LRP_ISA_AVX},
                 {"Steamroller", LRP_ISA_AVX}};

  for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
    if (strcmp(kernel, kernels[i].kernel) == 0) return kernels[i].isa;
  }
  return LRP_ISA_OLD;
}

static void check_build(const lrp_facts *facts, int size, lrp_findings *f) {
  for (int p = 0; p < size; p++) {
    if (facts[p].blas_openmp) continue;
    lrp_finding_warn(f, "BLAS build",
                     "install libopenblas0-openmp, or select it: update-alternatives --config "
                     "libblas.so.3-x86_64-linux-gnu",
                     "not the OpenMP build of OpenBLAS on %s: its threads compete with ours",
                     facts[p].host);
    return;
  }
  lrp_finding_ok(f, "BLAS build", "OpenBLAS with OpenMP");
}

static void check_kernel(const lrp_facts *facts, int size, lrp_findings *f) {
  for (int p = 0; p < size; p++) {
    const lrp_facts *x = &facts[p];
    char remedy[128];
    if (isa_of_kernel(x->blas) >= x->isa) continue;
    snprintf(remedy, sizeof remedy, "unset OPENBLAS_CORETYPE (it is %s)", x->coretype);
    lrp_finding_warn(
        f, "BLAS kernel",
        x->coretype[0] ? remedy : "a newer OpenBLAS, which knows this processor, is faster",
        "%s on %s, but the processor has %s", x->blas, x->host, isa_name(x->isa));
    return;
  }
  for (int p = 1; p < size; p++) {
    if (strcmp(facts[p].blas, facts[0].blas) == 0) continue;
    lrp_finding_warn(f, "BLAS kernel", "use hosts of one kind: srun --constraint=...",
                     "%s on %s, but %s on %s: results may differ in the last bits", facts[0].blas,
                     facts[0].host, facts[p].blas, facts[p].host);
    return;
  }
  lrp_finding_ok(f, "BLAS kernel", "%s", facts[0].blas);
}

static void check_dnnl(const lrp_facts *facts, int size, lrp_findings *f) {
  const char *most = getenv("DNNL_MAX_CPU_ISA");

  for (int p = 0; p < size; p++) {
    if (!facts[p].dnnl_lesser) continue;
    lrp_finding_warn(
        f, "oneDNN",
        most ? "unset DNNL_MAX_CPU_ISA" : "a newer oneDNN, which knows this processor, is faster",
        "uses %s on %s, less than the processor has", facts[p].dnnl, facts[p].host);
    return;
  }
  lrp_finding_ok(f, "oneDNN", "%s", facts[0].dnnl);
}

static void check_hdf5(lrp_findings *f) {
  unsigned major, minor, release;

  H5get_libversion(&major, &minor, &release);
  if (major != H5_VERS_MAJOR || minor != H5_VERS_MINOR) {
    lrp_finding_bad(f, LRP_ERR_BUG, "HDF5", "build lrpipe anew on this machine",
                    "built for %d.%d, but %u.%u.%u is loaded", H5_VERS_MAJOR, H5_VERS_MINOR, major,
                    minor, release);
    return;
  }
#ifdef H5_HAVE_PARALLEL
  lrp_finding_ok(f, "HDF5", "%u.%u.%u, parallel", major, minor, release);
#else
  lrp_finding_bad(f, LRP_ERR_BUG, "HDF5", "install libhdf5-openmpi-dev and build lrpipe anew",
                  "%u.%u.%u, not parallel", major, minor, release);
#endif
}

static void check_mpi(lrp_findings *f) {
  char version[MPI_MAX_LIBRARY_VERSION_STRING];
  int length;

  MPI_Get_library_version(version, &length);
  version[strcspn(version, ",\n")] = '\0'; /* "Open MPI v4.1.4, package: ..." */
  lrp_finding_ok(f, "MPI", "%s", version);
}

void lrp_check_libraries(const lrp_facts *facts, int size, lrp_findings *f) {
  check_build(facts, size, f);
  check_kernel(facts, size, f);
  check_dnnl(facts, size, f);
  check_mpi(f);
  check_hdf5(f);
}

void lrp_check_time(lrp_findings *f) {
  static const char remedy[] = "pass --max-time, as slurm/lrpipe.sbatch does with squeue's %L";
  const char *job = getenv("SLURM_JOB_ID"), *end = getenv("SLURM_JOB_END_TIME");
  struct rlimit cpu;

  if (getrlimit(RLIMIT_CPU, &cpu) == 0 && cpu.rlim_cur != RLIM_INFINITY) {
    lrp_finding_warn(f, "processor time", "ulimit -t unlimited, or run it in a batch job",
                     "each process is killed after %llu s of processor time (ulimit -t)",
                     (unsigned long long)cpu.rlim_cur);
  }
  if (end && *end) {
    lrp_finding_ok(f, "time limit", "SLURM_JOB_END_TIME is %.0f s from now; the run ends before",
                   strtod(end, NULL) - (double)time(NULL));
  } else if (job && *job) {
    lrp_finding_warn(f, "time limit", remedy,
                     "job %s has one, perhaps, but SLURM_JOB_END_TIME is not set", job);
  } else {
    lrp_finding_ok(f, "time limit", "none is known (no batch job); --max-time sets one");
  }
}
