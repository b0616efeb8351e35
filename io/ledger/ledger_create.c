/* Creation of a ledger: serial, whole, sealed, synced, and only then under its name. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "io/ledger/ledger_internal.h"
#include "io/ledger/rawfile.h"
#include "io/ledger/seal.h"
#include "kernels/log.h"

typedef struct {
  const char *path;
  const lrp_ledger_plan *plan;
  char *partial;   /* owned: "<path>.partial" */
  char *directory; /* owned */
  int fd;          /* of partial; -1: not created */
  hid_t file;
  int64_t have;           /* bytes free before anything was written */
  lrp_seal_range *ranges; /* owned: datasets and journal */
  int64_t n_ranges;
  int64_t table_offset; /* of /plan/data */
} builder;

/* ---- What was asked for ---------------------------------------------------------------------- */

/* An absolute path without empty, "." or ".." parts that leaves /plan and /journal alone. */
static bool path_is_good(const char *path) {
  const char *part = path;

  if (!path || path[0] != '/' || strcmp(path, LRP_JOURNAL) == 0 ||
      strncmp(path, LRP_JOURNAL "/", sizeof LRP_JOURNAL) == 0 || strcmp(path, "/plan") == 0 ||
      strncmp(path, "/plan/", 6) == 0) {
    return false;
  }
  while (*part == '/') {
    const size_t length = strcspn(++part, "/");
    if (length == 0 || (length <= 2 && strspn(part, ".") >= length)) return false;
    part += length;
  }
  return true;
}

static bool note_is_good(const lrp_ledger_note *note) {
  static const char *const taken[] = {LRP_PLAN_NAMES, LRP_PLAN_DATASETS, LRP_PLAN_EXTENTS,
                                      LRP_PLAN_UNITS, LRP_PLAN_DATA};
  if (!note->name || !note->name[0] || note->name[0] == '.' || strchr(note->name, '/')) {
    return false;
  }
  for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
    if (strcmp(note->name, taken[i] + strlen("/plan/")) == 0) return false;
  }
  return note->size <= INT64_MAX && (note->bytes || note->size == 0);
}

static bool extent_is_good(const lrp_ledger_plan *plan, const lrp_ledger_extent *e) {
  return e->dataset >= 0 && e->dataset < plan->n_datasets && e->row >= 0 && e->rows >= 0 &&
         e->row <= plan->datasets[e->dataset].rows &&
         e->rows <= plan->datasets[e->dataset].rows - e->row;
}

static bool unit_is_good(const lrp_ledger_plan *plan, const lrp_ledger_unit *unit) {
  return unit->name && unit->first_extent >= 0 && unit->n_extents >= 0 &&
         unit->first_extent <= plan->n_extents &&
         unit->n_extents <= plan->n_extents - unit->first_extent;
}

static lrp_status check_plan(const char *path, const lrp_ledger_plan *plan) {
  if (strlen(plan->format) >= LRP_FORMAT_MAX || plan->n_datasets < 0 || plan->n_units < 0 ||
      plan->n_extents < 0 || plan->n_notes < 0) {
    return lrp_fail(LRP_ERR_BUG, "%s: the plan of a ledger makes no sense", path);
  }
  for (int64_t i = 0; i < plan->n_datasets; i++) {
    const lrp_ledger_dataset *d = &plan->datasets[i];
    if (!path_is_good(d->path) || lrp_h5_type_size(d->type) == 0 || d->rows < 0 || d->cols < 0) {
      return lrp_fail(LRP_ERR_BUG, "%s: dataset %s of %lld x %lld cannot be planned", path,
                      d->path ? d->path : "(null)", (long long)d->rows, (long long)d->cols);
    }
  }
  for (int64_t i = 0; i < plan->n_extents; i++) {
    if (!extent_is_good(plan, &plan->extents[i])) {
      return lrp_fail(LRP_ERR_BUG, "%s: extent %lld is not in its dataset", path, (long long)i);
    }
  }
  for (int64_t i = 0; i < plan->n_units; i++) {
    if (!unit_is_good(plan, &plan->units[i])) {
      return lrp_fail(LRP_ERR_BUG, "%s: unit %lld is not planned right", path, (long long)i);
    }
  }
  for (int i = 0; i < plan->n_notes; i++) {
    if (!note_is_good(&plan->notes[i])) {
      return lrp_fail(LRP_ERR_BUG, "%s: note %d has no usable name", path, i);
    }
  }
  return LRP_OK;
}

