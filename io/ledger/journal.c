/* The journal: which units are done, and how one becomes so. Data, sync, record, sync. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/ledger/ledger_internal.h"
#include "io/ledger/rawfile.h"
#include "kernels/log.h"

/* ---- Records --------------------------------------------------------------------------------- */

static hid_t record_type(void) {
  static const struct {
    const char *name;
    size_t offset;
    int kind; /* 0: int64, 1: int32, 2: double, 3: uint64 */
  } members[] = {
      {"state", offsetof(lrp_journal_record, state), 0},
      {"attempt", offsetof(lrp_journal_record, attempt), 1},
      {"process_ranks", offsetof(lrp_journal_record, process_ranks), 1},
      {"rank", offsetof(lrp_journal_record, rank), 1},
      {"solver", offsetof(lrp_journal_record, solver), 1},
      {"relative_error", offsetof(lrp_journal_record, relative_error), 2},
      {"orthogonality", offsetof(lrp_journal_record, orthogonality), 2},
      {"residual", offsetof(lrp_journal_record, residual), 2},
      {"predicted", offsetof(lrp_journal_record, predicted), 2},
      {"frobenius", offsetof(lrp_journal_record, frobenius), 2},
      {"seconds", offsetof(lrp_journal_record, seconds), 2},
      {"data_xxh3", offsetof(lrp_journal_record, data_xxh3), 3},
      {"record_xxh3", offsetof(lrp_journal_record, record_xxh3), 3},
  };
  const hid_t kinds[] = {H5T_NATIVE_INT64, H5T_NATIVE_INT32, H5T_NATIVE_DOUBLE, H5T_NATIVE_UINT64};
  const hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(lrp_journal_record));

  for (size_t i = 0; type >= 0 && i < sizeof members / sizeof members[0]; i++) {
    H5Tinsert(type, members[i].name, members[i].offset, kinds[members[i].kind]);
  }
  return type;
}

lrp_h5_dataset lrp_journal_describe(const char *file, int64_t n_units) {
  return (lrp_h5_dataset){.file = file,
                          .path = LRP_JOURNAL,
                          .id = H5I_INVALID_HID,
                          .type = record_type(),
                          .size = sizeof(lrp_journal_record),
                          .rows = n_units,
                          .cols = 0};
}

_Static_assert(sizeof(lrp_journal_record) == 88, "a record has no padding");

/* The number of the unit is in it: a record copied to another place is not valid there. */
static uint64_t record_hash(const lrp_journal_record *r, int64_t unit) {
  return XXH3_64bits_withSeed(r, offsetof(lrp_journal_record, record_xxh3), (XXH64_hash_t)unit);
}

static bool is_empty(const lrp_journal_record *r) {
  static const lrp_journal_record zero;
  return memcmp(r, &zero, sizeof zero) == 0;
}

static bool is_done(const lrp_journal_record *r, int64_t unit) {
  return r->state == LRP_UNIT_DONE && r->record_xxh3 == record_hash(r, unit);
}

