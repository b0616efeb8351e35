/* One run per output directory, on any file system with atomic link(2) and rename(2).
 *
 * A lock is a file that comes into being whole: written under another name, then linked. Whoever
 * wants to replace or remove a lock first takes the lock of that lock: OUT/lock.<generation>, the
 * generation being the checksum of the content, which no two locks share. So two that find the same
 * stale lock never both replace it, and one that comes late never replaces the winner's. Should the
 * one who replaces die in between, its lock of the lock is stale and is replaced in the same way.
 */
#include "io/ledger/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/ledger/rawfile.h"
#include "kernels/log.h"

enum {
  heartbeat_s = 10,
  stale_s = 60,
  host_max = 256,
  content_max = 1 << 20,
  depth_max = 4,
  again_max = 1000
};
static const double poll_s = 0.2;

struct lrp_lock {
  MPI_Comm comm; /* owned duplicate */
  /* The rest on process rank 0 only. */
  char *path; /* owned: OUT/lock; NULL elsewhere */
  int fd;     /* of our file, whatever its name is now */
  uint64_t generation;
  bool beating;
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  bool stop;
};

/* A process that stands for a run. */
typedef struct {
  char host[host_max];
  int64_t pid;
  uint64_t start; /* in ticks since boot: tells a reused process id */
} process;

/* What a lock file says. */
typedef struct {
  uint64_t generation;
  double age_s; /* since the last touch */
  char host[host_max], job[64];
  int64_t pid;
  bool alive; /* the run may still be there */
} holder;

/* ---- Processes ------------------------------------------------------------------------------- */

static void host_name(char *host) {
  if (gethostname(host, host_max) != 0) strcpy(host, "localhost");
  host[host_max - 1] = '\0';
}

/* Process ids mean something in one name space only: containers may share a host name. */
static void pid_space(char *space, size_t size) {
  const ssize_t n = readlink("/proc/self/ns/pid", space, size - 1);
  space[n > 0 ? n : 0] = '\0';
}

/* State and start time of a process: fields 3 and 22 of /proc/<pid>/stat. */
static bool process_stat(int64_t pid, char *state, uint64_t *start) {
  char path[64], text[2048];
  const char *p;
  size_t n;
  FILE *f;

  snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
  f = fopen(path, "re");
  if (!f) return false;
  n = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  text[n] = '\0';
  p = strrchr(text, ')'); /* the name of the program may hold anything */
  if (!p || sscanf(p + 1, " %c", state) != 1) return false;
  p += 2;
  for (int field = 3; p && field < 22; field++) p = strchr(p + 1, ' ');
  return p && sscanf(p, "%" SCNu64, start) == 1;
}

static bool process_lives(int64_t pid, uint64_t start) {
  uint64_t found;
  char state;

  if (pid < 1 || pid > INT_MAX) return false;
  if (kill((pid_t)pid, 0) != 0 && errno == ESRCH) return false;
  if (!process_stat(pid, &state, &found)) return true; /* hidden from us, but there */
  return state != 'Z' && state != 'X' && (start == 0 || found == start);
}

/* ---- Reading a lock -------------------------------------------------------------------------- */

/* "<pid>:<start> <pid>:<start> ...", up to the end of the line. */
static bool any_lives(const char *pids) {
  while (*pids && *pids != '\n') {
    char *end;
    const int64_t pid = strtoll(pids, &end, 10);
    const uint64_t start = *end == ':' ? strtoull(end + 1, &end, 10) : 0;
    if (process_lives(pid, start)) return true;
    pids = end + strcspn(end, " \n");
    pids += strspn(pids, " ");
  }
  return false;
}

/* The line of text that begins with key and a space, without them; NULL if there is none. */
static const char *line_of(const char *text, const char *key) {
  const size_t n = strlen(key);
  while (text && (strncmp(text, key, n) != 0 || text[n] != ' ')) {
    text = strchr(text, '\n');
    if (text) text++;
  }
  return text ? text + n + 1 : NULL;
}

static void copy_word(char *to, size_t size, const char *from) {
  const size_t n = from ? strcspn(from, " \n") : 0;
  snprintf(to, size, "%.*s", (int)(n < size ? n : size - 1), n > 0 ? from : "?");
}

