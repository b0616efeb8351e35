#include "pipeline/job_keys.h"

#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/words.h"

enum { many = 1000000 };

/* ---- fields of lrp_job ---- */

static lrp_status read_string(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                              void *target) {
  char **field = (char **)((char *)target + key->offset);
  const char *text = NULL;
  char *copy = NULL;

  if (!(key->nullable && lrp_yaml_is_null(node))) {
    const lrp_status st = lrp_yaml_string(y, node, key->path, &text);
    if (st != LRP_OK) return st;
    copy = strdup(text);
    if (!copy) return lrp_fail_memory(strlen(text) + 1, key->path);
  }
  free(*field);
  *field = copy;
  return LRP_OK;
}

static void write_string(FILE *out, const lrp_job_key *key, const void *target) {
  const char *text = *(char *const *)((const char *)target + key->offset);
  if (text) {
    lrp_write_quoted(out, text);
  } else {
    fputs("null", out);
  }
}

static lrp_status read_integer(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                               void *target) {
  int64_t *field = (int64_t *)((char *)target + key->offset);
  char expected[LRP_KEY_TYPE];

  if (key->nullable && lrp_yaml_is_null(node)) {
    *field = -1;
    return LRP_OK;
  }
  return lrp_yaml_integer(y, node, key->path, lrp_job_key_type(key, expected), key->min, key->max,
                          field);
}

static void write_integer(FILE *out, const lrp_job_key *key, const void *target) {
  const int64_t value = *(const int64_t *)((const char *)target + key->offset);
  if (key->nullable && value < 0) {
    fputs("null", out);
  } else {
    fprintf(out, "%" PRId64, value);
  }
}

static lrp_status read_choice(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                              void *target) {
  char expected[LRP_KEY_TYPE], got[LRP_YAML_TEXT];

  for (int i = 0; key->choices[i]; i++) {
    if (!lrp_yaml_is_word(node, key->choices[i])) continue;
    memcpy((char *)target + key->offset, &i, sizeof i);
    return LRP_OK;
  }
  return lrp_yaml_fail(y, node, "%s: expected %s, got %s", key->path,
                       lrp_job_key_type(key, expected), lrp_yaml_describe(node, got));
}

static void write_choice(FILE *out, const lrp_job_key *key, const void *target) {
  int i;
  memcpy(&i, (const char *)target + key->offset, sizeof i);
  fputs(key->choices[i], out);
}

static lrp_status read_boolean(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                               void *target) {
  return lrp_yaml_boolean(y, node, key->path, (bool *)((char *)target + key->offset));
}

static void write_boolean(FILE *out, const lrp_job_key *key, const void *target) {
  fputs(*(const bool *)((const char *)target + key->offset) ? "true" : "false", out);
}

/* ---- the table ---- */

/* read_choice stores an index into a field of enum type. */
_Static_assert(sizeof(lrp_method) == sizeof(int), "enums are ints");
_Static_assert(sizeof(lrp_store_dtype) == sizeof(int), "enums are ints");
_Static_assert(sizeof(lrp_eval_dtype) == sizeof(int), "enums are ints");
_Static_assert(sizeof(lrp_sweep_each) == sizeof(int), "enums are ints");

static const char *const methods[] = {[LRP_TUCKER] = "tucker", [LRP_SVD] = "svd", NULL};
static const char *const store_dtypes[] = {[LRP_STORE_F32] = "float32",
                                           [LRP_STORE_F16] = "float16",
                                           [LRP_STORE_BF16] = "bfloat16",
                                           [LRP_STORE_MODEL] = "model",
                                           NULL};
static const char *const eval_dtypes[] = {
    [LRP_EVAL_AUTO] = "auto", [LRP_EVAL_F32] = "float32", [LRP_EVAL_BF16] = "bfloat16", NULL};
static const char *const eachs[] = {[LRP_EACH_NOTHING] = "nothing",
                                    [LRP_EACH_LAYER] = "layer",
                                    [LRP_EACH_TENSOR] = "tensor",
                                    [LRP_EACH_UNIT] = "unit",
                                    NULL};

