#include "kernels/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { line_max = 4096, bar_bytes = 4096, usual_width = 80 };

static int log_me = 0;
static bool log_quiet = false;
static FILE *log_file = NULL;
static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER; /* of the file and the bar */
static char log_bar[bar_bytes];                               /* what is shown; "": none */

/* To the first column, and erase the line. */
static const char clear_line[] = "\r\033[K";

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
  pthread_mutex_lock(&log_mutex);
  const int failed = ferror(log_file);
  const int closed = fclose(log_file);
  log_file = NULL;
  pthread_mutex_unlock(&log_mutex);
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
  pthread_mutex_lock(&log_mutex);
  if (on_stderr) {
    const bool bar = log_bar[0] != '\0';
    fprintf(stderr, "%s%s%s\n%s", bar ? clear_line : "", prefix, line, log_bar);
  }
  if (log_file) {
    fprintf(log_file, "%s %s%s\n", stamp, prefix, line);
    fflush(log_file);
  }
  pthread_mutex_unlock(&log_mutex);
}

int lrp_log_terminal(void) {
  const char *kind = getenv("TERM");
  struct winsize size;
  if (log_quiet || log_me != 0 || !isatty(STDERR_FILENO)) return 0;
  if (!kind || !*kind || strcmp(kind, "dumb") == 0) return 0;
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : usual_width;
}

void lrp_log_bar(const char *text) {
  pthread_mutex_lock(&log_mutex);
  const bool change = strcmp(text ? text : "", log_bar) != 0;
  snprintf(log_bar, sizeof log_bar, "%s", text ? text : "");
  if (change) fprintf(stderr, "%s%s", clear_line, log_bar);
  pthread_mutex_unlock(&log_mutex);
}

void lrp_log_progress(bool on_stderr, const char *fmt, ...) {
  va_list ap;
  if (log_me != 0) return;
  va_start(ap, fmt);
  write_line(on_stderr && !log_quiet, "", fmt, ap);
  va_end(ap);
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
