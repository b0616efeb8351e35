/** @file io/ledger/ledger.h
 *  Crash-safe HDF5: planned first, then only raw data and one journal record per unit.
 *
 *  A ledger is created whole by one process: every group, dataset and attribute, contiguous, early
 *  allocated, never filled, space reserved; closed, synced, renamed into place. After that no
 *  metadata changes: process ranks write rows of planned datasets independently (MPI-IO), and a
 *  record per unit says that its data are on disk. A unit whose record and data checksum agree is
 *  done; everything else is redone. A run may be killed at any moment.
 *
 *  Layout: the caller's datasets; /journal (records); /plan/<name> (bytes); /plan/names, datasets,
 *  extents, units, data (tables of the plan). Attributes of the root: format (string),
 *  format_version (integer). The first 4096 bytes are a user block of HDF5 with the seal: format,
 *  version, file size, and a checksum of every byte that never changes again (HDF5 metadata, plan,
 *  notes). A file whose seal does not hold is refused before HDF5 reads it.
 *
 *  Set OMPI_MCA_io=romio321 before MPI_Init if the environment does not choose: ROMIO is what this
 *  was tried with. */
#ifndef LRP_IO_LEDGER_LEDGER_H
#define LRP_IO_LEDGER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/matrix.h"
#include "kernels/status.h"

/** Element types of datasets. F16 and BF16 are HDF5 floating-point types of 2 bytes. */
typedef enum {
  LRP_LEDGER_F64,
  LRP_LEDGER_F32,
  LRP_LEDGER_F16,
  LRP_LEDGER_BF16,
  LRP_LEDGER_I64,
  LRP_LEDGER_I32,
  LRP_LEDGER_U8
} lrp_ledger_type;

/** The dataset type of a weight type. Local. */
lrp_ledger_type lrp_ledger_type_of(lrp_dtype dtype);

/** A planned dataset: rows x cols (cols = 0: one-dimensional). */
typedef struct {
  char *path; /* "/factors/<tensor>/u1"; groups are made as needed; '/' only as separator */
  lrp_ledger_type type;
  int64_t rows, cols;
} lrp_ledger_dataset;

/** What a unit writes: rows [row, row + rows) of a dataset. */
typedef struct {
  int64_t dataset; /* index in the plan */
  int64_t row, rows;
} lrp_ledger_extent;

/** A unit: a name, and its extents [first_extent, first_extent + n_extents) of the plan. */
typedef struct {
  char *name;
  int64_t first_extent;
  int n_extents;
} lrp_ledger_unit;

/** A named block of bytes: /plan/<name>. */
typedef struct {
  const char *name;
  const void *bytes;
  size_t size;
} lrp_ledger_note;

/** Everything that create needs. Borrowed by the calls that take it. */
typedef struct {
  const char *format; /* "lrpipe factors", "lrpipe evaluation" */
  const lrp_ledger_dataset *datasets;
  int64_t n_datasets;
  const lrp_ledger_extent *extents;
  int64_t n_extents;
  const lrp_ledger_unit *units;
  int64_t n_units;
  const lrp_ledger_note *notes;
  int n_notes;
} lrp_ledger_plan;

/** State of a unit in the journal. */
typedef enum { LRP_UNIT_OPEN = 0, LRP_UNIT_DONE = 1 } lrp_unit_state;

/** What the caller says of a finished unit; what a factor needs, the rest 0 where it is not one. */
typedef struct {
  int32_t attempt;       /* which run of the job wrote it, from 1 */
  int32_t process_ranks; /* that worked on it */
  int32_t rank;          /* of the factors */
  int32_t solver;        /* lrp_solver */
  double relative_error, orthogonality, residual;
  double predicted; /* relative error; of a block of scores: layers x tokens computed for it */
  double frobenius; /* |W|_F */
  double seconds;
} lrp_unit_record;

typedef struct lrp_ledger lrp_ledger;

/** Once per process, before MPI_Init and any use of HDF5. Local.
 *  HDF5 cannot close a file whose last write fails, and crashes over it when it is shut down: by
 *  MPI_Finalize, or when the process exits. After this it is not. */
void lrp_ledger_init(void);

/** Create path from plan. Local: by one process, without MPI-IO. A file that is there is never
 *  replaced; a "<path>.partial" of a creation that was killed is.
 *  Notes have names without '/' other than names, datasets, extents, units, data (the plan itself).
 *  Zero units, zero datasets and datasets of zero rows are allowed.
 *  @return LRP_OK; LRP_ERR_CREATE (cannot create, is there already, not enough space: the message
 *          gives need and have); LRP_ERR_PERM; LRP_ERR_MEM; LRP_ERR_IO; LRP_ERR_BUG (the plan makes
 *          no sense: a path or name that is taken, rows outside of their dataset) */
