#include "pipeline/efficiency_readings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "io/base/json_memory.h"
#include "pipeline/json_number.h"
#include "pipeline/provenance.h"

static const char *const phase_name[LRP_PHASES] = {"prefill", "decode"};

/* ---- what there is to measure ---------------------------------------------------------------- */

bool lrp_is_dense(const lrp_plan *plan, int configuration) {
  const int *rank = plan->configurations[configuration].rank;
  for (int i = 0; i < plan->layers * plan->tensors; i++) {
    if (rank[i] > 0) return false;
  }
  return true;
}

static void list_cases(const lrp_job *job, lrp_case *cases) {
  const lrp_counts *batch = &job->measure.batch_size, *length = &job->measure.sequence_length;
  for (int b = 0; b < batch->n; b++) {
    for (int l = 0; l < length->n; l++) {
      *cases++ = (lrp_case){.batch_size = batch->value[b], .sequence_length = length->value[l]};
    }
  }
}

static void list_order(const lrp_plan *plan, int *order) {
  int n = 0;
  for (int dense = 1; dense >= 0; dense--) {
    for (int c = 0; c < plan->n_configurations; c++) {
      if (lrp_is_dense(plan, c) == dense) order[n++] = c;
    }
  }
}

static lrp_status reserve(lrp_samples *samples, int64_t n) {
  samples->seconds = malloc((size_t)n * sizeof *samples->seconds);
  samples->joules = malloc((size_t)n * sizeof *samples->joules);
  if (samples->seconds && samples->joules) return LRP_OK;
  return lrp_fail_memory((size_t)n * sizeof *samples->seconds, "samples");
}

static int64_t count_readings(const lrp_readings *r) {
  return (int64_t)r->plan->n_configurations * r->n_cases;
}

static lrp_status reserve_readings(lrp_readings *r) {
  lrp_status st = LRP_OK;
  for (int64_t i = 0; st == LRP_OK && i < count_readings(r); i++) {
    for (int p = 0; st == LRP_OK && p < LRP_PHASES; p++) {
      st = reserve(&r->readings[i].phase[p], r->repeats);
    }
  }
  return st;
}

lrp_status lrp_readings_create(const lrp_job *job, const lrp_plan *plan, bool decodes,
                               lrp_readings *r) {
  const size_t n = (size_t)plan->n_configurations;
  *r = (lrp_readings){.plan = plan,
                      .n_cases = job->measure.batch_size.n * job->measure.sequence_length.n,
                      .repeats = job->measure.repeats,
                      .new_tokens = decodes ? job->measure.new_tokens : 0};
  r->n_phases = r->new_tokens > 0 ? LRP_PHASES : 1;
  r->cases = calloc((size_t)r->n_cases, sizeof *r->cases);
  r->order = calloc(n + 1, sizeof *r->order);
  r->readings = calloc(n * (size_t)r->n_cases + 1, sizeof *r->readings);
  r->others = json_array();
  lrp_status st = r->cases && r->order && r->readings && r->others
                      ? LRP_OK
                      : lrp_fail_memory(n * (size_t)r->n_cases * sizeof *r->readings, "samples");
  if (st == LRP_OK) {
    list_cases(job, r->cases);
    list_order(plan, r->order);
    st = reserve_readings(r);
    lrp_readings_forget(r);
  }
  if (st != LRP_OK) lrp_readings_free(r);
  return st;
}

void lrp_readings_forget(lrp_readings *r) {
  for (int64_t i = 0; i < count_readings(r); i++) {
    lrp_reading *reading = &r->readings[i];
    for (int p = 0; p < LRP_PHASES; p++) reading->phase[p].n = 0;
    reading->resident_weight_bytes = reading->peak_memory_bytes = -1;
    reading->packed = false;
  }
  json_array_clear(r->others);
}

void lrp_readings_free(lrp_readings *r) {
  for (int64_t i = 0; r->readings && i < count_readings(r); i++) {
    for (int p = 0; p < LRP_PHASES; p++) {
      free(r->readings[i].phase[p].seconds);
      free(r->readings[i].phase[p].joules);
    }
  }
  free(r->readings);
  free(r->order);
  free(r->cases);
  json_decref(r->others);
  *r = (lrp_readings){0};
}

