#include "pipeline/identity.h"

#include <stdlib.h>

#include "io/base/file.h"

/* What a scan of one weight found. */
enum { found_count, found_row, found_col, found_fields };

static lrp_status report_nonfinite(const lrp_model *model, const int64_t *found, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const int64_t *f = found + found_fields * i;
    const char *name;
    lrp_matrix w;
    if (f[found_count] == 0) continue;
    lrp_model_weight(model, i, &name, &w);
    return lrp_fail(
        LRP_ERR_DATA,
        "%s: tensor %s: %lld NaN or infinite values of %lld, the first at [%lld, %lld]; "
        "repair or replace the model",
        model->dir, name, (long long)f[found_count], (long long)(w.rows * w.cols),
        (long long)f[found_row], (long long)f[found_col]);
  }
  return LRP_OK;
}

lrp_status lrp_identity_scan(const lrp_model *model, const lrp_topology *topo) {
  const int64_t n = lrp_model_weight_count(model);
  const size_t fields = (size_t)n * found_fields;
  int64_t *found = calloc(fields + 1, sizeof *found);
  lrp_status st = found ? LRP_OK : lrp_fail_memory(fields * sizeof *found, "the scan");

  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) {
    for (int64_t i = topo->me; i < n; i += topo->size) {
      int64_t *f = found + found_fields * i;
      const char *name;
      lrp_matrix w;
      lrp_model_weight(model, i, &name, &w);
      f[found_count] = lrp_matrix_count_nonfinite(&w, &f[found_row], &f[found_col]);
    }
    MPI_Allreduce(MPI_IN_PLACE, found, (int)fields, MPI_INT64_T, MPI_SUM, topo->comm);
    st = report_nonfinite(model, found, n);
  }
  free(found);
  return st;
}

lrp_status lrp_identity_hash(const lrp_model *model, const lrp_topology *topo, uint64_t **xxh3) {
  lrp_status st = LRP_OK;
  *xxh3 = calloc((size_t)model->n_shards, sizeof **xxh3);
  if (!*xxh3) st = lrp_fail_memory((size_t)model->n_shards * sizeof **xxh3, "the file hashes");
  for (int i = topo->me; st == LRP_OK && i < model->n_shards; i += topo->size) {
    int64_t size;
    st = lrp_file_hash(model->shards[i].st.path, &(*xxh3)[i], &size);
  }
  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) {
    MPI_Allreduce(MPI_IN_PLACE, *xxh3, model->n_shards, MPI_UINT64_T, MPI_BOR, topo->comm);
  } else {
    free(*xxh3);
    *xxh3 = NULL;
  }
  return st;
}
