/* The table that a run prints. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/report.h"

/* A table that a terminal holds; tradeoff.csv has all of it. */
enum { columns_max = 10, rows_max = 40, rows_first = 12 };

typedef struct {
  const char *key;
  int importance; /* the less, the more */
} column;

/* Those of a table: the most important first. */
typedef struct {
  column column[columns_max];
  int n;
} columns;

static bool ends_with(const char *key, const char *end) {
  const size_t n = strlen(key), m = strlen(end);
  return n >= m && strcmp(key + n - m, end) == 0;
}

/* Standard errors, what never changes, and accuracies by length beside the plain one. */
static bool is_hidden(const char *key, const json_t *row) {
  char plain[128];
  if (ends_with(key, "_stderr") || strcmp(key, "parameters_dense") == 0) return true;
  if (ends_with(key, "/acc_bytes")) return true;
  if (!ends_with(key, "/acc_norm")) return false;
  snprintf(plain, sizeof plain, "%.*s", (int)(strlen(key) - strlen("_norm")), key);
  return json_object_get(row, plain);
}

/* Whether key is the first metric of something that the job names. */
static bool is_headline(const char *key, const json_t *tasks) {
  char name[128];
  size_t i;
  const json_t *task;
  json_array_foreach(tasks, i, task) {
    snprintf(name, sizeof name, "%s/%s", json_string_value(json_object_get(task, "name")),
             json_string_value(json_object_get(task, "metric")));
    if (strcmp(key, name) == 0) return true;
  }
  return false;
}

/* Place in this list; what is not in it comes last. */
static int importance_of(const char *key, const json_t *tasks) {
  static const char *const keys[] = {
      "configuration",  "reduction_percent", "score",          "(the tasks')",
      "parameters",     "choice_loss",       "bytes",          "pareto",
      "decode_seconds", "prefill_seconds",   "flops_per_token"};
  enum { of_tasks = 3, n = sizeof keys / sizeof *keys };
  if (ends_with(key, "/average") || is_headline(key, tasks)) return of_tasks;
  for (int i = 0; i < n; i++) {
    if (strcmp(key, keys[i]) == 0) return i;
  }
  return n;
}

/* Put a column in its place, if there is one among the most important. */
static void add_column(columns *c, column added) {
  int at = c->n;
  while (at > 0 && c->column[at - 1].importance > added.importance) at--;
  if (at == columns_max) return;
  if (c->n < columns_max) c->n++;
  memmove(&c->column[at + 1], &c->column[at], (size_t)(c->n - 1 - at) * sizeof *c->column);
  c->column[at] = added;
}

static columns choose_columns(const json_t *row, const json_t *tasks) {
  columns chosen = {.n = 0};
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)row, key, value) {
    if (!is_hidden(key, row)) add_column(&chosen, (column){key, importance_of(key, tasks)});
  }
  return chosen;
}

static bool is_chosen(const columns *c, const char *key) {
  for (int i = 0; i < c->n; i++) {
    if (strcmp(c->column[i].key, key) == 0) return true;
  }
  return false;
}

static int width_of(const char *key) {
  if (strcmp(key, "configuration") == 0) return -20;
  if (strcmp(key, "pareto") == 0) return 6;
  return (int)(strlen(key) > 12 ? strlen(key) : 12);
}

/* The chosen ones, in the order of the row. */
static void print_row(const columns *c, const json_t *row, bool head) {
  const char *key, *space = "";
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)row, key, value) {
    if (!is_chosen(c, key)) continue;
    const int width = width_of(key);
    fputs(space, stdout);
    space = " ";
    if (head) {
      printf("%*s", width, key);
    } else if (json_is_string(value)) {
      printf("%*s", width, json_string_value(value));
    } else if (json_is_integer(value)) {
      printf("%*lld", width, (long long)json_integer_value(value));
    } else if (json_is_null(value)) {
      printf("%*s", width, "");
    } else if (ends_with(key, "_seconds")) {
      printf("%*.4g", width, json_real_value(value)); /* of a small model, too */
    } else {
      printf("%*.4f", width, json_real_value(value));
    }
  }
  putchar('\n');
}

/* Of many configurations the first ones, which a job lists in front of its sweeps, and those that
 * no other one beats. */
static bool is_row_shown(const json_t *row, size_t i, size_t n) {
  if (n <= rows_max || i < rows_first) return true;
  return json_integer_value(json_object_get(row, "pareto")) == 1;
}

static void print_table(const json_t *rows, const json_t *tasks) {
  const size_t n = json_array_size(rows);
  const json_t *first = json_array_get(rows, 0), *row;
  size_t i, left_out = 0;
  if (!first) return;
  const columns chosen = choose_columns(first, tasks);
  print_row(&chosen, first, true);
  json_array_foreach(rows, i, row) {
    const bool shown = is_row_shown(row, i, n);
    if (shown) print_row(&chosen, row, false);
    left_out += !shown;
  }
  if (left_out > 0) {
    printf("and %zu more in tradeoff.csv%s\n", left_out,
           json_object_get(first, "pareto") ? ", none of them on the Pareto front" : "");
  }
}

lrp_status lrp_report_print(const char *output) {
  json_t *all = NULL;
  const lrp_status st = lrp_report_read(output, &all);
  if (st == LRP_OK) {
    print_table(json_object_get(all, "configurations"), json_object_get(all, "tasks"));
  }
  json_decref(all);
  return st;
}
