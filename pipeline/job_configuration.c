/* The entries of configurations: which layers, which tensors, which rank. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pipeline/job_keys.h"
#include "pipeline/words.h"

enum { max_tensors = 64 };

void lrp_job_configuration_free(lrp_job_configuration *c) {
  free(c->name);
  free(c->layers);
  lrp_free_strings(c->tensors, c->n_tensors);
  free(c->ranks);
  lrp_free_strings(c->rank_tensors, c->n_ranks);
  for (int i = 0; i < c->n_parts; i++) lrp_job_configuration_free(&c->parts[i]);
  free(c->parts);
  free(c->origin);
  memset(c, 0, sizeof *c);
}

/* ---- name ---- */

static bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool lrp_is_name(const char *name) {
  if (!is_letter_or_digit(name[0])) return false;
  for (const char *p = name; *p; p++) {
    if (!is_letter_or_digit(*p) && !strchr("._-", *p)) return false;
  }
  return true;
}

static bool ends_with(const char *text, const char *end) {
  const size_t n = strlen(text), m = strlen(end);
  return n >= m && strcasecmp(text + n - m, end) == 0;
}

/* A configuration gets a directory of its name beside the files of the run: job.yaml, run.log,
 * factors.2.h5, tradeoff.csv, report.html, ... Whatever such a file may be called is refused, in
 * any case (file systems without case), and the two that have no suffix. */
bool lrp_is_reserved_name(const char *name) {
  static const char *const suffixes[] = {".yaml", ".log",  ".json",    ".jsonl", ".h5",
                                         ".csv",  ".html", ".partial", ".lock"};
  for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
    if (ends_with(name, suffixes[i])) return true;
  }
  return strcasecmp(name, "lock") == 0 || strcasecmp(name, "stop") == 0;
}

lrp_status lrp_read_name(const lrp_yaml *y, const yaml_node_t *node, const char *key, char **name) {
  const char *text;
  const lrp_status st = lrp_yaml_string(y, node, key, &text);

  if (st != LRP_OK) return st;
  if (strlen(text) > LRP_MAX_NAME) {
    return lrp_yaml_fail(y, node, "%s: longer than %d characters", key, LRP_MAX_NAME);
  }
  if (!lrp_is_name(text)) {
    return lrp_yaml_fail(y, node,
                         "%s: '%s' is not a name: letters, digits, '.', '_' and '-', the first a "
                         "letter or digit",
                         key, text);
  }
  if (lrp_is_reserved_name(text)) {
    return lrp_yaml_fail(
        y, node, "%s: '%s' could be a file of the output directory; choose another", key, text);
  }
  *name = strdup(text);
  return *name ? LRP_OK : lrp_fail_memory(strlen(text) + 1, "a configuration's name");
}

lrp_status lrp_entry_read_name(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                               void *entry) {
  lrp_job_configuration *c = entry;
  return lrp_read_name(y, node, lrp_job_key_leaf(key), &c->name);
}

void lrp_entry_write_name(FILE *out, const lrp_job_key *key, const void *entry) {
  const lrp_job_configuration *c = entry;
  (void)key;
  lrp_write_quoted(out, c->name);
}

/* ---- layers ---- */

static bool parse_int(const char **p, int *value) {
  int64_t v = 0;

  if (**p < '0' || **p > '9') return false;
  for (; **p >= '0' && **p <= '9'; (*p)++) {
    v = v * 10 + (**p - '0');
    if (v > INT_MAX) return false;
  }
  *value = (int)v;
  return true;
}

/* "a", "a:b" or "a:b:step", of length n. */
static bool parse_range(const char *text, size_t n, lrp_range *r) {
  const char *p = text;

  r->step = 1;
  if (!parse_int(&p, &r->first)) return false;
  r->last = r->first;
  if (*p == ':') {
    p++;
    if (!parse_int(&p, &r->last)) return false;
  }
  if (*p == ':') {
    p++;
    if (!parse_int(&p, &r->step)) return false;
  }
  return p == text + n && r->step >= 1 && r->last >= r->first;
}

