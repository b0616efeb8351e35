/** @file tests/io/model/fixture.h
 *  Writers of safetensors files and model directories, honest ones and others. */
#ifndef LRP_TESTS_IO_MODEL_FIXTURE_H
#define LRP_TESTS_IO_MODEL_FIXTURE_H

#include "kernels/matrix.h"
#include "tests/io/base/temp_dir.h"

/* A file of the header length n, the header verbatim and data_size bytes 0, 1, 2, ... */
static inline const char *write_raw(const char *name, uint64_t n, const char *header,
                                    size_t header_size, size_t data_size) {
  const size_t size = 8 + header_size + data_size;
  unsigned char *bytes = malloc(size);
  const char *path;

  assert_non_null(bytes);
  for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(n >> (8 * i));
  memcpy(bytes + 8, header, header_size);
  for (size_t i = 0; i < data_size; i++) bytes[8 + header_size + i] = (unsigned char)i;
  path = temp_write(name, bytes, size);
  free(bytes);
  return path;
}

static inline const char *write_header(const char *name, const char *header, size_t data_size) {
  return write_raw(name, strlen(header), header, strlen(header), data_size);
}

/* A tiny model to write: change what a test is about. */
typedef struct {
  char name[96];
  const char *dtype; /* F32, F16, BF16, or another whose elements have 8 bytes */
  int ndim;
  int64_t shape[3];
  int file;   /* that holds it */
  int listed; /* file that the index says; -1: not in the index */
} fixture_tensor;

typedef struct {
  const char *config;
  fixture_tensor tensors[64];
  int count;
  int files; /* 1: model.safetensors without an index */
} fixture;

/* Grouped heads (4 of size 2, 2 of keys), all sizes different. */
#define FIXTURE_CONFIG(more)                                                                    \
  "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 10, \"intermediate_size\": 6, " \
  "\"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, "          \
  "\"head_dim\": 2, \"vocab_size\": 12" more "}"

static inline fixture_tensor *fixture_add(fixture *f, const char *name, int64_t rows,
                                          int64_t cols) {
  fixture_tensor *t = &f->tensors[f->count++];
  assert_in_range(f->count, 1, 64);
  *t = (fixture_tensor){.dtype = "F32", .ndim = rows ? 2 : 1, .shape = {rows, cols}};
  if (rows == 0) t->shape[0] = cols;
  snprintf(t->name, sizeof t->name, "%s", name);
  return t;
}

static inline fixture_tensor *fixture_find(fixture *f, const char *name) {
  for (int i = 0; i < f->count; i++) {
    if (strcmp(f->tensors[i].name, name) == 0) return &f->tensors[i];
  }
  fail_msg("no %s in the fixture", name);
  return NULL;
}

static inline void fixture_remove(fixture *f, const char *name) {
  fixture_tensor *t = fixture_find(f, name);
  *t = f->tensors[--f->count];
}

/* An untied model of one file. */
static inline void fixture_init(fixture *f) {
  static const struct {
    const char *name;
    int64_t rows, cols; /* rows = 0: a vector */
  } layer[] = {
      {"input_layernorm", 0, 10},  {"self_attn.q_proj", 8, 10}, {"self_attn.k_proj", 4, 10},
      {"self_attn.v_proj", 4, 10}, {"self_attn.o_proj", 10, 8}, {"post_attention_layernorm", 0, 10},
      {"mlp.gate_proj", 6, 10},    {"mlp.up_proj", 6, 10},      {"mlp.down_proj", 10, 6}};
  *f = (fixture){.config = FIXTURE_CONFIG(""), .files = 1};
  fixture_add(f, "model.embed_tokens.weight", 12, 10);
  for (int l = 0; l < 2; l++) {
    for (size_t i = 0; i < sizeof layer / sizeof *layer; i++) {
      char name[96];
      snprintf(name, sizeof name, "model.layers.%d.%s.weight", l, layer[i].name);
      fixture_add(f, name, layer[i].rows, layer[i].cols);
    }
  }
  fixture_add(f, "model.norm.weight", 0, 10);
  fixture_add(f, "lm_head.weight", 12, 10);
}

static inline int64_t fixture_elements(const fixture_tensor *t) {
  int64_t n = 1;
  for (int i = 0; i < t->ndim; i++) n *= t->shape[i];
  return n;
}

/* Element k of tensor i; every type holds it exactly. */
static inline double fixture_value(int i, int64_t k) {
  return (double)((i * 7 + k * 3) % 101) / 4.0 - 12.0;
}