/* ---- the schedule ---------------------------------------------------------------------------- */

lrp_reading *lrp_reading_of(const lrp_readings *r, int configuration, int number_of_case) {
  return &r->readings[(int64_t)configuration * r->n_cases + number_of_case];
}

bool lrp_readings_next(const lrp_readings *r, lrp_turn *turn) {
  int64_t fewest = r->repeats;
  for (int i = 0; i < r->plan->n_configurations; i++) {
    for (int k = 0; k < r->n_cases; k++) {
      for (int p = 0; p < r->n_phases; p++) {
        const int64_t n = lrp_reading_of(r, r->order[i], k)->phase[p].n;
        if (n >= fewest) continue;
        fewest = n;
        *turn =
            (lrp_turn){.configuration = r->order[i], .number_of_case = k, .phase = (lrp_phase)p};
      }
    }
  }
  return fewest < r->repeats;
}

int64_t lrp_readings_total(const lrp_readings *r) {
  return count_readings(r) * r->n_phases * r->repeats;
}

int64_t lrp_readings_done(const lrp_readings *r) {
  int64_t done = 0;
  for (int64_t i = 0; i < count_readings(r); i++) {
    for (int p = 0; p < r->n_phases; p++) {
      const int64_t n = r->readings[i].phase[p].n;
      done += n < r->repeats ? n : r->repeats;
    }
  }
  return done;
}

void lrp_readings_add(lrp_readings *r, lrp_turn turn, double seconds, double joules) {
  lrp_samples *s = &lrp_reading_of(r, turn.configuration, turn.number_of_case)->phase[turn.phase];
  s->seconds[s->n] = seconds;
  s->joules[s->n] = joules;
  s->n++;
}

/* ---- to the file ----------------------------------------------------------------------------- */

/* Tells configurations of the same name apart that had other ranks. */
static json_t *ranks_hash(const lrp_plan *plan, int configuration) {
  const size_t n = (size_t)plan->layers * (size_t)plan->tensors;
  return lrp_json_hash(XXH3_64bits(plan->configurations[configuration].rank, n * sizeof(int)));
}

static json_t *samples_json(const lrp_samples *samples) {
  json_t *seconds = json_array(), *joules = json_array();
  for (int64_t i = 0; i < samples->n; i++) {
    json_array_append_new(seconds, lrp_json_number(samples->seconds[i]));
    json_array_append_new(joules, lrp_json_number(samples->joules[i]));
  }
  return json_pack("{s:o, s:o}", "seconds", seconds, "joules", joules);
}

static json_t *reading_json(const lrp_readings *r, int c, int k) {
  const lrp_reading *reading = lrp_reading_of(r, c, k);
  json_t *entry = json_pack("{s:s, s:o, s:I, s:I, s:I, s:b, s:o, s:o}", "configuration",
                            r->plan->configurations[c].name, "ranks_xxh3", ranks_hash(r->plan, c),
                            "batch_size", (json_int_t)r->cases[k].batch_size, "sequence_length",
                            (json_int_t)r->cases[k].sequence_length, "new_tokens",
                            (json_int_t)r->new_tokens, "packed", reading->packed,
                            "resident_weight_bytes", lrp_json_count(reading->resident_weight_bytes),
                            "peak_memory_bytes", lrp_json_count(reading->peak_memory_bytes));
  for (int p = 0; entry && p < LRP_PHASES; p++) {
    json_object_set_new(entry, phase_name[p], samples_json(&reading->phase[p]));
  }
  return entry;
}

json_t *lrp_readings_to_json(const lrp_readings *r, json_t *settings) {
  json_t *entries = json_array();
  for (int c = 0; c < r->plan->n_configurations; c++) {
    for (int k = 0; k < r->n_cases; k++) {
      const lrp_reading *reading = lrp_reading_of(r, c, k);
      if (reading->phase[LRP_PREFILL].n == 0 && reading->phase[LRP_DECODE].n == 0) continue;
      json_array_append_new(entries, reading_json(r, c, k));
    }
  }
  json_array_extend(entries, r->others);
  return json_pack("{s:O, s:o}", "settings", settings, "measurements", entries);
}