static lrp_status read_range(const lrp_yaml *y, const yaml_node_t *node, lrp_range *r) {
  char got[LRP_YAML_TEXT];

  if (node->type == YAML_SCALAR_NODE &&
      parse_range((const char *)node->data.scalar.value, node->data.scalar.length, r)) {
    return LRP_OK;
  }
  return lrp_yaml_fail(y, node,
                       "layers: expected all, a layer (an integer >= 0), a range \"first:last\" or "
                       "\"first:last:step\", or a list of them, got %s",
                       lrp_yaml_describe(node, got));
}

lrp_status lrp_entry_read_layers(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                                 void *entry) {
  lrp_job_configuration *c = entry;
  const bool is_list = lrp_yaml_is_list(node);
  const int n = is_list ? lrp_yaml_list_size(node) : 1;
  lrp_status st = LRP_OK;
  (void)key;

  c->all_layers = lrp_yaml_is_word(node, "all");
  if (c->all_layers) return LRP_OK;
  if (n == 0) return lrp_yaml_fail(y, node, "layers: an empty list; leave layers out for dense");
  c->layers = calloc((size_t)n, sizeof *c->layers);
  if (!c->layers) return lrp_fail_memory((size_t)n * sizeof *c->layers, "layers");
  c->n_layers = n;
  for (int i = 0; st == LRP_OK && i < n; i++) {
    st = read_range(y, is_list ? lrp_yaml_item(y, node, i) : node, &c->layers[i]);
  }
  return st;
}

static void write_range(FILE *out, const lrp_range *r) {
  if (r->first == r->last) {
    fprintf(out, "%d", r->first);
  } else {
    fprintf(out, "\"%d:%d:%d\"", r->first, r->last, r->step);
  }
}

void lrp_entry_write_layers(FILE *out, const lrp_job_key *key, const void *entry) {
  const lrp_job_configuration *c = entry;
  (void)key;

  if (c->all_layers) {
    fputs("all", out);
    return;
  }
  for (int i = 0; i < c->n_layers; i++) {
    fputs(i == 0 ? "[" : ", ", out);
    write_range(out, &c->layers[i]);
  }
  fputc(']', out);
}

/* ---- tensors ---- */

lrp_status lrp_entry_read_tensors(const lrp_yaml *y, const yaml_node_t *node,
                                  const lrp_job_key *key, void *entry) {
  lrp_job_configuration *c = entry;
  lrp_status st;

  c->all_tensors = lrp_yaml_is_word(node, "all");
  if (c->all_tensors) return LRP_OK;
  st = lrp_read_strings(y, node, lrp_job_key_leaf(key), max_tensors, &c->tensors, &c->n_tensors);
  if (st == LRP_OK && c->n_tensors == 0) {
    st = lrp_yaml_fail(y, node, "tensors: an empty list; write all or names");
  }
  return st;
}

void lrp_entry_write_tensors(FILE *out, const lrp_job_key *key, const void *entry) {
  const lrp_job_configuration *c = entry;
  (void)key;

  if (c->all_tensors) {
    fputs("all", out);
  } else {
    lrp_write_strings(out, c->tensors, c->n_tensors);
  }
}

/* ---- rank, ratio, energy ---- */

static lrp_status set_rule(const lrp_yaml *y, const yaml_node_t *node, lrp_job_configuration *c,
                           lrp_rank_rule rule) {
  if (c->rule != LRP_RULE_DENSE) {
    return lrp_yaml_fail(y, node, "only one of rank, ratio and energy can be given");
  }
  c->rule = rule;
  return LRP_OK;
}

static lrp_status read_rank(const lrp_yaml *y, const yaml_node_t *node, int *rank) {
  int64_t value;
  const lrp_status st = lrp_yaml_integer(y, node, "rank", "an integer >= 1", 1, INT_MAX, &value);
  if (st == LRP_OK) *rank = (int)value;
  return st;
}

