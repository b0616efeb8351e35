/** @file kernels/status.h
 *  Status codes, their process exit codes, the one message of a failure, and agreement of a
 *  status across the process ranks of a communicator.
 *
 *  The place that detects a failure calls lrp_fail() with file, field, value and remedy; everybody
 *  above it only passes the status on. Nothing is printed until the end, so that a job of many
 *  process ranks says what happened exactly once (lrp_report_failure). */
#ifndef LRP_KERNELS_STATUS_H
#define LRP_KERNELS_STATUS_H

#include <mpi.h>

/** code, process exit code (sysexits.h where one fits), text. Ordered by severity: the agreed
 *  status of a communicator is the largest one. */
#define LRP_STATUS_LIST(X)                                        \
  X(LRP_OK, 0, "success")                                         \
  X(LRP_STOPPED, 75, "stopped early, run the same command again") \
  X(LRP_ERR_USAGE, 2, "wrong usage")                              \
  X(LRP_ERR_JOB, 78, "bad job")                                   \
  X(LRP_ERR_ABSENT, 66, "absent file")                            \
  X(LRP_ERR_DATA, 65, "bad data")                                 \
  X(LRP_ERR_NUM, 69, "no convergence")                            \
  X(LRP_ERR_PERM, 77, "permission denied")                        \
  X(LRP_ERR_CREATE, 73, "cannot create output")                   \
  X(LRP_ERR_IO, 74, "input/output error")                         \
  X(LRP_ERR_MEM, 71, "out of memory")                             \
  X(LRP_ERR_BUG, 70, "internal error")

#define LRP_STATUS_ENUM(code, exit_code, text) code,
typedef enum { LRP_STATUS_LIST(LRP_STATUS_ENUM) } lrp_status;
#undef LRP_STATUS_ENUM

/** Text of a status. Local. */
const char *lrp_status_string(lrp_status st);

/** Process exit code of a status (DESIGN: sysexits). Local. */
int lrp_status_exit_code(lrp_status st);

/** Record the message of a failure and return st. Local, thread-safe.
 *  One line, no trailing newline: what file or field, what value, what to do. The first message of
 *  the most severe status is kept. */
lrp_status lrp_fail(lrp_status st, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** LRP_ERR_MEM with the number of bytes that were asked for and what for. Local. */
lrp_status lrp_fail_memory(size_t bytes, const char *what);

/** Status of a failed system call on path, by errno: ENOENT -> absent_status; EACCES, EPERM,
 *  EROFS -> LRP_ERR_PERM; ENOMEM -> LRP_ERR_MEM; anything else -> other_status. Records the
 *  message "<path>: cannot <verb>: <strerror>". Local. */
lrp_status lrp_fail_errno(const char *path, const char *verb, lrp_status absent_status,
                          lrp_status other_status);

/** Largest status over comm, the same on every process rank. Collective.
 *  Call it after rank-dependent work (allocation, local checks, file access) and before the next
 *  collective call, so that no process rank is left waiting. */
lrp_status lrp_agree(lrp_status mine, MPI_Comm comm);

/** Message recorded for the status st, or NULL. Local; valid until the next lrp_fail(). */
const char *lrp_failure_message(lrp_status st);

/** Forget the recorded message: the failure was dealt with (an escalation, a test). Local. */
void lrp_failure_clear(void);

/** Say the one message of the agreed status st: that of the lowest process rank of comm that has
 *  one, printed by process rank 0, which also owns the log file. Collective over comm; comm may be
 *  MPI_COMM_NULL (a command without MPI: local). */
void lrp_report_failure(lrp_status st, MPI_Comm comm);

#endif