#define STRING(field) .offset = offsetof(lrp_job, field), .read = read_string, .write = write_string
#define BOOLEAN(field)                                                               \
  .type = "true or false", .offset = offsetof(lrp_job, field), .read = read_boolean, \
  .write = write_boolean
#define CHOICE(field, list) \
  .offset = offsetof(lrp_job, field), .choices = list, .read = read_choice, .write = write_choice
#define INTEGER(field, least, most)                                                    \
  .offset = offsetof(lrp_job, field), .min = least, .max = most, .read = read_integer, \
  .write = write_integer
#define COUNTS(field, most)                                                                     \
  .type = "an integer >= 1 or a list of them", .offset = offsetof(lrp_job, field), .max = most, \
  .read = lrp_job_read_counts, .write = lrp_job_write_counts
#define ENTRY(name, with) \
  .rules = (with), .read = lrp_entry_read_##name, .write = lrp_entry_write_##name
#define SWEEP(field, name)                                                 \
  .offset = offsetof(lrp_job_sweep, field), .read = lrp_entry_read_##name, \
  .write = lrp_entry_write_##name
#define SWEEP_INTEGER(field, least, most)                                                    \
  .offset = offsetof(lrp_job_sweep, field), .min = least, .max = most, .read = read_integer, \
  .write = write_integer
#define ALL_RULES (~0u)
#define SET_RULES (ALL_RULES & ~(1u << LRP_RULE_DENSE | 1u << LRP_RULE_PARTS))
#define RANK_RULES \
  ((1u << LRP_RULE_RANK) | (1u << LRP_RULE_PER_TENSOR) | (1u << LRP_RULE_PER_LAYER))