static lrp_status read_rank_of_tensor(const lrp_yaml *y, const yaml_node_t *map, int i,
                                      lrp_job_configuration *c) {
  const char *tensor;
  lrp_status st = lrp_yaml_key_text(y, map, i, &tensor);

  if (st == LRP_OK && strlen(tensor) > LRP_MAX_NAME) {
    st = lrp_yaml_fail(y, lrp_yaml_map_key(y, map, i), "rank: no tensor has so long a name");
  }
  if (st != LRP_OK) return st;
  c->rank_tensors[i] = strdup(tensor);
  if (!c->rank_tensors[i]) return lrp_fail_memory(strlen(tensor) + 1, "rank");
  return read_rank(y, lrp_yaml_map_value(y, map, i), &c->ranks[i]);
}

lrp_status lrp_entry_read_rank(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                               void *entry) {
  lrp_job_configuration *c = entry;
  const bool is_map = lrp_yaml_is_map(node), is_list = lrp_yaml_is_list(node);
  const int n = is_map ? lrp_yaml_map_size(node) : is_list ? lrp_yaml_list_size(node) : 1;
  lrp_status st = set_rule(y, node, c,
                           is_map    ? LRP_RULE_PER_TENSOR
                           : is_list ? LRP_RULE_PER_LAYER
                                     : LRP_RULE_RANK);
  (void)key;

  if (st != LRP_OK) return st;
  if (n == 0) return lrp_yaml_fail(y, node, "rank: empty; expected at least one rank");
  if (is_map && n > max_tensors) return lrp_yaml_fail(y, node, "rank: no model has %d tensors", n);
  c->ranks = calloc((size_t)n, sizeof *c->ranks);
  c->rank_tensors = is_map ? calloc((size_t)n, sizeof *c->rank_tensors) : NULL;
  if (!c->ranks || (is_map && !c->rank_tensors)) {
    return lrp_fail_memory((size_t)n * sizeof *c->ranks, "rank");
  }
  c->n_ranks = n;
  for (int i = 0; st == LRP_OK && i < n; i++) {
    if (is_map) st = read_rank_of_tensor(y, node, i, c);
    if (is_list) st = read_rank(y, lrp_yaml_item(y, node, i), &c->ranks[i]);
    if (!is_map && !is_list) st = read_rank(y, node, &c->ranks[i]);
  }
  return st;
}

void lrp_entry_write_rank(FILE *out, const lrp_job_key *key, const void *entry) {
  const lrp_job_configuration *c = entry;
  const bool is_map = c->rule == LRP_RULE_PER_TENSOR;
  (void)key;

  if (c->rule == LRP_RULE_RANK) {
    fprintf(out, "%d", c->ranks[0]);
    return;
  }
  for (int i = 0; i < c->n_ranks; i++) {
    fputs(i > 0 ? ", " : is_map ? "{" : "[", out);
    if (is_map) {
      lrp_write_quoted(out, c->rank_tensors[i]);
      fputs(": ", out);
    }
    fprintf(out, "%d", c->ranks[i]);
  }
  fputc(is_map ? '}' : ']', out);
}

lrp_status lrp_entry_read_fraction(const lrp_yaml *y, const yaml_node_t *node,
                                   const lrp_job_key *key, void *entry) {
  lrp_job_configuration *c = entry;
  const bool ratio = (key->rules & (1u << LRP_RULE_RATIO)) != 0;
  const lrp_status st = set_rule(y, node, c, ratio ? LRP_RULE_RATIO : LRP_RULE_ENERGY);

  return st != LRP_OK ? st : lrp_yaml_fraction(y, node, lrp_job_key_leaf(key), &c->value);
}

void lrp_entry_write_fraction(FILE *out, const lrp_job_key *key, const void *entry) {
  const lrp_job_configuration *c = entry;
  char text[LRP_DOUBLE_TEXT];
  (void)key;
  fputs(lrp_format_double(c->value, text), out);
}

/* ---- entries ---- */

lrp_status lrp_entry_read_key(const lrp_yaml *y, const yaml_node_t *map, int i, const char *list,
                              const char *what, void *entry, const lrp_job_key **found) {
  char path[128], suggestion[LRP_SUGGESTION];
  const lrp_job_key *key;
  const char *name;
  lrp_status st = lrp_yaml_key_text(y, map, i, &name);

  if (st != LRP_OK) return st;
  snprintf(path, sizeof path, "%s.%s", list, name);
  key = strchr(name, '.') ? NULL : lrp_job_key_find(path, true);
  if (found) *found = key;
  if (key) return key->read(y, lrp_yaml_map_value(y, map, i), key, entry);
  return lrp_yaml_fail(y, lrp_yaml_map_key(y, map, i), "unknown key '%.60s' of %s%s", name, what,
                       lrp_job_key_suggest(path, true, suggestion));
}

