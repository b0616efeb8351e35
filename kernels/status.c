#include "kernels/status.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernels/log.h"

enum { message_max = 2048, report_max = message_max + 128 };

static pthread_mutex_t failure_mutex = PTHREAD_MUTEX_INITIALIZER;
static lrp_status failure_status = LRP_OK;
static char failure_text[message_max];

const char *lrp_status_string(lrp_status st) {
#define LRP_STATUS_TEXT(code, exit_code, text) \
  case code:                                   \
    return text;
  switch (st) { LRP_STATUS_LIST(LRP_STATUS_TEXT) }
#undef LRP_STATUS_TEXT
  return "unknown status";
}

int lrp_status_exit_code(lrp_status st) {
#define LRP_STATUS_EXIT(code, exit_code, text) \
  case code:                                   \
    return exit_code;
  switch (st) { LRP_STATUS_LIST(LRP_STATUS_EXIT) }
#undef LRP_STATUS_EXIT
  return 70;
}

/* One message is one line: control characters of a hostile file name or value become '?'. */
static void make_printable(char *text) {
  for (char *p = text; *p; p++) {
    if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
  }
}

lrp_status lrp_fail(lrp_status st, const char *fmt, ...) {
  char text[message_max];
  va_list ap;

  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  make_printable(text);
  pthread_mutex_lock(&failure_mutex);
  if (st > failure_status) {
    failure_status = st;
    memcpy(failure_text, text, sizeof text);
  }
  pthread_mutex_unlock(&failure_mutex);
  return st;
}

lrp_status lrp_fail_memory(size_t bytes, const char *what) {
  return lrp_fail(LRP_ERR_MEM, "out of memory: %zu bytes for %s", bytes, what);
}

lrp_status lrp_fail_errno(const char *path, const char *verb, lrp_status absent_status,
                          lrp_status other_status) {
  const int e = errno;
  lrp_status st = other_status;
  if (e == ENOENT || e == ENOTDIR) st = absent_status;
  if (e == EACCES || e == EPERM || e == EROFS) st = LRP_ERR_PERM;
  if (e == ENOMEM) st = LRP_ERR_MEM;
  return lrp_fail(st, "%s: cannot %s: %s", path, verb, strerror(e));
}

lrp_status lrp_agree(lrp_status mine, MPI_Comm comm) {
  int code = mine;
  MPI_Allreduce(MPI_IN_PLACE, &code, 1, MPI_INT, MPI_MAX, comm);
  return (lrp_status)code;
}

const char *lrp_failure_message(lrp_status st) {
  return st != LRP_OK && st == failure_status ? failure_text : NULL;
}

void lrp_failure_clear(void) {
  failure_status = LRP_OK;
  failure_text[0] = '\0';
}

/* The message of the lowest process rank that has one, on process rank 0, with its origin. */
static void gather_message(lrp_status st, MPI_Comm comm, char text[report_max]) {
  const char *message = lrp_failure_message(st);
  int me, size;
  MPI_Comm_rank(comm, &me);
  MPI_Comm_size(comm, &size);
  int speaker = message ? me : size;
  MPI_Allreduce(MPI_IN_PLACE, &speaker, 1, MPI_INT, MPI_MIN, comm);
  if (speaker == 0 || speaker == size) return;
  if (me == speaker) {
    char host[64] = "?";
    gethostname(host, sizeof host - 1);
    snprintf(text, report_max, "%s (process rank %d on %s)", message, me, host);
    MPI_Send(text, report_max, MPI_CHAR, 0, 0, comm);
  } else if (me == 0) {
    MPI_Recv(text, report_max, MPI_CHAR, speaker, 0, comm, MPI_STATUS_IGNORE);
  }
}

void lrp_report_failure(lrp_status st, MPI_Comm comm) {
  const char *message = lrp_failure_message(st);
  char text[report_max];
  int me = 0;

  snprintf(text, sizeof text, "%s", message ? message : lrp_status_string(st));
  if (comm != MPI_COMM_NULL) {
    gather_message(st, comm, text);
    MPI_Comm_rank(comm, &me);
  }
  if (me != 0) return;
  if (st == LRP_STOPPED) {
    lrp_log_notice("%s", text);
  } else {
    lrp_log_error("%s", text);
  }
}
