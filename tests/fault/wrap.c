/* The n-th call of a kind fails, or kills the process: linked to the objects of lrpipe it makes
 * lrpipe_faulty. Nothing of the program knows of it.
 *
 * Environment:
 *   FAULT_POINT    kinds of calls that count, with commas between them:
 *                  memory  allocations of lrpipe, jansson and libyaml (not of MPI, HDF5, BLAS)
 *                  write   writes and flushes of files below FAULT_UNDER, by whatever library
 *                  sync    fsync of those
 *                  name    their creation, rename, link, directories, reservation of space
 *                  read    reads of those
 *                  map     mappings of those
 *   FAULT_NTH      which call, from 1; 0: none
 *   FAULT_ACTION   fail (with FAULT_ERRNO; memory: ENOMEM), short (half of the bytes), kill
 *   FAULT_ERRNO    the number
 *   FAULT_LASTING  1: all later calls fail, too
 *   FAULT_RANK     process rank that has the fault
 *   FAULT_UNDER    folder
 *   FAULT_TRACE    file for a line per call that counts: its kind, a number that names the chain of
 *                  calls that led to it, and the innermost of them for addr2line
 *   FAULT_REPORT   file that gets such a line when the fault happens
 *
 * Allocations are taken by the linker's --wrap, which sees the objects of lrpipe only. System calls
 * are defined here under their own names, which takes those of shared libraries, too. */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xxhash.h>

enum {
  frames_max = 64,
  places_max = 8,
  line_max = 256,
  stdio_error = 0x20 /* _IO_ERR_SEEN of glibc */
};

static struct {
  bool armed; /* the environment asks for something, here */
  const char *points, *under, *report;
  long nth;
  bool lasting, shorten, kill;
  int error, trace; /* trace: descriptor, -1: none */
} fault = {.trace = -1};

static atomic_long calls;

extern char __executable_start, etext;

/* ---- Which call, and what becomes of it ------------------------------------------------------ */

static long number(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtol(text, NULL, 10) : otherwise;
}