/* ---- Space ----------------------------------------------------------------------------------- */

static lrp_status no_space(const builder *b, int64_t need) {
  return lrp_fail(LRP_ERR_CREATE,
                  "%s: not enough space: need %lld bytes, have %lld; free some or set another "
                  "output",
                  b->path, (long long)need, (long long)b->have);
}

/* Bytes of the planned datasets, notes and journal; the file is a little larger. */
static lrp_status planned_bytes(const builder *b, int64_t *need) {
  const lrp_ledger_plan *plan = b->plan;
  bool over = __builtin_mul_overflow(plan->n_units, (int64_t)sizeof(lrp_journal_record), need);

  for (int64_t i = 0; !over && i < plan->n_datasets; i++) {
    const lrp_ledger_dataset *p = &plan->datasets[i];
    const lrp_h5_dataset d = {.size = lrp_h5_type_size(p->type), .rows = p->rows, .cols = p->cols};
    const int64_t bytes = lrp_h5_bytes(&d);
    over = bytes < 0 || __builtin_add_overflow(*need, bytes, need);
  }
  for (int i = 0; !over && i < plan->n_notes; i++) {
    over = __builtin_add_overflow(*need, (int64_t)plan->notes[i].size, need);
  }
  if (over) return lrp_fail(LRP_ERR_CREATE, "%s: the plan asks for 2^63 bytes or more", b->path);
  return LRP_OK;
}

/* Before HDF5 writes a byte: a file that HDF5 cannot close stays open in it for ever. */
static lrp_status check_space(builder *b) {
  struct statvfs fs;
  struct rlimit limit;
  int64_t need;
  lrp_status st = planned_bytes(b, &need);

  if (st != LRP_OK) return st;
  if (statvfs(b->directory, &fs) != 0) {
    return lrp_fail_errno(b->directory, "ask for free space of", LRP_ERR_CREATE, LRP_ERR_CREATE);
  }
  b->have = INT64_MAX;
  if (fs.f_frsize > 0 && fs.f_bavail < (uint64_t)INT64_MAX / fs.f_frsize) {
    b->have = (int64_t)(fs.f_bavail * fs.f_frsize);
  }
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < (rlim_t)b->have) {
    b->have = (int64_t)limit.rlim_cur;
  }
  return b->have < need ? no_space(b, need) : LRP_OK;
}

static lrp_status reserve(const builder *b) {
  struct stat info;
  int failed;

  if (fstat(b->fd, &info) != 0) {
    return lrp_fail_errno(b->partial, "stat", LRP_ERR_IO, LRP_ERR_IO);
  }
  do {
    failed = fallocate(b->fd, 0, 0, info.st_size);
  } while (failed && errno == EINTR);
  if (!failed) return LRP_OK;
  if (errno == ENOSPC || errno == EDQUOT) return no_space(b, info.st_size);
  if (errno == EOPNOTSUPP || errno == ENOSYS) {
    lrp_warn("%s: this file system cannot reserve space: %lld bytes may be taken by others",
             b->path, (long long)info.st_size);
    return LRP_OK;
  }
  return lrp_fail_errno(b->partial, "reserve space for", LRP_ERR_CREATE, LRP_ERR_CREATE);
}

/* ---- The HDF5 file --------------------------------------------------------------------------- */

/* Without a sieve buffer the data are written by the call that says whether they were: HDF5 loses
 * the errors of what it writes when a dataset is closed. */
