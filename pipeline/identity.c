#include "pipeline/identity.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "kernels/log.h"
#include "pipeline/ledgers.h"
#include "pipeline/pass.h"
#include "pipeline/provenance.h"

static const size_t bytes_max = (size_t)1 << 30;

/* What model.json says of the weight files. */
typedef enum { fresh, same, touched } verdict;

static char *path_of(const lrp_identity *id) {
  return lrp_path_join(id->study->job.output, "model.json");
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* xxh3: of the tensors of this file. */
static json_t *describe_file(const lrp_shard *shard, const uint64_t *xxh3) {
  const lrp_file_stamp *stamp = &shard->st.stamp;
  json_t *tensors = json_object();
  for (int64_t t = 0; t < shard->st.count; t++) {
    json_object_set_new(tensors, shard->st.tensors[t].name,
                        xxh3[t] ? lrp_json_hash(xxh3[t]) : json_null());
  }
  return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:o}", "file", shard->name, "bytes",
                   (json_int_t)stamp->size, "mtime_ns", (json_int_t)stamp->mtime_ns, "ctime_ns",
                   (json_int_t)stamp->ctime_ns, "inode", (json_int_t)stamp->inode, "header_xxh3",
                   lrp_json_hash(shard->st.header_xxh3), "tensors_xxh3", tensors);
}

/* Process rank 0. */
static lrp_status write_all(const lrp_identity *id) {
  const lrp_model *model = &id->study->model;
  json_t *files = json_array();
  int64_t first = 0;
  for (int s = 0; s < model->n_shards; s++) {
    json_array_append_new(files, describe_file(&model->shards[s], id->xxh3 + first));
    first += model->shards[s].st.count;
  }
  json_t *root = json_pack("{s:s, s:o}", "directory", model->dir, "files", files);
  char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
  char *path = path_of(id);
  lrp_status st = path ? LRP_OK : LRP_ERR_MEM;
  if (st == LRP_OK && !text) st = lrp_fail_memory(0, "model.json");
  st = lrp_json_checked(st);
  if (st == LRP_OK) st = lrp_file_write(path, text, strlen(text));
  free(path);
  free(text);
  json_decref(root);
  return st;
}

/* The files that were read are those that are there. */
static lrp_status check_unchanged(const lrp_model *model) {
  for (int s = 0; s < model->n_shards; s++) {
    const lrp_safetensors *st = &model->shards[s].st;
    lrp_file_stamp now;
    const lrp_status status = lrp_file_stamp_read(st->path, &now);
    if (status != LRP_OK) return status;
    if (!lrp_file_stamp_equal(&now, &st->stamp)) {
      return lrp_fail(LRP_ERR_DATA, "%s: was changed while it was in use; start again", st->path);
    }
  }
  return LRP_OK;
}

lrp_status lrp_identity_save(const lrp_identity *identity) {
  lrp_status st = LRP_OK;
  if (identity->topo->me == 0) {
    st = check_unchanged(&identity->study->model);
    if (st == LRP_OK) st = write_all(identity);
  }
  return lrp_agree(st, identity->topo->comm);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static lrp_status refuse_file(const lrp_identity *id, const char *name) {
  return lrp_fail(LRP_ERR_DATA,
                  "%s: %s is not the file that %s was made from; restore the model or choose "
                  "another output",
                  id->study->model.dir, name, id->study->job.output);
}

static bool is_hash(const json_t *value, uint64_t xxh3) {
  json_t *mine = lrp_json_hash(xxh3);
  const bool equal = mine && json_equal(mine, (json_t *)(uintptr_t)value);
  json_decref(mine);
  return equal;
}

static bool is_integer(const json_t *o, const char *key, int64_t value) {
  const json_t *stored = json_object_get(o, key);
  return json_is_integer(stored) && json_integer_value(stored) == value;
}

/* The hashes of the tensors of one file. */
static void read_hashes(const lrp_shard *shard, const json_t *stored, uint64_t *xxh3) {
  const json_t *tensors = json_object_get(stored, "tensors_xxh3");
  for (int64_t t = 0; t < shard->st.count; t++) {
    const char *text = json_string_value(json_object_get(tensors, shard->st.tensors[t].name));
    xxh3[t] = text ? strtoull(text, NULL, 16) : 0;
  }
}

static lrp_status examine_file(const lrp_identity *id, const lrp_shard *shard, const json_t *stored,
                               verdict *v) {
  const char *name = json_string_value(json_object_get(stored, "file"));
  const lrp_file_stamp *stamp = &shard->st.stamp;
  if (!name || strcmp(name, shard->name) != 0 || !is_integer(stored, "bytes", stamp->size) ||
      !is_hash(json_object_get(stored, "header_xxh3"), shard->st.header_xxh3)) {
    return refuse_file(id, shard->name);
  }
  if (!is_integer(stored, "mtime_ns", stamp->mtime_ns) ||
      !is_integer(stored, "ctime_ns", stamp->ctime_ns) ||
      !is_integer(stored, "inode", stamp->inode)) {
    *v = touched;
  }
  return LRP_OK;
}

static lrp_status examine_files(lrp_identity *id, const json_t *root, verdict *v) {
  const lrp_model *model = &id->study->model;
  const json_t *files = json_object_get(root, "files");
  lrp_status st = LRP_OK;
  int64_t first = 0;

  *v = same;
  if (json_array_size(files) != (size_t)model->n_shards) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: has %d weight files, %s was made from %zu; restore the model or choose "
                    "another output",
                    model->dir, model->n_shards, id->study->job.output, json_array_size(files));
  }
  for (int s = 0; st == LRP_OK && s < model->n_shards; s++) {
    const json_t *stored = json_array_get(files, (size_t)s);
    st = examine_file(id, &model->shards[s], stored, v);
    if (st == LRP_OK) read_hashes(&model->shards[s], stored, id->xxh3 + first);
    first += model->shards[s].st.count;
  }
  return st;
}