static inline void fixture_file_name(const fixture *f, int file, char name[64]) {
  if (f->files == 1) {
    snprintf(name, 64, "model.safetensors");
  } else {
    snprintf(name, 64, "model-%05d-of-%05d.safetensors", file + 1, f->files);
  }
}

static inline void fixture_write_data(const fixture *f, int i, FILE *out) {
  static const char *const names[] = {[LRP_F32] = "F32", [LRP_F16] = "F16", [LRP_BF16] = "BF16"};
  const fixture_tensor *t = &f->tensors[i];
  for (int64_t k = 0; k < fixture_elements(t); k++) {
    const double value = fixture_value(i, k);
    unsigned char bytes[8] = {0};
    size_t size = sizeof bytes;
    for (int d = LRP_F32; d <= LRP_BF16; d++) {
      if (strcmp(t->dtype, names[d]) != 0) continue;
      size = lrp_dtype_size((lrp_dtype)d);
      lrp_from_f64(bytes, (lrp_dtype)d, &value, 1);
    }
    fwrite(bytes, 1, size, out);
  }
}

static inline size_t fixture_bytes(const fixture_tensor *t) {
  size_t size = 8;
  if (strcmp(t->dtype, "F32") == 0) size = 4;
  if (strcmp(t->dtype, "F16") == 0 || strcmp(t->dtype, "BF16") == 0) size = 2;
  return (size_t)fixture_elements(t) * size;
}

static inline void fixture_write_file(const fixture *f, const char *dir, int file) {
  char header[16384], name[64], path[1024];
  size_t n = 0, offset = 0;
  FILE *out;

  for (int i = 0; i < f->count; i++) {
    const fixture_tensor *t = &f->tensors[i];
    if (t->file != file) continue;
    n += (size_t)sprintf(header + n, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", n ? "," : "{",
                         t->name, t->dtype);
    for (int d = 0; d < t->ndim; d++) {
      n += (size_t)sprintf(header + n, "%s%lld", d ? "," : "", (long long)t->shape[d]);
    }
    n += (size_t)sprintf(header + n, "],\"data_offsets\":[%zu,%zu]}", offset,
                         offset + fixture_bytes(t));
    offset += fixture_bytes(t);
  }
  n += (size_t)sprintf(header + n, "%s}", n ? "" : "{");
  fixture_file_name(f, file, name);
  snprintf(path, sizeof path, "%s/%s", dir, name);
  out = fopen(path, "wb");
  assert_non_null(out);
  for (int i = 0; i < 8; i++) fputc((int)(n >> (8 * i) & 0xff), out);
  fwrite(header, 1, n, out);
  for (int i = 0; i < f->count; i++) {
    if (f->tensors[i].file == file) fixture_write_data(f, i, out);
  }
  assert_int_equal(fclose(out), 0);
}

static inline void fixture_write_text(const char *dir, const char *name, const char *text) {
  char path[1024];
  FILE *out;
  snprintf(path, sizeof path, "%s/%s", dir, name);
  out = fopen(path, "wb");
  assert_non_null(out);
  fputs(text, out);
  assert_int_equal(fclose(out), 0);
}

static inline void fixture_write_index(const fixture *f, const char *dir) {
  char text[16384];
  size_t n = (size_t)sprintf(text, "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {");
  bool first = true;
  for (int i = 0; i < f->count; i++) {
    char name[64];
    if (f->tensors[i].listed < 0) continue;
    fixture_file_name(f, f->tensors[i].listed, name);
    n += (size_t)sprintf(text + n, "%s\"%s\": \"%s\"", first ? "" : ", ", f->tensors[i].name, name);
    first = false;
  }
  sprintf(text + n, "}}");
  fixture_write_text(dir, "model.safetensors.index.json", text);
}

/* Spread the tensors over files in turn, as the index says, too. */
static inline void fixture_split(fixture *f, int files) {
  f->files = files;
  for (int i = 0; i < f->count; i++) f->tensors[i].file = f->tensors[i].listed = i % files;
}

/* Write f to a new directory. */
static inline const char *fixture_write(const fixture *f) {
  static int number;
  char name[32];
  const char *dir;

  snprintf(name, sizeof name, "model%d", number++);
  dir = temp_path(name);
  assert_int_equal(mkdir(dir, 0700), 0);
  fixture_write_text(dir, "config.json", f->config);
  for (int file = 0; file < f->files; file++) fixture_write_file(f, dir, file);
  if (f->files > 1) fixture_write_index(f, dir);
  return dir;
}

#endif
