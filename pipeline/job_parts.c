/* parts of a configuration: sets of layers and tensors, each with its own rank. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/job_keys.h"

/* A part has the keys of a configuration but these. */
static lrp_status check_key(const lrp_yaml *y, const yaml_node_t *map, int i) {
  static const char *const refused[] = {"name", "energy", "parts"};
  const char *name;
  const lrp_status st = lrp_yaml_key_text(y, map, i, &name);

  if (st != LRP_OK) return st;
  for (size_t k = 0; k < sizeof refused / sizeof *refused; k++) {
    if (strcmp(name, refused[k]) != 0) continue;
    return lrp_yaml_fail(y, lrp_yaml_map_key(y, map, i),
                         "parts: a part has no %s; it has layers, tensors, and rank or ratio",
                         refused[k]);
  }
  return LRP_OK;
}

static lrp_status read_part(const lrp_yaml *y, const yaml_node_t *node,
                            lrp_job_configuration *part) {
  lrp_status st = LRP_OK;
  char got[LRP_YAML_TEXT];

  if (!lrp_yaml_is_map(node)) {
    return lrp_yaml_fail(y, node, "parts: expected a map like {layers: 2, rank: 1}, got %s",
                         lrp_yaml_describe(node, got));
  }
  part->origin = lrp_yaml_origin(y, node);
  if (!part->origin) return LRP_ERR_MEM;
  for (int i = 0; st == LRP_OK && i < lrp_yaml_map_size(node); i++) {
    st = check_key(y, node, i);
    if (st == LRP_OK) {
      st = lrp_entry_read_key(y, node, i, "configurations[]", "a part", part, NULL);
    }
  }
  if (st != LRP_OK) return st;
  if (!part->all_layers && part->n_layers == 0) {
    return lrp_yaml_fail(y, node, "parts: a part without layers; add layers: all, or a list");
  }
  if (part->rule == LRP_RULE_DENSE) {
    return lrp_yaml_fail(y, node, "parts: a part without a rank; add rank or ratio");
  }
  if (part->n_tensors == 0) part->all_tensors = true;
  return LRP_OK;
}

lrp_status lrp_entry_read_parts(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                                void *entry) {
  lrp_job_configuration *c = entry;
  const int n = lrp_yaml_is_list(node) ? lrp_yaml_list_size(node) : 0;
  lrp_status st = LRP_OK;
  char got[LRP_YAML_TEXT];
  (void)key;

  if (n == 0) {
    return lrp_yaml_fail(y, node, "parts: expected a list of at least one map, got %s",
                         lrp_yaml_is_list(node) ? "an empty list" : lrp_yaml_describe(node, got));
  }
  c->parts = calloc((size_t)n, sizeof *c->parts);
  if (!c->parts) return lrp_fail_memory((size_t)n * sizeof *c->parts, "parts");
  c->n_parts = n;
  for (int i = 0; st == LRP_OK && i < n; i++) {
    st = read_part(y, lrp_yaml_item(y, node, i), &c->parts[i]);
  }
  return st;
}

void lrp_entry_write_parts(FILE *out, const lrp_job_key *key, const void *entry) {
  const lrp_job_configuration *c = entry;
  (void)key;

  for (int i = 0; i < c->n_parts; i++) {
    const lrp_job_configuration *part = &c->parts[i];
    const char *before = "\n      - {";
    for (int k = 0; k < lrp_job_n_keys; k++) {
      const lrp_job_key *row = &lrp_job_keys[k];
      if (!lrp_is_key_of(row, "configurations[]") || !(row->rules & (1u << part->rule))) continue;
      if (strcmp(lrp_job_key_leaf(row), "name") == 0) continue;
      fprintf(out, "%s%s: ", before, lrp_job_key_leaf(row));
      row->write(out, row, part);
      before = ", ";
    }
    fputc('}', out);
  }
}
