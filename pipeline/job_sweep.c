/* The entries of sweep: which configurations they make is written by their keys. */
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/job_keys.h"
#include "pipeline/words.h"

static const char list_name[] = "sweep[]";

static void free_sets(lrp_sets *sets) {
  for (int i = 0; i < sets->n; i++) lrp_job_configuration_free(&sets->sets[i]);
  free(sets->sets);
  *sets = (lrp_sets){0};
}

void lrp_sweep_entry_free(lrp_job_sweep *sweep) {
  free(sweep->name);
  free(sweep->origin);
  free_sets(&sweep->layers);
  free_sets(&sweep->tensors);
  free(sweep->strides.values);
  free(sweep->counts.values);
  free(sweep->values.values);
  memset(sweep, 0, sizeof *sweep);
}

lrp_status lrp_entry_read_sweep_name(const lrp_yaml *y, const yaml_node_t *node,
                                     const lrp_job_key *key, void *entry) {
  lrp_job_sweep *s = entry;
  return lrp_read_name(y, node, lrp_job_key_leaf(key), &s->name);
}

void lrp_entry_write_sweep_name(FILE *out, const lrp_job_key *key, const void *entry) {
  const lrp_job_sweep *s = entry;
  (void)key;
  lrp_write_quoted(out, s->name);
}

/* ---- layers and tensors ---- */

static bool is_layers(const lrp_job_key *key) {
  return key->offset == offsetof(lrp_job_sweep, layers);
}

static lrp_status read_set(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                           lrp_job_configuration *set) {
  return is_layers(key) ? lrp_entry_read_layers(y, node, key, set)
                        : lrp_entry_read_tensors(y, node, key, set);
}

/* A list in a list makes all of its members sets of their own. */
static bool is_list_of_sets(const lrp_yaml *y, const yaml_node_t *node) {
  if (!lrp_yaml_is_list(node)) return false;
  for (int i = 0; i < lrp_yaml_list_size(node); i++) {
    if (lrp_yaml_is_list(lrp_yaml_item(y, node, i))) return true;
  }
  return false;
}

/* name: set */
static lrp_status read_named_set(const lrp_yaml *y, const yaml_node_t *map, int i,
                                 const lrp_job_key *key, lrp_job_configuration *set) {
  const char *name;
  lrp_status st = lrp_yaml_key_text(y, map, i, &name);

  (void)name; /* what it may be is checked below */
  if (st == LRP_OK) {
    st = lrp_read_name(y, lrp_yaml_map_key(y, map, i), lrp_job_key_leaf(key), &set->name);
  }
  return st == LRP_OK ? read_set(y, lrp_yaml_map_value(y, map, i), key, set) : st;
}

lrp_status lrp_entry_read_sets(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                               void *entry) {
  lrp_sets *sets = (lrp_sets *)((char *)entry + key->offset);
  lrp_status st = LRP_OK;

  sets->form = lrp_yaml_is_map(node)      ? LRP_SETS_NAMED
               : is_list_of_sets(y, node) ? LRP_SETS_NUMBERED
                                          : LRP_SETS_ONE;
  const int n = sets->form == LRP_SETS_NAMED      ? lrp_yaml_map_size(node)
                : sets->form == LRP_SETS_NUMBERED ? lrp_yaml_list_size(node)
                                                  : 1;
  if (n == 0) return lrp_yaml_fail(y, node, "%s: an empty map", lrp_job_key_leaf(key));
  sets->sets = calloc((size_t)n, sizeof *sets->sets);
  if (!sets->sets) return lrp_fail_memory((size_t)n * sizeof *sets->sets, key->path);
  sets->n = n;
  for (int i = 0; st == LRP_OK && i < n; i++) {
    lrp_job_configuration *set = &sets->sets[i];
    if (sets->form == LRP_SETS_NAMED) st = read_named_set(y, node, i, key, set);
    if (sets->form == LRP_SETS_NUMBERED) st = read_set(y, lrp_yaml_item(y, node, i), key, set);
    if (sets->form == LRP_SETS_ONE) st = read_set(y, node, key, set);
  }
  return st;
}