/* Neither open nor done: torn by a crash, or damaged since. */
static bool is_rejected(const lrp_ledger *l, int64_t unit) {
  return l->states[unit] == LRP_LEDGER_OPEN && !is_empty(&l->records[unit]);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Through HDF5 and MPI-IO, not the plain descriptor: on NFS, ROMIO takes a lock for a read, which
 * makes the client look at what other hosts have written. */
static lrp_status load_records(lrp_ledger *l) {
  const lrp_status st = lrp_h5_read(&l->journal, 0, l->n_units, l->records);

  if (st != LRP_OK) return st;
  for (int64_t i = 0; i < l->n_units; i++) {
    l->states[i] = is_done(&l->records[i], i) ? LRP_LEDGER_DONE : LRP_LEDGER_OPEN;
  }
  return LRP_OK;
}

lrp_status lrp_journal_open(lrp_ledger *ledger) {
  const size_t n = (size_t)ledger->n_units;
  lrp_status st;

  ledger->journal = lrp_journal_describe(ledger->path, ledger->n_units);
  st = lrp_h5_open(ledger->file, &ledger->journal);
  if (st != LRP_OK) return st;
  ledger->records = calloc(n + 1, sizeof *ledger->records);
  ledger->states = calloc(n + 1, 1);
  if (!ledger->records || !ledger->states) {
    return lrp_fail_memory(n * sizeof *ledger->records, "the journal");
  }
  return load_records(ledger);
}

bool lrp_ledger_done(const lrp_ledger *ledger, int64_t unit, lrp_unit_record *record) {
  const lrp_journal_record *r;

  if (unit < 0 || unit >= ledger->n_units || ledger->states[unit] == LRP_LEDGER_OPEN) return false;
  r = &ledger->records[unit];
  if (record) {
    *record = (lrp_unit_record){.attempt = r->attempt,
                                .process_ranks = r->process_ranks,
                                .rank = r->rank,
                                .solver = r->solver,
                                .relative_error = r->relative_error,
                                .orthogonality = r->orthogonality,
                                .residual = r->residual,
                                .predicted = r->predicted,
                                .frobenius = r->frobenius,
                                .seconds = r->seconds};
  }
  return true;
}

lrp_status lrp_ledger_refresh(lrp_ledger *ledger) {
  lrp_status st = lrp_ledger_flush(ledger);

  if (ledger->comm == MPI_COMM_NULL) return st == LRP_OK ? load_records(ledger) : st;
  st = lrp_agree(st, ledger->comm); /* the barrier: every flush is behind it */
  if (st != LRP_OK) return st;
  return lrp_agree(load_records(ledger), ledger->comm);
}

/* ---- Checking -------------------------------------------------------------------------------- */

/* What a check of data needs. */
typedef struct {
  void *buffer;
  XXH3_state_t *hash;
} scratch;

static lrp_status scratch_init(scratch *s) {
  s->buffer = malloc(LRP_RAW_PIECE);
  s->hash = XXH3_createState();
  if (!s->buffer || !s->hash) return lrp_fail_memory(LRP_RAW_PIECE, "the check of a ledger");
  return LRP_OK;
}

static void scratch_free(scratch *s) {
  XXH3_freeState(s->hash);
  free(s->buffer);
}

static lrp_status hash_extent(const lrp_ledger *l, const lrp_ledger_extent *e, scratch *s) {
  lrp_h5_dataset d;
  int64_t offset = 0;
  lrp_status st = lrp_ledger_dataset_open(l, e->dataset, &d);

  if (st == LRP_OK) st = lrp_ledger_dataset_offset(l, &d, &offset);
  if (st == LRP_OK) {
    const int64_t row_bytes = (d.cols > 0 ? d.cols : 1) * (int64_t)d.size;
    st = lrp_raw_hash(l->fd, l->path, offset + e->row * row_bytes, e->rows * row_bytes, s->buffer,
                      s->hash);
  }
  lrp_h5_close(&d);
  return st;
}

static lrp_status data_agree(const lrp_ledger *l, int64_t unit, scratch *s, bool *agree) {
  const lrp_ledger_unit *u = &l->units[unit];
  lrp_status st = LRP_OK;

  XXH3_64bits_reset(s->hash);
  for (int i = 0; st == LRP_OK && i < u->n_extents; i++) {
    st = hash_extent(l, &l->extents[u->first_extent + i], s);
  }
  *agree = st == LRP_OK && XXH3_64bits_digest(s->hash) == l->records[unit].data_xxh3;
  return st;
}

/* Done units unit, unit + step, ... whose data are not what the record says become open. */
static lrp_status check_data(lrp_ledger *l, int64_t unit, int64_t step) {
  scratch s;
  lrp_status st = scratch_init(&s);

  for (; st == LRP_OK && unit < l->n_units; unit += step) {
    bool agree = true;
    if (l->states[unit] == LRP_LEDGER_DONE) st = data_agree(l, unit, &s, &agree);
    if (!agree) l->states[unit] = LRP_LEDGER_OPEN;
  }
  scratch_free(&s);
  return st;
}

static void combine_states(lrp_ledger *l) {
  const int64_t piece = 1 << 30;
  for (int64_t i = 0; i < l->n_units; i += piece) {
    const int64_t n = piece < l->n_units - i ? piece : l->n_units - i;
    MPI_Allreduce(MPI_IN_PLACE, l->states + i, (int)n, MPI_UNSIGNED_CHAR, MPI_MIN, l->comm);
  }
}

/* Returns the number of rejected units, and warns of them with the first names. */
static int64_t warn_rejected(const lrp_ledger *l) {
  enum { shown = 8 };
  char names[1024] = "";
  size_t used = 0;
  int64_t n = 0;

  for (int64_t i = 0; i < l->n_units; i++) {
    if (!is_rejected(l, i)) continue;
    if (n < shown && used < sizeof names) {
      used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", n > 0 ? ", " : "",
                               l->units[i].name);
    }
    n++;
  }
  if (n > 0) {
    lrp_warn("%s: %lld of %lld units do not agree with their records and are open again: %s%s",
             l->path, (long long)n, (long long)l->n_units, names, n > shown ? ", ..." : "");
  }
  return n;
}

