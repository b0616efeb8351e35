#include "pipeline/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char what[] = "memory that a node shares";

/* Memory is reserved by pieces, so that a signal does not undo much. */
static const size_t reserve_bytes = (size_t)64 << 20;

/* Where the others find the leader's memory, and what it is when they have found it. */
typedef struct {
  long long process, file, device, inode;
} address;

static lrp_status map(lrp_shared *shared) {
  const bool own = shared->file < 0;
  void *data = mmap(NULL, shared->bytes, PROT_READ | PROT_WRITE,
                    own ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, shared->file, 0);
  if (data == MAP_FAILED) return lrp_fail_memory(shared->bytes, what);
  shared->data = data;
  (void)madvise(data, shared->bytes, MADV_HUGEPAGE); /* faster, where the kernel does it */
  return LRP_OK;
}

/* An unnamed file in memory, and its address. */
static lrp_status make_file(lrp_shared *shared, address *at) {
  struct stat s;
  shared->file = memfd_create("lrpipe", MFD_CLOEXEC);
  if (shared->file < 0 || ftruncate(shared->file, (off_t)shared->bytes) != 0 ||
      fstat(shared->file, &s) != 0) {
    return lrp_fail_errno(what, "create", LRP_ERR_MEM, LRP_ERR_MEM);
  }
  *at = (address){getpid(), shared->file, (long long)s.st_dev, (long long)s.st_ino};
  return LRP_OK;
}

/* The leader's file, by its number there. Where process ranks have numbers of their own (a
 * container for each) another file may be found. */
static lrp_status find_file(lrp_shared *shared, const address *at) {
  char path[64];
  struct stat s;
  snprintf(path, sizeof path, "/proc/%lld/fd/%lld", at->process, at->file);
  shared->file = open(path, O_RDWR | O_CLOEXEC);
  if (shared->file >= 0 && fstat(shared->file, &s) == 0 && (long long)s.st_dev == at->device &&
      (long long)s.st_ino == at->inode) {
    return LRP_OK;
  }
  return lrp_fail(LRP_ERR_IO,
                  "%s: is not the memory that process rank %lld of this host shares: %s; start "
                  "all process ranks of a host in the same container",
                  path, at->process, shared->file < 0 ? strerror(errno) : "another file");
}

lrp_status lrp_shared_create(MPI_Comm node, size_t bytes, lrp_shared *out) {
  address at = {0};
  int me, size;
  lrp_status st = LRP_OK;

  *out = (lrp_shared){.bytes = bytes, .file = -1};
  MPI_Comm_rank(node, &me);
  MPI_Comm_size(node, &size);
  if (size > 1) {
    if (me == 0) st = make_file(out, &at);
    st = lrp_agree(st, node);
    if (st == LRP_OK) {
      MPI_Bcast(&at, (int)sizeof at, MPI_BYTE, 0, node);
      if (me != 0) st = find_file(out, &at);
    }
  }
  if (st == LRP_OK) st = map(out);
  st = lrp_agree(st, node);
  if (st != LRP_OK) lrp_shared_free(out);
  return st;
}

lrp_status lrp_shared_reserve(const lrp_shared *shared, size_t offset, size_t bytes) {
  for (size_t end = offset + bytes; shared->file >= 0 && offset < end;) {
    const size_t n = end - offset < reserve_bytes ? end - offset : reserve_bytes;
    if (fallocate(shared->file, 0, (off_t)offset, (off_t)n) == 0) {
      offset += n;
    } else if (errno != EINTR) {
      return lrp_fail_memory(end - offset, what);
    }
  }
  return LRP_OK;
}

void lrp_shared_free(lrp_shared *shared) {
  if (shared->data) munmap(shared->data, shared->bytes);
  if (shared->file > 0) close(shared->file);
  *shared = (lrp_shared){.file = -1};
}
