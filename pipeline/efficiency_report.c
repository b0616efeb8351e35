#include "pipeline/efficiency_report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "pipeline/efficiency_file.h"
#include "pipeline/interval.h"
#include "pipeline/json_number.h"
#include "pipeline/slope.h"
#include "pipeline/workload.h"

/* What a row is made from. */
typedef struct {
  const lrp_study *study;
  const json_t *shown; /* rows of tradeoff.json */
  lrp_readings readings;
  json_t *settings; /* owned */
} sources;

static const char *const phase_name[LRP_PHASES] = {"prefill", "decode"};

/* ---- rows ------------------------------------------------------------------------------------ */

static lrp_workload work_of(const sources *s, int c, int k, lrp_phase phase) {
  const lrp_study *study = s->study;
  const bool encoder = study->model.config.family == LRP_FAMILY_BERT;
  const lrp_case *one = &s->readings.cases[k];
  const lrp_workload_model model = {.config = &study->model.config,
                                    .rank = study->plan.configurations[c].rank,
                                    .operands = study->eval_dtype,
                                    .weights = lrp_model_dtype(&study->model),
                                    .packed = lrp_reading_of(&s->readings, c, k)->packed,
                                    .folded = !encoder,
                                    .method = study->job.decompose.method,
                                    .factors = study->store_dtype};
  if (phase == LRP_PREFILL) {
    return lrp_workload_prefill(&model, one->batch_size, one->sequence_length);
  }
  return lrp_workload_decode(&model, one->batch_size, one->sequence_length, s->readings.new_tokens);
}

/* Median and interval of the samples that the job asks for; NaN without any. */
static lrp_status middle(const sources *s, const double *samples, int64_t n, lrp_interval *out) {
  return lrp_interval_of(samples, n < s->readings.repeats ? n : s->readings.repeats, out);
}

/* {"seconds": ..., ...}; null if the phase has not been measured. */
static lrp_status phase_json(const sources *s, int c, int k, lrp_phase phase, json_t **out) {
  const lrp_samples *samples = &lrp_reading_of(&s->readings, c, k)->phase[phase];
  const lrp_case *one = &s->readings.cases[k];
  lrp_interval seconds, joules;
  *out = json_null();
  if (samples->n == 0 || (int)phase >= s->readings.n_phases) return LRP_OK;
  lrp_status st = middle(s, samples->seconds, samples->n, &seconds);
  if (st == LRP_OK) st = middle(s, samples->joules, samples->n, &joules);
  if (st != LRP_OK) return st;
  const int64_t length = phase == LRP_PREFILL ? one->sequence_length : 1;
  const lrp_workload work = work_of(s, c, k, phase);
  *out = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "seconds",
                   lrp_json_number(seconds.median), "seconds_low", lrp_json_number(seconds.low),
                   "seconds_high", lrp_json_number(seconds.high), "tokens_per_second",
                   lrp_json_number((double)(one->batch_size * length) / seconds.median), "joules",
                   lrp_json_number(joules.median), "joules_low", lrp_json_number(joules.low),
                   "joules_high", lrp_json_number(joules.high), "flops",
                   lrp_json_number(work.flops), "bytes", lrp_json_number(work.bytes));
  return LRP_OK;
}

static lrp_status add_row(const sources *s, int c, int k, json_t *rows) {
  const lrp_reading *reading = lrp_reading_of(&s->readings, c, k);
  const json_t *reduction =
      json_object_get(json_array_get(s->shown, (size_t)c), "reduction_percent");
  json_t *prefill = NULL, *decode = NULL;
  if (reading->phase[LRP_PREFILL].n == 0) return LRP_OK; /* not measured: layers are spread */
  lrp_status st = phase_json(s, c, k, LRP_PREFILL, &prefill);
  if (st == LRP_OK) st = phase_json(s, c, k, LRP_DECODE, &decode);
  if (st != LRP_OK) {
    json_decref(prefill);
    return st;
  }
  json_array_append_new(
      rows,
      json_pack("{s:s, s:O, s:I, s:I, s:o, s:o, s:o, s:o}", "configuration",
                s->study->plan.configurations[c].name, "reduction_percent", reduction, "batch_size",
                (json_int_t)s->readings.cases[k].batch_size, "sequence_length",
                (json_int_t)s->readings.cases[k].sequence_length, "prefill", prefill, "decode",
                decode, "resident_weight_bytes", lrp_json_count(reading->resident_weight_bytes),
                "peak_memory_bytes", lrp_json_count(reading->peak_memory_bytes)));
  return lrp_json_checked(LRP_OK);
}

