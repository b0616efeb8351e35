#include "io/model/shards.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"

static const char single_name[] = "model.safetensors";
static const char index_name[] = "model.safetensors.index.json";
static const size_t max_index = 32 << 20;
enum { max_shards = 1024 };

void lrp_name_list_add(lrp_name_list *list, const char *name) {
  const size_t room = sizeof list->text - list->length;
  if (room > strlen(name) + sizeof ", , ...") {
    list->length +=
        (size_t)snprintf(list->text + list->length, room, "%s%s", list->count ? ", " : "", name);
  } else if (room > sizeof ", ...") {
    snprintf(list->text + list->length, room, ", ...");
    list->length = sizeof list->text; /* nothing more */
  }
  list->count++;
}

/* Whether the resolved path lies below the resolved folder. */
static bool is_below(const char *path, const char *folder) {
  const size_t n = strlen(folder);
  return strncmp(path, folder, n) == 0 && (path[n] == '/' || strcmp(folder, "/") == 0);
}

/* The blobs folder if the resolved dir is .../snapshots/<revision> of a Hugging Face cache. */
static bool blobs_of_snapshot(const char *dir, char blobs[PATH_MAX]) {
  static const char tail[] = "/snapshots";
  const char *revision = strrchr(dir, '/');
  const size_t n = revision ? (size_t)(revision - dir) : 0;

  if (n < sizeof tail || strncmp(dir + n - (sizeof tail - 1), tail, sizeof tail - 1) != 0) {
    return false;
  }
  return snprintf(blobs, PATH_MAX, "%.*s/blobs", (int)(n - (sizeof tail - 1)), dir) < PATH_MAX;
}

/* Follow the links of dir/name without opening it. */
static lrp_status check_place(const char *dir, const char *path) {
  char real_dir[PATH_MAX], real_path[PATH_MAX], blobs[PATH_MAX];
  struct stat s;

  if (!realpath(dir, real_dir)) return lrp_fail_errno(dir, "resolve", LRP_ERR_ABSENT, LRP_ERR_IO);
  if (!realpath(path, real_path) || stat(real_path, &s) != 0) {
    return lrp_fail_errno(path, "resolve", LRP_ERR_ABSENT, LRP_ERR_IO);
  }
  if (!is_below(real_path, real_dir) &&
      !(blobs_of_snapshot(real_dir, blobs) && is_below(real_path, blobs))) {
    return lrp_fail(LRP_ERR_DATA, "%s: is a link to %s, outside of the model directory", path,
                    real_path);
  }
  if (!S_ISREG(s.st_mode)) return lrp_fail(LRP_ERR_DATA, "%s: not a regular file", path);
  return LRP_OK;
}

static bool is_plain_name(const char *name) {
  static const char suffix[] = ".safetensors";
  const size_t n = strlen(name);
  return n >= sizeof suffix && n <= NAME_MAX && !strchr(name, '/') &&
         strcmp(name + n - (sizeof suffix - 1), suffix) == 0;
}

