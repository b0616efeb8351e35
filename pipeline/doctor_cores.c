#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/doctor_facts.h"

/* One host, seen through its process ranks. */
typedef struct {
  const char *name;
  int ranks;
  int cores;       /* that the job may use */
  int used;        /* that some process rank may use */
  int threads;     /* of all process ranks */
  bool overloaded; /* a process rank has more threads than it may use cores */
} host;

static host host_of(const lrp_topology *topo, const lrp_facts *facts, int node) {
  host h = {.name = "?", .ranks = topo->node_ranks[node]};
  cpu_set_t used;

  CPU_ZERO(&used);
  for (int p = 0; p < topo->size; p++) {
    const lrp_facts *x = &facts[p];
    if (x->node != node) continue;
    h.name = x->host;
    if (x->host_cores > h.cores) h.cores = x->host_cores;
    CPU_OR(&used, &used, &x->cores);
    h.threads += x->threads;
    if (x->threads > CPU_COUNT(&x->cores)) h.overloaded = true;
  }
  h.used = CPU_COUNT(&used);
  if (h.used > h.cores) h.cores = h.used;
  return h;
}

static int64_t integer_of(const char *name) {
  const char *value = getenv(name);
  return value ? strtoll(value, NULL, 10) : 0;
}

static const char *plural(int n) {
  return n == 1 ? "" : "s";
}

/* "on HOST", and how many others are like it. */
static void name_hosts(char *text, size_t size, const char *first, int count) {
  if (count > 1) {
    snprintf(text, size, "on %s and %d other hosts", first, count - 1);
  } else {
    snprintf(text, size, "on %s", first);
  }
}

/* A launcher of another MPI starts copies that do not know of each other. */
static void check_start(const lrp_topology *topo, lrp_findings *f) {
  const int64_t tasks = integer_of("SLURM_STEP_NUM_TASKS"), pmi = integer_of("PMI_SIZE");
  const int64_t slots = integer_of("OMPI_UNIVERSE_SIZE");

  if (topo->size == 1 && (tasks > 1 || pmi > 1)) {
    lrp_finding_bad(f, LRP_ERR_USAGE, "ranks",
                    "srun --mpi=pmix (srun --mpi=list shows what is there), or the mpirun of Open "
                    "MPI",
                    "%lld copies were started that do not know of each other: the launcher speaks "
                    "another MPI",
                    (long long)(tasks > pmi ? tasks : pmi));
  } else if (topo->size == 1 && integer_of("SLURM_NTASKS") > 1) {
    lrp_finding_warn(f, "ranks", "srun --mpi=pmix lrpipe ..., or mpirun lrpipe ...",
                     "one process rank in an allocation of %lld tasks",
                     (long long)integer_of("SLURM_NTASKS"));
  } else if (slots > 0 && topo->size > slots) {
    lrp_finding_warn(f, "ranks",
                     "mpirun -np with no more than the slots, or a hostfile with slots=",
                     "%d process ranks in %lld slots", topo->size, (long long)slots);
  } else {
    lrp_finding_ok(f, "ranks", "%d process rank%s on %d host%s%s", topo->size, plural(topo->size),
                   topo->n_nodes, plural(topo->n_nodes),
                   topo->size == 1 && slots == 0 ? " (started without mpirun)" : "");
  }
}

static void check_balance(const lrp_topology *topo, const lrp_facts *facts, lrp_findings *f) {
  int least = 0, most = 0;

  for (int n = 1; n < topo->n_nodes; n++) {
    if (topo->node_ranks[n] < topo->node_ranks[least]) least = n;
    if (topo->node_ranks[n] > topo->node_ranks[most]) most = n;
  }
  if (topo->node_ranks[least] == topo->node_ranks[most]) return;
  lrp_finding_warn(f, "balance", "mpirun --map-by ppr:N:node, srun --ntasks-per-node=N",
                   "%d process ranks on %s, but %d on %s", topo->node_ranks[most],
                   host_of(topo, facts, most).name, topo->node_ranks[least],
                   host_of(topo, facts, least).name);
}