/* ---- columns of the trade-off ---------------------------------------------------------------- */

/* "prefill_seconds" of a row, "peak_memory_bytes": borrowed, or NULL. */
static json_t *quantity_of(const json_t *row, const char *quantity) {
  const char *cut = strchr(quantity, '_');
  for (int p = 0; p < LRP_PHASES; p++) {
    if (strncmp(quantity, phase_name[p], (size_t)(cut - quantity)) != 0) continue;
    return json_object_get(json_object_get(row, phase_name[p]), cut + 1);
  }
  return json_object_get(row, quantity);
}

static const char *const quantities[] = {"prefill_seconds",       "decode_seconds",
                                         "prefill_joules",        "decode_joules",
                                         "resident_weight_bytes", "peak_memory_bytes"};
enum { n_quantities = sizeof quantities / sizeof *quantities };

static bool is_of_case(const json_t *row, const lrp_case *one) {
  return json_integer_value(json_object_get(row, "batch_size")) == one->batch_size &&
         json_integer_value(json_object_get(row, "sequence_length")) == one->sequence_length;
}

/* The row of a configuration in a case; NULL: not measured. */
static json_t *find_row(const json_t *rows, const char *configuration, const lrp_case *one) {
  size_t i;
  json_t *row;
  json_array_foreach(rows, i, row) {
    const char *name = json_string_value(json_object_get(row, "configuration"));
    if (name && strcmp(name, configuration) == 0 && is_of_case(row, one)) return row;
  }
  return NULL;
}

/* Those of the first case. */
static void add_columns(const sources *s, const json_t *measured, json_t *rows) {
  for (int c = 0; c < s->study->plan.n_configurations; c++) {
    json_t *shown = json_array_get(rows, (size_t)c);
    const json_t *row =
        find_row(measured, s->study->plan.configurations[c].name, &s->readings.cases[0]);
    for (int q = 0; q < n_quantities; q++) {
      json_t *value = row ? quantity_of(row, quantities[q]) : NULL;
      if (value) {
        json_object_set(shown, quantities[q], value);
      } else {
        json_object_set_new(shown, quantities[q], json_null());
      }
    }
  }
}

/* ---- slopes ---------------------------------------------------------------------------------- */

/* The row of the dense configuration in a case; NULL: there is none. */
static const json_t *dense_row(const sources *s, const json_t *rows, const lrp_case *one) {
  const lrp_plan *plan = &s->study->plan;
  for (int c = 0; c < plan->n_configurations; c++) {
    if (!lrp_is_dense(plan, c)) continue;
    const json_t *row = find_row(rows, plan->configurations[c].name, one);
    if (row) return row;
  }
  return NULL;
}

static double value_or_nan(const json_t *value) {
  return json_is_number(value) ? json_number_value(value) : NAN;
}

/* x, y: room for a point of each row */
static void add_slope(const json_t *rows, const json_t *dense, const lrp_case *one,
                      const char *quantity, double *x, double *y, json_t *slopes) {
  const double base = value_or_nan(quantity_of(dense, quantity));
  int64_t n = 0;
  size_t i;
  json_t *row;
  json_array_foreach(rows, i, row) {
    if (!is_of_case(row, one)) continue;
    x[n] = value_or_nan(json_object_get(row, "reduction_percent"));
    y[n++] = lrp_saving_percent(base, value_or_nan(quantity_of(row, quantity)));
  }
  const lrp_slope slope = lrp_slope_of(x, y, n);
  if (!isfinite(slope.slope)) return;
  json_array_append_new(
      slopes, json_pack("{s:I, s:I, s:s, s:o, s:o, s:I}", "batch_size", (json_int_t)one->batch_size,
                        "sequence_length", (json_int_t)one->sequence_length, "quantity", quantity,
                        "percent_per_percent", lrp_json_number(slope.slope), "stderr",
                        lrp_json_number(slope.error), "n", (json_int_t)slope.n));
}

