#include "io/model/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "io/base/json_memory.h"

/* A file is: header length (8 bytes, little endian), header (JSON), data. */
static const uint64_t max_header = 100000000;
enum {
  length_bytes = 8,
  max_tensors = 1000000,
  max_name = 1024,
  max_depth = 8,
  max_values = 20000000 /* of the JSON text: bounds the memory of its tree */
};

static const char lfs_text[] = "version https://git-lfs.github.com/spec";

static const struct {
  const char *name;
  size_t bytes;
} dtypes[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1},
              {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
              {"U32", 4},  {"F32", 4}, {"I64", 8}, {"U64", 8},     {"F64", 8}};
enum { n_dtypes = sizeof dtypes / sizeof *dtypes };

/* The mapped file while its header is read. */
typedef struct {
  const char *path;
  const char *header;
  size_t header_size;
  const char *data;
  size_t data_size;
} mapped_file;

static lrp_status map_file(const char *path, lrp_safetensors *st) {
  struct stat s;
  lrp_status status = LRP_OK;
  /* O_NONBLOCK: the open of a FIFO must not wait for a writer. */
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

  if (fd < 0) return lrp_fail_errno(path, "open", LRP_ERR_ABSENT, LRP_ERR_IO);
  if (fstat(fd, &s) != 0) {
    status = lrp_fail_errno(path, "stat", LRP_ERR_IO, LRP_ERR_IO);
  } else if (!S_ISREG(s.st_mode)) {
    status = lrp_fail(LRP_ERR_DATA, "%s: not a regular file", path);
  } else if (s.st_size < length_bytes) {
    status = lrp_fail(LRP_ERR_DATA, "%s: %lld bytes are too few for a safetensors file", path,
                      (long long)s.st_size);
  } else if ((status = lrp_file_stamp_take(fd, path, &st->stamp)) == LRP_OK) {
    void *map = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
      status = lrp_fail_errno(path, "map", LRP_ERR_IO, LRP_ERR_IO);
    } else {
      st->map = map;
      st->size = (size_t)s.st_size;
    }
  }
  close(fd);
  return status;
}

/* Find header and data in the mapping. */
static lrp_status split(const lrp_safetensors *st, mapped_file *f) {
  const unsigned char *p = st->map;
  const size_t rest = st->size - length_bytes;
  uint64_t n = 0;

  if (st->size >= sizeof lfs_text - 1 && memcmp(p, lfs_text, sizeof lfs_text - 1) == 0) {
    return lrp_fail(LRP_ERR_DATA, "%s: is a Git LFS pointer, not the weights; run git lfs pull",
                    st->path);
  }
  for (int i = length_bytes - 1; i >= 0; i--) n = n << 8 | p[i];
  if (n == 0 || n > max_header) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: header length %llu is not in 1 .. %llu: no safetensors file, or its "
                    "download was interrupted",
                    st->path, (unsigned long long)n, (unsigned long long)max_header);
  }
  if (n > rest) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: header of %llu bytes in a file of %zu bytes (download interrupted?)",
                    st->path, (unsigned long long)n, st->size);
  }
  *f = (mapped_file){.path = st->path,
                     .header = (const char *)p + length_bytes,
                     .header_size = (size_t)n,
                     .data = (const char *)p + length_bytes + n,
                     .data_size = rest - (size_t)n};
  if (f->header[0] != '{') {
    return lrp_fail(LRP_ERR_DATA, "%s: header does not start with '{'", st->path);
  }
  return LRP_OK;
}

/* Depth, tensors and values of the header, counted before a tree of it is built in memory. Not a
 * check of the grammar: on broken JSON the counts are off, and the parser refuses it. */
static lrp_status check_extent(const mapped_file *f) {
  int64_t depth = 0, values = 0, objects = 0;
  bool quoted = false;

  for (size_t i = 0; i < f->header_size; i++) {
    const char c = f->header[i];
    if (c == '"') quoted = !quoted;
    if (quoted && c == '\\') i++;
    if (quoted) continue;
    if (c == '{' && depth == 1) objects++;
    if (c == '{' || c == '[') depth++;
    if (c == '}' || c == ']') depth--;
    if (c == '{' || c == '[' || c == ',' || c == ':') values++;
    if (depth > max_depth) {
      return lrp_fail(LRP_ERR_DATA, "%s: header nested deeper than %d", f->path, max_depth);
    }
    if (values > max_values) {
      return lrp_fail(LRP_ERR_DATA, "%s: header of more than %d values", f->path, max_values);
    }
  }
  if (objects > max_tensors + 1) { /* one may be the metadata */
    return lrp_fail(LRP_ERR_DATA, "%s: more than %d tensors", f->path, max_tensors);
  }
  return LRP_OK;
}