static lrp_status create_file(builder *b) {
  const hid_t creation = H5Pcreate(H5P_FILE_CREATE);
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);

  if (creation >= 0 && access >= 0 && H5Pset_userblock(creation, LRP_SEAL_SIZE) >= 0 &&
      H5Pset_fapl_sec2(access) >= 0 && H5Pset_file_locking(access, 0, 1) >= 0 &&
      H5Pset_sieve_buf_size(access, 0) >= 0) {
    b->file = H5Fcreate(b->partial, H5F_ACC_TRUNC, creation, access);
  }
  if (access >= 0) H5Pclose(access);
  if (creation >= 0) H5Pclose(creation);
  if (b->file < 0) return lrp_h5_fail(LRP_ERR_CREATE, b->path, "create", "the HDF5 file");
  return LRP_OK;
}

static bool write_attribute(hid_t file, const char *name, hid_t type, const void *value) {
  const hid_t space = H5Screate(H5S_SCALAR);
  const hid_t attribute =
      space < 0 ? -1 : H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  const bool written = attribute >= 0 && H5Awrite(attribute, type, value) >= 0;

  if (attribute >= 0) H5Aclose(attribute);
  if (space >= 0) H5Sclose(space);
  return written;
}

static lrp_status write_attributes(const builder *b) {
  const int32_t version = LRP_LEDGER_VERSION;
  const hid_t text = H5Tcopy(H5T_C_S1);
  const bool written = text >= 0 && H5Tset_size(text, strlen(b->plan->format) + 1) >= 0 &&
                       write_attribute(b->file, "format", text, b->plan->format) &&
                       write_attribute(b->file, "format_version", H5T_NATIVE_INT32, &version);

  if (text >= 0) H5Tclose(text);
  return written ? LRP_OK : lrp_h5_fail(LRP_ERR_CREATE, b->path, "write", "attributes");
}

/* A dataset that never changes again, and its content. */
static lrp_status create_fixed(const builder *b, const char *path, lrp_ledger_type type,
                               int64_t rows, int64_t cols, const void *data) {
  lrp_h5_dataset d = lrp_h5_describe(b->partial, path, type, rows, cols);
  lrp_status st = lrp_h5_create(b->file, &d, NULL);

  if (st == LRP_OK) st = lrp_h5_write(&d, 0, rows, data);
  lrp_h5_close(&d);
  return st;
}

/* A dataset that the run writes: its place in the file is kept for the seal. */
static lrp_status create_changing(builder *b, lrp_h5_dataset *d, const void *data) {
  lrp_seal_range *range = &b->ranges[b->n_ranges++];
  lrp_status st = lrp_h5_create(b->file, d, &range->offset);

  range->size = lrp_h5_bytes(d);
  if (st == LRP_OK && data) st = lrp_h5_write(d, 0, d->rows, data);
  return st;
}

static lrp_status create_datasets(builder *b) {
  lrp_status st = LRP_OK;

  for (int64_t i = 0; st == LRP_OK && i < b->plan->n_datasets; i++) {
    const lrp_ledger_dataset *p = &b->plan->datasets[i];
    lrp_h5_dataset d = lrp_h5_describe(b->partial, p->path, p->type, p->rows, p->cols);
    st = create_changing(b, &d, NULL);
    lrp_h5_close(&d);
  }
  return st;
}

static lrp_status create_journal(builder *b) {
  const int64_t n = b->plan->n_units;
  lrp_h5_dataset d;
  lrp_status st;
  lrp_journal_record *zeros = calloc((size_t)n + 1, sizeof *zeros);

  if (!zeros) return lrp_fail_memory((size_t)n * sizeof *zeros, "the journal");
  d = lrp_journal_describe(b->partial, n);
  st = create_changing(b, &d, zeros);
  lrp_h5_close(&d);
  free(zeros);
  return st;
}

/* ---- The plan inside ------------------------------------------------------------------------- */

