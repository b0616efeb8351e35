#include "io/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { hash_buffer = 1 << 20 };

/* a followed by b in memory of its own. */
static char *concatenate(const char *a, const char *separator, const char *b) {
  const size_t size = strlen(a) + strlen(separator) + strlen(b) + 1;
  char *text = malloc(size);
  if (!text) {
    lrp_fail_memory(size, "a path");
    return NULL;
  }
  snprintf(text, size, "%s%s%s", a, separator, b);
  return text;
}

char *lrp_path_join(const char *dir, const char *name) {
  const size_t n = strlen(dir);
  return concatenate(dir, n == 0 || dir[n - 1] == '/' ? "" : "/", name);
}

bool lrp_file_exists(const char *path) {
  struct stat s;
  return stat(path, &s) == 0;
}

/* Open a regular file for reading. O_NONBLOCK: the open of a FIFO must not wait for a writer. */
static lrp_status open_regular(const char *path, int *fd, int64_t *size) {
  struct stat s;
  lrp_status st = LRP_OK;

  *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (*fd < 0) return lrp_fail_errno(path, "open", LRP_ERR_ABSENT, LRP_ERR_IO);
  if (fstat(*fd, &s) != 0) {
    st = lrp_fail_errno(path, "stat", LRP_ERR_IO, LRP_ERR_IO);
  } else if (!S_ISREG(s.st_mode)) {
    st = lrp_fail(LRP_ERR_DATA, "%s: not a regular file", path);
  }
  if (st != LRP_OK) {
    close(*fd);
    return st;
  }
  *size = s.st_size;
  return LRP_OK;
}

/* Up to size bytes; fewer only at the end of the file; -1 with errno. */
static ssize_t read_full(int fd, char *data, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = read(fd, data + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    done += (size_t)n;
  }
  return (ssize_t)done;
}

/* expected is a hint: files of /proc say 0, and a file may grow. One byte more than the content is
 * asked for, so that the end of the file is seen without another call. */
static lrp_status read_to_end(const char *path, int fd, size_t expected, size_t max_bytes,
                              char **data, size_t *size) {
  size_t capacity = expected + 1;
  size_t used = 0;
  char *buffer = NULL;

  for (;;) {
    char *larger = realloc(buffer, capacity + 1);
    if (!larger) {
      free(buffer);
      return lrp_fail_memory(capacity + 1, path);
    }
    buffer = larger;
    const ssize_t n = read_full(fd, buffer + used, capacity - used);
    if (n < 0) {
      free(buffer);
      return lrp_fail_errno(path, "read", LRP_ERR_IO, LRP_ERR_IO);
    }
    used += (size_t)n;
    if (used < capacity || used > max_bytes) break;
    capacity *= 2;
  }
  if (used > max_bytes) {
    free(buffer);
    return lrp_fail(LRP_ERR_DATA, "%s: larger than %zu bytes", path, max_bytes);
  }
  buffer[used] = '\0';
  *data = buffer;
  *size = used;
  return LRP_OK;
}

lrp_status lrp_file_read(const char *path, size_t max_bytes, char **data, size_t *size) {
  int fd;
  int64_t bytes;
  lrp_status st = open_regular(path, &fd, &bytes);
  if (st != LRP_OK) return st;

  if ((uint64_t)bytes > max_bytes) {
    st = lrp_fail(LRP_ERR_DATA, "%s: %lld bytes, more than %zu", path, (long long)bytes, max_bytes);
  } else {
    st = read_to_end(path, fd, (size_t)bytes, max_bytes, data, size);
  }
  close(fd);
  return st;
}

