#include "tests/tools/synth_weights.h"

#include <jansson.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/matrix.h"
#include "tests/tools/synth_file.h"
#include "tests/tools/synth_random.h"

/* Rows of a tensor that are in memory at a time; a row alone may be up to 4 MiB. */
static const size_t panel_bytes = (size_t)32 << 20;

/* What the writer of all shards needs, allocated once. */
typedef struct {
  const lrp_synth_options *options; /* borrowed */
  const lrp_synth_tensors *tensors; /* borrowed */
  int64_t *first;                   /* owned, shards + 1: the first tensor of each */
  unsigned char *panel;             /* owned, panel_bytes */
  float *rows;                      /* owned, a row per thread */
  int threads;
  int64_t widest; /* most columns of a tensor */
  size_t element; /* bytes */
} writer;

static int64_t tensor_bytes(const writer *w, int64_t t) {
  const lrp_synth_tensor *x = &w->tensors->items[t];
  return x->rows * x->cols * (int64_t)w->element;
}

static int64_t total_bytes(const writer *w) {
  int64_t sum = 0;
  for (int64_t t = 0; t < w->tensors->count; t++) sum += tensor_bytes(w, t);
  return sum;
}

/* Deal the tensors, in order, to shards of about equal size, none of which is empty. */
static void deal_shards(writer *w) {
  const int64_t count = w->tensors->count;
  const int64_t shards = w->options->shards;
  const double share = (double)total_bytes(w) / (double)shards;
  int64_t before = 0;
  int64_t s = 0;
  w->first[0] = 0;
  for (int64_t t = 0; t < count; t++) {
    const bool must = count - t == shards - s - 1; /* as many tensors left as shards to begin */
    const bool full = (double)before >= share * (double)(s + 1);
    if (t > w->first[s] && s + 1 < shards && (must || full)) w->first[++s] = t;
    before += tensor_bytes(w, t);
  }
  w->first[shards] = count;
}

static lrp_status writer_init(writer *w, const lrp_synth_options *o,
                              const lrp_synth_tensors *tensors) {
  *w = (writer){.options = o,
                .tensors = tensors,
                .threads = omp_get_max_threads(),
                .element = lrp_dtype_size((lrp_dtype)o->dtype)};
  if (o->shards > tensors->count) {
    return lrp_fail(LRP_ERR_USAGE, "--shards: %lld files for %lld tensors", (long long)o->shards,
                    (long long)tensors->count);
  }
  for (int64_t t = 0; t < tensors->count; t++) {
    if (tensors->items[t].cols > w->widest) w->widest = tensors->items[t].cols;
  }
  w->first = malloc((size_t)(o->shards + 1) * sizeof *w->first);
  w->panel = malloc(panel_bytes);
  w->rows = malloc((size_t)w->threads * (size_t)w->widest * sizeof *w->rows);
  if (!w->first || !w->panel || !w->rows) return lrp_fail_memory(panel_bytes, "rows of a tensor");
  deal_shards(w);
  return LRP_OK;
}

static void writer_free(writer *w) {
  free(w->rows);
  free(w->panel);
  free(w->first);
}

static void shard_name(const writer *w, int64_t s, char *name, size_t size) {
  if (w->options->shards == 1) {
    snprintf(name, size, "model.safetensors");
  } else {
    snprintf(name, size, "model-%05lld-of-%05lld.safetensors", (long long)s + 1,
             (long long)w->options->shards);
  }
}

static json_t *header_entry(const writer *w, int64_t t, int64_t offset) {
  static const char *const names[] = {[LRP_F32] = "F32", [LRP_F16] = "F16", [LRP_BF16] = "BF16"};
  const lrp_synth_tensor *x = &w->tensors->items[t];
  json_t *shape = x->ndim == 2 ? json_pack("[I, I]", (json_int_t)x->rows, (json_int_t)x->cols)
                               : json_pack("[I]", (json_int_t)x->cols);
  return json_pack("{s:s, s:o, s:[I, I]}", "dtype", names[w->options->dtype], "shape", shape,
                   "data_offsets", (json_int_t)offset, (json_int_t)(offset + tensor_bytes(w, t)));
}

