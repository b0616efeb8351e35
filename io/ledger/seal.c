#include "io/ledger/seal.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/ledger/rawfile.h"

static const char magic[16] = "lrpipe ledger\n";

typedef union {
  struct {
    char magic[sizeof magic];
    char format[LRP_FORMAT_MAX];
    int64_t version;
    int64_t file_size;
    int64_t table_offset, table_rows;
    uint64_t fixed_xxh3;  /* of all bytes after the seal, the ranges left out */
    uint64_t header_xxh3; /* of the seal with this field 0 */
  } h;
  unsigned char bytes[LRP_SEAL_SIZE];
} seal_block;

static uint64_t header_hash(const seal_block *seal) {
  seal_block copy = *seal;
  copy.h.header_xxh3 = 0;
  return XXH3_64bits(copy.bytes, sizeof copy.bytes);
}

static lrp_status damaged(const char *path, const char *what) {
  return lrp_fail(LRP_ERR_DATA,
                  "%s: is damaged or was changed by another program (%s); remove it to do its work "
                  "again",
                  path, what);
}

static int by_offset(const void *a, const void *b) {
  const lrp_seal_range *x = a, *y = b;
  return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Ranges are sorted, apart, and inside of the file; empty ones may lie anywhere. */
static bool ranges_fit(const lrp_seal_range *ranges, int64_t n, int64_t file_size) {
  int64_t at = LRP_SEAL_SIZE;

  for (int64_t i = 0; i < n; i++) {
    if (ranges[i].size == 0) continue;
    if (ranges[i].size < 0 || ranges[i].offset < at) return false;
    if (ranges[i].offset > file_size || ranges[i].size > file_size - ranges[i].offset) return false;
    at = ranges[i].offset + ranges[i].size;
  }
  return true;
}

static lrp_status hash_gaps(int fd, const char *path, const lrp_seal_range *ranges, int64_t n,
                            int64_t file_size, void *buffer, XXH3_state_t *state) {
  int64_t at = LRP_SEAL_SIZE;
  lrp_status st = LRP_OK;

  XXH3_64bits_reset(state);
  for (int64_t i = 0; st == LRP_OK && i < n; i++) {
    if (ranges[i].size == 0) continue;
    st = lrp_raw_hash(fd, path, at, ranges[i].offset - at, buffer, state);
    at = ranges[i].offset + ranges[i].size;
  }
  if (st == LRP_OK) st = lrp_raw_hash(fd, path, at, file_size - at, buffer, state);
  return st;
}

static lrp_status hash_fixed(int fd, const char *path, const lrp_seal_range *ranges, int64_t n,
                             int64_t file_size, uint64_t *hash) {
  void *buffer = malloc(LRP_RAW_PIECE);
  XXH3_state_t *state = XXH3_createState();
  lrp_status st;

  if (!buffer || !state) {
    st = lrp_fail_memory(LRP_RAW_PIECE, "the check of a ledger");
  } else {
    st = hash_gaps(fd, path, ranges, n, file_size, buffer, state);
  }
  if (st == LRP_OK) *hash = XXH3_64bits_digest(state);
  XXH3_freeState(state);
  free(buffer);
  return st;
}

lrp_status lrp_seal_write(int fd, const char *path, const char *format, lrp_seal_range *ranges,
                          int64_t n_ranges, int64_t table_offset) {
  seal_block seal;
  struct stat info;
  lrp_status st;

  memset(&seal, 0, sizeof seal);
  if (fstat(fd, &info) != 0) return lrp_fail_errno(path, "stat", LRP_ERR_IO, LRP_ERR_IO);
  memcpy(seal.h.magic, magic, sizeof magic);
  strncpy(seal.h.format, format, sizeof seal.h.format - 1);
  seal.h.version = LRP_LEDGER_VERSION;
  seal.h.file_size = info.st_size;
  seal.h.table_offset = table_offset;
  seal.h.table_rows = n_ranges;
  qsort(ranges, (size_t)n_ranges, sizeof *ranges, by_offset);
  if (!ranges_fit(ranges, n_ranges, info.st_size)) {
    return lrp_fail(LRP_ERR_BUG, "%s: its datasets overlap", path);
  }
  st = lrp_raw_write(fd, path, table_offset, ranges, (size_t)n_ranges * sizeof *ranges);
  if (st == LRP_OK) {
    st = hash_fixed(fd, path, ranges, n_ranges, info.st_size, &seal.h.fixed_xxh3);
  }
  seal.h.header_xxh3 = header_hash(&seal);
  if (st == LRP_OK) st = lrp_raw_write(fd, path, 0, seal.bytes, sizeof seal.bytes);
  return st;
}

/* The header by itself. The version comes before the checksum: a later one may compute it anew. */
static lrp_status check_header(const char *path, const seal_block *seal, const char *format,
                               int64_t size) {
  if (memcmp(seal->h.magic, magic, sizeof magic) != 0) {
    return lrp_fail(LRP_ERR_DATA, "%s: is not a ledger of lrpipe; choose another output", path);
  }
  if (seal->h.version > LRP_LEDGER_VERSION) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: made by a newer lrpipe: ledger version %lld, this program reads up to %d",
                    path, (long long)seal->h.version, LRP_LEDGER_VERSION);
  }
  if (header_hash(seal) != seal->h.header_xxh3) return damaged(path, "header");
  if (strncmp(seal->h.format, format, sizeof seal->h.format) != 0) {
    return lrp_fail(LRP_ERR_DATA, "%s: holds \"%.*s\", not \"%s\"", path, LRP_FORMAT_MAX - 1,
                    seal->h.format, format);
  }
  if (seal->h.file_size != size) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: has %lld bytes, was created with %lld; remove it to do its work again",
                    path, (long long)size, (long long)seal->h.file_size);
  }
  return LRP_OK;
}

