/* The files of a report that are tables or JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "pipeline/partition.h"
#include "pipeline/report.h"
#include "pipeline/report_parts.h"

enum { json_bytes_max = 1 << 30 };

void lrp_report_number(FILE *f, double x) {
  char text[40];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, x);
    if (strtod(text, NULL) == x) break;
  }
  fputs(isnan(x) ? "" : text, f);
}

static void print_cell(FILE *f, const json_t *value) {
  if (json_is_string(value)) fputs(json_string_value(value), f);
  if (json_is_integer(value)) fprintf(f, "%lld", (long long)json_integer_value(value));
  if (json_is_real(value)) lrp_report_number(f, json_real_value(value));
}

lrp_status lrp_report_rows_csv(const json_t *rows, const char *path) {
  lrp_file_writer w;
  lrp_status st = lrp_file_writer_open(&w, path);
  size_t i;
  json_t *row, *value;
  const char *key, *comma = "";

  if (st != LRP_OK) return st;
  FILE *f = w.stream;
  json_object_foreach(json_array_get(rows, 0), key, value) {
    fprintf(f, "%s%s", comma, key);
    comma = ",";
  }
  fputc('\n', f);
  json_array_foreach(rows, i, row) {
    comma = "";
    json_object_foreach(row, key, value) {
      fputs(comma, f);
      print_cell(f, value);
      comma = ",";
    }
    fputc('\n', f);
  }
  return lrp_file_writer_commit(&w);
}

/* Whether value has no object inside: it is one line then. */
static bool is_flat(const json_t *value) {
  const char *key;
  json_t *item;
  size_t i;
  json_array_foreach(value, i, item) {
    if (json_is_object(item) || !is_flat(item)) return false;
  }
  json_object_foreach((json_t *)(uintptr_t)value, key, item) {
    if (json_is_object(item) || !is_flat(item)) return false;
  }
  return true;
}

static bool print_flat(FILE *f, const json_t *value) {
  return json_dumpf(value, f, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17)) == 0;
}

static bool print_json(FILE *f, const json_t *value, int indent);

static bool print_array(FILE *f, const json_t *array, int indent) {
  bool ok = true;
  const json_t *item;
  size_t i;
  json_array_foreach(array, i, item) {
    fprintf(f, "%s\n%*s", i > 0 ? "," : "[", indent + 2, "");
    ok = ok && print_json(f, item, indent + 2);
  }
  fprintf(f, "\n%*s]", indent, "");
  return ok;
}

static bool print_object(FILE *f, const json_t *object, int indent) {
  bool ok = true;
  const char *key, *before = "{";
  json_t *item;
  json_object_foreach((json_t *)(uintptr_t)object, key, item) {
    json_t *name = json_string(key);
    fprintf(f, "%s\n%*s", before, indent + 2, "");
    ok = ok && name && print_flat(f, name);
    fputs(": ", f);
    ok = ok && print_json(f, item, indent + 2);
    json_decref(name);
    before = ",";
  }
  fprintf(f, "\n%*s}", indent, "");
  return ok;
}

/* Rows of tables are a line each. */
static bool print_json(FILE *f, const json_t *value, int indent) {
  if (is_flat(value)) return print_flat(f, value);
  return json_is_array(value) ? print_array(f, value, indent) : print_object(f, value, indent);
}

lrp_status lrp_report_json(const json_t *value, const char *path) {
  lrp_file_writer w;
  lrp_status st = lrp_file_writer_open(&w, path);
  if (st != LRP_OK) return st;
  const bool ok = print_json(w.stream, value, 0);
  fputc('\n', w.stream);
  if (ok || ferror(w.stream)) return lrp_file_writer_commit(&w);
  lrp_file_writer_discard(&w);
  return lrp_fail_memory(0, path);
}

lrp_status lrp_report_read(const char *output, json_t **all) {
  char *path = lrp_path_join(output, "tradeoff.json"), *text = NULL;
  size_t size;
  lrp_status st = path ? LRP_OK : LRP_ERR_MEM;

  *all = NULL;
  if (path && !lrp_file_exists(path)) {
    st = lrp_fail(LRP_ERR_ABSENT, "%s: there is no complete report yet; run the job first", path);
  }
  if (st == LRP_OK) st = lrp_file_read(path, json_bytes_max, &text, &size);
  if (st == LRP_OK) {
    *all = json_loadb(text, size, 0, NULL);
    if (!json_is_array(json_object_get(*all, "configurations"))) {
      st = lrp_json_checked(lrp_fail(LRP_ERR_DATA, "%s: is damaged; run the job again", path));
    }
  }
  free(text);
  free(path);
  return st;
}
