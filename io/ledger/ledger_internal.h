/** @file io/ledger/ledger_internal.h
 *  An open ledger and its journal, as the sources of this folder see them. Private. */
#ifndef LRP_IO_LEDGER_LEDGER_INTERNAL_H
#define LRP_IO_LEDGER_LEDGER_INTERNAL_H

#include <hdf5.h>

#include "io/ledger/h5util.h"
#include "io/ledger/ledger.h"

/* Names that the plan takes in /plan; notes have the others. Tables are int64, a row per entry:
 * datasets {name, type, rows, cols}, extents {dataset, row, rows}, units {name, first extent,
 * extents}, data {offset, bytes}: the part of the file that changes. Names are offsets in names,
 * which holds NUL-terminated strings. */
#define LRP_PLAN_NAMES    "/plan/names"
#define LRP_PLAN_DATASETS "/plan/datasets"
#define LRP_PLAN_EXTENTS  "/plan/extents"
#define LRP_PLAN_UNITS    "/plan/units"
#define LRP_PLAN_DATA     "/plan/data"
#define LRP_JOURNAL       "/journal"

/** A record as it lies in /journal: no padding, so that its checksum is defined. All zero: open. */
typedef struct {
  int64_t state; /* lrp_unit_state */
  int32_t attempt, process_ranks, rank, solver;
  double relative_error, orthogonality, residual, predicted, frobenius, seconds;
  uint64_t data_xxh3;   /* of the unit's extents, in order */
  uint64_t record_xxh3; /* of all before, seeded with the number of the unit */
} lrp_journal_record;

/** Where a unit stands for this process rank. Ordered: the least of all process ranks holds. */
enum { LRP_LEDGER_OPEN, LRP_LEDGER_PENDING, LRP_LEDGER_DONE };

struct lrp_ledger {
  char *path;
  MPI_Comm comm; /* owned duplicate; MPI_COMM_NULL: read-only */
  int me, size;
  int fd; /* plain descriptor beside HDF5's: sync, checksums, mapping */
  int64_t file_size;
  hid_t file;
  lrp_h5_dataset journal;
  char *names;
  lrp_ledger_dataset *datasets; /* paths and names point into names */
  lrp_ledger_extent *extents;
  lrp_ledger_unit *units;
  int64_t n_names, n_datasets, n_extents, n_units;
  lrp_journal_record *records; /* on disk, or pending */
  unsigned char *states;
  int64_t n_pending;
  double last_flush; /* monotonic seconds; -INFINITY: none yet */
  lrp_status broken; /* a sync failed: nothing more is recorded */
  void *map;         /* NULL until it is asked for */
};

/** /journal of n_units records; lrp_h5_close frees it. Local. */
lrp_h5_dataset lrp_journal_describe(const char *file, int64_t n_units);

/** Read plan tables of the open file. Local. @return LRP_OK, LRP_ERR_DATA, LRP_ERR_IO, LRP_ERR_MEM
 */
lrp_status lrp_plan_load(lrp_ledger *ledger);

/** Open /journal and read it. Local. @return likewise */
lrp_status lrp_journal_open(lrp_ledger *ledger);

/** Check the data of done units, shared over the process ranks; those that fail, and torn records,
 *  are open again, on disk, too. Collective. @return LRP_OK, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_journal_recover(lrp_ledger *ledger);

/** Open a planned dataset for reading or writing; lrp_h5_close frees it. Local. */
lrp_status lrp_ledger_dataset_open(const lrp_ledger *ledger, int64_t dataset, lrp_h5_dataset *d);

/** Offset in the file of the first byte of an open planned dataset, all of it inside of the file.
 *  Local. */
lrp_status lrp_ledger_dataset_offset(const lrp_ledger *ledger, const lrp_h5_dataset *d,
                                     int64_t *offset);

#endif