lrp_status lrp_ledger_create(const char *path, const lrp_ledger_plan *plan);

/** Open for writing by all process ranks of comm (MPI-IO, ROMIO, independent). Collective.
 *  format must be the one created. Records and data checksums are verified, shared over the process
 *  ranks; units whose data do not agree with their record are open again (logged).
 *  @return LRP_OK; LRP_ERR_ABSENT; LRP_ERR_DATA (not a ledger, damaged, of a newer version, other
 *          format); LRP_ERR_PERM; LRP_ERR_IO; LRP_ERR_MEM; the same on every process rank */
lrp_status lrp_ledger_open(const char *path, const char *format, MPI_Comm comm, lrp_ledger **out);

/** Open for reading by this process alone, without MPI. Local. Data checksums are not verified
 *  (lrp_ledger_verify). @return as lrp_ledger_open */
lrp_status lrp_ledger_open_readonly(const char *path, const char *format, lrp_ledger **out);

/** Close. Collective if opened by lrp_ledger_open (flushes what is pending first), else local.
 *  Sets *ledger to NULL; accepts NULL. @return LRP_OK, LRP_ERR_IO; the same on every process rank
 */
lrp_status lrp_ledger_close(lrp_ledger **ledger);

/** Units and their names, as planned. Local. */
int64_t lrp_ledger_units(const lrp_ledger *ledger);
const char *lrp_ledger_unit_name(const lrp_ledger *ledger, int64_t unit);

/** Whether unit is done, as known when the ledger was opened, or finished by this process rank
 * since then. Local. record may be NULL. */
bool lrp_ledger_done(const lrp_ledger *ledger, int64_t unit, lrp_unit_record *record);

/** Write the data of a unit and plan its record. Local, independent of other process ranks.
 *  @param data  one buffer per extent, row-major, in the dataset's type
 *  The record goes to disk with the next flush: data, sync, record, sync. A unit is lost by a crash
 *  before its flush, never torn. If it fails the unit is open; others are not touched.
 *  @return LRP_OK, LRP_ERR_IO (disk full, ...), LRP_ERR_MEM */
lrp_status lrp_ledger_write(lrp_ledger *ledger, int64_t unit, const void *const *data,
                            const lrp_unit_record *record);

/** Bring pending records to disk. Local. lrp_ledger_flush_after: only if the last
 *  flush was that many seconds ago: a record after slow work goes to disk at once. After a failure
 * nobody knows what is on disk: every later write, flush and the close fail, too. @return LRP_OK,
 * LRP_ERR_IO */
lrp_status lrp_ledger_flush(lrp_ledger *ledger);
lrp_status lrp_ledger_flush_after(lrp_ledger *ledger, double seconds);

/** Re-read the journal from disk: what other process ranks have done since. Collective if opened by
 *  lrp_ledger_open (flush and barrier are included). Checksums of data are not verified again.
 *  @return LRP_OK, LRP_ERR_IO; the same on every process rank */
lrp_status lrp_ledger_refresh(lrp_ledger *ledger);

/** Read rows [row, row + rows) of the dataset at path into buffer. Local. */
lrp_status lrp_ledger_read(lrp_ledger *ledger, const char *path, int64_t row, int64_t rows,
                           void *buffer);

/** Shape and type of the dataset at path. Local. @return LRP_OK, or LRP_ERR_DATA if it is absent.
 */
lrp_status lrp_ledger_dataset_info(lrp_ledger *ledger, const char *path, lrp_ledger_type *type,
                                   int64_t *rows, int64_t *cols);

/** Pointer to the data of the dataset at path in a read-only mapping of the file, shared by the
 *  processes of a host. Local; lives until close. Data written after the first call are seen. */
lrp_status lrp_ledger_map(lrp_ledger *ledger, const char *path, const void **data);

/** The bytes of /plan/<name>, NUL-terminated, freed by the caller. Local. */
lrp_status lrp_ledger_note_read(lrp_ledger *ledger, const char *name, char **bytes, size_t *size);

/** Check record and data checksum of every unit. Local; for a ledger opened readonly.
 *  @param[out] done, bad  numbers of units; report(name, context) is called for each bad one
 *  @return LRP_OK, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_ledger_verify(lrp_ledger *ledger, int64_t *done, int64_t *bad,
                             void (*report)(const char *name, void *context), void *context);

#endif
