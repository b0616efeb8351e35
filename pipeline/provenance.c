#include "pipeline/provenance.h"

#include <dnnl.h>
#include <hdf5.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernels/threads.h"

json_t *lrp_json_hash(uint64_t xxh3) {
  char text[24];
  snprintf(text, sizeof text, "%016" PRIx64, xxh3);
  return json_string(text);
}

json_t *lrp_model_files(const lrp_study *study) {
  json_t *files = json_array();
  json_array_append_new(files, json_pack("{s:s, s:o}", "file", "config.json", "xxh3",
                                         lrp_json_hash(study->config_xxh3)));
  for (int i = 0; i < study->model.n_shards; i++) {
    const lrp_shard *shard = &study->model.shards[i];
    json_array_append_new(files, json_pack("{s:s, s:I, s:o}", "file", shard->name, "bytes",
                                           (json_int_t)shard->st.size, "header_xxh3",
                                           lrp_json_hash(shard->st.header_xxh3)));
  }
  return files;
}

static json_t *libraries(void) {
  char mpi[MPI_MAX_LIBRARY_VERSION_STRING], hdf5[32], dnnl[32];
  int length;
  unsigned major, minor, release;
  const dnnl_version_t *v = dnnl_version();

  MPI_Get_library_version(mpi, &length);
  mpi[strcspn(mpi, ",\n")] = '\0'; /* "Open MPI v4.1.4, package: ..." */
  H5get_libversion(&major, &minor, &release);
  snprintf(hdf5, sizeof hdf5, "%u.%u.%u", major, minor, release);
  snprintf(dnnl, sizeof dnnl, "%d.%d.%d", v->major, v->minor, v->patch);
  return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "mpi", mpi, "hdf5", hdf5, "onednn", dnnl,
                   "blas", lrp_blas_build(), "blas_kernel", lrp_blas_kernel(), "blas_openmp",
                   lrp_blas_is_openmp());
}

static json_t *command_line(int argc, char **argv) {
  json_t *words = json_array();
  for (int i = 0; i < argc; i++) {
    json_t *word = json_string(argv[i]);
    json_array_append_new(words, word ? word : json_string("?")); /* not UTF-8 */
  }
  return words;
}

json_t *lrp_provenance(const lrp_study *study, const lrp_topology *topo, int argc, char **argv) {
  char host[256] = "?", now[32];
  const time_t t = time(NULL);
  const char *job_id = getenv("SLURM_JOB_ID");
  struct tm utc;

  gethostname(host, sizeof host - 1);
  gmtime_r(&t, &utc);
  strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return json_pack("{s:s, s:o, s:o, s:s, s:s?, s:i, s:i, s:i, s:s, s:s, s:{s:s, s:o}}", "lrpipe",
                   LRP_VERSION, "libraries", libraries(), "command_line", command_line(argc, argv),
                   "host", host, "slurm_job_id", job_id, "process_ranks", topo->size, "nodes",
                   topo->n_nodes, "threads", topo->threads, "started", now, "job", study->job_yaml,
                   "model", "directory", study->job.model, "files", lrp_model_files(study));
}