static int compare_strings(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The distinct file names of weight_map, sorted; they are borrowed from it. */
static lrp_status collect_names(const char *path, json_t *map, const char ***names, int *count) {
  const size_t size = json_object_size(map);
  const char *key;
  json_t *value;
  size_t n = 0, distinct = 0;

  *names = malloc((size + 1) * sizeof **names);
  if (!*names) return lrp_fail_memory((size + 1) * sizeof **names, path);
  json_object_foreach(map, key, value) {
    const char *name = json_string_value(value);
    if (!name || !is_plain_name(name)) {
      return lrp_fail(LRP_ERR_DATA,
                      "%s: weight_map: %.200s: \"%.200s\" is not the plain name of a .safetensors "
                      "file in this directory",
                      path, key, name ? name : "(no string)");
    }
    (*names)[n++] = name;
  }
  if (n > 0) qsort(*names, n, sizeof **names, compare_strings);
  for (size_t i = 0; i < n; i++) {
    if (distinct == 0 || strcmp((*names)[i], (*names)[distinct - 1]) != 0) {
      (*names)[distinct++] = (*names)[i];
    }
  }
  if (distinct == 0 || distinct > max_shards) {
    return lrp_fail(LRP_ERR_DATA, "%s: weight_map names %zu files, not 1 .. %d", path, distinct,
                    max_shards);
  }
  *count = (int)distinct;
  return LRP_OK;
}

/* All that are missing in one message, so that one download mends it. */
static lrp_status check_missing(const char *dir, const char *const *names, int count) {
  lrp_name_list missing = {0};

  for (int i = 0; i < count; i++) {
    char *path = lrp_path_join(dir, names[i]);
    if (!path) return LRP_ERR_MEM;
    if (!lrp_file_exists(path) && errno == ENOENT) lrp_name_list_add(&missing, names[i]);
    free(path);
  }
  if (missing.count == 0) return LRP_OK;
  return lrp_fail(LRP_ERR_ABSENT, "%s: %lld of %d weight files are missing: %s", dir,
                  (long long)missing.count, count, missing.text);
}

static lrp_status open_shard(const char *dir, const char *name, lrp_shard *shard) {
  char *path = lrp_path_join(dir, name);
  lrp_status st = path ? check_place(dir, path) : LRP_ERR_MEM;

  if (st == LRP_OK) {
    shard->name = strdup(name);
    if (!shard->name) st = lrp_fail_memory(strlen(name) + 1, "a file name");
  }
  if (st == LRP_OK) st = lrp_safetensors_open(path, &shard->st);
  free(path);
  return st;
}

/* A tensor and its shard, to be sorted. */
typedef struct {
  const char *name;
  const lrp_shard *shard;
} placed_name;

static int compare_placed(const void *a, const void *b) {
  return strcmp(((const placed_name *)a)->name, ((const placed_name *)b)->name);
}

static lrp_status check_unique(const lrp_shard *shards, int count) {
  placed_name *all = NULL;
  lrp_status st = LRP_OK;
  size_t n = 0;

  for (int i = 0; i < count; i++) n += (size_t)shards[i].st.count;
  if (n == 0) return LRP_OK;
  all = malloc(n * sizeof *all);
  if (!all) return lrp_fail_memory(n * sizeof *all, "names of tensors");
  n = 0;
  for (int i = 0; i < count; i++) {
    for (int64_t j = 0; j < shards[i].st.count; j++) {
      all[n++] = (placed_name){shards[i].st.tensors[j].name, &shards[i]};
    }
  }
  qsort(all, n, sizeof *all, compare_placed);
  for (size_t i = 1; i < n && st == LRP_OK; i++) {
    if (strcmp(all[i].name, all[i - 1].name) != 0) continue;
    st = lrp_fail(LRP_ERR_DATA, "tensor %.200s is in two files: %s and %s", all[i].name,
                  all[i - 1].shard->st.path, all[i].shard->st.path);
  }
  free(all);
  return st;
}

static lrp_status open_all(const char *dir, const char *const *names, int count,
                           lrp_shard **shards) {
  lrp_status st = check_missing(dir, names, count);
  if (st != LRP_OK) return st;

  *shards = calloc((size_t)count, sizeof **shards);
  if (!*shards) return lrp_fail_memory((size_t)count * sizeof **shards, "weight files");
  for (int i = 0; i < count && st == LRP_OK; i++) st = open_shard(dir, names[i], &(*shards)[i]);
  if (st == LRP_OK) st = check_unique(*shards, count);
  if (st != LRP_OK) {
    lrp_shards_close(*shards, count);
    *shards = NULL;
  }
  return st;
}

static int compare_shards(const void *a, const void *b) {
  return strcmp(((const lrp_shard *)a)->name, ((const lrp_shard *)b)->name);
}

/* Every tensor of the index lies in the file that it names. */
static lrp_status check_index(const char *path, json_t *map, const lrp_shard *shards, int count) {
  lrp_shard wanted = {0};
  const char *key;
  json_t *value;

  json_object_foreach(map, key, value) {
    const lrp_shard *at = NULL;
    wanted.name = (char *)json_string_value(value);
    at = bsearch(&wanted, shards, (size_t)count, sizeof *shards, compare_shards);
    if (at && lrp_safetensors_find(&at->st, key)) continue;
    if (lrp_shards_find(shards, count, key, &at)) {
      return lrp_fail(LRP_ERR_DATA, "%s: weight_map: tensor %.200s is not in %s but in %s", path,
                      key, wanted.name, at->name);
    }
    return lrp_fail(LRP_ERR_DATA, "%s: weight_map: tensor %.200s is not in %s, nor elsewhere", path,
                    key, wanted.name);
  }
  return LRP_OK;
}

static lrp_status parse_index(const char *path, json_t **root, json_t **map) {
  json_error_t error;
  char *data = NULL;
  size_t size = 0;
  lrp_status st = lrp_file_read(path, max_index, &data, &size);
  if (st != LRP_OK) return st;

  *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &error);
  free(data);
  if (!*root) {
    return lrp_json_checked(
        lrp_fail(LRP_ERR_DATA, "%s:%d: not valid JSON: %s", path, error.line, error.text));
  }
  *map = json_object_get(*root, "weight_map");
  if (!json_is_object(*map)) return lrp_fail(LRP_ERR_DATA, "%s: weight_map: not an object", path);
  return LRP_OK;
}