static int open_raw(const char *path) {
  return (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

/* Before main, and before any thread. */
__attribute__((constructor)) static void prepare(void) {
  const char *action = getenv("FAULT_ACTION"), *trace = getenv("FAULT_TRACE");
  void *frames[2];
  fault.points = getenv("FAULT_POINT");
  if (!fault.points || number("OMPI_COMM_WORLD_RANK", 0) != number("FAULT_RANK", 0)) return;
  fault.under = getenv("FAULT_UNDER");
  fault.report = getenv("FAULT_REPORT");
  fault.nth = number("FAULT_NTH", 0);
  fault.lasting = number("FAULT_LASTING", 0) == 1;
  fault.error = (int)number("FAULT_ERRNO", EIO);
  fault.shorten = action && strcmp(action, "short") == 0;
  fault.kill = action && strcmp(action, "kill") == 0;
  backtrace(frames, 2); /* loads what it needs */
  if (trace) fault.trace = open_raw(trace);
  fault.armed = true;
}

/* The chain of calls inside of the program: its hash, and the innermost places for addr2line. */
static int describe(char line[line_max], const char *point) {
  void *frames[frames_max];
  const int n = backtrace(frames, frames_max);
  const uintptr_t begin = (uintptr_t)&__executable_start, end = (uintptr_t)&etext;
  char places[line_max] = "";
  int used = 0, shown = 0;
  uint64_t hash = 0;
  for (int i = 3; i < n; i++) { /* without describe, happens and the call itself */
    const uintptr_t at = (uintptr_t)frames[i];
    if (at < begin || at >= end) continue;
    if (shown++ < places_max) {
      used += snprintf(places + used, sizeof places - (size_t)used, " %" PRIxPTR, at - begin - 1);
    }
    hash = (hash ^ (at - begin)) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 29;
  }
  return snprintf(line, line_max, "%s %016" PRIx64 "%s\n", point, hash, places);
}

__attribute__((noinline)) static void write_line(int fd, const char *point) {
  char line[line_max];
  const int n = describe(line, point);
  syscall(SYS_write, fd, line, n);
}

/* Whether this call of that kind is the one. */
__attribute__((noinline)) static bool happens(const char *point) {
  const char *at = fault.armed ? strstr(fault.points, point) : NULL;
  if (!at) return false;
  const long n = atomic_fetch_add(&calls, 1) + 1;
  if (fault.trace >= 0) write_line(fault.trace, point);
  if (fault.nth == 0 || n < fault.nth || (n > fault.nth && !fault.lasting)) return false;
  if (n == fault.nth && fault.report) {
    const int fd = open_raw(fault.report);
    write_line(fd, point);
    syscall(SYS_close, fd);
  }
  if (fault.kill) kill(getpid(), SIGKILL);
  errno = strcmp(point, "memory") == 0 ? ENOMEM : fault.error;
  return true;
}

static bool is_under(const char *path) {
  const size_t n = fault.under ? strlen(fault.under) : 0;
  return n > 0 && strncmp(path, fault.under, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool counts(int fd) {
  char link[32], path[PATH_MAX];
  if (!fault.armed) return false;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  path[n > 0 ? n : 0] = '\0';
  return is_under(path);
}

/* The function of that name in the libraries behind this program. */
static void *next(const char *name) {
  void *f = dlsym(RTLD_NEXT, name);
  if (!f) abort();
  return f;
}

/* Declare a pointer real of that type to the next function name, found once. */
#define NEXT(type, name)     \
  static _Atomic(type) real; \
  if (!real) *(void **)&real = next(name)

/* ---- Memory: by --wrap ----------------------------------------------------------------------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
int __real_vasprintf(char **text, const char *fmt, va_list ap);
FILE *__real_open_memstream(char **text, size_t *size);
FILE *__real_fdopen(int fd, const char *mode);
XXH3_state_t *__real_XXH3_createState(void);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);
int __wrap_asprintf(char **text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int __wrap_vasprintf(char **text, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
FILE *__wrap_open_memstream(char **text, size_t *size);
FILE *__wrap_fdopen(int fd, const char *mode);
XXH3_state_t *__wrap_XXH3_createState(void);

void *__wrap_malloc(size_t size) {
  return happens("memory") ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
  return happens("memory") ? NULL : __real_calloc(n, size);
}

/* To give memory back is no request for it. */
void *__wrap_realloc(void *old, size_t size) {
  const bool grows = !old || size > malloc_usable_size(old);
  return grows && happens("memory") ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
  return happens("memory") ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text) {
  return happens("memory") ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t n) {
  return happens("memory") ? NULL : __real_strndup(text, n);
}

int __wrap_vasprintf(char **text, const char *fmt, va_list ap) {
  return happens("memory") ? -1 : __real_vasprintf(text, fmt, ap);
}

int __wrap_asprintf(char **text, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const int n = happens("memory") ? -1 : __real_vasprintf(text, fmt, ap);
  va_end(ap);
  return n;
}

FILE *__wrap_open_memstream(char **text, size_t *size) {
  return happens("memory") ? NULL : __real_open_memstream(text, size);
}

FILE *__wrap_fdopen(int fd, const char *mode) {
  return happens("memory") ? NULL : __real_fdopen(fd, mode);
}

XXH3_state_t *__wrap_XXH3_createState(void) {
  return happens("memory") ? NULL : __real_XXH3_createState();
}

/* libyaml calls its own allocators by name, too. */
void *yaml_malloc(size_t size);
void *yaml_realloc(void *old, size_t size);
char *yaml_strdup(const char *text);

void *yaml_malloc(size_t size) {
  return happens("memory") ? NULL : __real_malloc(size > 0 ? size : 1);
}

void *yaml_realloc(void *old, size_t size) {
  if (happens("memory")) return NULL;
  return old ? __real_realloc(old, size > 0 ? size : 1) : __real_malloc(size > 0 ? size : 1);
}

char *yaml_strdup(const char *text) {
  return !text || happens("memory") ? NULL : __real_strdup(text);
}

/* ---- Files: by their own names --------------------------------------------------------------- */

ssize_t write(int fd, const void *data, size_t size) {
  typedef ssize_t (*call)(int, const void *, size_t);
  NEXT(call, "write");
  if (!counts(fd) || !happens("write")) return real(fd, data, size);
  return fault.shorten && size > 1 ? real(fd, data, size / 2) : -1;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
  typedef ssize_t (*call)(int, const void *, size_t, off_t);
  NEXT(call, "pwrite");
  if (!counts(fd) || !happens("write")) return real(fd, data, size, offset);
  return fault.shorten && size > 1 ? real(fd, data, size / 2, offset) : -1;
}

ssize_t read(int fd, void *data, size_t size) {
  typedef ssize_t (*call)(int, void *, size_t);
  NEXT(call, "read");
  if (!counts(fd) || !happens("read")) return real(fd, data, size);
  return fault.shorten && size > 1 ? real(fd, data, size / 2) : -1;
}

ssize_t pread(int fd, void *data, size_t size, off_t offset) {
  typedef ssize_t (*call)(int, void *, size_t, off_t);
  NEXT(call, "pread");
  if (!counts(fd) || !happens("read")) return real(fd, data, size, offset);
  return fault.shorten && size > 1 ? real(fd, data, size / 2, offset) : -1;
}

/* What a stream does when a write fails: the data are lost, the error stays. */
static int lose(FILE *stream) {
  __fpurge(stream);
  stream->_flags |= stdio_error;
  return EOF;
}

int fflush(FILE *stream) {
  typedef int (*call)(FILE *);
  NEXT(call, "fflush");
  const bool pending = stream && __fpending(stream) > 0;
  if (!pending || !counts(fileno(stream)) || !happens("write") || fault.shorten) {
    return real(stream);
  }
  return lose(stream);
}

int fclose(FILE *stream) {
  typedef int (*call)(FILE *);
  NEXT(call, "fclose");
  if (!counts(fileno(stream)) || !happens("write") || fault.shorten) return real(stream);
  const int error = errno;
  lose(stream);
  real(stream);
  errno = error;
  return EOF;
}

int fsync(int fd) {
  typedef int (*call)(int);
  NEXT(call, "fsync");
  return counts(fd) && happens("sync") ? -1 : real(fd);
}

int open(const char *path, int flags, ...) {
  typedef int (*call)(const char *, int, mode_t);
  NEXT(call, "open");
  mode_t mode = 0;
  if (flags & O_CREAT) {
    va_list ap;
    va_start(ap, flags);
    mode = va_arg(ap, mode_t);
    va_end(ap);
  }
  if (fault.armed && (flags & O_CREAT) && is_under(path) && happens("name")) return -1;
  return real(path, flags, mode);
}

int rename(const char *from, const char *to) {
  typedef int (*call)(const char *, const char *);
  NEXT(call, "rename");
  return fault.armed && is_under(to) && happens("name") ? -1 : real(from, to);
}

int link(const char *from, const char *to) {
  typedef int (*call)(const char *, const char *);
  NEXT(call, "link");
  return fault.armed && is_under(to) && happens("name") ? -1 : real(from, to);
}

int mkdir(const char *path, mode_t mode) {
  typedef int (*call)(const char *, mode_t);
  NEXT(call, "mkdir");
  const bool made = fault.armed && is_under(path) && access(path, F_OK) != 0;
  return made && happens("name") ? -1 : real(path, mode);
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
  typedef int (*call)(int, int, off_t, off_t);
  NEXT(call, "fallocate");
  return counts(fd) && happens("name") ? -1 : real(fd, mode, offset, size);
}

void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
  if (fd >= 0 && counts(fd) && happens("map")) return MAP_FAILED;
  return __real_mmap(at, size, protection, flags, fd, offset);
}
