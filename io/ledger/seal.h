/** @file io/ledger/seal.h
 *  The seal of a ledger: a header in the HDF5 user block that proves every fixed byte of the file.
 *
 *  After creation only the caller's datasets and the journal change. All other bytes (HDF5
 *  metadata, plan, notes) are under one checksum, kept in the first LRP_SEAL_SIZE bytes of the
 * file, which HDF5 leaves to the application. A file whose seal does not hold is refused before
 * HDF5 sees it: HDF5 1.10 may crash on damaged metadata. Private to the ledger. */
#ifndef LRP_IO_LEDGER_SEAL_H
#define LRP_IO_LEDGER_SEAL_H

#include <stdint.h>

#include "kernels/status.h"

/** Size of the user block; the version of the layout; longest name of a format, with its NUL. */
enum { LRP_SEAL_SIZE = 4096, LRP_LEDGER_VERSION = 1, LRP_FORMAT_MAX = 64 };

/** Bytes of the file that may change: a row of /plan/data. */
typedef struct {
  int64_t offset, size;
} lrp_seal_range;

/** Write the table of the ranges at table_offset, then the seal. Local. ranges are sorted in place.
 *  @return LRP_OK, LRP_ERR_IO, LRP_ERR_MEM, LRP_ERR_BUG (ranges that overlap) */
lrp_status lrp_seal_write(int fd, const char *path, const char *format, lrp_seal_range *ranges,
                          int64_t n_ranges, int64_t table_offset);

/** Whether the file at path is a ledger of this format and version, complete and undamaged in
 *  everything but its data. Local; reads only.
 *  @param[out] file_size  bytes of the file
 *  @return LRP_OK; LRP_ERR_ABSENT; LRP_ERR_PERM; LRP_ERR_DATA; LRP_ERR_IO; LRP_ERR_MEM */
lrp_status lrp_seal_check(const char *path, const char *format, int64_t *file_size);

#endif