const lrp_job_key lrp_job_keys[] = {
    {.path = "model",
     .type = "path",
     .help = "directory of a Hugging Face model; read-only, used as it is",
     STRING(model)},
    {.path = "output",
     .type = "path",
     .help = "directory for everything the run writes",
     STRING(output)},
    {.path = "decompose", .type = "map", .value = "{}", .help = "how weights are decomposed"},
    {.path = "decompose.method",
     .value = "tucker",
     .help = "tucker: u1 core u2; svd: u diag(s) vt",
     CHOICE(decompose.method, methods)},
    {.path = "decompose.dtype",
     .value = "float32",
     .help = "type in which factors are stored; model: that of the weights",
     CHOICE(decompose.dtype, store_dtypes)},
    {.path = "decompose.grid_elements",
     .value = "134217728",
     .help = "a tensor with more elements than this per process rank is decomposed by several "
             "process ranks with ScaLAPACK",
     INTEGER(decompose.grid_elements, 1, INT64_MAX)},
    {.path = "configurations",
     .type = "list of maps",
     .value = "[]",
     .help = "points of the design space with different names; at least one, here or by sweep",
     .read = lrp_configurations_read,
     .write = lrp_configurations_write},
    {.path = "configurations[].name",
     .type = "name",
     .help = "letters, digits, '.', '_' and '-', at most 100; a name alone is the dense model",
     ENTRY(name, ALL_RULES)},
    {.path = "configurations[].layers",
     .type = "all, an integer, a range or a list of them",
     .help = "0-based; the range \"3:31:2\" is 3, 5, .. 31: its end is included",
     ENTRY(layers, SET_RULES)},
    {.path = "configurations[].tensors",
     .type = "all, a name or a list of names",
     .value = "all",
     .help = "weights of each listed layer",
     ENTRY(tensors, SET_RULES)},
    {.path = "configurations[].rank",
     .type = "an integer >= 1, a map tensor: rank, or a list with one rank per layer",
     .help = "one of rank, ratio and energy goes with layers",
     ENTRY(rank, RANK_RULES)},
    {.path = "configurations[].ratio",
     .type = "a number in (0, 1]",
     .help = "the largest rank whose stored parameters are at most ratio x those of the weight",
     ENTRY(fraction, 1u << LRP_RULE_RATIO)},
    {.path = "configurations[].energy",
     .type = "a number in (0, 1]",
     .help = "the smallest rank that keeps this part of the squared Frobenius norm",
     ENTRY(fraction, 1u << LRP_RULE_ENERGY)},
    {.path = "configurations[].parts",
     .type = "a list of maps with layers, tensors, and rank or ratio",
     .help = "instead of these keys: together, the parts are the configuration",
     ENTRY(parts, 1u << LRP_RULE_PARTS)},
    {.path = "sweep",
     .type = "list of maps",
     .value = "[]",
     .help = "rules that make configurations, which follow those listed",
     .read = lrp_sweeps_read,
     .write = lrp_sweeps_write},
    {.path = "sweep[].name",
     .type = "name",
     .help = "what the names of its configurations begin with",
     SWEEP(name, sweep_name)},
    {.path = "sweep[].each",
     .help = "a configuration for each of the layers, of the tensors, or of the tensors of each "
             "layer (unit)",
     .choices = eachs,
     .offset = offsetof(lrp_job_sweep, each),
     .read = read_choice,
     .write = write_choice},
    {.path = "sweep[].layers",
     .type = "as in configurations, a list of such lists, or a map name: list",
     .help = "layers; several lists are swept over",
     SWEEP(layers, sets)},
    {.path = "sweep[].first",
     .help = "the layer that strides and counts begin with; 0 if it is left out",
     SWEEP_INTEGER(first, 0, INT_MAX)},
    {.path = "sweep[].strides",
     .type = "an integer >= 1 or a list of them",
     .help = "steps from one layer to the next",
     SWEEP(strides, numbers)},
    {.path = "sweep[].counts",
     .type = "an integer >= 1 or a list of them",
     .help = "numbers of layers",
     SWEEP(counts, numbers)},
    {.path = "sweep[].tensors",
     .type = "as in configurations, a list of such lists, or a map name: list",
     .help = "tensors; several lists are swept over",
     SWEEP(tensors, sets)},
    {.path = "sweep[].ranks",
     .type = "an integer >= 1 or a list of them",
     .help = "one of ranks, ratios and energies is needed",
     .rules = 1u << LRP_RULE_RANK,
     SWEEP(values, values)},
    {.path = "sweep[].ratios",
     .type = "a number in (0, 1] or a list of them",
     .help = "as ratio in configurations",
     .rules = 1u << LRP_RULE_RATIO,
     SWEEP(values, values)},
    {.path = "sweep[].energies",
     .type = "a number in (0, 1] or a list of them",
     .help = "as energy in configurations",
     .rules = 1u << LRP_RULE_ENERGY,
     SWEEP(values, values)},
    {.path = "sweep[].samples",
     .help = "so many random points of the space, which differ",
     SWEEP_INTEGER(samples, 1, LRP_MAX_SAMPLES)},
    {.path = "sweep[].seed",
     .help = "of the random numbers; 0 if it is left out",
     SWEEP_INTEGER(seed, 0, INT64_MAX)},
    {.path = "sweep[].reduction",
     .type = "[least, most] in percent",
     .help = "samples outside of this reduction of all parameters are left out",
     SWEEP(reduction, reduction)},
    {.path = "sweep[].distance",
     .help = "of a sample: layers are at least so far apart; 1 are neighbours",
     SWEEP_INTEGER(distance, 1, INT_MAX)},
    {.path = "sweep[].keep_first",
     .help = "of a sample: so many layers at the beginning stay dense",
     SWEEP_INTEGER(keep_first, 0, INT_MAX)},
    {.path = "sweep[].keep_last",
     .help = "of a sample: so many layers at the end stay dense",
     SWEEP_INTEGER(keep_last, 0, INT_MAX)},
    {.path = "sweep[].for",
     .type = "{layers, hidden_size}",
     .help = "the model that layers and ranks are written for; they are scaled to another",
     SWEEP(for_layers, for)},
    {.path = "evaluate", .type = "map", .value = "{}", .help = "benchmarks"},
    {.path = "evaluate.data",
     .type = "path or null",
     .value = "null",
     .nullable = true,
     .help = "directory of the data sets; needed with tasks",
     STRING(evaluate.data)},
    {.path = "evaluate.tasks",
     .type = "a name, {name, num_fewshot} or a list of them",
     .value = "[]",
     .help = "what to evaluate every configuration on: tasks, groups and suites",
     .read = lrp_job_read_tasks,
     .write = lrp_job_write_tasks},
    {.path = "evaluate.num_fewshot",
     .value = "null",
     .nullable = true,
     .help = "solved examples before each question, of the tasks that do not say their own; null: "
             "0, but 5 of gsm8k",
     INTEGER(evaluate.num_fewshot, 0, LRP_MAX_SHOTS)},
    {.path = "evaluate.limit",
     .value = "null",
     .nullable = true,
     .help = "only the first so many documents of each task; null: all",
     INTEGER(evaluate.limit, 1, INT64_MAX)},
    {.path = "evaluate.max_length",
     .value = "null",
     .nullable = true,
     .help = "tokens of model input; null: the model's own limit, of an encoder the task's",
     INTEGER(evaluate.max_length, 1, INT_MAX)},
    {.path = "evaluate.dtype",
     .value = "auto",
     .help = "type of the forward pass; auto: bfloat16 when the weights are and the processor "
             "multiplies it, else float32",
     CHOICE(evaluate.dtype, eval_dtypes)},
    {.path = "evaluate.log_samples",
     .value = "true",
     .help = "write samples_TASK.jsonl, a line per document",
     BOOLEAN(evaluate.log_samples)},
    {.path = "evaluate.prefix_sharing",
     .value = "true",
     .help = "compute what several requests begin with once; scores do not depend on it",
     BOOLEAN(evaluate.prefix_sharing)},
    {.path = "evaluate.memory",
     .type = "auto or a size such as 24GiB",
     .value = "auto",
     .help = "memory of a node that weights may take; a larger model is spread over nodes",
     .offset = offsetof(lrp_job, evaluate.memory),
     .read = lrp_job_read_bytes,
     .write = lrp_job_write_bytes},
    {.path = "measure",
     .type = "map",
     .value = "absent",
     .help = "latency, energy and memory of every configuration; absent: not measured"},
    {.path = "measure.batch_size",
     .value = "64",
     .help = "sequences per pass",
     COUNTS(measure.batch_size, many)},
    {.path = "measure.sequence_length",
     .value = "128",
     .help = "tokens of each sequence; every batch size with every length is a case",
     COUNTS(measure.sequence_length, INT_MAX)},
    {.path = "measure.new_tokens",
     .value = "16",
     .help = "decoding steps that follow; 0: decoding is not measured",
     INTEGER(measure.new_tokens, 0, many)},
    {.path = "measure.repeats",
     .value = "5",
     .help = "samples of each configuration, case and phase",
     INTEGER(measure.repeats, 1, many)},
};
const int lrp_job_n_keys = sizeof lrp_job_keys / sizeof lrp_job_keys[0];

