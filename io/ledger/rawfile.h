/** @file io/ledger/rawfile.h
 *  Bytes of an open file at an offset, whole or failed. Private to the ledger. */
#ifndef LRP_IO_LEDGER_RAWFILE_H
#define LRP_IO_LEDGER_RAWFILE_H

#include <stddef.h>
#include <stdint.h>
#include <xxhash.h>

#include "kernels/status.h"

/** Bytes that lrp_raw_hash needs for its buffer. */
enum { LRP_RAW_PIECE = 1 << 20 };

/** Exactly size bytes at offset. Local. path is for the message.
 *  @return LRP_OK; LRP_ERR_DATA if the file ends before; LRP_ERR_IO; LRP_ERR_PERM */
lrp_status lrp_raw_read(int fd, const char *path, int64_t offset, void *buffer, size_t size);
lrp_status lrp_raw_write(int fd, const char *path, int64_t offset, const void *data, size_t size);

/** Bring everything that was written to the file, through any descriptor, to the disk. Local. */
lrp_status lrp_raw_sync(int fd, const char *path);

/** Feed size bytes at offset to hash. Local. @param buffer  LRP_RAW_PIECE bytes of scratch */
lrp_status lrp_raw_hash(int fd, const char *path, int64_t offset, int64_t size, void *buffer,
                        XXH3_state_t *hash);

#endif
