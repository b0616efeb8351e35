#include "io/tokenizer/beside.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"

#define CONFIG_MAX ((size_t)16 << 20) /* bytes; such files list all added tokens */

bool lrp_beside_absent(const char *path) {
  return access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

lrp_status lrp_beside_read(const char *dir, const char *name, size_t max, char **path, char **data,
                           size_t *size) {
  *data = NULL;
  *size = 0;
  *path = lrp_path_join(dir, name);
  if (!*path) return LRP_ERR_MEM;
  if (!lrp_beside_absent(*path)) return lrp_file_read(*path, max, data, size);
  free(*path);
  *path = NULL;
  return LRP_OK;
}

lrp_status lrp_beside_object(const char *dir, const char *name, json_t **root) {
  char *path, *data;
  size_t size;
  json_error_t error;
  lrp_status st = lrp_beside_read(dir, name, CONFIG_MAX, &path, &data, &size);

  *root = NULL;
  if (st == LRP_OK && path) {
    /* "model_max_length" is 1000000000000000019884624838656 in many files: no integer here. */
    *root = json_loadb(data, size, JSON_DECODE_INT_AS_REAL, &error);
    if (!*root) {
      st = lrp_json_checked(lrp_fail(LRP_ERR_DATA, "%s:%d: %s", path, error.line, error.text));
    } else if (!json_is_object(*root)) {
      st = lrp_fail(LRP_ERR_DATA, "%s: expected a JSON object", path);
    }
  }
  free(data);
  free(path);
  return st;
}

lrp_status lrp_beside_flag(const char *dir, const json_t *root, const char *key, bool *value) {
  const json_t *item = json_object_get(root, key);

  if (!item || json_is_null(item)) return LRP_OK;
  if (!json_is_boolean(item)) {
    return lrp_fail(LRP_ERR_DATA, "%s/tokenizer_config.json: %s: expected true or false", dir, key);
  }
  *value = json_is_true(item);
  return LRP_OK;
}
