#include "pipeline/stop.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/base/file.h"

/* Work is begun only if its predicted time, with a reserve, ends before the limit. */
static const double reserve_factor = 1.2, reserve_s = 0.5;

/* The file STOP is looked for at most this often. */
static const double look_every_s = 0.2;

static volatile sig_atomic_t stop_signal = 0;
static volatile sig_atomic_t checkpoints = 0;

/* Why a process rank stops; where they differ, the greatest is the run's. */
typedef enum { none, by_time, by_signal, by_file } reason;

static const char *const reason_name[] = {NULL, "time", "signal", "file"};

struct lrp_stop {
  char *stop_file, *failed_file; /* owned */
  int me;
  reason reason;
  double deadline;      /* MPI_Wtime(); INFINITY: none */
  double guess;         /* seconds per cost, until something was measured in this stage */
  double cost, seconds; /* measured in this stage: sums */
  double last_look;     /* at the files */
  bool file_seen;       /* STOP */
  bool failed;          /* another process rank has failed or was told to stop */
  int checkpoints_met;  /* signals dealt with */
};

static void on_signal(int number) {
  if (number == SIGUSR2) stop_signal = 1;
  if (number == SIGUSR1) checkpoints++;
}

void lrp_stop_install(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGUSR2, &action, NULL);
}

bool lrp_parse_duration(const char *text, double *seconds) {
  double days = 0.0, total = 0.0;
  char *end;
  int fields = 0;

  if (*text < '0' || *text > '9' || text[strspn(text, "0123456789.:-")]) return false;
  double value = strtod(text, &end);
  const bool has_days = *end == '-';
  if (has_days) {
    days = value;
    text = end + 1;
    if (*text < '0' || *text > '9') return false;
    value = strtod(text, &end);
  }
  for (;;) {
    total = 60.0 * total + value;
    if (++fields == 3 || *end != ':') break;
    text = end + 1;
    if (*text < '0' || *text > '9') return false;
    value = strtod(text, &end);
  }
  if (*end != '\0' || (has_days && fields != 3)) return false;
  *seconds = 86400.0 * days + total;
  return isfinite(*seconds);
}

/* Seconds from now to the limit, as process rank 0 knows it; INFINITY: none. */
static double remaining_time(double max_time_s, double start) {
  const char *end_time = getenv("SLURM_JOB_END_TIME");
  char *rest;

  if (max_time_s > 0.0) return start + max_time_s - MPI_Wtime();
  if (!end_time || !*end_time) return INFINITY;
  const double end = strtod(end_time, &rest);
  return *rest == '\0' ? end - (double)time(NULL) : INFINITY;
}

static void free_paths(lrp_stop *stop) {
  free(stop->stop_file);
  free(stop->failed_file);
}

lrp_status lrp_stop_create(const char *output, double max_time_s, double start,
                           const lrp_topology *topo, lrp_stop **out) {
  lrp_stop *stop = calloc(1, sizeof *stop);
  double remaining = INFINITY;
  *out = NULL;
  lrp_status st = stop ? LRP_OK : lrp_fail_memory(sizeof *stop, "the time limit");
  if (st == LRP_OK) {
    stop->stop_file = lrp_path_join(output, "STOP");
    stop->failed_file = lrp_path_join(output, ".failed");
    if (!stop->stop_file || !stop->failed_file) st = LRP_ERR_MEM;
  }
  st = lrp_agree(st, topo->comm);
  if (st != LRP_OK) {
    if (stop) free_paths(stop);
    free(stop);
    return st;
  }
  if (topo->me == 0) {
    unlink(stop->failed_file); /* of a run that was killed */
    remaining = remaining_time(max_time_s, start);
  }
  /* What remains is sent, not the moment: hosts' clocks differ. After this no old file is there. */
  MPI_Bcast(&remaining, 1, MPI_DOUBLE, 0, topo->comm);
  stop->me = topo->me;
  stop->deadline = MPI_Wtime() + remaining;
  stop->last_look = -INFINITY;
  *out = stop;
  return LRP_OK;
}

void lrp_stop_destroy(lrp_stop **out) {
  lrp_stop *stop = *out;
  if (!stop) return;
  if (stop->me == 0) {
    unlink(stop->stop_file); /* it was for this run, however it ended */
    unlink(stop->failed_file);
  }
  free_paths(stop);
  free(stop);
  *out = NULL;
}

void lrp_stop_stage(lrp_stop *stop, double seconds_per_cost) {
  stop->guess = seconds_per_cost;
  stop->cost = 0.0;
  stop->seconds = 0.0;
}

void lrp_stop_learn(lrp_stop *stop, double cost, double seconds) {
  stop->cost += cost;
  stop->seconds += seconds;
}

void lrp_stop_abandon(lrp_stop *stop) {
  const int fd = open(stop->failed_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (fd >= 0) close(fd);
}

/* Look for the files, not too often. */
static void look(lrp_stop *stop, double now) {
  if (now - stop->last_look < look_every_s) return;
  stop->last_look = now;
  if (access(stop->stop_file, F_OK) == 0) stop->file_seen = true;
  if (access(stop->failed_file, F_OK) == 0) stop->failed = true;
}

double lrp_stop_predict(const lrp_stop *stop, double cost) {
  return cost * (stop->cost > 0.0 ? stop->seconds / stop->cost : stop->guess);
}

lrp_status lrp_stop_check(lrp_stop *stop, double cost) {
  const double now = MPI_Wtime();
  if (stop_signal) {
    stop->reason = by_signal;
    lrp_stop_abandon(stop); /* it may have come to this process rank alone */
    return lrp_fail(LRP_STOPPED, "stopped early by signal USR2; run the same command again");
  }
  look(stop, now);
  if (stop->failed) {
    return lrp_fail(LRP_STOPPED,
                    "stopped early because another process rank was stopped; run the same command "
                    "again");
  }
  if (stop->file_seen) {
    stop->reason = by_file;
    return lrp_fail(LRP_STOPPED, "stopped early by the file %s; run the same command again",
                    stop->stop_file);
  }
  const double left = stop->deadline - now;
  const double needed = lrp_stop_predict(stop, cost);
  if (left < reserve_factor * needed + reserve_s) {
    stop->reason = by_time;
    return lrp_fail(
        LRP_STOPPED,
        "stopped early by the time limit: %.1f s are left, the next piece of work needs "
        "about %.1f s; run the same command again",
        left > 0.0 ? left : 0.0, reserve_factor * needed + reserve_s);
  }
  return LRP_OK;
}

const char *lrp_stop_reason(lrp_stop *stop, MPI_Comm comm) {
  if (!stop) return NULL;
  int code = stop->reason;
  MPI_Allreduce(MPI_IN_PLACE, &code, 1, MPI_INT, MPI_MAX, comm);
  stop->reason = (reason)code;
  return reason_name[code];
}

bool lrp_stop_checkpoint(lrp_stop *stop) {
  const int seen = checkpoints;
  const bool wanted = seen != stop->checkpoints_met;
  stop->checkpoints_met = seen;
  return wanted;
}