static int write_full(int fd, const char *data, size_t size) {
  while (size > 0) {
    const ssize_t n = write(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    data += n;
    size -= (size_t)n;
  }
  return 0;
}

static int fsync_full(int fd) {
  int e;
  do {
    e = fsync(fd);
  } while (e != 0 && errno == EINTR);
  return e;
}

/* A rename is on disk when its directory is. Some file systems cannot sync one (EINVAL). */
static lrp_status sync_parent(const char *path) {
  const char *slash = strrchr(path, '/');
  const size_t n = slash ? (size_t)(slash - path) : 0;
  char *dir = slash ? strndup(path, n ? n : 1) : strdup(".");
  lrp_status st = LRP_OK;
  int fd;

  if (!dir) return lrp_fail_memory(n + 1, "a path");
  fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    /* A directory that may be written but not listed: nothing to sync with. */
    if (errno != EACCES) st = lrp_fail_errno(dir, "open", LRP_ERR_IO, LRP_ERR_IO);
  } else {
    if (fsync_full(fd) != 0 && errno != EINVAL) {
      st = lrp_fail_errno(dir, "sync", LRP_ERR_IO, LRP_ERR_IO);
    }
    close(fd);
  }
  free(dir);
  return st;
}

lrp_status lrp_file_writer_open(lrp_file_writer *w, const char *path) {
  lrp_status st = LRP_OK;
  int fd = -1;

  memset(w, 0, sizeof *w);
  w->path = concatenate(path, "", "");
  w->partial = concatenate(path, "", ".partial");
  if (!w->path || !w->partial) st = LRP_ERR_MEM;
  if (st == LRP_OK) {
    fd = open(w->partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) st = lrp_fail_errno(w->partial, "create", LRP_ERR_CREATE, LRP_ERR_CREATE);
  }
  if (st == LRP_OK) {
    w->stream = fdopen(fd, "w");
    if (!w->stream) {
      st = lrp_fail_memory(BUFSIZ, path);
      close(fd);
      unlink(w->partial);
    }
  }
  if (st != LRP_OK) {
    free(w->path);
    free(w->partial);
    memset(w, 0, sizeof *w);
  }
  return st;
}

/* Content, then name, then the directory that holds the name. */
static lrp_status writer_finish(lrp_file_writer *w) {
  FILE *stream = w->stream;
  const bool earlier = ferror(stream) != 0; /* whose errno is long gone */
  int bad;

  if (earlier) {
    return lrp_fail(LRP_ERR_IO, "%s: cannot write (is the disk full?)", w->partial);
  }
  bad = fflush(stream) != 0 || fsync_full(fileno(stream)) != 0;
  if (bad) return lrp_fail_errno(w->partial, "write", LRP_ERR_IO, LRP_ERR_IO);
  w->stream = NULL;
  if (fclose(stream) != 0) return lrp_fail_errno(w->partial, "close", LRP_ERR_IO, LRP_ERR_IO);
  if (rename(w->partial, w->path) != 0) {
    const bool in_the_way = errno == EISDIR || errno == EEXIST || errno == ENOTDIR;
    return lrp_fail_errno(w->path, "create", LRP_ERR_IO, in_the_way ? LRP_ERR_CREATE : LRP_ERR_IO);
  }
  return sync_parent(w->path);
}

lrp_status lrp_file_writer_commit(lrp_file_writer *w) {
  const lrp_status st = writer_finish(w);
  if (st == LRP_OK) {
    free(w->partial);
    w->partial = NULL; /* nothing left to remove */
  }
  lrp_file_writer_discard(w);
  return st;
}

void lrp_file_writer_discard(lrp_file_writer *w) {
  if (w->stream) fclose(w->stream);
  if (w->partial) unlink(w->partial);
  free(w->partial);
  free(w->path);
  memset(w, 0, sizeof *w);
}

lrp_status lrp_stdout_flush(void) {
  if (fflush(stdout) == 0 || errno == EPIPE) return LRP_OK;
  return lrp_fail_errno("standard output", "write", LRP_ERR_IO, LRP_ERR_IO);
}