/* Append name with its NUL; the offset where it begins. */
static int64_t put_name(char *names, int64_t *used, const char *name) {
  const int64_t at = *used;
  const size_t length = strlen(name) + 1;
  memcpy(names + at, name, length);
  *used += (int64_t)length;
  return at;
}

static size_t names_size(const lrp_ledger_plan *plan) {
  size_t size = 0;
  for (int64_t i = 0; i < plan->n_datasets; i++) size += strlen(plan->datasets[i].path) + 1;
  for (int64_t i = 0; i < plan->n_units; i++) size += strlen(plan->units[i].name) + 1;
  return size;
}

/* table is large enough for every one of them, one after the other. */
static lrp_status write_tables(const builder *b, int64_t *table, char *names) {
  const lrp_ledger_plan *p = b->plan;
  int64_t used = 0;
  lrp_status st;

  for (int64_t i = 0; i < p->n_datasets; i++) {
    const lrp_ledger_dataset *d = &p->datasets[i];
    const int64_t row[4] = {put_name(names, &used, d->path), d->type, d->rows, d->cols};
    memcpy(table + 4 * i, row, sizeof row);
  }
  st = create_fixed(b, LRP_PLAN_DATASETS, LRP_LEDGER_I64, p->n_datasets, 4, table);
  for (int64_t i = 0; i < p->n_extents; i++) {
    const int64_t row[3] = {p->extents[i].dataset, p->extents[i].row, p->extents[i].rows};
    memcpy(table + 3 * i, row, sizeof row);
  }
  if (st == LRP_OK) {
    st = create_fixed(b, LRP_PLAN_EXTENTS, LRP_LEDGER_I64, p->n_extents, 3, table);
  }
  for (int64_t i = 0; i < p->n_units; i++) {
    const lrp_ledger_unit *u = &p->units[i];
    const int64_t row[3] = {put_name(names, &used, u->name), u->first_extent, u->n_extents};
    memcpy(table + 3 * i, row, sizeof row);
  }
  if (st == LRP_OK) st = create_fixed(b, LRP_PLAN_UNITS, LRP_LEDGER_I64, p->n_units, 3, table);
  if (st == LRP_OK) st = create_fixed(b, LRP_PLAN_NAMES, LRP_LEDGER_U8, used, 0, names);
  return st;
}

static lrp_status create_tables(const builder *b) {
  const lrp_ledger_plan *p = b->plan;
  const size_t rows = (size_t)(p->n_datasets + p->n_extents + p->n_units) + 1;
  const size_t size = names_size(p);
  int64_t *table = calloc(rows, 4 * sizeof *table);
  char *names = malloc(size + 1);
  lrp_status st = LRP_OK;

  if (!table || !names) {
    st = lrp_fail_memory(rows * 4 * sizeof *table + size, "the plan of a ledger");
  } else {
    st = write_tables(b, table, names);
  }
  free(names);
  free(table);
  return st;
}

static lrp_status create_notes(const builder *b) {
  lrp_status st = LRP_OK;

  for (int i = 0; st == LRP_OK && i < b->plan->n_notes; i++) {
    const lrp_ledger_note *note = &b->plan->notes[i];
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "/plan/%s", note->name) >= (int)sizeof path) {
      return lrp_fail(LRP_ERR_BUG, "%s: the name of note %d is too long", b->path, i);
    }
    st = create_fixed(b, path, LRP_LEDGER_U8, (int64_t)note->size, 0, note->bytes);
  }
  return st;
}

/* /plan/data, filled with nothing: the seal writes it when all places are known. */
static lrp_status create_seal_table(builder *b) {
  lrp_h5_dataset d =
      lrp_h5_describe(b->partial, LRP_PLAN_DATA, LRP_LEDGER_I64, b->plan->n_datasets + 1, 2);
  const lrp_status st = lrp_h5_create(b->file, &d, &b->table_offset);

  lrp_h5_close(&d);
  return st;
}