void lrp_entry_write_sets(FILE *out, const lrp_job_key *key, const void *entry) {
  const lrp_sets *sets = (const lrp_sets *)((const char *)entry + key->offset);
  const bool named = sets->form == LRP_SETS_NAMED, one = sets->form == LRP_SETS_ONE;

  for (int i = 0; i < sets->n; i++) {
    const lrp_job_configuration *set = &sets->sets[i];
    if (!one) fputs(i > 0 ? ", " : named ? "{" : "[", out);
    if (named) {
      lrp_write_quoted(out, set->name);
      fputs(": ", out);
    }
    if (is_layers(key)) {
      lrp_entry_write_layers(out, key, set);
    } else {
      lrp_entry_write_tensors(out, key, set);
    }
  }
  if (!one) fputc(named ? '}' : ']', out);
}

/* ---- numbers ---- */

static lrp_status read_number(const lrp_yaml *y, const yaml_node_t *node, const char *key,
                              bool integer, double *value) {
  int64_t v = 0;
  lrp_status st;

  if (!integer) return lrp_yaml_fraction(y, node, key, value);
  st = lrp_yaml_integer(y, node, key, "an integer >= 1", 1, INT_MAX, &v);
  *value = (double)v;
  return st;
}

static lrp_status read_numbers(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                               bool integer, lrp_numbers *numbers) {
  const bool is_list = lrp_yaml_is_list(node);
  const int n = is_list ? lrp_yaml_list_size(node) : 1;
  const char *name = lrp_job_key_leaf(key);
  lrp_status st = LRP_OK;

  if (n == 0) return lrp_yaml_fail(y, node, "%s: an empty list", name);
  numbers->values = calloc((size_t)n, sizeof *numbers->values);
  if (!numbers->values) return lrp_fail_memory((size_t)n * sizeof *numbers->values, key->path);
  numbers->swept = is_list;
  numbers->n = n;
  for (int i = 0; st == LRP_OK && i < n; i++) {
    st = read_number(y, is_list ? lrp_yaml_item(y, node, i) : node, name, integer,
                     &numbers->values[i]);
  }
  return st;
}

lrp_status lrp_entry_read_numbers(const lrp_yaml *y, const yaml_node_t *node,
                                  const lrp_job_key *key, void *entry) {
  return read_numbers(y, node, key, true, (lrp_numbers *)((char *)entry + key->offset));
}

void lrp_entry_write_numbers(FILE *out, const lrp_job_key *key, const void *entry) {
  const lrp_numbers *numbers = (const lrp_numbers *)((const char *)entry + key->offset);
  char text[LRP_DOUBLE_TEXT];

  if (numbers->swept) fputc('[', out);
  for (int i = 0; i < numbers->n; i++) {
    const double v = numbers->values[i];
    if (i > 0) fputs(", ", out);
    if (v >= 1.0) { /* an integer, or the fraction 1 */
      fprintf(out, "%.0f", v);
    } else {
      fputs(lrp_format_double(v, text), out);
    }
  }
  if (numbers->swept) fputc(']', out);
}

lrp_status lrp_entry_read_values(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                                 void *entry) {
  lrp_job_sweep *s = entry;

  if (s->rule != LRP_RULE_DENSE) {
    return lrp_yaml_fail(y, node, "only one of ranks, ratios and energies can be given");
  }
  s->rule = key->rules == 1u << LRP_RULE_RANK    ? LRP_RULE_RANK
            : key->rules == 1u << LRP_RULE_RATIO ? LRP_RULE_RATIO
                                                 : LRP_RULE_ENERGY;
  return read_numbers(y, node, key, s->rule == LRP_RULE_RANK, &s->values);
}

void lrp_entry_write_values(FILE *out, const lrp_job_key *key, const void *entry) {
  lrp_entry_write_numbers(out, key, entry);
}

/* ---- reduction: [least, most] ---- */

lrp_status lrp_entry_read_reduction(const lrp_yaml *y, const yaml_node_t *node,
                                    const lrp_job_key *key, void *entry) {
  static const char expected[] = "a number from 0 to 100";
  lrp_job_sweep *s = entry;
  const char *name = lrp_job_key_leaf(key);
  lrp_status st = LRP_OK;
  char got[LRP_YAML_TEXT];

  if (!lrp_yaml_is_list(node) || lrp_yaml_list_size(node) != 2) {
    return lrp_yaml_fail(
        y, node, "%s: expected %s, got %s", name, key->type,
        lrp_yaml_is_list(node) ? "another number of them" : lrp_yaml_describe(node, got));
  }
  for (int i = 0; st == LRP_OK && i < 2; i++) {
    st =
        lrp_yaml_number(y, lrp_yaml_item(y, node, i), name, expected, 0.0, 100.0, &s->reduction[i]);
  }
  if (st == LRP_OK && s->reduction[0] > s->reduction[1]) {
    st = lrp_yaml_fail(y, node, "%s: the least is larger than the most", name);
  }
  return st;
}

