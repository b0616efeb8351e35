/* Keys of evaluate that are more than a word or a number: tasks with their shots, and sizes. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/job_keys.h"

enum { max_tasks = 1000 };

/* ---- tasks ---- */

/* The tasks of a job, before they replace those of an earlier source. */
typedef struct {
  char **names;
  int64_t *shots;
  int n;
} task_list;

static void free_list(task_list *list) {
  lrp_free_strings(list->names, list->n);
  free(list->shots);
}

static lrp_status add_name(const lrp_yaml *y, const yaml_node_t *node, const char *key,
                           task_list *list) {
  const char *text;
  const lrp_status st = lrp_yaml_string(y, node, key, &text);

  if (st != LRP_OK) return st;
  for (int i = 0; i < list->n; i++) {
    if (strcmp(list->names[i], text) == 0) {
      return lrp_yaml_fail(y, node, "%s: '%.100s' is listed twice", key, text);
    }
  }
  list->names[list->n] = strdup(text);
  if (!list->names[list->n]) return lrp_fail_memory(strlen(text) + 1, key);
  list->shots[list->n++] = -1;
  return LRP_OK;
}

/* {name: arc_challenge, num_fewshot: 25} */
static lrp_status add_map(const lrp_yaml *y, const yaml_node_t *map, const char *key,
                          task_list *list) {
  const yaml_node_t *name = NULL;
  int64_t shots = -1;
  lrp_status st = LRP_OK;

  for (int i = 0; st == LRP_OK && i < lrp_yaml_map_size(map); i++) {
    const yaml_node_t *value = lrp_yaml_map_value(y, map, i);
    const char *field;
    st = lrp_yaml_key_text(y, map, i, &field);
    if (st != LRP_OK) break;
    if (strcmp(field, "name") == 0) {
      name = value;
    } else if (strcmp(field, "num_fewshot") == 0) {
      st = lrp_yaml_integer(y, value, "evaluate.tasks[].num_fewshot",
                            "an integer >= 0 and <= 1000000", 0, LRP_MAX_SHOTS, &shots);
    } else {
      st = lrp_yaml_fail(y, lrp_yaml_map_key(y, map, i),
                         "%s: unknown key '%.100s'; a task has the keys name and num_fewshot", key,
                         field);
    }
  }
  if (st == LRP_OK && !name) st = lrp_yaml_fail(y, map, "%s: a task without a name", key);
  if (st == LRP_OK) st = add_name(y, name, key, list);
  if (st == LRP_OK) list->shots[list->n - 1] = shots;
  return st;
}

static lrp_status read_list(const lrp_yaml *y, const yaml_node_t *node, const char *key,
                            task_list *list) {
  const bool is_list = lrp_yaml_is_list(node);
  const int n = is_list ? lrp_yaml_list_size(node) : 1;
  lrp_status st = LRP_OK;

  if (n > max_tasks) return lrp_yaml_fail(y, node, "%s: %d entries, at most %d", key, n, max_tasks);
  list->names = calloc((size_t)n + 1, sizeof *list->names);
  list->shots = calloc((size_t)n + 1, sizeof *list->shots);
  if (!list->names || !list->shots) return lrp_fail_memory((size_t)n * sizeof *list->names, key);
  for (int i = 0; st == LRP_OK && i < n; i++) {
    const yaml_node_t *item = is_list ? lrp_yaml_item(y, node, i) : node;
    st = lrp_yaml_is_map(item) ? add_map(y, item, key, list) : add_name(y, item, key, list);
  }
  return st;
}

lrp_status lrp_job_read_tasks(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                              void *target) {
  lrp_job *job = target;
  task_list list = {0};
  const lrp_status st = read_list(y, node, key->path, &list);
  if (st == LRP_OK) {
    const task_list before = {job->evaluate.tasks, job->evaluate.task_shots, job->evaluate.n_tasks};
    job->evaluate.tasks = list.names;
    job->evaluate.task_shots = list.shots;
    job->evaluate.n_tasks = list.n;
    list = before;
  }
  free_list(&list);
  return st;
}

void lrp_job_write_tasks(FILE *out, const lrp_job_key *key, const void *target) {
  const lrp_job *job = target;
  (void)key;
  fputc('[', out);
  for (int i = 0; i < job->evaluate.n_tasks; i++) {
    const int64_t shots = job->evaluate.task_shots[i];
    if (i > 0) fputs(", ", out);
    if (shots >= 0) fputs("{name: ", out);
    lrp_write_quoted(out, job->evaluate.tasks[i]);
    if (shots >= 0) fprintf(out, ", num_fewshot: %" PRId64 "}", shots);
  }
  fputc(']', out);
}

/* ---- sizes ---- */

typedef struct {
  const char *name;
  int64_t bytes;
} size_unit;

/* The largest first, as sizes are written. */
static const size_unit units[] = {
    {"TiB", (int64_t)1 << 40}, {"TB", 1000000000000}, {"GiB", 1 << 30},
    {"GB", 1000000000},        {"MiB", 1 << 20},      {"MB", 1000000},
    {"KiB", 1 << 10},          {"kB", 1000},          {"B", 1},
};
enum { n_units = sizeof units / sizeof units[0] };

/* "24GiB", "1.5 TB". */
static bool parse_size(const char *text, int64_t *bytes) {
  char *end;
  if (*text < '0' || *text > '9') return false;
  const double number = strtod(text, &end);
  end += strspn(end, " ");
  for (int i = 0; i < n_units; i++) {
    if (strcmp(end, units[i].name) != 0) continue;
    const double value = floor(number * (double)units[i].bytes);
    if (!(value >= 1.0 && value <= 0x1p62)) return false;
    *bytes = (int64_t)value;
    return true;
  }
  return false;
}

lrp_status lrp_job_read_bytes(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                              void *target) {
  int64_t *field = (int64_t *)((char *)target + key->offset);
  char got[LRP_YAML_TEXT], text[LRP_YAML_TEXT];

  if (lrp_yaml_is_word(node, "auto")) {
    *field = 0;
    return LRP_OK;
  }
  if (node->type == YAML_SCALAR_NODE && node->data.scalar.length < sizeof text) {
    memcpy(text, node->data.scalar.value, node->data.scalar.length);
    text[node->data.scalar.length] = '\0';
    if (parse_size(text, field)) return LRP_OK;
  }
  return lrp_yaml_fail(y, node, "%s: expected %s, got %s", key->path, key->type,
                       lrp_yaml_describe(node, got));
}

void lrp_job_write_bytes(FILE *out, const lrp_job_key *key, const void *target) {
  const int64_t bytes = *(const int64_t *)((const char *)target + key->offset);
  int i = 0;

  if (bytes == 0) {
    fputs("auto", out);
    return;
  }
  while (bytes % units[i].bytes != 0) i++;
  fprintf(out, "%" PRId64 "%s", bytes / units[i].bytes, units[i].name);
}
