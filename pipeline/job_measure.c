#include <inttypes.h>
#include <string.h>

#include "pipeline/job_keys.h"

/* One of the counts, which must differ: a case is measured once. */
static lrp_status read_count(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                             lrp_counts *counts) {
  int64_t value = 0;
  const lrp_status st =
      lrp_yaml_integer(y, node, key->path, "an integer >= 1", 1, key->max, &value);

  if (st != LRP_OK) return st;
  for (int i = 0; i < counts->n; i++) {
    if (counts->value[i] != value) continue;
    return lrp_yaml_fail(y, node, "%s: %" PRId64 " is listed twice", key->path, value);
  }
  counts->value[counts->n++] = value;
  return LRP_OK;
}

lrp_status lrp_job_read_counts(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                               void *target) {
  const bool is_list = lrp_yaml_is_list(node);
  const int n = is_list ? lrp_yaml_list_size(node) : 1;
  lrp_counts counts = {.n = 0};
  lrp_status st = LRP_OK;

  if (n == 0) return lrp_yaml_fail(y, node, "%s: an empty list", key->path);
  if (n > LRP_MAX_COUNTS) {
    return lrp_yaml_fail(y, node, "%s: %d entries, at most %d", key->path, n, LRP_MAX_COUNTS);
  }
  for (int i = 0; st == LRP_OK && i < n; i++) {
    st = read_count(y, is_list ? lrp_yaml_item(y, node, i) : node, key, &counts);
  }
  if (st == LRP_OK) memcpy((char *)target + key->offset, &counts, sizeof counts);
  return st;
}

void lrp_job_write_counts(FILE *out, const lrp_job_key *key, const void *target) {
  const lrp_counts *counts = (const lrp_counts *)((const char *)target + key->offset);

  if (counts->n > 1) fputc('[', out);
  for (int i = 0; i < counts->n; i++)
    fprintf(out, "%s%" PRId64, i > 0 ? ", " : "", counts->value[i]);
  if (counts->n > 1) fputc(']', out);
}
