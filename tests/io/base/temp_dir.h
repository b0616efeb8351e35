/** @file tests/io/base/temp_dir.h
 *  A directory of its own for a test program, and assertions about failures and their messages. */
#ifndef LRP_TESTS_IO_BASE_TEMP_DIR_H
#define LRP_TESTS_IO_BASE_TEMP_DIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/status.h"

static char temp_dir[256];

static inline int temp_remove_one(const char *path, const struct stat *s, int type,
                                  struct FTW *ftw) {
  (void)s;
  (void)type;
  (void)ftw;
  return remove(path);
}

static inline void temp_remove(const char *path) {
  nftw(path, temp_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Group setup and teardown. */
static inline int temp_setup(void **state) {
  const char *base = getenv("TMPDIR");
  (void)state;
  snprintf(temp_dir, sizeof temp_dir, "%s/lrp-test-XXXXXX", base ? base : "/tmp");
  return mkdtemp(temp_dir) ? 0 : -1;
}

static inline int temp_teardown(void **state) {
  (void)state;
  temp_remove(temp_dir);
  return 0;
}

/* Path of name in the directory; the last 8 results stay valid. */
static inline const char *temp_path(const char *name) {
  static char paths[8][1024];
  static unsigned next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", temp_dir, name);
  return path;
}

/* Without the module under test. */
static inline const char *temp_write(const char *name, const void *data, size_t size) {
  const char *path = temp_path(name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, size, f), size);
  assert_int_equal(fclose(f), 0);
  return path;
}

static inline const char *temp_text(const char *name, const char *text) {
  return temp_write(name, text, strlen(text));
}

static inline void check_message(lrp_status st, const char *part) {
  const char *message = lrp_failure_message(st);
  if (!message) fail_msg("no message for: %s", part);
  if (!strstr(message, part)) fail_msg("\"%s\" is not in the message \"%s\"", part, message);
}

/* call returns st and says part. */
#define assert_failure(call, st, part) \
  do {                                 \
    lrp_failure_clear();               \
    assert_int_equal(call, st);        \
    check_message(st, part);           \
    lrp_failure_clear();               \
  } while (0)

static inline void check_ok(lrp_status st) {
  if (st != LRP_OK) fail_msg("%s", lrp_failure_message(st) ? lrp_failure_message(st) : "?");
}

#endif