/* Erase rejected records, so that a refresh does not bring them back. One process rank writes. */
static lrp_status erase_rejected(lrp_ledger *l) {
  lrp_status st = LRP_OK;

  for (int64_t i = 0; i < l->n_units; i++) {
    if (!is_rejected(l, i)) continue;
    memset(&l->records[i], 0, sizeof l->records[i]);
    if (l->me == 0 && st == LRP_OK) st = lrp_h5_write(&l->journal, i, 1, &l->records[i]);
  }
  if (l->me == 0 && st == LRP_OK) st = lrp_raw_sync(l->fd, l->path);
  return st;
}

lrp_status lrp_journal_recover(lrp_ledger *ledger) {
  const lrp_status st = lrp_agree(check_data(ledger, ledger->me, ledger->size), ledger->comm);

  if (st != LRP_OK) return st;
  combine_states(ledger);
  if (warn_rejected(ledger) == 0) return LRP_OK;
  return lrp_agree(erase_rejected(ledger), ledger->comm);
}

lrp_status lrp_ledger_verify(lrp_ledger *ledger, int64_t *done, int64_t *bad,
                             void (*report)(const char *name, void *context), void *context) {
  scratch s;
  lrp_status st = scratch_init(&s);

  *done = *bad = 0;
  for (int64_t i = 0; st == LRP_OK && i < ledger->n_units; i++) {
    bool agree = !is_rejected(ledger, i);
    if (ledger->states[i] != LRP_LEDGER_OPEN) {
      st = data_agree(ledger, i, &s, &agree);
      if (st == LRP_OK && agree) ++*done;
    }
    if (st == LRP_OK && !agree) {
      ++*bad;
      if (report) report(ledger->units[i].name, context);
    }
  }
  scratch_free(&s);
  return st;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static double monotonic_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static lrp_status write_extent(const lrp_ledger *l, const lrp_ledger_extent *e, const void *data,
                               XXH3_state_t *hash) {
  lrp_h5_dataset d;
  lrp_status st = lrp_ledger_dataset_open(l, e->dataset, &d);

  if (st == LRP_OK) st = lrp_h5_write(&d, e->row, e->rows, data);
  if (st == LRP_OK && e->rows > 0) {
    const size_t row_bytes = (size_t)(d.cols > 0 ? d.cols : 1) * d.size;
    XXH3_64bits_update(hash, data, (size_t)e->rows * row_bytes);
  }
  lrp_h5_close(&d);
  return st;
}

static lrp_status write_data(const lrp_ledger *l, const lrp_ledger_unit *u, const void *const *data,
                             uint64_t *data_hash) {
  XXH3_state_t *hash = XXH3_createState();
  lrp_status st = LRP_OK;

  if (!hash) return lrp_fail_memory(1024, "a checksum");
  XXH3_64bits_reset(hash);
  for (int i = 0; st == LRP_OK && i < u->n_extents; i++) {
    st = write_extent(l, &l->extents[u->first_extent + i], data[i], hash);
  }
  *data_hash = XXH3_64bits_digest(hash);
  XXH3_freeState(hash);
  return st;
}

static void fill_record(lrp_journal_record *r, int64_t unit, const lrp_unit_record *from,
                        uint64_t data_hash) {
  *r = (lrp_journal_record){.state = LRP_UNIT_DONE,
                            .attempt = from->attempt,
                            .process_ranks = from->process_ranks,
                            .rank = from->rank,
                            .solver = from->solver,
                            .relative_error = from->relative_error,
                            .orthogonality = from->orthogonality,
                            .residual = from->residual,
                            .predicted = from->predicted,
                            .frobenius = from->frobenius,
                            .seconds = from->seconds,
                            .data_xxh3 = data_hash};
  r->record_xxh3 = record_hash(r, unit);
}

lrp_status lrp_ledger_write(lrp_ledger *ledger, int64_t unit, const void *const *data,
                            const lrp_unit_record *record) {
  uint64_t data_hash = 0;
  lrp_status st;

  if (ledger->comm == MPI_COMM_NULL || unit < 0 || unit >= ledger->n_units) {
    return lrp_fail(LRP_ERR_BUG, "%s: unit %lld of %lld cannot be written", ledger->path,
                    (long long)unit, (long long)ledger->n_units);
  }
  if (ledger->broken != LRP_OK) return ledger->broken;
  if (ledger->states[unit] == LRP_LEDGER_PENDING) ledger->n_pending--;
  ledger->states[unit] = LRP_LEDGER_OPEN; /* until all of it is written */
  st = write_data(ledger, &ledger->units[unit], data, &data_hash);
  if (st != LRP_OK) return st;
  fill_record(&ledger->records[unit], unit, record, data_hash);
  ledger->states[unit] = LRP_LEDGER_PENDING;
  ledger->n_pending++;
  return LRP_OK;
}

static lrp_status write_pending(lrp_ledger *l) {
  lrp_status st = LRP_OK;

  for (int64_t i = 0; st == LRP_OK && i < l->n_units; i++) {
    if (l->states[i] != LRP_LEDGER_PENDING) continue;
    st = lrp_h5_write(&l->journal, i, 1, &l->records[i]);
  }
  return st;
}

lrp_status lrp_ledger_flush(lrp_ledger *ledger) {
  lrp_status st = ledger->broken;

  if (st != LRP_OK || ledger->n_pending == 0) return st;
  st = lrp_raw_sync(ledger->fd, ledger->path);
  if (st == LRP_OK) st = write_pending(ledger);
  if (st == LRP_OK) st = lrp_raw_sync(ledger->fd, ledger->path);
  for (int64_t i = 0; i < ledger->n_units; i++) {
    if (ledger->states[i] != LRP_LEDGER_PENDING) continue;
    ledger->states[i] = st == LRP_OK ? LRP_LEDGER_DONE : LRP_LEDGER_OPEN;
  }
  ledger->n_pending = 0;
  ledger->last_flush = monotonic_s();
  ledger->broken = st; /* after a failed sync nobody knows what is on disk: do not try again */
  return st;
}

lrp_status lrp_ledger_flush_after(lrp_ledger *ledger, double seconds) {
  if (ledger->broken != LRP_OK) return ledger->broken;
  if (ledger->n_pending == 0 || monotonic_s() - ledger->last_flush < seconds) return LRP_OK;
  return lrp_ledger_flush(ledger);
}