static lrp_status parse_header(const mapped_file *f, json_t **root) {
  json_error_t error;
  const lrp_status status = check_extent(f);
  if (status != LRP_OK) return status;

  *root = json_loadb(f->header, f->header_size, JSON_REJECT_DUPLICATES, &error);
  if (*root) return LRP_OK; /* an object: it starts with '{' */
  return lrp_json_checked(lrp_fail(LRP_ERR_DATA, "%s: header is not valid JSON: %s (byte %d)",
                                   f->path, error.text, error.position));
}

static lrp_status check_metadata(const mapped_file *f, json_t *metadata) {
  const char *key;
  json_t *value;

  if (!json_is_object(metadata)) {
    return lrp_fail(LRP_ERR_DATA, "%s: __metadata__ is not an object", f->path);
  }
  json_object_foreach(metadata, key, value) {
    if (!json_is_string(value)) {
      return lrp_fail(LRP_ERR_DATA, "%s: __metadata__: %.100s is not a string", f->path, key);
    }
  }
  return LRP_OK;
}

static lrp_status bad_tensor(const mapped_file *f, const char *name, const char *what) {
  return lrp_fail(LRP_ERR_DATA, "%s: tensor %.200s: %s", f->path, name, what);
}

static lrp_status read_dtype(const mapped_file *f, const char *name, const json_t *info,
                             lrp_safetensor *t, size_t *element) {
  const char *text = json_string_value(json_object_get(info, "dtype"));

  if (!text) return bad_tensor(f, name, "no dtype");
  for (int i = 0; i < n_dtypes; i++) {
    if (strcmp(text, dtypes[i].name) != 0) continue;
    t->dtype = dtypes[i].name;
    *element = dtypes[i].bytes;
    return LRP_OK;
  }
  return lrp_fail(LRP_ERR_DATA, "%s: tensor %.200s: unknown dtype %.50s", f->path, name, text);
}

/* Dimensions, and the bytes of such a tensor. */
static lrp_status read_shape(const mapped_file *f, const char *name, const json_t *info,
                             lrp_safetensor *t, size_t element) {
  const json_t *shape = json_object_get(info, "shape");
  const size_t ndim = json_array_size(shape);

  if (!json_is_array(shape)) return bad_tensor(f, name, "shape is not an array");
  if (ndim > LRP_SAFETENSORS_MAX_DIMS) {
    return lrp_fail(LRP_ERR_DATA, "%s: tensor %.200s: %zu dimensions, more than %d", f->path, name,
                    ndim, LRP_SAFETENSORS_MAX_DIMS);
  }
  t->ndim = (int)ndim;
  t->bytes = element;
  for (size_t i = 0; i < ndim; i++) {
    const json_t *dim = json_array_get(shape, i);
    if (!json_is_integer(dim) || json_integer_value(dim) < 0) {
      return bad_tensor(f, name, "shape is not of integers >= 0");
    }
    t->shape[i] = json_integer_value(dim);
    if (__builtin_mul_overflow(t->bytes, (size_t)t->shape[i], &t->bytes)) {
      return bad_tensor(f, name, "shape overflows: more than 2^64 bytes");
    }
  }
  return LRP_OK;
}

static lrp_status read_offsets(const mapped_file *f, const char *name, const json_t *info,
                               lrp_safetensor *t) {
  const json_t *offsets = json_object_get(info, "data_offsets");
  const json_t *first = json_array_get(offsets, 0);
  const json_t *second = json_array_get(offsets, 1);
  const json_int_t begin = json_integer_value(first);
  const json_int_t end = json_integer_value(second);

  if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(second) ||
      begin < 0 || end < begin) {
    return bad_tensor(f, name, "data_offsets is not [begin, end] with 0 <= begin <= end");
  }
  if ((uint64_t)end > f->data_size) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: tensor %.200s: data end at %lld, but the file holds %zu bytes of data "
                    "(download interrupted?)",
                    f->path, name, (long long)end, f->data_size);
  }
  if ((size_t)(end - begin) != t->bytes) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: tensor %.200s: data_offsets span %lld bytes, %s of its shape"
                    " has %zu",
                    f->path, name, (long long)(end - begin), t->dtype, t->bytes);
  }
  t->data = f->data + begin;
  return LRP_OK;
}

static lrp_status read_tensor(const mapped_file *f, const char *name, const json_t *info,
                              lrp_safetensor *t) {
  size_t element = 0;
  lrp_status status;

  if (strlen(name) > max_name) {
    return lrp_fail(LRP_ERR_DATA, "%s: tensor %.40s...: name of %zu bytes, more than %d", f->path,
                    name, strlen(name), max_name);
  }
  if (!json_is_object(info)) return bad_tensor(f, name, "not an object");
  status = read_dtype(f, name, info, t, &element);
  if (status == LRP_OK) status = read_shape(f, name, info, t, element);
  if (status == LRP_OK) status = read_offsets(f, name, info, t);
  return status;
}