static lrp_status cannot_tell(const lrp_identity *id, const char *path, const char *why) {
  return lrp_fail(LRP_ERR_DATA,
                  "%s: %s, so it cannot be proved that %s is the model that %s was made from; "
                  "choose another output",
                  path, why, id->study->model.dir, id->study->job.output);
}

static lrp_status has_ledgers(const char *output, bool *found) {
  static const char *const stems[] = {LRP_FACTORS_STEM, LRP_EVALUATION_STEM};
  *found = false;
  for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
    char *path = lrp_ledgers_path(output, stems[i], 0);
    if (!path) return LRP_ERR_MEM;
    *found = *found || lrp_file_exists(path);
    free(path);
  }
  return LRP_OK;
}

static lrp_status examine_text(lrp_identity *id, const char *path, verdict *v) {
  char *text = NULL;
  size_t size;
  json_error_t error;
  lrp_status st = lrp_file_read(path, bytes_max, &text, &size);
  if (st != LRP_OK) return st;
  json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
  free(text);
  st = root ? examine_files(id, root, v) : cannot_tell(id, path, error.text);
  json_decref(root);
  return lrp_json_checked(st);
}

/* Process rank 0. Hashes cannot decide where there are none. */
static lrp_status examine(lrp_identity *id, verdict *v) {
  char *path = path_of(id);
  bool used = false;
  lrp_status st = path ? has_ledgers(id->study->job.output, &used) : LRP_ERR_MEM;

  *v = fresh;
  if (st == LRP_OK && used) {
    st = lrp_file_exists(path) ? examine_text(id, path, v) : cannot_tell(id, path, "is absent");
  }
  if (st == LRP_OK && *v == touched && !lrp_identity_complete(id)) {
    st = cannot_tell(id, path,
                     "the weight files have other times now, and their hashes were not complete");
  }
  free(path);
  return st;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static lrp_status compare(const lrp_identity *id, const uint64_t *now) {
  const lrp_model *model = &id->study->model;
  int64_t i = 0;
  for (int s = 0; s < model->n_shards; s++) {
    const lrp_shard *shard = &model->shards[s];
    for (int64_t t = 0; t < shard->st.count; t++, i++) {
      if (now[i] == id->xxh3[i]) continue;
      return lrp_fail(LRP_ERR_DATA,
                      "%s: tensor %s is not the one that %s was made from; restore the model or "
                      "choose another output",
                      shard->st.path, shard->st.tensors[t].name, id->study->job.output);
    }
  }
  return LRP_OK;
}

/* Read all weights and compare their hashes with those that are known. Collective. */
static lrp_status read_and_compare(const lrp_identity *id, lrp_control *control) {
  uint64_t *now = calloc((size_t)id->n + 1, sizeof *now);
  lrp_pass *pass = NULL;
  lrp_status st =
      now ? LRP_OK : lrp_fail_memory((size_t)id->n * sizeof *now, "the hashes of the weights");

  st = lrp_agree(st, id->topo->comm);
  if (st == LRP_OK) {
    lrp_log("the weight files have other times than before: they are read and compared");
    st = lrp_pass_start(&id->study->model, id->topo, now, NULL, 0, &pass);
  }
  if (st == LRP_OK) {
    st = lrp_agree(lrp_pass_finish(pass, control), id->topo->comm);
    const lrp_status ended = lrp_pass_end(&pass, now);
    if (ended > st) st = ended;
  }
  if (st == LRP_OK) st = lrp_agree(compare(id, now), id->topo->comm);
  free(now);
  return st;
}

lrp_status lrp_identity_open(const lrp_study *study, const lrp_topology *topo, lrp_control *control,
                             lrp_identity *out) {
  verdict v = fresh;
  *out = (lrp_identity){.study = study, .topo = topo, .n = lrp_pass_tensors(&study->model)};
  out->xxh3 = calloc((size_t)out->n + 1, sizeof *out->xxh3);
  lrp_status st =
      out->xxh3 ? LRP_OK
                : lrp_fail_memory((size_t)out->n * sizeof *out->xxh3, "the hashes of the weights");
  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) st = lrp_agree(topo->me == 0 ? examine(out, &v) : LRP_OK, topo->comm);
  if (st == LRP_OK) {
    int code = v;
    MPI_Bcast(&code, 1, MPI_INT, 0, topo->comm);
    MPI_Bcast(out->xxh3, (int)out->n, MPI_UINT64_T, 0, topo->comm);
    v = (verdict)code;
  }
  if (st == LRP_OK && v == touched) st = read_and_compare(out, control);
  if (st == LRP_OK && v != same) st = lrp_identity_save(out);
  if (st != LRP_OK) lrp_identity_close(out);
  return st;
}

bool lrp_identity_complete(const lrp_identity *identity) {
  for (int64_t i = 0; i < identity->n; i++) {
    if (identity->xxh3[i] == 0) return false;
  }
  return true;
}

void lrp_identity_close(lrp_identity *identity) {
  free(identity->xxh3);
  *identity = (lrp_identity){0};
}