void lrp_entry_write_reduction(FILE *out, const lrp_job_key *key, const void *entry) {
  const lrp_job_sweep *s = entry;
  char least[LRP_DOUBLE_TEXT], most[LRP_DOUBLE_TEXT];
  (void)key;
  fprintf(out, "[%s, %s]", lrp_format_double(s->reduction[0], least),
          lrp_format_double(s->reduction[1], most));
}

/* ---- for: {layers, hidden_size} ---- */

static lrp_status read_for_key(const lrp_yaml *y, const yaml_node_t *map, int i, lrp_job_sweep *s) {
  const yaml_node_t *value = lrp_yaml_map_value(y, map, i);
  const char *name;
  lrp_status st = lrp_yaml_key_text(y, map, i, &name);

  if (st != LRP_OK) return st;
  if (strcmp(name, "layers") == 0) {
    return lrp_yaml_integer(y, value, "for.layers", "an integer >= 2 and <= 65536", 2, 65536,
                            &s->for_layers);
  }
  if (strcmp(name, "hidden_size") == 0) {
    return lrp_yaml_integer(y, value, "for.hidden_size", "an integer >= 1", 1, INT_MAX,
                            &s->for_hidden_size);
  }
  return lrp_yaml_fail(y, lrp_yaml_map_key(y, map, i),
                       "for: unknown key '%.60s'; it has the keys layers and hidden_size", name);
}

lrp_status lrp_entry_read_for(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                              void *entry) {
  lrp_status st = LRP_OK;
  char got[LRP_YAML_TEXT];

  if (!lrp_yaml_is_map(node) || lrp_yaml_map_size(node) == 0) {
    return lrp_yaml_fail(y, node, "for: expected %s, got %s", key->type,
                         lrp_yaml_is_map(node) ? "an empty map" : lrp_yaml_describe(node, got));
  }
  for (int i = 0; st == LRP_OK && i < lrp_yaml_map_size(node); i++) {
    st = read_for_key(y, node, i, entry);
  }
  return st;
}

void lrp_entry_write_for(FILE *out, const lrp_job_key *key, const void *entry) {
  const lrp_job_sweep *s = entry;
  (void)key;

  fputc('{', out);
  if (s->for_layers > 0) fprintf(out, "layers: %" PRId64, s->for_layers);
  if (s->for_layers > 0 && s->for_hidden_size > 0) fputs(", ", out);
  if (s->for_hidden_size > 0) fprintf(out, "hidden_size: %" PRId64, s->for_hidden_size);
  fputc('}', out);
}

/* ---- entries ---- */

/* The bit of a row in lrp_job_sweep.given. */
static uint64_t bit_of(const lrp_job_key *key) {
  const lrp_job_key *first = key;
  while (first > lrp_job_keys && lrp_is_key_of(first - 1, list_name)) first--;
  return (uint64_t)1 << (key - first);
}

static bool has(const lrp_job_sweep *s, const char *leaf) {
  char path[64];
  snprintf(path, sizeof path, "%s.%s", list_name, leaf);
  return (s->given & bit_of(lrp_job_key_find(path, true))) != 0;
}

/* Which keys cannot stand together, and which do not stand alone. */
static const struct {
  const char *key, *other;
  bool needed;
} together[] = {
    {"samples", "ranks", true},     {"samples", "each", false},    {"samples", "layers", false},
    {"samples", "strides", false},  {"strides", "layers", false},  {"strides", "counts", true},
    {"counts", "strides", true},    {"first", "strides", true},    {"seed", "samples", true},
    {"reduction", "samples", true}, {"distance", "samples", true}, {"keep_first", "samples", true},
    {"keep_last", "samples", true},
};

static lrp_status check_together(const lrp_yaml *y, const yaml_node_t *node,
                                 const lrp_job_sweep *s) {
  for (size_t i = 0; i < sizeof together / sizeof together[0]; i++) {
    const char *key = together[i].key, *other = together[i].other;
    if (!has(s, key) || has(s, other) == together[i].needed) continue;
    return lrp_yaml_fail(y, node,
                         together[i].needed ? "sweep '%s': %s needs %s; add it"
                                            : "sweep '%s': %s and %s exclude each other",
                         s->name, key, other);
  }
  return LRP_OK;
}