/* Memory for the tensors and a copy of all names. */
static lrp_status allocate(json_t *root, lrp_safetensors *st) {
  const char *key;
  json_t *value;
  size_t names = 1, count = 0;

  json_object_foreach(root, key, value) {
    names += strlen(key) + 1;
    count++;
  }
  if (count > max_tensors + 1) { /* again: check_extent() counts objects only */
    return lrp_fail(LRP_ERR_DATA, "%s: more than %d tensors", st->path, max_tensors);
  }
  st->names = malloc(names);
  st->tensors = calloc(count + 1, sizeof *st->tensors);
  if (!st->names || !st->tensors) {
    return lrp_fail_memory(names + (count + 1) * sizeof *st->tensors, st->path);
  }
  return LRP_OK;
}

static lrp_status read_tensors(const mapped_file *f, json_t *root, lrp_safetensors *st) {
  const char *key;
  json_t *value;
  char *copy;
  lrp_status status = allocate(root, st);
  if (status != LRP_OK) return status;

  copy = st->names;
  json_object_foreach(root, key, value) {
    if (strcmp(key, "__metadata__") == 0) {
      status = check_metadata(f, value);
    } else {
      lrp_safetensor *t = &st->tensors[st->count++];
      const size_t size = strlen(key) + 1;
      t->name = memcpy(copy, key, size);
      copy += size;
      status = read_tensor(f, key, value, t);
    }
    if (status != LRP_OK) return status;
  }
  if (st->count > max_tensors) {
    return lrp_fail(LRP_ERR_DATA, "%s: more than %d tensors", st->path, max_tensors);
  }
  return LRP_OK;
}

static int compare_places(const void *a, const void *b) {
  const lrp_safetensor *x = a, *y = b;
  const char *p = x->data, *q = y->data;
  if (p != q) return p < q ? -1 : 1;
  return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int compare_names(const void *a, const void *b) {
  return strcmp(((const lrp_safetensor *)a)->name, ((const lrp_safetensor *)b)->name);
}

/* Every byte of the data belongs to exactly one tensor; an empty one may lie between two others. */
static lrp_status check_places(const mapped_file *f, lrp_safetensors *st) {
  const char *expected = f->data;
  const char *before = "the start";

  qsort(st->tensors, (size_t)st->count, sizeof *st->tensors, compare_places);
  for (int64_t i = 0; i < st->count; i++) {
    const lrp_safetensor *t = &st->tensors[i];
    const char *begin = t->data;
    if (begin < expected) {
      return lrp_fail(LRP_ERR_DATA, "%s: the data of tensors %.200s and %.200s overlap", f->path,
                      before, t->name);
    }
    if (begin > expected) {
      return lrp_fail(LRP_ERR_DATA, "%s: %zu bytes between %.200s and %.200s belong to no tensor",
                      f->path, (size_t)(begin - expected), before, t->name);
    }
    expected = begin + t->bytes;
    before = t->name;
  }
  if (expected != f->data + f->data_size) {
    return lrp_fail(LRP_ERR_DATA, "%s: %zu bytes after the last tensor belong to none", f->path,
                    (size_t)(f->data + f->data_size - expected));
  }
  return LRP_OK;
}

lrp_status lrp_safetensors_open(const char *path, lrp_safetensors *out) {
  mapped_file f = {0};
  json_t *root = NULL;
  lrp_status status = LRP_OK;

  memset(out, 0, sizeof *out);
  out->path = strdup(path);
  if (!out->path) status = lrp_fail_memory(strlen(path) + 1, "a path");
  if (status == LRP_OK) status = map_file(path, out);
  if (status == LRP_OK) status = split(out, &f);
  if (status == LRP_OK) status = parse_header(&f, &root);
  if (status == LRP_OK) status = read_tensors(&f, root, out);
  if (status == LRP_OK) status = check_places(&f, out);
  json_decref(root);
  if (status != LRP_OK) {
    lrp_safetensors_close(out);
    return status;
  }
  qsort(out->tensors, (size_t)out->count, sizeof *out->tensors, compare_names);
  out->header_xxh3 = XXH3_64bits(out->map, (size_t)(f.data - (const char *)out->map));
  return LRP_OK;
}

void lrp_safetensors_close(lrp_safetensors *st) {
  if (st->map) munmap(st->map, st->size);
  free(st->tensors);
  free(st->names);
  free(st->path);
  memset(st, 0, sizeof *st);
}

const lrp_safetensor *lrp_safetensors_find(const lrp_safetensors *st, const char *name) {
  const lrp_safetensor key = {.name = name};
  if (st->count == 0) return NULL;
  return bsearch(&key, st->tensors, (size_t)st->count, sizeof key, compare_names);
}
