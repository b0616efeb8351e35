/* An open ledger: opening and closing, the plan in it, reading and mapping. */
#include "io/ledger/ledger.h"

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/ledger/ledger_internal.h"
#include "io/ledger/seal.h"

lrp_ledger_type lrp_ledger_type_of(lrp_dtype dtype) {
  switch (dtype) {
    case LRP_F16:
      return LRP_LEDGER_F16;
    case LRP_BF16:
      return LRP_LEDGER_BF16;
    case LRP_F32:
      break;
  }
  return LRP_LEDGER_F32;
}

/* HDF5 asks MPI_Finalize to shut it down only if it wakes up after MPI_Init. */
void lrp_ledger_init(void) {
  H5dont_atexit();
  H5open();
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* Everything of this process rank that can fail before the collective open. */
static lrp_status allocate(const char *path, MPI_Comm comm, lrp_ledger **out) {
  lrp_ledger *l = calloc(1, sizeof *l);

  *out = l;
  if (!l) return lrp_fail_memory(sizeof *l, "a ledger");
  l->comm = MPI_COMM_NULL;
  l->fd = -1;
  l->last_flush = -INFINITY;
  l->file = l->journal.id = l->journal.type = H5I_INVALID_HID;
  l->path = strdup(path);
  if (!l->path) return lrp_fail_memory(strlen(path) + 1, "a path");
  l->fd = open(path, (comm == MPI_COMM_NULL ? O_RDONLY : O_RDWR) | O_CLOEXEC);
  if (l->fd < 0) return lrp_fail_errno(path, "open", LRP_ERR_ABSENT, LRP_ERR_IO);
  return LRP_OK;
}

static lrp_status open_file(lrp_ledger *l, unsigned flags, hid_t access) {
  l->file = H5Fopen(l->path, flags, access);
  if (l->file < 0) return lrp_h5_fail(LRP_ERR_DATA, l->path, "open", "the HDF5 file");
  return LRP_OK;
}

static lrp_status access_properties(const lrp_ledger *l, hid_t *access) {
  *access = H5Pcreate(H5P_FILE_ACCESS);
  return *access < 0 ? lrp_h5_fail(LRP_ERR_MEM, l->path, "prepare", "access") : LRP_OK;
}

/* By MPI-IO. Collective; every process rank goes through the same calls. Data sieving would read
 * and write back bytes that belong to other process ranks. */
static lrp_status open_parallel(lrp_ledger *l) {
  hid_t access;
  MPI_Info info;
  lrp_status st = lrp_agree(access_properties(l, &access), l->comm);

  if (st == LRP_OK) {
    MPI_Info_create(&info);
    MPI_Info_set(info, "romio_ds_write", "disable");
    MPI_Info_set(info, "romio_ds_read", "disable");
    H5Pset_fapl_mpio(access, l->comm, info);
    MPI_Info_free(&info);
    st = lrp_agree(open_file(l, H5F_ACC_RDWR, access), l->comm);
  }
  if (access >= 0) H5Pclose(access);
  return st;
}

/* By this process alone. HDF5 does not lock: the run that writes has its own lock. Without a sieve
 * buffer every read sees what that run has written. */
static lrp_status open_serial(lrp_ledger *l) {
  hid_t access;
  lrp_status st = access_properties(l, &access);

  if (st == LRP_OK) {
    H5Pset_fapl_sec2(access);
    H5Pset_file_locking(access, 0, 1);
    H5Pset_sieve_buf_size(access, 0);
    st = open_file(l, H5F_ACC_RDONLY, access);
  }
  if (access >= 0) H5Pclose(access);
  return st;
}

static lrp_status load(lrp_ledger *l) {
  lrp_status st = lrp_plan_load(l);
  if (st == LRP_OK) st = lrp_journal_open(l);
  return st;
}

/* Process rank 0 looks at the file alone, so that what is wrong with it has a name. */
static lrp_status check_and_share(const char *path, const char *format, MPI_Comm comm,
                                  int64_t *file_size) {
  int64_t found[2] = {LRP_OK, 0};
  int me;

  MPI_Comm_rank(comm, &me);
  if (me == 0) found[0] = lrp_seal_check(path, format, &found[1]);
  MPI_Bcast(found, 2, MPI_INT64_T, 0, comm);
  *file_size = found[1];
  return (lrp_status)found[0];
}

lrp_status lrp_ledger_open(const char *path, const char *format, MPI_Comm comm, lrp_ledger **out) {
  int64_t file_size;
  lrp_status st = check_and_share(path, format, comm, &file_size);

  *out = NULL;
  if (st != LRP_OK) return st;
  lrp_h5_quiet();
  st = lrp_agree(allocate(path, comm, out), comm);
  if (st != LRP_OK) goto failed;
  (*out)->file_size = file_size;
  MPI_Comm_dup(comm, &(*out)->comm);
  MPI_Comm_rank(comm, &(*out)->me);
  MPI_Comm_size(comm, &(*out)->size);

  st = open_parallel(*out);
  if (st == LRP_OK) st = lrp_agree(load(*out), comm);
  if (st == LRP_OK) st = lrp_journal_recover(*out);
failed:
  if (st != LRP_OK) lrp_ledger_close(out);
  return st;
}

lrp_status lrp_ledger_open_readonly(const char *path, const char *format, lrp_ledger **out) {
  int64_t file_size;
  lrp_status st = lrp_seal_check(path, format, &file_size);

  *out = NULL;
  if (st != LRP_OK) return st;
  lrp_h5_quiet();
  st = allocate(path, MPI_COMM_NULL, out);
  if (*out) (*out)->file_size = file_size;
  if (st == LRP_OK) st = open_serial(*out);
  if (st == LRP_OK) st = load(*out);
  if (st != LRP_OK) lrp_ledger_close(out);
  return st;
}

/* ---- Closing --------------------------------------------------------------------------------- */

static void release(lrp_ledger *l) {
  if (l->map) munmap(l->map, (size_t)l->file_size);
  if (l->fd >= 0) close(l->fd);
  free(l->states);
  free(l->records);
  free(l->units);
  free(l->extents);
  free(l->datasets);
  free(l->names);
  free(l->path);
  free(l);
}

lrp_status lrp_ledger_close(lrp_ledger **ledger) {
  lrp_ledger *l = *ledger;
  MPI_Comm comm;
  lrp_status st;

  if (!l) return LRP_OK;
  *ledger = NULL;
  comm = l->comm;
  st = lrp_ledger_flush(l);
  if (comm != MPI_COMM_NULL) st = lrp_agree(st, comm);
  lrp_h5_close(&l->journal);
  if (l->file >= 0 && H5Fclose(l->file) < 0 && st == LRP_OK) {
    st = lrp_h5_fail(LRP_ERR_IO, l->path, "close", "the HDF5 file");
  }
  release(l);
  if (comm == MPI_COMM_NULL) return st;
  st = lrp_agree(st, comm);
  MPI_Comm_free(&comm);
  return st;
}

/* ---- Datasets -------------------------------------------------------------------------------- */

int64_t lrp_ledger_units(const lrp_ledger *ledger) {
  return ledger->n_units;
}

const char *lrp_ledger_unit_name(const lrp_ledger *ledger, int64_t unit) {
  return unit >= 0 && unit < ledger->n_units ? ledger->units[unit].name : NULL;
}

static lrp_status find(const lrp_ledger *l, const char *path, int64_t *dataset) {
  *dataset = 0;
  for (int64_t i = 0; i < l->n_datasets; i++) {
    *dataset = i;
    if (strcmp(l->datasets[i].path, path) == 0) return LRP_OK;
  }
  return lrp_fail(LRP_ERR_DATA, "%s: has no dataset %s", l->path, path);
}

lrp_status lrp_ledger_dataset_open(const lrp_ledger *ledger, int64_t dataset, lrp_h5_dataset *d) {
  const lrp_ledger_dataset *p = &ledger->datasets[dataset];
  *d = lrp_h5_describe(ledger->path, p->path, p->type, p->rows, p->cols);
  return lrp_h5_open(ledger->file, d);
}

lrp_status lrp_ledger_dataset_offset(const lrp_ledger *ledger, const lrp_h5_dataset *d,
                                     int64_t *offset) {
  lrp_status st = lrp_h5_offset(d, offset);
  if (st == LRP_OK && *offset > ledger->file_size - lrp_h5_bytes(d)) {
    st = lrp_fail(LRP_ERR_DATA, "%s: %s is not inside of the file", ledger->path, d->path);
  }
  return st;
}

lrp_status lrp_ledger_dataset_info(lrp_ledger *ledger, const char *path, lrp_ledger_type *type,
                                   int64_t *rows, int64_t *cols) {
  int64_t dataset;
  const lrp_status st = find(ledger, path, &dataset);

  if (st != LRP_OK) return st;
  *type = ledger->datasets[dataset].type;
  *rows = ledger->datasets[dataset].rows;
  *cols = ledger->datasets[dataset].cols;
  return LRP_OK;
}

lrp_status lrp_ledger_read(lrp_ledger *ledger, const char *path, int64_t row, int64_t rows,
                           void *buffer) {
  lrp_h5_dataset d;
  int64_t dataset;
  lrp_status st = find(ledger, path, &dataset);

  if (st != LRP_OK) return st;
  st = lrp_ledger_dataset_open(ledger, dataset, &d);
  if (st == LRP_OK) st = lrp_h5_read(&d, row, rows, buffer);
  lrp_h5_close(&d);
  return st;
}

lrp_status lrp_ledger_map(lrp_ledger *ledger, const char *path, const void **data) {
  lrp_h5_dataset d;
  int64_t dataset, offset = 0;
  lrp_status st = find(ledger, path, &dataset);

  if (st != LRP_OK) return st;
  if (!ledger->map) {
    void *map = mmap(NULL, (size_t)ledger->file_size, PROT_READ, MAP_SHARED, ledger->fd, 0);
    if (map == MAP_FAILED) return lrp_fail_errno(ledger->path, "map", LRP_ERR_IO, LRP_ERR_IO);
    ledger->map = map;
  }
  st = lrp_ledger_dataset_open(ledger, dataset, &d);
  if (st == LRP_OK) st = lrp_ledger_dataset_offset(ledger, &d, &offset);
  lrp_h5_close(&d);
  if (st == LRP_OK) *data = (const char *)ledger->map + offset;
  return st;
}

lrp_status lrp_ledger_note_read(lrp_ledger *ledger, const char *name, char **bytes, size_t *size) {
  char path[PATH_MAX];
  lrp_h5_dataset d;
  lrp_status st;

  *bytes = NULL;
  if (strchr(name, '/') || snprintf(path, sizeof path, "/plan/%s", name) >= (int)sizeof path) {
    return lrp_fail(LRP_ERR_BUG, "%s: \"%s\" is no name of a note", ledger->path, name);
  }
  d = lrp_h5_describe(ledger->path, path, LRP_LEDGER_U8, -1, 0);
  st = lrp_h5_open(ledger->file, &d);
  if (st == LRP_OK && d.rows > ledger->file_size) {
    st = lrp_fail(LRP_ERR_DATA, "%s: %s is not inside of the file", ledger->path, path);
  }
  if (st == LRP_OK) {
    *size = (size_t)d.rows;
    *bytes = malloc(*size + 1);
    if (!*bytes) st = lrp_fail_memory(*size + 1, path);
  }
  if (st == LRP_OK) st = lrp_h5_read(&d, 0, d.rows, *bytes);
  if (st == LRP_OK) (*bytes)[*size] = '\0';
  if (st != LRP_OK) {
    free(*bytes);
    *bytes = NULL;
  }
  lrp_h5_close(&d);
  return st;
}