/* Text of the header of shard s, or NULL (out of memory); freed by the caller. */
static char *header_text(const writer *w, int64_t s) {
  json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
  char *text = NULL;
  int64_t offset = 0;
  bool ok = header != NULL;
  for (int64_t t = w->first[s]; ok && t < w->first[s + 1]; t++) {
    ok = json_object_set_new(header, w->tensors->items[t].name, header_entry(w, t, offset)) == 0;
    offset += tensor_bytes(w, t);
  }
  if (ok) text = json_dumps(header, JSON_COMPACT);
  json_decref(header);
  return text;
}

/* Length of the header as 8 bytes, low byte first; the header; spaces up to a multiple of 8. */
static lrp_status write_header(const writer *w, int64_t s, lrp_synth_file *file) {
  char *text = header_text(w, s);
  if (!text) return lrp_fail_memory(1, "a safetensors header");
  const size_t length = strlen(text);
  const size_t padded = (length + 7) / 8 * 8;
  unsigned char size[8];
  for (int i = 0; i < 8; i++) size[i] = (unsigned char)((uint64_t)padded >> 8 * i);
  lrp_status st = lrp_synth_file_append(file, size, sizeof size);
  if (st == LRP_OK) st = lrp_synth_file_append(file, text, length);
  if (st == LRP_OK) st = lrp_synth_file_append(file, "       ", padded - length);
  free(text);
  return st;
}

/* panel = rows [first, first + count) in the type of the file. */
static void fill_panel(const writer *w, const lrp_synth_sampler *sampler, int64_t first,
                       int64_t count) {
#pragma omp parallel for schedule(static) num_threads(w->threads)
  for (int64_t i = 0; i < count; i++) {
    float *row = w->rows + omp_get_thread_num() * w->widest;
    lrp_synth_sampler_row(sampler, first + i, row);
    lrp_from_f32(w->panel + (size_t)(i * sampler->cols) * w->element, (lrp_dtype)w->options->dtype,
                 row, (size_t)sampler->cols);
  }
}

static lrp_status write_tensor(const writer *w, int64_t t, lrp_synth_file *file) {
  const lrp_synth_tensor *x = &w->tensors->items[t];
  const size_t row_bytes = (size_t)x->cols * w->element;
  const int64_t most = (int64_t)(panel_bytes / row_bytes);
  lrp_synth_sampler sampler;
  lrp_status st = lrp_synth_sampler_init(x, w->options->seed, w->options->outliers, &sampler);
  for (int64_t i = 0; st == LRP_OK && i < x->rows; i += most) {
    const int64_t count = x->rows - i < most ? x->rows - i : most;
    fill_panel(w, &sampler, i, count);
    st = lrp_synth_file_append(file, w->panel, (size_t)count * row_bytes);
  }
  lrp_synth_sampler_free(&sampler);
  return st;
}

static lrp_status write_shard(const writer *w, int64_t s) {
  char name[64];
  lrp_synth_file file = {0};
  shard_name(w, s, name, sizeof name);
  lrp_status st = lrp_synth_file_create(w->options->out, name, &file);
  if (st == LRP_OK) st = write_header(w, s, &file);
  for (int64_t t = w->first[s]; st == LRP_OK && t < w->first[s + 1]; t++) {
    st = write_tensor(w, t, &file);
  }
  return lrp_synth_file_close(&file, st);
}

static lrp_status write_index(const writer *w) {
  json_t *map = json_object();
  bool ok = map != NULL;
  for (int64_t s = 0; ok && s < w->options->shards; s++) {
    char name[64];
    shard_name(w, s, name, sizeof name);
    for (int64_t t = w->first[s]; ok && t < w->first[s + 1]; t++) {
      ok = json_object_set_new(map, w->tensors->items[t].name, json_string(name)) == 0;
    }
  }
  json_t *index = ok ? json_pack("{s:{s:I}, s:O}", "metadata", "total_size",
                                 (json_int_t)total_bytes(w), "weight_map", map)
                     : NULL;
  const lrp_status st =
      lrp_synth_json_write(w->options->out, "model.safetensors.index.json", index);
  json_decref(index);
  json_decref(map);
  return st;
}

lrp_status lrp_synth_weights_write(const lrp_synth_options *o, const lrp_synth_tensors *tensors) {
  writer w;
  lrp_status st = writer_init(&w, o, tensors);
  for (int64_t s = 0; st == LRP_OK && s < o->shards; s++) st = write_shard(&w, s);
  if (st == LRP_OK && o->shards > 1) st = write_index(&w);
  writer_free(&w);
  return st;
}
