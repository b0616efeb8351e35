/** @file kernels/log.h
 *  One line per event, on stderr and in the log file of the run.
 *
 *  Every process rank may call these; events that all share are logged by process rank 0 only
 *  (lrp_log says nothing elsewhere), an event of one process rank with lrp_log_local. Threads may
 *  call them at any time once lrp_log_init has been called. */
#ifndef LRP_KERNELS_LOG_H
#define LRP_KERNELS_LOG_H

#include <stdbool.h>

#include "kernels/status.h"

/** Process rank in messages and whether lrp_log speaks here. Local. quiet: nothing on stderr but
 *  warnings and errors. */
void lrp_log_init(int me, bool quiet);

/** Append everything that follows to the file path, too (run.log). Local; call it on the process
 *  rank that owns the file. @return LRP_OK or the status of the failed open. */
lrp_status lrp_log_open(const char *path);

/** Close the log file. @return LRP_ERR_IO if a line could not be written. Local. */
lrp_status lrp_log_close(void);

/** An event that all process ranks share: printed by process rank 0. Local. */
void lrp_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** A warning that all process ranks share: "lrpipe: warning: ...", by process rank 0. Local. */
void lrp_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** An event of this process rank alone, with its number and host. Local. */
void lrp_log_local(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** A line of progress, by process rank 0: always in the file, on stderr only if on_stderr. Local.
 */
void lrp_log_progress(bool on_stderr, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Columns of the terminal that stderr is; 0: it is none, or shows nothing but warnings and errors
 *  (quiet), or cannot move its cursor. Local. */
int lrp_log_terminal(void);

/** Show text, which is shorter than the terminal is wide, as its last line, in place of the one
 *  before; log lines appear above it. NULL: none any more. Local; only where lrp_log_terminal. */
void lrp_log_bar(const char *text);

/** "lrpipe: ...", whoever calls: not an error, but the reason of an exit code. Local. */
void lrp_log_notice(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** "lrpipe: error: ...", whoever calls. Used by lrp_report_failure only. Local. */
void lrp_log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
