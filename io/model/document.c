#include "io/model/document.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

lrp_status lrp_document_bad(const lrp_document *d, const char *key, const json_t *value,
                            const char *expected) {
  char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
  const lrp_status st = lrp_fail(LRP_ERR_DATA, "%s: %s: expected %s, got %.100s", d->path, key,
                                 expected, text ? text : "?");
  free(text);
  return st;
}

const json_t *lrp_document_member(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  return json_is_null(value) ? NULL : value;
}

lrp_status lrp_document_integer(const lrp_document *d, const char *key, int64_t min, int64_t max,
                                int64_t fallback, int64_t *out) {
  const json_t *value = lrp_document_member(d->root, key);
  char expected[80];

  *out = fallback;
  if (!value && fallback >= min) return LRP_OK;
  if (!value) return lrp_fail(LRP_ERR_DATA, "%s: key %s is missing", d->path, key);
  *out = json_integer_value(value);
  if (json_is_integer(value) && *out >= min && *out <= max) return LRP_OK;
  snprintf(expected, sizeof expected, "an integer in %" PRId64 " .. %" PRId64, min, max);
  return lrp_document_bad(d, key, value, expected);
}

lrp_status lrp_document_int(const lrp_document *d, const char *key, int64_t max, int64_t fallback,
                            int *out) {
  int64_t value;
  const lrp_status st = lrp_document_integer(d, key, 1, max, fallback, &value);
  if (st == LRP_OK) *out = (int)value;
  return st;
}

lrp_status lrp_document_number(const lrp_document *d, const char *name, const json_t *value,
                               double *out) {
  *out = json_number_value(value);
  if (json_is_number(value) && isfinite(*out) && *out > 0.0) return LRP_OK;
  return lrp_document_bad(d, name, value, "a number > 0");
}

lrp_status lrp_document_positive(const lrp_document *d, const json_t *object, const char *key,
                                 double *out) {
  const json_t *value = lrp_document_member(object, key);
  return value ? lrp_document_number(d, key, value, out) : LRP_OK;
}

lrp_status lrp_document_bool(const lrp_document *d, const char *key, bool *out) {
  const json_t *value = lrp_document_member(d->root, key);
  *out = json_is_true(value);
  if (!value || json_is_boolean(value)) return LRP_OK;
  return lrp_document_bad(d, key, value, "true or false");
}
