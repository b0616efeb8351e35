#include "kernels/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { line_max = 4096 };

static int log_me = 0;
static bool log_quiet = false;
static FILE *log_file = NULL;

void lrp_log_init(int me, bool quiet) {
  log_me = me;
  log_quiet = quiet;
}

lrp_status lrp_log_open(const char *path) {
  FILE *f = fopen(path, "ae");
  if (!f) return lrp_fail_errno(path, "open the log", LRP_ERR_CREATE, LRP_ERR_CREATE);
  log_file = f;
  return LRP_OK;
}

lrp_status lrp_log_close(void) {
  if (!log_file) return LRP_OK;
  const int failed = ferror(log_file);
  const int closed = fclose(log_file);
  log_file = NULL;
  if (failed || closed != 0) return lrp_fail(LRP_ERR_IO, "run.log: could not be written");
  return LRP_OK;
}

static void write_line(bool on_stderr, const char *prefix, const char *fmt, va_list ap) {
  char line[line_max], stamp[32];
  const time_t now = time(NULL);
  struct tm utc;

  gmtime_r(&now, &utc);
  strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &utc);
  vsnprintf(line, sizeof line, fmt, ap);
  if (on_stderr) fprintf(stderr, "%s%s\n", prefix, line);
  if (log_file) {
    fprintf(log_file, "%s %s%s\n", stamp, prefix, line);
    fflush(log_file);
  }
}

void lrp_log(const char *fmt, ...) {
  va_list ap;
  if (log_me != 0) return;
  va_start(ap, fmt);
  write_line(!log_quiet, "", fmt, ap);
  va_end(ap);
}

void lrp_warn(const char *fmt, ...) {
  va_list ap;
  if (log_me != 0) return;
  va_start(ap, fmt);
  write_line(true, "lrpipe: warning: ", fmt, ap);
  va_end(ap);
}

void lrp_log_local(const char *fmt, ...) {
  char host[64] = "?", prefix[128];
  va_list ap;
  gethostname(host, sizeof host - 1);
  snprintf(prefix, sizeof prefix, "[%d %s] ", log_me, host);
  va_start(ap, fmt);
  write_line(!log_quiet, prefix, fmt, ap);
  va_end(ap);
}

void lrp_log_notice(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  write_line(true, "lrpipe: ", fmt, ap);
  va_end(ap);
}

void lrp_log_error(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  write_line(true, "lrpipe: error: ", fmt, ap);
  va_end(ap);
}