static void check_binding(const lrp_topology *topo, const lrp_facts *facts, lrp_findings *f) {
  char where[128], remedy[192];
  host first = {.name = NULL};
  int count = 0;

  for (int n = 0; n < topo->n_nodes; n++) {
    const host h = host_of(topo, facts, n);
    if (h.used < h.cores && count++ == 0) first = h;
  }
  if (count == 0) {
    const host h = host_of(topo, facts, 0);
    lrp_finding_ok(f, "binding", "process rank 0 may use %d core%s, all of %s together %d of %d",
                   CPU_COUNT(&facts[0].cores), plural(CPU_COUNT(&facts[0].cores)), h.name, h.used,
                   h.cores);
    return;
  }
  name_hosts(where, sizeof where, first.name, count);
  snprintf(remedy, sizeof remedy,
           "mpirun --bind-to none, or --map-by node:PE=%d; srun --cpu-bind=none",
           first.cores / first.ranks > 0 ? first.cores / first.ranks : 1);
  lrp_finding_warn(f, "binding", remedy,
                   "%d process rank%s %s may use %d of %d cores: the others stay idle", first.ranks,
                   plural(first.ranks), where, first.used, first.cores);
}

static void check_threads(const lrp_topology *topo, const lrp_facts *facts, lrp_findings *f) {
  char where[128], remedy[160], set[64];
  host first = {.name = NULL};
  int count = 0, least = facts[0].threads, most = facts[0].threads;

  for (int p = 1; p < topo->size; p++) {
    if (facts[p].threads < least) least = facts[p].threads;
    if (facts[p].threads > most) most = facts[p].threads;
  }
  for (int n = 0; n < topo->n_nodes; n++) {
    const host h = host_of(topo, facts, n);
    if ((h.overloaded || h.threads > h.used) && count++ == 0) first = h;
  }
  snprintf(set, sizeof set, "OMP_NUM_THREADS %s%s", facts[0].omp[0] ? "is " : "is not set",
           facts[0].omp);
  if (count > 0) {
    const int share = first.used / first.ranks;
    name_hosts(where, sizeof where, first.name, count);
    snprintf(remedy, sizeof remedy,
             share > 0 ? "unset OMP_NUM_THREADS, or set it to %d"
                       : "start no more process ranks than there are cores (OMP_NUM_THREADS=%d)",
             share > 0 ? share : 1);
    lrp_finding_warn(f, "threads", remedy,
                     "%d threads of %d process rank%s share %d core%s %s, up to %d each (%s)",
                     first.threads, first.ranks, plural(first.ranks), first.used,
                     plural(first.used), where, most, set);
  } else if (least != most) {
    lrp_finding_warn(f, "threads",
                     "set OMP_NUM_THREADS to one number: bits of results depend on it",
                     "%d to %d threads per process rank (%s)", least, most, set);
  } else {
    lrp_finding_ok(f, "threads", "%d per process rank (%s)", least, set);
  }
}

void lrp_check_cores(const lrp_topology *topo, const lrp_facts *facts, lrp_findings *f) {
  check_start(topo, f);
  check_balance(topo, facts, f);
  check_binding(topo, facts, f);
  check_threads(topo, facts, f);
}

void lrp_check_memory(const lrp_topology *topo, const lrp_facts *facts, const lrp_outlook *o,
                      lrp_findings *f) {
  const double mib = 1024.0 * 1024.0, each = o ? lrp_outlook_memory(o) : 0.0;
  double free_bytes = -1.0, need = 0.0, worst = 0.0;
  const char *name = facts[0].host;

  for (int p = 0; p < topo->size; p++) { /* the host with the least memory for what it needs */
    const double here = each * topo->node_ranks[facts[p].node];
    const double lack = here - facts[p].memory;
    if (facts[p].memory < 0.0 || (free_bytes >= 0.0 && lack <= worst)) continue;
    worst = lack;
    need = here;
    free_bytes = facts[p].memory;
    name = facts[p].host;
  }
  if (free_bytes < 0.0) {
    lrp_finding_ok(f, "memory", "how much is free cannot be seen here");
  } else if (!o) {
    lrp_finding_ok(f, "memory", "%.0f MiB free on %s; name a job to compare", free_bytes / mib,
                   name);
  } else if (need > free_bytes) {
    lrp_finding_bad(f, LRP_ERR_MEM, "memory",
                    "fewer process ranks per host: mpirun --map-by ppr:N:node, srun "
                    "--ntasks-per-node=N; or a lower decompose.grid_elements",
                    "decomposing needs %.0f MiB on %s (%.0f MiB per process rank), %.0f MiB are "
                    "free",
                    need / mib, name, each / mib, free_bytes / mib);
  } else {
    lrp_finding_ok(
        f, "memory",
        "decomposing needs %.0f MiB on %s (%.0f MiB per process rank), %.0f MiB are free",
        need / mib, name, each / mib, free_bytes / mib);
  }
}
