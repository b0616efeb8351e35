/** @file io/base/file.h
 *  Whole files in and out, paths, directories, hashes. */
#ifndef LRP_IO_BASE_FILE_H
#define LRP_IO_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

/** Path "dir/name" in memory that the caller frees, or NULL (recorded as out of memory). Local.
 *  A '/' at the end of dir is not doubled; an empty dir gives name. */
char *lrp_path_join(const char *dir, const char *name);

/** Whether path exists (any type; follows links). Local. */
bool lrp_file_exists(const char *path);

/** Read a whole regular file. Local. *data has a NUL after its *size bytes and is freed by the
 *  caller.
 *  @return LRP_OK; LRP_ERR_ABSENT if there is none; LRP_ERR_PERM; LRP_ERR_DATA if it is not a
 *          regular file or larger than max_bytes; LRP_ERR_MEM; LRP_ERR_IO */
lrp_status lrp_file_read(const char *path, size_t max_bytes, char **data, size_t *size);

/** Write out what stdout holds. Local. A reader who has gone (EPIPE) is fine: lrpipe .. | head.
 *  @return LRP_OK, LRP_ERR_IO */
lrp_status lrp_stdout_flush(void);

/** Write a whole file so that a reader sees the old or the new content, never a part: to
 *  "<path>.partial", fsync, rename, fsync of the directory. Local.
 *  @return LRP_OK, LRP_ERR_CREATE (cannot be created), LRP_ERR_PERM, LRP_ERR_IO (disk full, ...) */
lrp_status lrp_file_write(const char *path, const void *data, size_t size);

/** The same for content that is produced piece by piece: open "<path>.partial", write to the
 *  stream, then commit (which checks for errors, syncs, renames and closes) or discard. Local.
 *  Commit and discard release *w in any case; a commit that fails leaves no partial file. Discard
 *  accepts a zeroed writer, and one after a failed open. */
typedef struct {
  char *path, *partial; /* owned */
  void *stream;         /* FILE * */
} lrp_file_writer;
lrp_status lrp_file_writer_open(lrp_file_writer *w, const char *path);
lrp_status lrp_file_writer_commit(lrp_file_writer *w);
void lrp_file_writer_discard(lrp_file_writer *w);

/** Create the directory path and its parents. Local.
 *  @return LRP_OK (also if it is there), LRP_ERR_CREATE, LRP_ERR_PERM */
lrp_status lrp_make_directory(const char *path);

/** XXH3-64 of the file's bytes, and its size. Local; streams, needs little memory.
 *  @return LRP_OK, LRP_ERR_ABSENT, LRP_ERR_PERM, LRP_ERR_DATA (not a regular file), LRP_ERR_IO,
 *          LRP_ERR_MEM */
lrp_status lrp_file_hash(const char *path, uint64_t *xxh3, int64_t *size);

/** What tells that a file has not changed: whoever writes to it, replaces it or puts its time back
 *  changes at least ctime. The device is not in it: a network file system has another one on every
 *  host. */
typedef struct {
  int64_t size, mtime_ns, ctime_ns, inode;
} lrp_file_stamp;

/** Stamp of the open file fd; path is for the message. Local. @return LRP_OK, LRP_ERR_IO */
lrp_status lrp_file_stamp_take(int fd, const char *path, lrp_file_stamp *stamp);

/** Stamp of the file at path. Local. @return LRP_OK, LRP_ERR_ABSENT, LRP_ERR_PERM, LRP_ERR_IO */
lrp_status lrp_file_stamp_read(const char *path, lrp_file_stamp *stamp);

/** Whether nothing differs. Local. */
bool lrp_file_stamp_equal(const lrp_file_stamp *a, const lrp_file_stamp *b);

#endif