/* ---- look-up ---- */

enum { max_names = 128 };
_Static_assert(sizeof lrp_job_keys / sizeof lrp_job_keys[0] <= max_names, "suggestions see all");

bool lrp_job_key_is_section(const lrp_job_key *key) {
  return key->read == NULL;
}

bool lrp_job_key_is_entry(const lrp_job_key *key) {
  return strstr(key->path, "[].") != NULL;
}

bool lrp_is_key_of(const lrp_job_key *key, const char *list) {
  const size_t n = strlen(list);
  return strncmp(key->path, list, n) == 0 && key->path[n] == '.';
}

const char *lrp_job_key_leaf(const lrp_job_key *key) {
  const char *dot = strrchr(key->path, '.');
  return dot ? dot + 1 : key->path;
}

const lrp_job_key *lrp_job_key_find(const char *path, bool entries) {
  for (int i = 0; i < lrp_job_n_keys; i++) {
    const lrp_job_key *key = &lrp_job_keys[i];
    if (strcmp(key->path, path) == 0 && lrp_job_key_is_entry(key) == entries) return key;
  }
  return NULL;
}

/* Bytes of path up to and with its last '.', 0 if it has none. */
static size_t prefix_length(const char *path) {
  const char *dot = strrchr(path, '.');
  return dot ? (size_t)(dot + 1 - path) : 0;
}

