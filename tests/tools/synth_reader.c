#include "tests/tools/synth_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *lrp_synth_slurp(const char *path, size_t *size) {
  FILE *f = fopen(path, "rb");
  char *bytes = NULL;
  *size = 0;
  if (!f) return NULL;
  if (fseek(f, 0, SEEK_END) == 0) {
    const long length = ftell(f);
    rewind(f);
    bytes = length >= 0 ? malloc((size_t)length + 1) : NULL;
    if (bytes) {
      *size = fread(bytes, 1, (size_t)length, f);
      bytes[*size] = '\0';
    }
  }
  fclose(f);
  return bytes;
}

static int64_t element_size(const json_t *entry) {
  const char *dtype = json_string_value(json_object_get(entry, "dtype"));
  if (dtype && strcmp(dtype, "F32") == 0) return 4;
  if (dtype && (strcmp(dtype, "F16") == 0 || strcmp(dtype, "BF16") == 0)) return 2;
  return 0;
}

/* Whether entry begins at *end, where it is put, and is as long as its shape says. */
static bool check_entry(const json_t *entry, int64_t *end) {
  const json_t *offsets = json_object_get(entry, "data_offsets");
  const json_t *dimension;
  size_t i;
  int64_t bytes = element_size(entry);
  const int64_t first = json_integer_value(json_array_get(offsets, 0));
  const int64_t last = json_integer_value(json_array_get(offsets, 1));
  json_array_foreach(json_object_get(entry, "shape"), i, dimension) {
    bytes *= json_integer_value(dimension);
  }
  if (json_array_size(offsets) != 2 || first != *end || last - first != bytes || bytes <= 0) {
    return false;
  }
  *end = last;
  return true;
}

static bool check_entries(const lrp_synth_weights *w) {
  const char *name;
  json_t *entry;
  int64_t end = 0;
  json_object_foreach(w->header, name, entry) {
    if (strcmp(name, "__metadata__") != 0 && !check_entry(entry, &end)) return false;
  }
  return w->data + end == w->bytes + w->size;
}

bool lrp_synth_weights_read(const char *path, lrp_synth_weights *out) {
  *out = (lrp_synth_weights){0};
  uint64_t length = 0;
  out->bytes = lrp_synth_slurp(path, &out->size);
  if (!out->bytes || out->size < 8) return false;
  for (int i = 7; i >= 0; i--) length = length << 8 | (unsigned char)out->bytes[i];
  if (length % 8 != 0 || length > out->size - 8 || out->bytes[8] != '{') return false;
  out->header = json_loadb(out->bytes + 8, length, JSON_REJECT_DUPLICATES, NULL);
  out->data = out->bytes + 8 + length;
  return out->header && check_entries(out);
}

void lrp_synth_weights_free(lrp_synth_weights *w) {
  json_decref(w->header);
  free(w->bytes);
  *w = (lrp_synth_weights){0};
}

const char *lrp_synth_weights_find(const lrp_synth_weights *w, const char *name, size_t *size,
                                   json_t **entry) {
  json_t *found = json_object_get(w->header, name);
  const json_t *offsets = json_object_get(found, "data_offsets");
  const json_int_t first = json_integer_value(json_array_get(offsets, 0));
  *size = (size_t)(json_integer_value(json_array_get(offsets, 1)) - first);
  if (entry) *entry = found;
  return found ? w->data + first : NULL;
}