/* What the header promises of the rest. */
static lrp_status check_fixed(int fd, const char *path, const seal_block *seal) {
  const int64_t rows = seal->h.table_rows, size = seal->h.file_size;
  const int64_t at = seal->h.table_offset;
  lrp_seal_range *ranges = NULL;
  uint64_t hash = 0;
  lrp_status st;

  if (at < LRP_SEAL_SIZE || at > size || rows < 1 || rows > (size - at) / (int64_t)sizeof *ranges) {
    return damaged(path, "header");
  }
  ranges = malloc((size_t)rows * sizeof *ranges);
  if (!ranges) return lrp_fail_memory((size_t)rows * sizeof *ranges, "the check of a ledger");
  st = lrp_raw_read(fd, path, at, ranges, (size_t)rows * sizeof *ranges);
  if (st == LRP_OK && !ranges_fit(ranges, rows, size)) st = damaged(path, "table of its data");
  if (st == LRP_OK) st = hash_fixed(fd, path, ranges, rows, size, &hash);
  if (st == LRP_OK && hash != seal->h.fixed_xxh3) st = damaged(path, "plan or HDF5 metadata");
  free(ranges);
  return st;
}

lrp_status lrp_seal_check(const char *path, const char *format, int64_t *file_size) {
  seal_block seal;
  struct stat info;
  lrp_status st = LRP_OK;
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */

  if (fd < 0) return lrp_fail_errno(path, "open", LRP_ERR_ABSENT, LRP_ERR_IO);
  if (fstat(fd, &info) != 0) {
    st = lrp_fail_errno(path, "stat", LRP_ERR_IO, LRP_ERR_IO);
  } else if (!S_ISREG(info.st_mode) || info.st_size < LRP_SEAL_SIZE) {
    st = lrp_fail(LRP_ERR_DATA, "%s: is not a ledger of lrpipe; choose another output", path);
  }
  if (st == LRP_OK) st = lrp_raw_read(fd, path, 0, seal.bytes, sizeof seal.bytes);
  if (st == LRP_OK) st = check_header(path, &seal, format, info.st_size);
  if (st == LRP_OK) st = check_fixed(fd, path, &seal);
  if (st == LRP_OK) *file_size = info.st_size;
  close(fd);
  return st;
}