static lrp_status check_sweep(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_sweep *s) {
  const bool layers = s->each == LRP_EACH_LAYER || s->each == LRP_EACH_UNIT;
  const bool tensors = s->each == LRP_EACH_TENSOR || s->each == LRP_EACH_UNIT;
  const char *twice = NULL;

  if (!s->name) return lrp_yaml_fail(y, node, "a sweep without name: add name: ...");
  if (s->rule == LRP_RULE_DENSE) {
    return lrp_yaml_fail(y, node, "sweep '%s': no rank; add ranks, ratios or energies", s->name);
  }
  if (layers && s->layers.form != LRP_SETS_ONE) twice = "layers";
  if (s->samples > 0 && s->tensors.form != LRP_SETS_ONE) {
    return lrp_yaml_fail(y, node,
                         "sweep '%s': samples and tensors both say what to go over; leave one out",
                         s->name);
  }
  if (tensors && s->tensors.form != LRP_SETS_ONE) twice = "tensors";
  if (layers && s->strides.n > 0) twice = "strides";
  if (twice) {
    return lrp_yaml_fail(y, node, "sweep '%s': each and %s both say what to go over; leave one out",
                         s->name, twice);
  }
  return check_together(y, node, s);
}

static lrp_status read_sweep(const lrp_yaml *y, const yaml_node_t *node, lrp_job_sweep *s) {
  lrp_status st = LRP_OK;
  char got[LRP_YAML_TEXT];

  if (!lrp_yaml_is_map(node)) {
    return lrp_yaml_fail(y, node, "sweep: expected a map like {name: r, ranks: [1, 8]}, got %s",
                         lrp_yaml_describe(node, got));
  }
  s->reduction[1] = 100.0;
  s->distance = 1;
  s->origin = lrp_yaml_origin(y, node);
  if (!s->origin) return LRP_ERR_MEM;
  for (int i = 0; st == LRP_OK && i < lrp_yaml_map_size(node); i++) {
    const lrp_job_key *key = NULL;
    st = lrp_entry_read_key(y, node, i, list_name, "a sweep", s, &key);
    if (st == LRP_OK) s->given |= bit_of(key);
  }
  return st == LRP_OK ? check_sweep(y, node, s) : st;
}

lrp_status lrp_sweeps_read(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                           void *target) {
  lrp_job *job = target;
  lrp_job_sweep *all;
  lrp_status st = LRP_OK;
  char got[LRP_YAML_TEXT];
  int n;

  if (!lrp_yaml_is_list(node)) {
    return lrp_yaml_fail(y, node, "%s: expected a list of maps, got %s", key->path,
                         lrp_yaml_describe(node, got));
  }
  n = lrp_yaml_list_size(node);
  all = calloc((size_t)n + 1, sizeof *all);
  if (!all) return lrp_fail_memory((size_t)n * sizeof *all, key->path);
  for (int i = 0; st == LRP_OK && i < n; i++) {
    st = read_sweep(y, lrp_yaml_item(y, node, i), &all[i]);
  }
  if (st == LRP_OK) {
    lrp_job_sweep *before = job->sweeps;
    const int n_before = job->n_sweeps;
    job->sweeps = all;
    job->n_sweeps = n;
    all = before;
    n = n_before;
  }
  for (int i = 0; i < n; i++) lrp_sweep_entry_free(&all[i]);
  free(all);
  return st;
}

void lrp_sweeps_write(FILE *out, const lrp_job_key *key, const void *target) {
  const lrp_job *job = target;
  (void)key;

  if (job->n_sweeps == 0) fputs("[]", out);
  for (int i = 0; i < job->n_sweeps; i++) {
    const lrp_job_sweep *s = &job->sweeps[i];
    const char *before = "\n  - ";
    for (int k = 0; k < lrp_job_n_keys; k++) {
      const lrp_job_key *row = &lrp_job_keys[k];
      if (!lrp_is_key_of(row, list_name) || !(s->given & bit_of(row))) continue;
      fprintf(out, "%s%s: ", before, lrp_job_key_leaf(row));
      row->write(out, row, s);
      before = "\n    ";
    }
  }
}