static lrp_status check_entry(const lrp_yaml *y, const yaml_node_t *node,
                              const lrp_job_configuration *c) {
  const bool layers = c->all_layers || c->n_layers > 0;

  if (!c->name) return lrp_yaml_fail(y, node, "a configuration without name: add name: ...");
  if (c->n_parts > 0) {
    if (!layers && c->rule == LRP_RULE_DENSE && c->n_tensors == 0 && !c->all_tensors) return LRP_OK;
    return lrp_yaml_fail(
        y, node, "configuration '%s': parts say layers, tensors and rank; move these keys there",
        c->name);
  }
  if (layers && c->rule == LRP_RULE_DENSE) {
    return lrp_yaml_fail(
        y, node, "configuration '%s': layers without a rank; add rank, ratio or energy", c->name);
  }
  if (!layers && c->rule != LRP_RULE_DENSE) {
    return lrp_yaml_fail(
        y, node, "configuration '%s': a rank without layers; add layers: all, or a list", c->name);
  }
  if (!layers && (c->all_tensors || c->n_tensors > 0)) {
    return lrp_yaml_fail(y, node, "configuration '%s': tensors without layers and a rank; add them",
                         c->name);
  }
  return LRP_OK;
}

static lrp_status read_entry(const lrp_yaml *y, const yaml_node_t *node, lrp_job_configuration *c) {
  lrp_status st = LRP_OK;
  char got[LRP_YAML_TEXT];

  if (!lrp_yaml_is_map(node)) {
    return lrp_yaml_fail(y, node, "configurations: expected a map like {name: dense}, got %s",
                         lrp_yaml_describe(node, got));
  }
  c->origin = lrp_yaml_origin(y, node);
  if (!c->origin) return LRP_ERR_MEM;
  for (int i = 0; st == LRP_OK && i < lrp_yaml_map_size(node); i++) {
    st = lrp_entry_read_key(y, node, i, "configurations[]", "a configuration", c, NULL);
  }
  if (st == LRP_OK) st = check_entry(y, node, c);
  if (c->n_tensors == 0) c->all_tensors = true;
  if (c->n_parts > 0) c->rule = LRP_RULE_PARTS;
  return st;
}

/* By name, then by position: entries lie in an array. */
static int compare_entries(const void *a, const void *b) {
  const lrp_job_configuration *x = *(lrp_job_configuration *const *)a;
  const lrp_job_configuration *z = *(lrp_job_configuration *const *)b;
  const int order = strcmp(x->name, z->name);
  return order != 0 ? order : (x > z) - (x < z);
}

static lrp_status check_unique(const lrp_yaml *y, const yaml_node_t *list,
                               const lrp_job_configuration *all, int n) {
  const lrp_job_configuration **sorted = malloc(((size_t)n + 1) * sizeof *sorted);
  lrp_status st = LRP_OK;

  if (!sorted) return lrp_fail_memory((size_t)n * sizeof *sorted, "names of configurations");
  for (int i = 0; i < n; i++) sorted[i] = &all[i];
  qsort(sorted, (size_t)n, sizeof *sorted, compare_entries);
  for (int i = 1; st == LRP_OK && i < n; i++) {
    if (strcmp(sorted[i - 1]->name, sorted[i]->name) != 0) continue;
    st = lrp_yaml_fail(y, lrp_yaml_item(y, list, (int)(sorted[i] - all)),
                       "name: '%s' is used twice; configurations need different names",
                       sorted[i]->name);
  }
  free(sorted);
  return st;
}