static lrp_status build(builder *b) {
  lrp_status st = create_file(b);

  if (st == LRP_OK) st = write_attributes(b);
  if (st == LRP_OK) st = create_tables(b);
  if (st == LRP_OK) st = create_notes(b);
  if (st == LRP_OK) st = create_seal_table(b);
  if (st == LRP_OK) st = create_journal(b);
  if (st == LRP_OK) st = create_datasets(b);
  if (b->file >= 0 && H5Fclose(b->file) < 0 && st == LRP_OK) {
    st = lrp_h5_fail(LRP_ERR_CREATE, b->path, "write", "the HDF5 file");
  }
  b->file = H5I_INVALID_HID;
  return st;
}

/* ---- From nothing to its name ---------------------------------------------------------------- */

static lrp_status prepare(builder *b) {
  const size_t n = strlen(b->path);
  const char *slash = strrchr(b->path, '/');
  struct stat info;

  b->partial = malloc(n + sizeof ".partial");
  b->directory =
      slash ? strndup(b->path, slash == b->path ? 1 : (size_t)(slash - b->path)) : strdup(".");
  b->ranges = calloc((size_t)b->plan->n_datasets + 1, sizeof *b->ranges);
  if (!b->partial || !b->directory || !b->ranges) return lrp_fail_memory(n, "a path");
  memcpy(b->partial, b->path, n);
  memcpy(b->partial + n, ".partial", sizeof ".partial");
  if (lstat(b->path, &info) == 0) {
    return lrp_fail(LRP_ERR_CREATE, "%s: is there already; open it, or remove it first", b->path);
  }
  if (unlink(b->partial) != 0 && errno != ENOENT) {
    return lrp_fail_errno(b->partial, "remove", LRP_ERR_CREATE, LRP_ERR_CREATE);
  }
  return check_space(b);
}

static lrp_status sync_directory(const builder *b) {
  const int fd = open(b->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  lrp_status st = LRP_OK;

  if (fd < 0) return lrp_fail_errno(b->directory, "open", LRP_ERR_CREATE, LRP_ERR_IO);
  if (fsync(fd) != 0 && errno != EINVAL) { /* EINVAL: directories cannot be synced here */
    st = lrp_fail_errno(b->directory, "sync", LRP_ERR_CREATE, LRP_ERR_IO);
  }
  close(fd);
  return st;
}

static lrp_status finish(builder *b) {
  lrp_status st = reserve(b);

  if (st == LRP_OK) {
    st =
        lrp_seal_write(b->fd, b->partial, b->plan->format, b->ranges, b->n_ranges, b->table_offset);
  }
  if (st == LRP_OK) st = lrp_raw_sync(b->fd, b->partial);
  if (st == LRP_OK && rename(b->partial, b->path) != 0) {
    st = lrp_fail_errno(b->path, "rename into place", LRP_ERR_CREATE, LRP_ERR_CREATE);
  }
  if (st == LRP_OK) st = sync_directory(b);
  return st;
}

lrp_status lrp_ledger_create(const char *path, const lrp_ledger_plan *plan) {
  builder b = {.path = path, .plan = plan, .fd = -1, .file = H5I_INVALID_HID};
  lrp_status st;

  lrp_h5_quiet();
  st = check_plan(path, plan);
  if (st == LRP_OK) st = prepare(&b);
  if (st == LRP_OK) {
    b.fd = open(b.partial, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (b.fd < 0) st = lrp_fail_errno(b.partial, "create", LRP_ERR_CREATE, LRP_ERR_CREATE);
  }
  if (st == LRP_OK) st = build(&b);
  if (st == LRP_OK) st = finish(&b);
  if (b.fd >= 0 && close(b.fd) != 0 && st == LRP_OK) {
    st = lrp_fail_errno(b.path, "close", LRP_ERR_IO, LRP_ERR_IO);
  }
  if (b.fd >= 0 && st != LRP_OK) unlink(b.partial);
  free(b.ranges);
  free(b.directory);
  free(b.partial);
  return st;
}