static double seconds_of(struct timespec t) {
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Whether the process ids in the lock are those that we see. */
static bool is_here(const char *host, const char *space) {
  char our_host[host_max], our_space[64];

  host_name(our_host);
  pid_space(our_space, sizeof our_space);
  return strcmp(host, our_host) == 0 &&
         (!space || strncmp(space, our_space, strlen(our_space)) == 0);
}

static void parse(const char *text, size_t size, double age_s, holder *h) {
  const char *pid = line_of(text, "pid");
  const char *pids = line_of(text, "pids");

  memset(h, 0, sizeof *h);
  h->generation = XXH3_64bits(text, size);
  h->age_s = age_s;
  copy_word(h->host, sizeof h->host, line_of(text, "host"));
  copy_word(h->job, sizeof h->job, line_of(text, "job"));
  h->pid = pid ? strtoll(pid, NULL, 10) : 0;
  h->alive = age_s < stale_s;
  if (pids && is_here(h->host, line_of(text, "space"))) h->alive = any_lives(pids);
}

/* What the lock at path says, as seen at the time now of its file system. Returns 0 or errno. */
static int read_holder(const char *path, double now, holder *h) {
  struct stat info;
  char *text = NULL;
  int failed = 0;
  size_t size = 0;
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

  memset(h, 0, sizeof *h);
  if (fd < 0) return errno;
  if (fstat(fd, &info) != 0) failed = errno;
  if (!failed && (!S_ISREG(info.st_mode) || info.st_size > content_max)) failed = EINVAL;
  if (!failed) {
    size = (size_t)info.st_size;
    text = calloc(size + 1, 1);
    if (!text) failed = ENOMEM;
  }
  if (!failed && pread(fd, text, size, 0) != (ssize_t)size) failed = errno ? errno : EIO;
  if (!failed) parse(text, size, now - seconds_of(info.st_mtim), h);
  free(text);
  close(fd);
  return failed;
}

/* ---- Taking ---------------------------------------------------------------------------------- */

static bool same_file(const char *path, int fd) {
  struct stat a, b;
  return stat(path, &a) == 0 && fstat(fd, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Give our file the name path unless another has it. Returns 0 or errno. */
static int link_as(const char *mine, int fd, const char *path) {
  if (link(mine, path) == 0) return 0;
  /* On NFS the answer may be lost and the repeated request find our own link. */
  if (errno == EEXIST && same_file(path, fd)) return 0;
  return errno ? errno : EEXIST;
}

/* One attempt to give our file the name path. now: time of the file system. Returns 0 if it is
 * ours; EEXIST if *h has it; EAGAIN if it changed meanwhile; else errno. */
static int attempt(const char *mine, int fd, const char *path, double now, int depth, holder *h) {
  char guard[PATH_MAX];
  holder other;
  int failed = link_as(mine, fd, path);

  if (failed != EEXIST) return failed;
  failed = read_holder(path, now, h);
  if (failed) return failed == ENOENT ? EAGAIN : failed;
  if (h->alive || depth == depth_max) return EEXIST;
  if (snprintf(guard, sizeof guard, "%s.%016" PRIx64, path, h->generation) >= (int)sizeof guard) {
    return ENAMETOOLONG;
  }
  failed = attempt(mine, fd, guard, now, depth + 1, &other);
  if (failed) return failed;
  /* From here to the rename nobody else may replace this generation, if it is still there. */
  failed = read_holder(path, now, &other);
  if (!failed && other.generation != h->generation) failed = EAGAIN;
  if (!failed && rename(guard, path) != 0) failed = errno;
  if (!failed) return same_file(path, fd) ? 0 : EAGAIN;
  if (same_file(guard, fd)) unlink(guard);
  return failed == ENOENT ? EAGAIN : failed;
}

static double monotonic_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return seconds_of(t);
}

/* Touch our file and read its time: the clock of the file system, which all hosts share. */
static double touch(int fd) {
  struct stat info;
  if (futimens(fd, NULL) == 0 && fstat(fd, &info) == 0) return seconds_of(info.st_mtim);
  return (double)time(NULL);
}

static lrp_status refuse(const char *path, const holder *h) {
  return lrp_fail(LRP_ERR_CREATE,
                  "%s: another run holds this output: process %" PRId64
                  " on %s, job %s; wait until it ends, or stop it",
                  path, h->pid, h->host, h->job);
}

static lrp_status wait_and_link(const lrp_lock *lock, const char *mine, double wait_s) {
  const double deadline = monotonic_s() + wait_s;
  bool waiting = false;
  int again = 0;
  holder h;

  for (;;) {
    const int failed = attempt(mine, lock->fd, lock->path, touch(lock->fd), 0, &h);
    if (!failed) return LRP_OK;
    if (failed == EAGAIN && ++again < again_max) continue; /* another one went a step forward */
    errno = failed;
    if (failed != EEXIST) {
      return lrp_fail_errno(lock->path, "lock", LRP_ERR_CREATE, LRP_ERR_CREATE);
    }
    const double left_s = deadline - monotonic_s();
    if (left_s <= 0.0) return refuse(lock->path, &h);
    if (!waiting) {
      lrp_log("waiting for the run of pid %" PRId64 " on %s to end", h.pid, h.host);
    }
    waiting = true;
    const double nap_s = left_s < poll_s ? left_s : poll_s;
    nanosleep(&(struct timespec){.tv_nsec = (long)(1e9 * nap_s)}, NULL);
  }
}

/* ---- Our own file ---------------------------------------------------------------------------- */

/* The lines of the lock, freed by the caller. all: the processes of the run, ours is the first. */
static char *describe_run(const process *all, int n) {
  const char *job = getenv("SLURM_JOB_ID");
  struct timespec t;
  struct tm utc;
  char stamp[32], space[64], *text = NULL;
  size_t size;
  FILE *f = open_memstream(&text, &size);

  if (!f) return NULL;
  clock_gettime(CLOCK_REALTIME, &t);
  gmtime_r(&t.tv_sec, &utc);
  strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
  pid_space(space, sizeof space);
  fprintf(f, "host %s\nspace %s\npid %" PRId64 "\npids", all[0].host, space, all[0].pid);
  for (int i = 0; i < n; i++) {
    if (strcmp(all[i].host, all[0].host) != 0) continue;
    fprintf(f, " %" PRId64 ":%" PRIu64, all[i].pid, all[i].start);
  }
  fprintf(f, "\njob %s\nstarted %s.%09ldZ\n", job && job[0] ? job : "-", stamp, t.tv_nsec);
  if (fclose(f) != 0) {
    free(text);
    return NULL;
  }
  return text;
}

static bool write_all(int fd, const char *text, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = pwrite(fd, text + done, size - done, (off_t)done);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = ENOSPC;
    if (n <= 0) return false;
    done += (size_t)n;
  }
  return true;
}

/* Write our file as mine and keep it open. */
static lrp_status write_own(lrp_lock *lock, const char *mine, const char *text) {
  const size_t size = strlen(text);

  if (unlink(mine) != 0 && errno != ENOENT) {
    return lrp_fail_errno(mine, "remove", LRP_ERR_CREATE, LRP_ERR_CREATE);
  }
  lock->generation = XXH3_64bits(text, size);
  lock->fd = open(mine, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (lock->fd < 0) return lrp_fail_errno(mine, "create", LRP_ERR_CREATE, LRP_ERR_CREATE);
  if (!write_all(lock->fd, text, size)) {
    return lrp_fail_errno(mine, "write", LRP_ERR_CREATE, LRP_ERR_CREATE);
  }
  return lrp_raw_sync(lock->fd, mine);
}

static lrp_status take(lrp_lock *lock, const char *out, double wait_s, const process *all, int n) {
  char name[host_max + 64];
  char *mine = NULL, *text = NULL;
  lrp_status st = LRP_OK;

  snprintf(name, sizeof name, "lock.%s.%" PRId64, all[0].host, all[0].pid);
  lock->path = lrp_path_join(out, "lock");
  mine = lrp_path_join(out, name);
  text = describe_run(all, n);
  if (!lock->path || !mine || !text) st = lrp_fail_memory(content_max, "a lock");
  if (st == LRP_OK) st = write_own(lock, mine, text);
  if (st == LRP_OK) st = wait_and_link(lock, mine, wait_s);
  if (lock->fd >= 0) unlink(mine);
  free(text);
  free(mine);
  return st;
}

/* Remove the lock if it is still ours: as its next holder would, with the lock of the lock. */
static void drop(const lrp_lock *lock) {
  char guard[PATH_MAX];

  snprintf(guard, sizeof guard, "%s.%016" PRIx64, lock->path, lock->generation);
  if (!same_file(lock->path, lock->fd) || link(lock->path, guard) != 0) return;
  if (same_file(guard, lock->fd) && same_file(lock->path, lock->fd)) unlink(lock->path);
  unlink(guard);
}

/* ---- Heartbeat ------------------------------------------------------------------------------- */

static void beat(const lrp_lock *lock, bool *lost) {
  struct stat info;

  futimens(lock->fd, NULL);
  if (*lost || fstat(lock->fd, &info) != 0 || info.st_nlink > 0) return;
  *lost = true;
  lrp_warn("%s: was removed or taken over while this run held it", lock->path);
}

static void *heartbeat(void *context) {
  lrp_lock *lock = context;
  struct timespec next;
  bool lost = false;

  clock_gettime(CLOCK_MONOTONIC, &next);
  pthread_mutex_lock(&lock->mutex);
  while (!lock->stop) {
    next.tv_sec += heartbeat_s;
    while (!lock->stop && pthread_cond_timedwait(&lock->wake, &lock->mutex, &next) == 0) continue;
    if (!lock->stop) beat(lock, &lost);
  }
  pthread_mutex_unlock(&lock->mutex);
  return NULL;
}

/* Signals are for the main thread: the new one inherits that all are blocked. */
static lrp_status start_heartbeat(lrp_lock *lock) {
  pthread_condattr_t monotonic;
  sigset_t all, old;
  int failed;

  pthread_mutex_init(&lock->mutex, NULL);
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&lock->wake, &monotonic);
  pthread_condattr_destroy(&monotonic);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  failed = pthread_create(&lock->thread, NULL, heartbeat, lock);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  lock->beating = failed == 0;
  if (!failed) return LRP_OK;
  drop(lock);
  return lrp_fail(LRP_ERR_MEM, "%s: cannot start its heartbeat: %s", lock->path, strerror(failed));
}

static void stop_heartbeat(lrp_lock *lock) {
  if (!lock->beating) return;
  pthread_mutex_lock(&lock->mutex);
  lock->stop = true;
  pthread_cond_signal(&lock->wake);
  pthread_mutex_unlock(&lock->mutex);
  pthread_join(lock->thread, NULL);
  pthread_cond_destroy(&lock->wake);
  pthread_mutex_destroy(&lock->mutex);
}

/* ---- All process ranks ----------------------------------------------------------------------- */

static void destroy(lrp_lock *lock) {
  if (!lock) return;
  if (lock->fd >= 0) close(lock->fd);
  free(lock->path);
  free(lock);
}

/* What process rank 0 does alone: the processes of all are in its hands. */
static lrp_status take_for_all(lrp_lock *lock, const char *out, double wait_s, const process *all,
                               int n) {
  lrp_status st = take(lock, out, wait_s, all, n);
  if (st == LRP_OK) st = start_heartbeat(lock);
  return st;
}

static process this_process(void) {
  process p;
  char state;

  memset(&p, 0, sizeof p);
  host_name(p.host);
  p.pid = getpid();
  if (!process_stat(p.pid, &state, &p.start)) p.start = 0;
  return p;
}

lrp_status lrp_lock_take(const char *out, double wait_s, MPI_Comm comm, lrp_lock **lock) {
  const process own = this_process();
  process *all = NULL;
  int me, size, code;
  lrp_status st = LRP_OK;

  MPI_Comm_rank(comm, &me);
  MPI_Comm_size(comm, &size);
  *lock = calloc(1, sizeof **lock);
  if (me == 0) all = calloc((size_t)size, sizeof *all);
  if (!*lock || (me == 0 && !all)) st = lrp_fail_memory((size_t)size * sizeof *all, "a lock");
  if (*lock) (*lock)->fd = -1;
  st = lrp_agree(st, comm);
  if (st != LRP_OK) goto cleanup;

  MPI_Gather(&own, sizeof own, MPI_BYTE, all, sizeof own, MPI_BYTE, 0, comm);
  if (me == 0) st = take_for_all(*lock, out, wait_s, all, size);
  code = st;
  MPI_Bcast(&code, 1, MPI_INT, 0, comm);
  st = (lrp_status)code;
  if (st == LRP_OK) MPI_Comm_dup(comm, &(*lock)->comm);

cleanup:
  free(all);
  if (st != LRP_OK) {
    destroy(*lock);
    *lock = NULL;
  }
  return st;
}

void lrp_lock_release(lrp_lock **lock) {
  lrp_lock *l = *lock;

  if (!l) return;
  *lock = NULL;
  MPI_Barrier(l->comm); /* nobody writes any more */
  MPI_Comm_free(&l->comm);
  if (l->path) {
    stop_heartbeat(l);
    drop(l);
  }
  destroy(l);
}

bool lrp_lock_holder(const char *out, char *who, size_t size) {
  char *path = lrp_path_join(out, "lock");
  struct timespec now;
  holder h;
  int failed;

  if (size > 0) who[0] = '\0';
  if (!path) return false;
  clock_gettime(CLOCK_REALTIME, &now);
  failed = read_holder(path, seconds_of(now), &h);
  free(path);
  if (failed || !h.alive) return false;
  snprintf(who, size, "%s pid %" PRId64 " job %s", h.host, h.pid, h.job);
  return true;
}
