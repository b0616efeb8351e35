/** @file io/ledger/h5util.h
 *  HDF5 as the ledger uses it: element types, contiguous datasets, rows in pieces, one message.
 *  Private to the ledger. */
#ifndef LRP_IO_LEDGER_H5UTIL_H
#define LRP_IO_LEDGER_H5UTIL_H

#include <hdf5.h>
#include <stdint.h>

#include "io/ledger/ledger.h"
#include "kernels/status.h"

/** Stop HDF5 from printing its errors itself. Local. */
void lrp_h5_quiet(void);

/** Record "<file>: cannot <verb> <object>: <HDF5's innermost reason>". Local.
 *  @return st; but LRP_ERR_IO for LRP_ERR_DATA if a read failed, LRP_ERR_MEM if memory ran out */
lrp_status lrp_h5_fail(lrp_status st, const char *file, const char *verb, const char *object);

/** Bytes of an element. Local. */
size_t lrp_h5_type_size(lrp_ledger_type type);

/** A contiguous dataset. Types in memory and in the file are the same. */
typedef struct {
  const char *file, *path; /* borrowed; for messages */
  hid_t id, type;          /* owned */
  size_t size;             /* of an element */
  int64_t rows, cols;      /* cols = 0: one-dimensional; rows = -1: taken from the file */
} lrp_h5_dataset;

/** A dataset that is neither created nor open yet; lrp_h5_close frees it. Local. */
lrp_h5_dataset lrp_h5_describe(const char *file, const char *path, lrp_ledger_type type,
                               int64_t rows, int64_t cols);

/** Bytes of the dataset, or -1 if 2^63 or more (or a negative shape). Local. */
int64_t lrp_h5_bytes(const lrp_h5_dataset *d);

/** Create it in file: contiguous, allocated now, not filled, groups made as needed. Local.
 *  @param[out] offset  of its first byte in the file, 0 if it is empty; may be NULL */
lrp_status lrp_h5_create(hid_t file, lrp_h5_dataset *d, int64_t *offset);

/** Open it and check that the file agrees on type, shape and layout. Local, not collective.
 *  @return LRP_OK, LRP_ERR_DATA */
lrp_status lrp_h5_open(hid_t file, lrp_h5_dataset *d);

/** Close what is open. Local. */
void lrp_h5_close(lrp_h5_dataset *d);

/** Offset of its first byte in the file, 0 if it is empty. Local. @return LRP_OK, LRP_ERR_DATA */
lrp_status lrp_h5_offset(const lrp_h5_dataset *d, int64_t *offset);

/** Rows [row, row + rows), in pieces that an int can count. Local, independent of other process
 *  ranks. @return LRP_OK, LRP_ERR_IO, LRP_ERR_BUG if the rows are not there */
lrp_status lrp_h5_read(const lrp_h5_dataset *d, int64_t row, int64_t rows, void *buffer);
lrp_status lrp_h5_write(const lrp_h5_dataset *d, int64_t row, int64_t rows, const void *data);

#endif
