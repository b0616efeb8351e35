#include "tests/tools/synth_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static lrp_status make_directory(const char *path) {
  if (mkdir(path, 0777) == 0 || errno == EEXIST) return LRP_OK;
  return lrp_fail_errno(path, "create directory", LRP_ERR_CREATE, LRP_ERR_CREATE);
}

static lrp_status check_empty(const char *path) {
  DIR *dir = opendir(path);
  const struct dirent *entry;
  lrp_status st = LRP_OK;
  if (!dir) return lrp_fail_errno(path, "open directory", LRP_ERR_CREATE, LRP_ERR_CREATE);
  while (st == LRP_OK && (entry = readdir(dir))) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
      st =
          lrp_fail(LRP_ERR_CREATE, "%s: is not empty; remove it or choose another directory", path);
    }
  }
  closedir(dir);
  return st;
}

lrp_status lrp_synth_directory(const char *path) {
  char *partial = strdup(path);
  lrp_status st = LRP_OK;
  if (!partial) return lrp_fail_memory(strlen(path) + 1, "a path");
  for (char *p = partial + 1; st == LRP_OK && *p; p++) {
    if (*p != '/') continue;
    *p = '\0';
    st = make_directory(partial);
    *p = '/';
  }
  if (st == LRP_OK) st = make_directory(partial);
  if (st == LRP_OK) st = check_empty(partial);
  free(partial);
  return st;
}

lrp_status lrp_synth_file_create(const char *dir, const char *name, lrp_synth_file *out) {
  *out = (lrp_synth_file){0};
  if (asprintf(&out->path, "%s/%s", dir, name) < 0) {
    out->path = NULL;
    return lrp_fail_memory(strlen(dir) + strlen(name) + 2, "a path");
  }
  out->stream = fopen(out->path, "wb");
  if (out->stream) return LRP_OK;
  const lrp_status st = lrp_fail_errno(out->path, "create", LRP_ERR_CREATE, LRP_ERR_CREATE);
  return lrp_synth_file_close(out, st);
}

lrp_status lrp_synth_file_append(lrp_synth_file *f, const void *data, size_t size) {
  if (fwrite(data, 1, size, f->stream) == size) return LRP_OK;
  return lrp_fail_errno(f->path, "write", LRP_ERR_IO, LRP_ERR_IO);
}

lrp_status lrp_synth_file_close(lrp_synth_file *f, lrp_status st) {
  if (f->stream && fclose(f->stream) != 0 && st == LRP_OK) {
    st = lrp_fail_errno(f->path, "write", LRP_ERR_IO, LRP_ERR_IO);
  }
  free(f->path);
  *f = (lrp_synth_file){0};
  return st;
}

lrp_status lrp_synth_json_write(const char *dir, const char *name, const json_t *value) {
  lrp_synth_file file = {0};
  char *text = value ? json_dumps(value, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : NULL;
  if (!text) return lrp_fail_memory(1, name);
  lrp_status st = lrp_synth_file_create(dir, name, &file);
  if (st == LRP_OK) st = lrp_synth_file_append(&file, text, strlen(text));
  if (st == LRP_OK) st = lrp_synth_file_append(&file, "\n", 1);
  st = lrp_synth_file_close(&file, st);
  free(text);
  return st;
}
