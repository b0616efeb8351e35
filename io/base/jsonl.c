#include "io/base/jsonl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"

/* A benchmark has some 10 MiB; what is larger is not a data set of rows to score. */
static const size_t max_file = (size_t)4 << 30;
static const size_t max_line = (size_t)64 << 20;

static const char *type_name(const json_t *value) {
  if (!value) return "nothing";
  switch (json_typeof(value)) {
    case JSON_OBJECT:
      return "an object";
    case JSON_ARRAY:
      return "an array";
    case JSON_STRING:
      return "a string";
    case JSON_INTEGER:
      return "an integer";
    case JSON_REAL:
      return "a real number";
    case JSON_TRUE:
    case JSON_FALSE:
      return "a boolean";
    case JSON_NULL:
      return "null";
  }
  return "?";
}

static bool is_blank(const char *line, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') return false;
  }
  return true;
}

static lrp_status parse_row(const char *path, int64_t number, const char *line, size_t size,
                            json_t **row) {
  json_error_t error;
  const long long n = (long long)number;

  if (size > max_line) {
    return lrp_fail(LRP_ERR_DATA, "%s:%lld: line of %zu bytes, more than %zu", path, n, size,
                    max_line);
  }
  if (memchr(line, '\0', size)) {
    return lrp_fail(LRP_ERR_DATA, "%s:%lld: NUL byte in the line", path, n);
  }
  *row = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
  if (!*row) {
    return lrp_json_checked(lrp_fail(LRP_ERR_DATA, "%s:%lld: not valid JSON: %s (byte %d)", path, n,
                                     error.text, error.position));
  }
  if (!json_is_object(*row)) {
    const char *got = type_name(*row);
    json_decref(*row);
    *row = NULL;
    return lrp_fail(LRP_ERR_DATA, "%s:%lld: expected an object, got %s", path, n, got);
  }
  return LRP_OK;
}

/* Room for one more row. */
static lrp_status grow(lrp_jsonl *j, int64_t *capacity) {
  const int64_t wanted = *capacity ? 2 * *capacity : 64;
  json_t **rows;
  int64_t *lines;

  if (j->count < *capacity) return LRP_OK;
  rows = realloc(j->rows, (size_t)wanted * sizeof *rows);
  if (rows) j->rows = rows;
  lines = realloc(j->lines, (size_t)wanted * sizeof *lines);
  if (lines) j->lines = lines;
  if (!rows || !lines) return lrp_fail_memory((size_t)wanted * sizeof *rows, j->path);
  *capacity = wanted;
  return LRP_OK;
}

static lrp_status parse_lines(lrp_jsonl *j, const char *data, size_t size) {
  int64_t capacity = 0;
  int64_t number = 0;
  lrp_status st = LRP_OK;

  for (size_t start = 0; start < size && st == LRP_OK; number++) {
    const char *line = data + start;
    const char *newline = memchr(line, '\n', size - start);
    const size_t length = newline ? (size_t)(newline - line) : size - start;
    start += length + 1;
    if (is_blank(line, length)) continue; /* the '\r' of CRLF is white space to JSON, too */
    st = grow(j, &capacity);
    if (st == LRP_OK) st = parse_row(j->path, number + 1, line, length, &j->rows[j->count]);
    if (st == LRP_OK) j->lines[j->count++] = number + 1;
  }
  if (st == LRP_OK && j->count == 0) st = lrp_fail(LRP_ERR_DATA, "%s: no rows", j->path);
  return st;
}

lrp_status lrp_jsonl_read(const char *path, lrp_jsonl *out) {
  char *data = NULL;
  size_t size = 0;
  lrp_status st;

  memset(out, 0, sizeof *out);
  st = lrp_file_read(path, max_file, &data, &size);
  if (st != LRP_OK) return st;
  out->xxh3 = XXH3_64bits(data, size);
  out->path = strdup(path);
  st = out->path ? parse_lines(out, data, size) : lrp_fail_memory(strlen(path) + 1, "a path");
  free(data);
  if (st != LRP_OK) lrp_jsonl_free(out);
  return st;
}

void lrp_jsonl_free(lrp_jsonl *j) {
  for (int64_t i = 0; i < j->count; i++) json_decref(j->rows[i]);
  free(j->rows);
  free(j->lines);
  free(j->path);
  memset(j, 0, sizeof *j);
}

lrp_status lrp_jsonl_fail(const lrp_jsonl *j, int64_t i, const char *fmt, ...) {
  char text[1024];
  va_list ap;

  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  return lrp_fail(LRP_ERR_DATA, "%s:%lld: %s", j->path, (long long)j->lines[i], text);
}

/* The value at a path of keys through objects, "a.b"; NULL if there is none. */
static json_t *lookup(const lrp_jsonl *j, int64_t i, const char *field) {
  json_t *value = j->rows[i];
  char key[128];

  while (value) {
    const size_t n = strcspn(field, ".");
    if (n >= sizeof key) return NULL;
    memcpy(key, field, n);
    key[n] = '\0';
    value = json_object_get(value, key); /* NULL for what is not an object */
    if (field[n] == '\0') break;
    field += n + 1;
  }
  return value;
}

static lrp_status wrong_type(const lrp_jsonl *j, int64_t i, const char *field, const char *expected,
                             const json_t *got) {
  return lrp_jsonl_fail(j, i, "field %s: expected %s, got %s", field, expected, type_name(got));
}

lrp_status lrp_jsonl_text(const lrp_jsonl *j, int64_t i, const char *field, const char **text) {
  const json_t *value = lookup(j, i, field);
  if (!json_is_string(value)) return wrong_type(j, i, field, "a string", value);
  *text = json_string_value(value);
  return LRP_OK;
}

lrp_status lrp_jsonl_array(const lrp_jsonl *j, int64_t i, const char *field, json_t **array) {
  json_t *value = lookup(j, i, field);
  if (!json_is_array(value)) return wrong_type(j, i, field, "an array", value);
  *array = value;
  return LRP_OK;
}

/* "017" is 17; no sign, no space, no more than int64_t holds. */
static bool parse_digits(const char *text, int64_t *value) {
  int64_t v = 0;
  if (!*text) return false;
  for (; *text; text++) {
    if (*text < '0' || *text > '9') return false;
    if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *text - '0', &v)) {
      return false;
    }
  }
  *value = v;
  return true;
}

lrp_status lrp_jsonl_integer(const lrp_jsonl *j, int64_t i, const char *field, int64_t *value) {
  static const char expected[] = "an integer or a string of digits";
  const json_t *v = lookup(j, i, field);

  if (json_is_integer(v)) {
    *value = json_integer_value(v);
    return LRP_OK;
  }
  if (json_is_string(v)) {
    if (parse_digits(json_string_value(v), value)) return LRP_OK;
    return lrp_jsonl_fail(j, i, "field %s: expected %s, got \"%.100s\"", field, expected,
                          json_string_value(v));
  }
  return wrong_type(j, i, field, expected, v);
}
