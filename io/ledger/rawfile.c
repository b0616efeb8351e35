#include "io/ledger/rawfile.h"

#include <errno.h>
#include <unistd.h>

lrp_status lrp_raw_read(int fd, const char *path, int64_t offset, void *buffer, size_t size) {
  char *to = buffer;

  while (size > 0) {
    const ssize_t got = pread(fd, to, size, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return lrp_fail_errno(path, "read", LRP_ERR_IO, LRP_ERR_IO);
    if (got == 0) {
      return lrp_fail(LRP_ERR_DATA, "%s: ends at byte %lld, %zu bytes early", path,
                      (long long)offset, size);
    }
    to += got;
    offset += got;
    size -= (size_t)got;
  }
  return LRP_OK;
}

lrp_status lrp_raw_write(int fd, const char *path, int64_t offset, const void *data, size_t size) {
  const char *from = data;

  while (size > 0) {
    const ssize_t put = pwrite(fd, from, size, offset);
    if (put < 0 && errno == EINTR) continue;
    if (put == 0) errno = ENOSPC;
    if (put <= 0) return lrp_fail_errno(path, "write", LRP_ERR_IO, LRP_ERR_IO);
    from += put;
    offset += put;
    size -= (size_t)put;
  }
  return LRP_OK;
}

lrp_status lrp_raw_sync(int fd, const char *path) {
  while (fsync(fd) != 0) {
    if (errno != EINTR) return lrp_fail_errno(path, "sync", LRP_ERR_IO, LRP_ERR_IO);
  }
  return LRP_OK;
}

lrp_status lrp_raw_hash(int fd, const char *path, int64_t offset, int64_t size, void *buffer,
                        XXH3_state_t *hash) {
  while (size > 0) {
    const size_t piece = size < LRP_RAW_PIECE ? (size_t)size : LRP_RAW_PIECE;
    const lrp_status st = lrp_raw_read(fd, path, offset, buffer, piece);
    if (st != LRP_OK) return st;
    XXH3_64bits_update(hash, buffer, piece);
    offset += (int64_t)piece;
    size -= (int64_t)piece;
  }
  return LRP_OK;
}