static lrp_status open_indexed(const char *dir, const char *path, lrp_shard **shards, int *count) {
  json_t *root = NULL, *map = NULL;
  const char **names = NULL;
  int n = 0;
  lrp_status st = parse_index(path, &root, &map);

  if (st == LRP_OK) st = collect_names(path, map, &names, &n);
  if (st == LRP_OK) st = open_all(dir, names, n, shards);
  if (st == LRP_OK) {
    *count = n;
    st = check_index(path, map, *shards, n);
  }
  if (st != LRP_OK) {
    lrp_shards_close(*shards, n);
    *shards = NULL;
    *count = 0;
  }
  free(names);
  json_decref(root);
  return st;
}

/* Say what is there instead. */
static lrp_status fail_without_weights(const char *dir) {
  lrp_name_list pickles = {0};
  const struct dirent *entry;
  DIR *d = opendir(dir);

  if (!d) return lrp_fail_errno(dir, "list", LRP_ERR_ABSENT, LRP_ERR_IO);
  while ((entry = readdir(d)) != NULL) {
    if (fnmatch("pytorch_model*.bin", entry->d_name, 0) == 0 ||
        fnmatch("*.pth", entry->d_name, 0) == 0) {
      lrp_name_list_add(&pickles, entry->d_name);
    }
  }
  closedir(d);
  if (pickles.count > 0) {
    return lrp_fail(LRP_ERR_ABSENT, "%s: pickle is not read; convert to safetensors: %s", dir,
                    pickles.text);
  }
  return lrp_fail(LRP_ERR_ABSENT, "%s: neither %s nor %s is there", dir, single_name, index_name);
}

lrp_status lrp_shards_open(const char *dir, lrp_shard **shards, int *count) {
  static const char *const single_names[] = {single_name};
  char *single = lrp_path_join(dir, single_name);
  char *index = lrp_path_join(dir, index_name);
  lrp_status st = LRP_OK;

  *shards = NULL;
  *count = 0;
  if (!single || !index) {
    st = LRP_ERR_MEM;
  } else if (lrp_file_exists(single)) {
    st = open_all(dir, single_names, 1, shards);
    if (st == LRP_OK) *count = 1;
  } else if (lrp_file_exists(index)) {
    st = open_indexed(dir, index, shards, count);
  } else {
    st = fail_without_weights(dir);
  }
  free(single);
  free(index);
  return st;
}

void lrp_shards_close(lrp_shard *shards, int count) {
  for (int i = 0; shards && i < count; i++) {
    lrp_safetensors_close(&shards[i].st);
    free(shards[i].name);
  }
  free(shards);
}

const lrp_safetensor *lrp_shards_find(const lrp_shard *shards, int count, const char *name,
                                      const lrp_shard **at) {
  for (int i = 0; i < count; i++) {
    const lrp_safetensor *t = lrp_safetensors_find(&shards[i].st, name);
    if (!t) continue;
    if (at) *at = &shards[i];
    return t;
  }
  return NULL;
}