/* ---- from the file --------------------------------------------------------------------------- */

static int64_t bytes_of(const json_t *value) {
  return json_is_integer(value) ? (int64_t)json_integer_value(value) : -1;
}

/* What an array has more than the samples that are asked for is kept, too. */
static lrp_status take_samples(const json_t *phase, int64_t most, lrp_samples *out) {
  const json_t *seconds = json_object_get(phase, "seconds");
  const json_t *joules = json_object_get(phase, "joules");
  const int64_t n = (int64_t)json_array_size(seconds);
  lrp_samples taken = {0};
  lrp_status st = reserve(&taken, n > most ? n : most);
  for (int64_t i = 0; st == LRP_OK && i < n; i++) {
    const json_t *s = json_array_get(seconds, (size_t)i), *j = json_array_get(joules, (size_t)i);
    if (!json_is_number(s) || json_number_value(s) <= 0.0) continue;
    taken.seconds[taken.n] = json_number_value(s);
    taken.joules[taken.n++] = json_is_number(j) ? json_number_value(j) : NAN;
  }
  lrp_samples *old = st == LRP_OK ? out : &taken;
  free(old->seconds);
  free(old->joules);
  if (st == LRP_OK) *out = taken;
  return st;
}

static lrp_status take_entry(const lrp_readings *r, const json_t *entry, lrp_reading *out) {
  const bool same_steps = json_integer_value(json_object_get(entry, "new_tokens")) == r->new_tokens;
  lrp_status st = LRP_OK;
  for (int p = 0; st == LRP_OK && p < LRP_PHASES; p++) {
    if (p == LRP_DECODE && !same_steps) continue;
    st = take_samples(json_object_get(entry, phase_name[p]), r->repeats, &out->phase[p]);
  }
  out->packed = json_is_true(json_object_get(entry, "packed"));
  out->resident_weight_bytes = bytes_of(json_object_get(entry, "resident_weight_bytes"));
  if (same_steps) out->peak_memory_bytes = bytes_of(json_object_get(entry, "peak_memory_bytes"));
  return st;
}

static bool same_text(const json_t *value, const char *text) {
  const char *s = json_string_value(value);
  return s && text && strcmp(s, text) == 0;
}

/* The configuration that an entry is of; -1: none of the job's. */
static int configuration_of(const lrp_readings *r, const json_t *entry) {
  const json_t *name = json_object_get(entry, "configuration");
  for (int c = 0; c < r->plan->n_configurations; c++) {
    if (!same_text(name, r->plan->configurations[c].name)) continue;
    json_t *hash = ranks_hash(r->plan, c);
    const bool same = same_text(json_object_get(entry, "ranks_xxh3"), json_string_value(hash));
    json_decref(hash);
    return same ? c : -1;
  }
  return -1;
}

static int case_of(const lrp_readings *r, const json_t *entry) {
  const json_int_t batch = json_integer_value(json_object_get(entry, "batch_size"));
  const json_int_t length = json_integer_value(json_object_get(entry, "sequence_length"));
  for (int k = 0; k < r->n_cases; k++) {
    if (r->cases[k].batch_size == batch && r->cases[k].sequence_length == length) return k;
  }
  return -1;
}

lrp_status lrp_readings_take(lrp_readings *r, const json_t *file) {
  const json_t *entries = json_object_get(file, "measurements");
  lrp_status st = LRP_OK;
  size_t i;
  json_t *entry;
  json_array_foreach(entries, i, entry) {
    const int c = configuration_of(r, entry), k = case_of(r, entry);
    if (c < 0 || k < 0) {
      json_array_append(r->others, entry);
    } else if (st == LRP_OK) {
      st = take_entry(r, entry, lrp_reading_of(r, c, k));
    }
  }
  return lrp_json_checked(st);
}