lrp_status lrp_configurations_read(const lrp_yaml *y, const yaml_node_t *node,
                                   const lrp_job_key *key, void *target) {
  lrp_job *job = target;
  lrp_job_configuration *all;
  lrp_status st = LRP_OK;
  char got[LRP_YAML_TEXT];
  int n;

  if (!lrp_yaml_is_list(node)) {
    return lrp_yaml_fail(y, node, "%s: expected a list of configurations, got %s", key->path,
                         lrp_yaml_describe(node, got));
  }
  n = lrp_yaml_list_size(node);
  all = calloc((size_t)n + 1, sizeof *all);
  if (!all) return lrp_fail_memory((size_t)n * sizeof *all, key->path);
  for (int i = 0; st == LRP_OK && i < n; i++)
    st = read_entry(y, lrp_yaml_item(y, node, i), &all[i]);
  if (st == LRP_OK) st = check_unique(y, node, all, n);
  if (st == LRP_OK) {
    lrp_job_configuration *before = job->configurations;
    const int n_before = job->n_configurations;
    job->configurations = all;
    job->n_configurations = n;
    all = before;
    n = n_before;
  }
  for (int i = 0; i < n; i++) lrp_job_configuration_free(&all[i]);
  free(all);
  return st;
}

void lrp_configurations_write(FILE *out, const lrp_job_key *key, const void *target) {
  const lrp_job *job = target;
  (void)key;

  if (job->n_configurations == 0) fputs("[]", out);
  for (int i = 0; i < job->n_configurations; i++) {
    const lrp_job_configuration *c = &job->configurations[i];
    const char *before = "\n  - ";
    for (int k = 0; k < lrp_job_n_keys; k++) {
      const lrp_job_key *row = &lrp_job_keys[k];
      if (!lrp_is_key_of(row, "configurations[]") || !(row->rules & (1u << c->rule))) continue;
      fprintf(out, "%s%s: ", before, lrp_job_key_leaf(row));
      row->write(out, row, c);
      before = "\n    ";
    }
  }
}

/* ---- the same on the command line ---- */

lrp_status lrp_job_parse_layers(const char *text, lrp_job_configuration *c) {
  int n = 1;

  c->all_layers = strcmp(text, "all") == 0;
  if (c->all_layers) return LRP_OK;
  for (const char *p = text; *p; p++) n += *p == ',';
  c->layers = calloc((size_t)n, sizeof *c->layers);
  if (!c->layers) return lrp_fail_memory((size_t)n * sizeof *c->layers, "--layers");
  for (const char *p = text; c->n_layers < n; c->n_layers++) {
    const size_t length = strcspn(p, ",");
    if (!parse_range(p, length, &c->layers[c->n_layers])) {
      return lrp_fail(LRP_ERR_USAGE,
                      "--layers: expected all, or layers and ranges like 2,17,31 or 3:31:2, got "
                      "'%.100s'",
                      text);
    }
    p += length + 1; /* beyond the NUL after the last one, where the loop ends */
  }
  return LRP_OK;
}

static lrp_status add_tensor(lrp_job_configuration *c, const char *name, size_t length) {
  char *copy;

  if (length == 0) return lrp_fail(LRP_ERR_USAGE, "--tensors: an empty name");
  for (int i = 0; i < c->n_tensors; i++) {
    if (strlen(c->tensors[i]) == length && memcmp(c->tensors[i], name, length) == 0) {
      return lrp_fail(LRP_ERR_USAGE, "--tensors: '%s' is listed twice", c->tensors[i]);
    }
  }
  copy = strndup(name, length);
  if (!copy) return lrp_fail_memory(length + 1, "--tensors");
  c->tensors[c->n_tensors++] = copy;
  return LRP_OK;
}

lrp_status lrp_job_parse_tensors(const char *text, lrp_job_configuration *c) {
  lrp_status st = LRP_OK;

  c->all_tensors = strcmp(text, "all") == 0;
  if (c->all_tensors) return LRP_OK;
  c->tensors = calloc(max_tensors, sizeof *c->tensors);
  if (!c->tensors) return lrp_fail_memory(max_tensors * sizeof *c->tensors, "--tensors");
  for (const char *p = text; st == LRP_OK; p++) {
    const size_t length = strcspn(p, ",");
    if (c->n_tensors == max_tensors) return lrp_fail(LRP_ERR_USAGE, "--tensors: too many names");
    st = add_tensor(c, p, length);
    p += length;
    if (*p == '\0') break;
  }
  return st;
}