/* Nearest key within the same section, so that the section's name does not count as likeness. */
static const char *nearest_sibling(const char *path, bool entries) {
  const size_t prefix = prefix_length(path);
  const char *leaves[max_names], *found;
  int n = 0;

  for (int i = 0; i < lrp_job_n_keys; i++) {
    const lrp_job_key *key = &lrp_job_keys[i];
    if (lrp_job_key_is_entry(key) != entries || prefix_length(key->path) != prefix) continue;
    if (strncmp(key->path, path, prefix) == 0) leaves[n++] = key->path + prefix;
  }
  found = lrp_did_you_mean(path + prefix, leaves, n);
  return found ? found - prefix : NULL;
}

/* The key of that name in another section: "method" -> decompose.method. */
static const char *same_leaf(const char *path) {
  for (int i = 0; i < lrp_job_n_keys; i++) {
    const lrp_job_key *key = &lrp_job_keys[i];
    if (lrp_job_key_is_entry(key)) continue;
    if (strcmp(lrp_job_key_leaf(key), path + prefix_length(path)) == 0) return key->path;
  }
  return NULL;
}

/* For a misspelt section: "decompse.method". */
static const char *nearest_path(const char *path) {
  const char *names[max_names];
  int n = 0;

  for (int i = 0; i < lrp_job_n_keys; i++) {
    if (!lrp_job_key_is_entry(&lrp_job_keys[i])) names[n++] = lrp_job_keys[i].path;
    if (strncmp(lrp_job_keys[i].path, path, prefix_length(path)) == 0) return NULL;
  }
  return lrp_did_you_mean(path, names, n);
}

const char *lrp_job_key_suggest(const char *path, bool entries, char text[LRP_SUGGESTION]) {
  const char *found = nearest_sibling(path, entries);

  if (!found && !entries) found = same_leaf(path);
  if (!found && !entries && prefix_length(path) > 0) found = nearest_path(path);
  if (found && entries) found += prefix_length(found);
  text[0] = '\0';
  if (found) snprintf(text, LRP_SUGGESTION, " (did you mean '%s'?)", found);
  return text;
}

const char *lrp_job_key_type(const lrp_job_key *key, char text[LRP_KEY_TYPE]) {
  size_t at = 0;

  if (key->type) return key->type;
  if (key->choices) {
    for (int i = 0; key->choices[i] && at < LRP_KEY_TYPE; i++) {
      const char *between = i == 0 ? "" : key->choices[i + 1] ? ", " : " or ";
      at += (size_t)snprintf(text + at, LRP_KEY_TYPE - at, "%s%s", between, key->choices[i]);
    }
    return text;
  }
  at += (size_t)snprintf(text, LRP_KEY_TYPE, "an integer >= %" PRId64, key->min);
  if (key->max < INT_MAX) {
    at += (size_t)snprintf(text + at, LRP_KEY_TYPE - at, " and <= %" PRId64, key->max);
  }
  if (key->nullable) snprintf(text + at, LRP_KEY_TYPE - at, " or null");
  return text;
}

const char *lrp_job_key_default(const lrp_job_key *key) {
  if (key->value) return key->value;
  if (lrp_job_key_is_entry(key) && strcmp(lrp_job_key_leaf(key), "name") != 0) return "no default";
  return "required";
}
