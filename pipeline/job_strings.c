#include <stdlib.h>
#include <string.h>

#include "pipeline/job_keys.h"

void lrp_free_strings(char **list, int n) {
  for (int i = 0; list && i < n; i++) free(list[i]);
  free(list);
}

static lrp_status copy_item(const lrp_yaml *y, const yaml_node_t *node, const char *key,
                            char **list, int n) {
  const char *text;
  const lrp_status st = lrp_yaml_string(y, node, key, &text);

  if (st != LRP_OK) return st;
  for (int i = 0; i < n; i++) {
    if (strcmp(list[i], text) == 0) {
      return lrp_yaml_fail(y, node, "%s: '%.100s' is listed twice", key, text);
    }
  }
  list[n] = strdup(text);
  return list[n] ? LRP_OK : lrp_fail_memory(strlen(text) + 1, key);
}

lrp_status lrp_read_strings(const lrp_yaml *y, const yaml_node_t *node, const char *key, int max,
                            char ***list, int *n) {
  const bool is_list = lrp_yaml_is_list(node);
  const int size = is_list ? lrp_yaml_list_size(node) : 1;
  lrp_status st = LRP_OK;
  char **made;

  if (size > max) return lrp_yaml_fail(y, node, "%s: %d entries, at most %d", key, size, max);
  made = calloc((size_t)size + 1, sizeof *made);
  if (!made) return lrp_fail_memory((size_t)size * sizeof *made, key);
  for (int i = 0; st == LRP_OK && i < size; i++) {
    st = copy_item(y, is_list ? lrp_yaml_item(y, node, i) : node, key, made, i);
  }
  if (st != LRP_OK) {
    lrp_free_strings(made, size);
    return st;
  }
  lrp_free_strings(*list, *n);
  *list = made;
  *n = size;
  return LRP_OK;
}

void lrp_write_quoted(FILE *out, const char *text) {
  fputc('"', out);
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') fputc('\\', out);
    fputc(*text, out);
  }
  fputc('"', out);
}

void lrp_write_strings(FILE *out, char *const *list, int n) {
  fputc('[', out);
  for (int i = 0; i < n; i++) {
    if (i > 0) fputs(", ", out);
    lrp_write_quoted(out, list[i]);
  }
  fputc(']', out);
}
