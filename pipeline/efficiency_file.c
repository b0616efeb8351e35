#include "pipeline/efficiency_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "kernels/linalg/factors.h"
#include "pipeline/calibration.h"
#include "pipeline/provenance.h"

static const char file_name[] = "measurements.json";
static const size_t bytes_max = (size_t)1 << 30;

json_t *lrp_measure_settings(const lrp_study *study, int threads, const char *domains,
                             const char *reason) {
  const lrp_machine machine = lrp_machine_here(threads, 1);
  char host[256] = "?";
  gethostname(host, sizeof host - 1);
  return json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:s, s:i, s:s?, s:s?}", "lrpipe", LRP_VERSION,
                   "model", lrp_model_files(study), "method",
                   lrp_method_name(study->job.decompose.method), "factors",
                   lrp_dtype_name(study->store_dtype), "dtype", lrp_dtype_name(study->eval_dtype),
                   "host", host, "cpu", machine.processor, "threads", threads, "energy", domains,
                   "energy_reason", domains ? NULL : reason);
}

static void describe(const json_t *value, char *text, size_t size) {
  if (json_is_string(value)) {
    snprintf(text, size, "%s", json_string_value(value));
  } else if (json_is_integer(value)) {
    snprintf(text, size, "%lld", (long long)json_integer_value(value));
  } else {
    snprintf(text, size, "another");
  }
}

/* Whether they differ in one of the keys; then which, and how. */
static bool differ_in(const json_t *before, const json_t *now, const char *const *keys, size_t n,
                      char reason[LRP_SETTINGS_REASON]) {
  for (size_t i = 0; i < n; i++) {
    const json_t *a = json_object_get(before, keys[i]), *b = json_object_get(now, keys[i]);
    char was[100], is[100];
    if (json_equal(a, b)) continue;
    describe(a, was, sizeof was);
    describe(b, is, sizeof is);
    snprintf(reason, LRP_SETTINGS_REASON, "%s: %s, before %s", keys[i], is, was);
    return true;
  }
  return false;
}

lrp_difference lrp_settings_difference(const json_t *before, const json_t *now,
                                       char reason[LRP_SETTINGS_REASON]) {
  static const char *const measured[] = {"method", "factors", "dtype"}, *const machine[] = {
                                                                            "lrpipe", "cpu",
                                                                            "threads"};
  const json_t *counted = json_object_get(before, "energy"),
               *counts = json_object_get(now, "energy");
  reason[0] = '\0';
  if (!json_equal(json_object_get(before, "model"), json_object_get(now, "model"))) {
    snprintf(reason, LRP_SETTINGS_REASON, "the model's files are others");
    return LRP_DIFFERENT_MEASUREMENT;
  }
  if (differ_in(before, now, measured, sizeof measured / sizeof *measured, reason)) {
    return LRP_DIFFERENT_MEASUREMENT;
  }
  if (differ_in(before, now, machine, sizeof machine / sizeof *machine, reason)) {
    return LRP_DIFFERENT_MACHINE;
  }
  if (!json_is_string(counts) || json_equal(counted, counts)) return LRP_SAME_SETTINGS;
  snprintf(reason, LRP_SETTINGS_REASON, "energy: %s, before %s", json_string_value(counts),
           json_is_string(counted) ? json_string_value(counted) : "not available");
  return LRP_DIFFERENT_MACHINE;
}

lrp_status lrp_measurements_read(const lrp_study *study, json_t **file) {
  char *path = lrp_path_join(study->job.output, file_name), *text = NULL;
  size_t size = 0;
  lrp_status st = path ? LRP_OK : LRP_ERR_MEM;
  *file = NULL;
  if (st == LRP_OK && lrp_file_exists(path)) {
    st = lrp_file_read(path, bytes_max, &text, &size);
    if (st == LRP_OK) *file = json_loadb(text, size, 0, NULL);
    if (st == LRP_OK && !json_is_array(json_object_get(*file, "measurements"))) {
      json_decref(*file);
      *file = NULL;
      st = lrp_json_checked(
          lrp_fail(LRP_ERR_DATA, "%s: is damaged; remove it to measure anew", path));
    }
  }
  free(text);
  free(path);
  return st;
}

lrp_status lrp_measurements_write(const lrp_study *study, const lrp_readings *readings,
                                  json_t *settings) {
  char *path = lrp_path_join(study->job.output, file_name), *text = NULL;
  json_t *file = lrp_readings_to_json(readings, settings);
  lrp_status st = path ? LRP_OK : LRP_ERR_MEM;
  if (st == LRP_OK && file) text = json_dumps(file, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
  if (st == LRP_OK && !text) st = lrp_fail_memory(0, path);
  st = lrp_json_checked(st);
  if (st == LRP_OK) st = lrp_file_write(path, text, strlen(text));
  json_decref(file);
  free(text);
  free(path);
  return st;
}