static lrp_status add_slopes(const sources *s, const json_t *rows, json_t *slopes) {
  const size_t n = json_array_size(rows) + 1;
  double *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
  lrp_status st = x && y ? LRP_OK : lrp_fail_memory(n * sizeof *x, "slopes");
  for (int k = 0; st == LRP_OK && k < s->readings.n_cases; k++) {
    const lrp_case *one = &s->readings.cases[k];
    const json_t *dense = dense_row(s, rows, one);
    for (int q = 0; dense && q < n_quantities; q++) {
      add_slope(rows, dense, one, quantities[q], x, y, slopes);
    }
  }
  free(y);
  free(x);
  return lrp_json_checked(st);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static json_t *device_json(const json_t *settings) {
  json_t *device = json_object();
  static const char *const keys[] = {"host", "cpu", "threads", "dtype", "energy", "energy_reason"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    json_t *value = json_object_get(settings, keys[i]);
    json_object_set_new(device, keys[i], value ? json_incref(value) : json_null());
  }
  return device;
}

static json_t *cases_json(const lrp_readings *readings) {
  json_t *cases = json_array();
  for (int k = 0; k < readings->n_cases; k++) {
    json_array_append_new(
        cases, json_pack("{s:I, s:I}", "batch_size", (json_int_t)readings->cases[k].batch_size,
                         "sequence_length", (json_int_t)readings->cases[k].sequence_length));
  }
  return cases;
}

/* What the interval is, by the number of samples. */
static lrp_status interval_text(int64_t repeats, char text[160]) {
  lrp_interval interval;
  if (repeats == 1) {
    snprintf(text, 160, "none, of one sample");
    return LRP_OK;
  }
  double *samples = calloc((size_t)repeats, sizeof *samples);
  if (!samples) return lrp_fail_memory((size_t)repeats * sizeof *samples, "samples");
  const lrp_status st = lrp_interval_of(samples, repeats, &interval);
  free(samples);
  if (st == LRP_OK) {
    snprintf(text, 160, "%.4g %% interval of the median of %lld samples, by order statistics",
             100.0 * interval.coverage, (long long)repeats);
  }
  return st;
}

static lrp_status make_json(const sources *s, json_t **out) {
  json_t *rows = json_array(), *slopes = json_array();
  char interval[160] = "";
  lrp_status st = interval_text(s->readings.repeats, interval);
  for (int c = 0; st == LRP_OK && c < s->study->plan.n_configurations; c++) {
    for (int k = 0; st == LRP_OK && k < s->readings.n_cases; k++) st = add_row(s, c, k, rows);
  }
  if (st == LRP_OK) st = add_slopes(s, rows, slopes);
  if (st == LRP_OK) {
    *out = json_pack("{s:o, s:I, s:I, s:s, s:o, s:O, s:O}", "device", device_json(s->settings),
                     "repeats", (json_int_t)s->readings.repeats, "new_tokens",
                     (json_int_t)s->readings.new_tokens, "interval", interval, "cases",
                     cases_json(&s->readings), "rows", rows, "slopes", slopes);
  }
  json_decref(slopes);
  json_decref(rows);
  return lrp_json_checked(st);
}

/* ---- efficiency.csv -------------------------------------------------------------------------- */

static void print_cell(FILE *f, const json_t *value) {
  if (json_is_string(value)) fputs(json_string_value(value), f);
  if (json_is_integer(value)) fprintf(f, "%lld", (long long)json_integer_value(value));
  if (json_is_real(value)) fprintf(f, "%.9g", json_real_value(value));
}

static void print_cells(FILE *f, const json_t *object, const char *const *keys, int n) {
  for (int i = 0; i < n; i++) {
    fputc(',', f);
    print_cell(f, json_object_get(object, keys[i]));
  }
}

static void print_rows(FILE *f, const json_t *rows) {
  static const char *const of_row[] = {"reduction_percent", "batch_size", "sequence_length"};
  static const char *const of_phase[] = {"seconds",           "seconds_low", "seconds_high",
                                         "tokens_per_second", "joules",      "joules_low",
                                         "joules_high",       "flops",       "bytes"};
  static const char *const of_memory[] = {"resident_weight_bytes", "peak_memory_bytes"};
  size_t i;
  json_t *row;
  fputs("configuration,reduction_percent,batch_size,sequence_length,phase", f);
  for (size_t k = 0; k < sizeof of_phase / sizeof *of_phase; k++) fprintf(f, ",%s", of_phase[k]);
  fputs(",resident_weight_bytes,peak_memory_bytes\n", f);
  json_array_foreach(rows, i, row) {
    for (int p = 0; p < LRP_PHASES; p++) {
      const json_t *phase = json_object_get(row, phase_name[p]);
      if (!json_is_object(phase)) continue;
      print_cell(f, json_object_get(row, "configuration"));
      print_cells(f, row, of_row, sizeof of_row / sizeof *of_row);
      fprintf(f, ",%s", phase_name[p]);
      print_cells(f, phase, of_phase, sizeof of_phase / sizeof *of_phase);
      print_cells(f, row, of_memory, sizeof of_memory / sizeof *of_memory);
      fputc('\n', f);
    }
  }
}

static lrp_status write_csv(const char *path, const json_t *rows) {
  lrp_file_writer w;
  const lrp_status st = lrp_file_writer_open(&w, path);
  if (st != LRP_OK) return st;
  print_rows(w.stream, rows);
  return lrp_file_writer_commit(&w);
}

/* What another job left would be taken for this one's. */
static lrp_status remove_csv(const char *path) {
  if (unlink(path) == 0 || errno == ENOENT) return LRP_OK;
  return lrp_fail_errno(path, "remove", LRP_OK, LRP_ERR_IO);
}

/* Samples of the job's configurations; none without the file, or of other settings. */
static lrp_status open_sources(const lrp_study *study, const json_t *rows, sources *s) {
  const bool decodes = study->model.config.family != LRP_FAMILY_BERT;
  json_t *file = NULL;
  *s = (sources){.study = study, .shown = rows};
  lrp_status st = lrp_readings_create(&study->job, &study->plan, decodes, &s->readings);
  if (st == LRP_OK) st = lrp_measurements_read(study, &file);
  if (st == LRP_OK && file) {
    st = lrp_readings_take(&s->readings, file);
    s->settings = json_incref(json_object_get(file, "settings"));
  }
  json_decref(file);
  return st;
}

static void close_sources(sources *s) {
  if (s->readings.plan) lrp_readings_free(&s->readings);
  json_decref(s->settings);
}

lrp_status lrp_efficiency_report(const lrp_study *study, json_t *rows, json_t **out) {
  char *path = lrp_path_join(study->job.output, "efficiency.csv");
  sources s = {.study = NULL};
  lrp_status st = path ? LRP_OK : LRP_ERR_MEM;
  *out = NULL;
  if (st == LRP_OK && study->job.measure.given) {
    st = open_sources(study, rows, &s);
    if (st == LRP_OK) st = make_json(&s, out);
    if (st == LRP_OK) add_columns(&s, json_object_get(*out, "rows"), rows);
  }
  const bool measured = json_array_size(json_object_get(*out, "rows")) > 0;
  if (st == LRP_OK) {
    st = measured ? write_csv(path, json_object_get(*out, "rows")) : remove_csv(path);
  }
  if (st == LRP_OK && !measured) {
    json_decref(*out);
    *out = json_null();
  }
  if (st != LRP_OK) {
    json_decref(*out);
    *out = NULL;
  }
  close_sources(&s);
  free(path);
  return lrp_json_checked(st);
}

lrp_status lrp_efficiency_is_current(const lrp_study *study, bool *current) {
  bool there = false, measured = false;
  sources s = {.study = NULL};
  char *path = lrp_path_join(study->job.output, "efficiency.csv");
  lrp_status st = path ? LRP_OK : LRP_ERR_MEM;
  if (st == LRP_OK) there = lrp_file_exists(path);
  if (st == LRP_OK && study->job.measure.given) {
    st = open_sources(study, NULL, &s);
    measured = st == LRP_OK && lrp_readings_done(&s.readings) > 0;
  }
  *current = *current && there == measured;
  close_sources(&s);
  free(path);
  return st;
}