lrp_status lrp_file_write(const char *path, const void *data, size_t size) {
  lrp_file_writer w;
  lrp_status st = lrp_file_writer_open(&w, path);
  if (st != LRP_OK) return st;

  /* Past the stream, whose buffer is empty: an interrupted write goes on. */
  if (write_full(fileno(w.stream), data, size) != 0) {
    st = lrp_fail_errno(w.partial, "write", LRP_ERR_IO, LRP_ERR_IO);
    lrp_file_writer_discard(&w);
    return st;
  }
  return lrp_file_writer_commit(&w);
}

static lrp_status make_one_directory(const char *path) {
  struct stat s;
  int e;

  if (mkdir(path, 0777) == 0) return LRP_OK;
  e = errno;
  if (stat(path, &s) == 0) { /* whatever mkdir said: EEXIST, or EROFS on the way down */
    if (S_ISDIR(s.st_mode)) return LRP_OK;
    e = ENOTDIR;
  }
  errno = e;
  return lrp_fail_errno(path, "create the directory", LRP_ERR_CREATE, LRP_ERR_CREATE);
}

lrp_status lrp_make_directory(const char *path) {
  char *copy = concatenate(path, "", "");
  lrp_status st = LRP_OK;
  if (!copy) return LRP_ERR_MEM;

  for (char *p = copy; *p && st == LRP_OK; p++) {
    if (*p != '/' || p == copy || p[-1] == '/') continue;
    *p = '\0';
    st = make_one_directory(copy);
    *p = '/';
  }
  if (st == LRP_OK) st = make_one_directory(copy);
  free(copy);
  return st;
}

static lrp_status hash_stream(const char *path, int fd, XXH3_state_t *state, char *buffer,
                              int64_t *size) {
  for (;;) {
    const ssize_t n = read_full(fd, buffer, hash_buffer);
    if (n < 0) return lrp_fail_errno(path, "read", LRP_ERR_IO, LRP_ERR_IO);
    if (n == 0) return LRP_OK;
    XXH3_64bits_update(state, buffer, (size_t)n);
    *size += n;
  }
}

lrp_status lrp_file_hash(const char *path, uint64_t *xxh3, int64_t *size) {
  XXH3_state_t *state = NULL;
  char *buffer = NULL;
  int64_t bytes;
  int fd;
  lrp_status st = open_regular(path, &fd, &bytes);
  if (st != LRP_OK) return st;

  state = XXH3_createState();
  buffer = malloc(hash_buffer);
  if (!state || !buffer) {
    st = lrp_fail_memory(hash_buffer, "hashing a file");
    goto cleanup;
  }
  XXH3_64bits_reset(state);
  *size = 0;
  st = hash_stream(path, fd, state, buffer, size);
  if (st == LRP_OK) *xxh3 = XXH3_64bits_digest(state);

cleanup:
  free(buffer);
  XXH3_freeState(state);
  close(fd);
  return st;
}

static int64_t nanoseconds(struct timespec t) {
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static lrp_file_stamp stamp_of(const struct stat *s) {
  return (lrp_file_stamp){.size = s->st_size,
                          .mtime_ns = nanoseconds(s->st_mtim),
                          .ctime_ns = nanoseconds(s->st_ctim),
                          .inode = (int64_t)s->st_ino};
}

lrp_status lrp_file_stamp_take(int fd, const char *path, lrp_file_stamp *stamp) {
  struct stat s;
  if (fstat(fd, &s) != 0) return lrp_fail_errno(path, "stat", LRP_ERR_IO, LRP_ERR_IO);
  *stamp = stamp_of(&s);
  return LRP_OK;
}

lrp_status lrp_file_stamp_read(const char *path, lrp_file_stamp *stamp) {
  struct stat s;
  if (stat(path, &s) != 0) return lrp_fail_errno(path, "stat", LRP_ERR_ABSENT, LRP_ERR_IO);
  *stamp = stamp_of(&s);
  return LRP_OK;
}

bool lrp_file_stamp_equal(const lrp_file_stamp *a, const lrp_file_stamp *b) {
  return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns &&
         a->inode == b->inode;
}
