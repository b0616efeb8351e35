/* A data directory with the file of one task, for the tests of this folder. Include after cmocka.h.
 */
#ifndef LRP_TESTS_TASK_FILE_H
#define LRP_TESTS_TASK_FILE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/base/file.h"
#include "pipeline/tasks.h"

static char task_dir[] = "/tmp/lrp-tasks-XXXXXX";

static int task_dir_create(void **state) {
  (void)state;
  return mkdtemp(task_dir) ? 0 : -1;
}

static int task_dir_remove(void **state) {
  char command[128];
  (void)state;
  snprintf(command, sizeof command, "rm -rf '%s'", task_dir);
  return system(command);
}

/* Write rows as a file below the data directory. */
static void put_file(const char *file, const char *rows) {
  char *path = lrp_path_join(task_dir, file);
  assert_non_null(path);
  char *slash = strrchr(path, '/');
  *slash = '\0';
  assert_int_equal(lrp_make_directory(path), LRP_OK);
  *slash = '/';
  assert_int_equal(lrp_file_write(path, rows, strlen(rows)), LRP_OK);
  free(path);
}

/* Write rows as the data file of the task called name. */
static inline const lrp_task_kind *put_rows(const char *name, const char *rows) {
  const lrp_task_kind *kind = lrp_task_find(name);
  assert_non_null(kind);
  put_file(kind->files[0], rows);
  return kind;
}

/* Load a task alone. */
static inline lrp_status load_task(const lrp_task_kind *kind, int64_t limit, int64_t max_length,
                                   lrp_task *task) {
  const lrp_task_source source = {.dir = task_dir, .limit = limit, .max_length = max_length};
  return lrp_task_load(kind, &source, NULL, 0, task);
}

#endif
