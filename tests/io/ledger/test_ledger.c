/* The ledger over several process ranks: what is written is read back, from any other number of
 * process ranks, and nothing but the data and the journal ever changes. */
#include "io/ledger/ledger.h"

#include <fcntl.h>
#include <hdf5.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/io/ledger/fixture.h"
#include "tests/mpi_test.h"

static fixture fix;
static int me, size;
static char directory[] = "/tmp/test_ledger.XXXXXX";
static char path[256];

static int all_create(void **state) {
  int st = LRP_OK;
  (void)state;
  lrp_failure_clear();
  snprintf(path, sizeof path, "%s/factors.h5", directory);
  if (me == 0) {
    unlink(path);
    st = lrp_ledger_create(path, &fix.plan);
  }
  MPI_Bcast(&st, 1, MPI_INT, 0, MPI_COMM_WORLD);
  return st == LRP_OK ? 0 : -1;
}

/* Units are dealt one by one; only those below limit are written. */
static void write_units(MPI_Comm comm, int64_t limit, int attempt) {
  lrp_ledger *ledger = NULL;
  bool good = true;
  int rank, n;

  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &n);
  assert_all_ranks(lrp_ledger_open(path, FIXTURE_FORMAT, comm, &ledger) == LRP_OK);
  for (int64_t i = rank; i < limit; i += n) {
    if (lrp_ledger_done(ledger, i, NULL)) continue;
    good = good && fixture_write(ledger, &fix, i, attempt) == LRP_OK &&
           lrp_ledger_done(ledger, i, NULL);
    if (i % 5 == 0) good = good && lrp_ledger_flush(ledger) == LRP_OK;
  }
  assert_all_ranks(good);
  assert_all_ranks(lrp_ledger_close(&ledger) == LRP_OK && !ledger);
}

static void test_written_units_are_read_back(void **state) {
  lrp_ledger *ledger = NULL;
  lrp_unit_record record;
  bool good = true;
  (void)state;

  write_units(MPI_COMM_WORLD, fixture_units, 3);
  assert_all_ranks(lrp_ledger_open(path, FIXTURE_FORMAT, MPI_COMM_WORLD, &ledger) == LRP_OK);
  assert_all_ranks(lrp_ledger_units(ledger) == fixture_units);
  for (int64_t i = 0; i < fixture_units; i++) {
    good = good && lrp_ledger_done(ledger, i, &record) && record.attempt == 3 && record.rank == i &&
           record.relative_error == 0.5 * (double)i && record.seconds == 1.25 &&
           fixture_right(ledger, &fix, i) &&
           strcmp(lrp_ledger_unit_name(ledger, i), fix.names[i]) == 0;
  }
  assert_all_ranks(good);
  assert_all_ranks(!lrp_ledger_done(ledger, -1, NULL) &&
                   !lrp_ledger_done(ledger, fixture_units, NULL));
  assert_all_ranks(lrp_ledger_close(&ledger) == LRP_OK);
}

static void test_continued_by_other_communicator(void **state) {
  MPI_Comm half;
  lrp_ledger *ledger = NULL;
  bool good = true;
  (void)state;

  write_units(MPI_COMM_WORLD, 9, 1);
  MPI_Comm_split(MPI_COMM_WORLD, me < (size + 1) / 2, -me, &half); /* reversed, half of them */
  if (me < (size + 1) / 2) {
    int rank;
    MPI_Comm_rank(half, &rank);
    good = lrp_ledger_open(path, FIXTURE_FORMAT, half, &ledger) == LRP_OK;
    for (int64_t i = 0; i < fixture_units; i++) {
      good = good && lrp_ledger_done(ledger, i, NULL) == (i < 9);
    }
    for (int64_t i = 9; rank == 0 && i < fixture_units; i++) {
      good = good && fixture_write(ledger, &fix, i, 2) == LRP_OK;
    }
    good = good && lrp_ledger_close(&ledger) == LRP_OK;
  }
  MPI_Comm_free(&half);
  assert_all_ranks(good);

  assert_all_ranks(lrp_ledger_open_readonly(path, FIXTURE_FORMAT, &ledger) == LRP_OK);
  for (int64_t i = 0; i < fixture_units; i++) {
    lrp_unit_record record;
    good = good && lrp_ledger_done(ledger, i, &record) && record.attempt == (i < 9 ? 1 : 2) &&
           fixture_right(ledger, &fix, i);
  }
  assert_all_ranks(good);
  assert_all_ranks(lrp_ledger_close(&ledger) == LRP_OK);
}

static void test_refresh_shows_what_others_did(void **state) {
  lrp_ledger *ledger = NULL;
  bool good = true;
  (void)state;

  assert_all_ranks(lrp_ledger_open(path, FIXTURE_FORMAT, MPI_COMM_WORLD, &ledger) == LRP_OK);
  for (int64_t i = 1 + me; i < fixture_units; i += size) {
    good = good && fixture_write(ledger, &fix, i, 1) == LRP_OK;
  }
  for (int64_t i = 1; i < fixture_units; i++) {
    good = good && lrp_ledger_done(ledger, i, NULL) == ((i - 1) % size == me);
  }
  assert_all_ranks(good);
  assert_all_ranks(lrp_ledger_refresh(ledger) == LRP_OK);
  for (int64_t i = 1; i < fixture_units; i++) {
    good = good && lrp_ledger_done(ledger, i, NULL) && fixture_right(ledger, &fix, i);
  }
  assert_all_ranks(good && !lrp_ledger_done(ledger, 0, NULL));
  assert_all_ranks(lrp_ledger_close(&ledger) == LRP_OK);
}

static void test_flush_waits_for_its_time(void **state) {
  lrp_ledger *ledger = NULL, *reader = NULL;
  const int64_t first = me, unit = size + me;
  (void)state;

  assert_all_ranks(lrp_ledger_open(path, FIXTURE_FORMAT, MPI_COMM_WORLD, &ledger) == LRP_OK);
  assert_all_ranks(lrp_ledger_open_readonly(path, FIXTURE_FORMAT, &reader) == LRP_OK);
  assert_all_ranks(fixture_write(ledger, &fix, first, 1) == LRP_OK);
  assert_all_ranks(lrp_ledger_flush_after(ledger, 1000.0) == LRP_OK); /* the first never waits */
  assert_all_ranks(lrp_ledger_refresh(reader) == LRP_OK);
  assert_all_ranks(lrp_ledger_done(reader, first, NULL));
  assert_all_ranks(fixture_write(ledger, &fix, unit, 1) == LRP_OK);
  assert_all_ranks(lrp_ledger_flush_after(ledger, 1000.0) == LRP_OK);
  assert_all_ranks(lrp_ledger_refresh(reader) == LRP_OK);
  assert_all_ranks(!lrp_ledger_done(reader, unit, NULL));
  assert_all_ranks(lrp_ledger_flush_after(ledger, 0.0) == LRP_OK);
  assert_all_ranks(lrp_ledger_refresh(reader) == LRP_OK);
  assert_all_ranks(lrp_ledger_done(reader, unit, NULL)); /* a reader beside the run */
  assert_all_ranks(lrp_ledger_write(reader, 0, NULL, NULL) == LRP_ERR_BUG);
  assert_all_ranks(lrp_ledger_close(&reader) == LRP_OK);
  assert_all_ranks(lrp_ledger_close(&ledger) == LRP_OK);
}

static void test_map_sees_later_writes(void **state) {
  const lrp_ledger_dataset *d = &fix.datasets[3];
  const lrp_ledger_extent whole = {.dataset = 3, .row = 0, .rows = d->rows};
  lrp_ledger *ledger = NULL;
  const void *data = NULL, *before = NULL;
  void *expected = fixture_data(&fix, &whole);
  (void)state;

  assert_all_ranks(lrp_ledger_open(path, FIXTURE_FORMAT, MPI_COMM_WORLD, &ledger) == LRP_OK);
  assert_all_ranks(lrp_ledger_map(ledger, d->path, &before) == LRP_OK);
  for (int64_t i = me; i < fixture_units; i += size) fixture_write(ledger, &fix, i, 1);
  assert_all_ranks(lrp_ledger_refresh(ledger) == LRP_OK);
  assert_all_ranks(lrp_ledger_map(ledger, d->path, &data) == LRP_OK && data == before);
  assert_all_ranks(memcmp(data, expected, fixture_bytes(&fix, 3, d->rows)) == 0);
  assert_all_ranks(lrp_ledger_map(ledger, "/other/nothing", &data) == LRP_OK);
  assert_all_ranks(lrp_ledger_map(ledger, "/absent", &data) == LRP_ERR_DATA);
  assert_all_ranks(lrp_ledger_close(&ledger) == LRP_OK);
  free(expected);
}

static void test_datasets_and_notes(void **state) {
  lrp_ledger *ledger = NULL;
  char *bytes = NULL;
  size_t n = 0;
  char buffer[16];
  (void)state;

  assert_all_ranks(lrp_ledger_open(path, FIXTURE_FORMAT, MPI_COMM_WORLD, &ledger) == LRP_OK);
  for (int i = 0; i < fixture_datasets; i++) {
    lrp_ledger_type type;
    int64_t rows, cols;
    assert_all_ranks(lrp_ledger_dataset_info(ledger, fix.datasets[i].path, &type, &rows, &cols) ==
                         LRP_OK &&
                     type == fix.datasets[i].type && rows == fix.datasets[i].rows &&
                     cols == fix.datasets[i].cols);
  }
  assert_all_ranks(lrp_ledger_read(ledger, "/other/bytes", 10, 4, buffer) == LRP_ERR_BUG);
  assert_all_ranks(lrp_ledger_read(ledger, "/other/bytes", -1, 1, buffer) == LRP_ERR_BUG);
  assert_all_ranks(lrp_ledger_read(ledger, "/other/bytes", 13, 0, buffer) == LRP_OK);
  assert_all_ranks(lrp_ledger_read(ledger, "/shared", 0, 1, buffer) == LRP_ERR_DATA);

  assert_all_ranks(lrp_ledger_note_read(ledger, "job", &bytes, &n) == LRP_OK);
  assert_all_ranks(n == fix.notes[0].size && n > 65536 && memcmp(bytes, fix.job, n) == 0 &&
                   bytes[n] == '\0');
  free(bytes);
  assert_all_ranks(lrp_ledger_note_read(ledger, "empty.note", &bytes, &n) == LRP_OK && n == 0 &&
                   bytes[0] == '\0');
  free(bytes);
  assert_all_ranks(lrp_ledger_note_read(ledger, "absent", &bytes, &n) == LRP_ERR_DATA && !bytes);
  assert_all_ranks(lrp_ledger_close(&ledger) == LRP_OK);
}

static void test_open_refuses(void **state) {
  lrp_ledger *ledger = NULL;
  (void)state;

  assert_all_ranks(lrp_ledger_open(path, "lrpipe other", MPI_COMM_WORLD, &ledger) == LRP_ERR_DATA &&
                   !ledger);
  assert_all_ranks(lrp_ledger_open("/tmp/absent.h5", FIXTURE_FORMAT, MPI_COMM_WORLD, &ledger) ==
                       LRP_ERR_ABSENT &&
                   !ledger);
  assert_all_ranks(lrp_ledger_open(directory, FIXTURE_FORMAT, MPI_COMM_WORLD, &ledger) ==
                       LRP_ERR_DATA &&
                   !ledger);
  assert_all_ranks(lrp_ledger_close(&ledger) == LRP_OK);
}

/* Flip one byte of a dataset (or of the journal: dataset = -1) on disk. */
static void flip(int64_t dataset, int64_t byte) {
  if (me == 0) {
    const char *name = dataset < 0 ? "/journal" : fix.datasets[dataset].path;
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t d = H5Dopen2(file, name, H5P_DEFAULT);
    const off_t at = (off_t)H5Dget_offset(d) + byte;
    const int fd = open(path, O_RDWR);
    unsigned char c;
    H5Dclose(d);
    H5Fclose(file);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 0x10;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    close(fd);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

static void count_bad(const char *name, void *context) {
  if (strcmp(name, "block 22") == 0 || strcmp(name, "q_proj") == 0) ++*(int *)context;
}

static void test_damaged_units_are_open_again(void **state) {
  lrp_ledger *ledger = NULL;
  int64_t done, bad;
  int named = 0;
  bool good = true;
  (void)state;

  write_units(MPI_COMM_WORLD, fixture_units, 1);
  flip(3, (int64_t)fixture_bytes(&fix, 3, fix.datasets[3].rows) - 1); /* last block: data */
  flip(-1, 60);                                                       /* unit 0: its record */
  assert_all_ranks(lrp_ledger_open_readonly(path, FIXTURE_FORMAT, &ledger) == LRP_OK);
  assert_all_ranks(!lrp_ledger_done(ledger, 0, NULL));
  assert_all_ranks(lrp_ledger_verify(ledger, &done, &bad, count_bad, &named) == LRP_OK);
  assert_all_ranks(done == fixture_units - 2 && bad == 2 && named == 2);
  assert_all_ranks(lrp_ledger_close(&ledger) == LRP_OK);

  assert_all_ranks(lrp_ledger_open(path, FIXTURE_FORMAT, MPI_COMM_WORLD, &ledger) == LRP_OK);
  for (int turn = 0; turn < 2; turn++) { /* a refresh does not bring them back */
    for (int64_t i = 0; i < fixture_units; i++) {
      good = good && lrp_ledger_done(ledger, i, NULL) == (i != 0 && i != fixture_units - 1);
    }
    assert_all_ranks(good);
    assert_all_ranks(lrp_ledger_refresh(ledger) == LRP_OK);
  }
  assert_all_ranks(lrp_ledger_close(&ledger) == LRP_OK);

  write_units(MPI_COMM_WORLD, fixture_units, 2);
  assert_all_ranks(lrp_ledger_open_readonly(path, FIXTURE_FORMAT, &ledger) == LRP_OK);
  assert_all_ranks(lrp_ledger_verify(ledger, &done, &bad, NULL, NULL) == LRP_OK);
  assert_all_ranks(done == fixture_units && bad == 0);
  assert_all_ranks(lrp_ledger_close(&ledger) == LRP_OK);
}

/* A record that lies in another unit's place says nothing. */
static void test_misplaced_record(void **state) {
  lrp_ledger *ledger = NULL;
  (void)state;

  write_units(MPI_COMM_WORLD, 1, 1);
  if (me == 0) {
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t d = H5Dopen2(file, "/journal", H5P_DEFAULT);
    const off_t at = (off_t)H5Dget_offset(d);
    const hid_t type = H5Dget_type(d);
    const size_t n = H5Tget_size(type);
    const int fd = open(path, O_RDWR);
    char record[256];
    H5Tclose(type);
    H5Dclose(d);
    H5Fclose(file);
    assert_int_equal(pread(fd, record, n, at), n);
    assert_int_equal(pwrite(fd, record, n, at + (off_t)n), n);
    close(fd);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(lrp_ledger_open(path, FIXTURE_FORMAT, MPI_COMM_WORLD, &ledger) == LRP_OK);
  assert_all_ranks(lrp_ledger_done(ledger, 0, NULL) && !lrp_ledger_done(ledger, 1, NULL));
  assert_all_ranks(lrp_ledger_close(&ledger) == LRP_OK);
}

static char *read_all(size_t *n) {
  struct stat info;
  const int fd = open(path, O_RDONLY);
  char *bytes;
  fstat(fd, &info);
  *n = (size_t)info.st_size;
  bytes = malloc(*n);
  if (bytes && pread(fd, bytes, *n, 0) != (ssize_t)*n) *n = 0;
  close(fd);
  return bytes;
}

/* Bytes of both files that may differ are made equal. */
static void hide(char *a, char *b, const char *dataset) {
  const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  const hid_t d = H5Dopen2(file, dataset, H5P_DEFAULT);
  const haddr_t at = H5Dget_offset(d);
  const size_t n = (size_t)H5Dget_storage_size(d);
  if (n > 0) {
    memset(a + at, 0, n);
    memset(b + at, 0, n);
  }
  H5Dclose(d);
  H5Fclose(file);
}

static void test_metadata_never_change(void **state) {
  size_t n_before, n_after;
  char *before = read_all(&n_before), *after;
  int same;
  (void)state;

  MPI_Barrier(MPI_COMM_WORLD);
  write_units(MPI_COMM_WORLD, fixture_units, 1);
  after = read_all(&n_after);
  MPI_Barrier(MPI_COMM_WORLD);
  assert_all_ranks(n_before == n_after && n_before > 0);
  same = memcmp(before, after, n_before) == 0;
  assert_all_ranks(!same);
  hide(before, after, "/journal");
  for (int i = 0; i < fixture_datasets; i++) hide(before, after, fix.datasets[i].path);
  assert_all_ranks(memcmp(before, after, n_before) == 0);
  free(after);
  free(before);
}

/* The last process rank cannot write; the others do not hang and lose nothing. */
static void test_write_fails_on_one_rank(void **state) {
  const bool last = me == size - 1;
  struct rlimit old, tiny;
  lrp_ledger *ledger = NULL;
  lrp_status st;
  (void)state;

  getrlimit(RLIMIT_FSIZE, &old);
  tiny = old;
  tiny.rlim_cur = 4096;
  assert_all_ranks(lrp_ledger_open(path, FIXTURE_FORMAT, MPI_COMM_WORLD, &ledger) == LRP_OK);
  if (last) setrlimit(RLIMIT_FSIZE, &tiny);
  st = fixture_write(ledger, &fix, 1 + me, 1);
  setrlimit(RLIMIT_FSIZE, &old);
  assert_all_ranks(st == (last ? LRP_ERR_IO : LRP_OK));
  assert_all_ranks(!last || strstr(lrp_failure_message(LRP_ERR_IO), path));
  assert_all_ranks(lrp_ledger_done(ledger, 1 + me, NULL) == !last);
  assert_all_ranks(lrp_ledger_refresh(ledger) == LRP_OK);
  for (int i = 0; i < size; i++) {
    assert_all_ranks(lrp_ledger_done(ledger, 1 + i, NULL) == (i != size - 1));
  }
  assert_all_ranks(lrp_ledger_close(&ledger) == LRP_OK);
}

/* A failed record makes the ledger fail for good, and all process ranks say so at close. */
static void test_flush_fails_on_one_rank(void **state) {
  const bool last = me == size - 1;
  struct rlimit old, tiny;
  lrp_ledger *ledger = NULL;
  lrp_status st;
  (void)state;

  getrlimit(RLIMIT_FSIZE, &old);
  tiny = old;
  tiny.rlim_cur = 4096;
  assert_all_ranks(lrp_ledger_open(path, FIXTURE_FORMAT, MPI_COMM_WORLD, &ledger) == LRP_OK);
  assert_all_ranks(fixture_write(ledger, &fix, 1 + me, 1) == LRP_OK);
  if (last) setrlimit(RLIMIT_FSIZE, &tiny);
  st = lrp_ledger_flush(ledger);
  setrlimit(RLIMIT_FSIZE, &old);
  assert_all_ranks(st == (last ? LRP_ERR_IO : LRP_OK));
  assert_all_ranks(!last || fixture_write(ledger, &fix, 1 + me, 1) == LRP_ERR_IO);
  assert_all_ranks(!last || !lrp_ledger_done(ledger, 1 + me, NULL));
  assert_all_ranks(lrp_ledger_refresh(ledger) == LRP_ERR_IO);
  assert_all_ranks(lrp_ledger_close(&ledger) == LRP_ERR_IO);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_written_units_are_read_back, all_create),
      cmocka_unit_test_setup(test_continued_by_other_communicator, all_create),
      cmocka_unit_test_setup(test_refresh_shows_what_others_did, all_create),
      cmocka_unit_test_setup(test_flush_waits_for_its_time, all_create),
      cmocka_unit_test_setup(test_map_sees_later_writes, all_create),
      cmocka_unit_test_setup(test_datasets_and_notes, all_create),
      cmocka_unit_test_setup(test_open_refuses, all_create),
      cmocka_unit_test_setup(test_damaged_units_are_open_again, all_create),
      cmocka_unit_test_setup(test_misplaced_record, all_create),
      cmocka_unit_test_setup(test_metadata_never_change, all_create),
      cmocka_unit_test_setup(test_write_fails_on_one_rank, all_create),
      cmocka_unit_test_setup(test_flush_fails_on_one_rank, all_create),
  };
  int failed;

  setenv("OMPI_MCA_io", "romio321", 1);
  signal(SIGXFSZ, SIG_IGN);
  lrp_ledger_init();
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &me);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  fixture_init(&fix, 1);
  if (me == 0 && !mkdtemp(directory)) MPI_Abort(MPI_COMM_WORLD, 1);
  MPI_Bcast(directory, sizeof directory, MPI_CHAR, 0, MPI_COMM_WORLD);
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (me == 0) {
    unlink(path);
    rmdir(directory);
  }
  fixture_free(&fix);
  MPI_Finalize();
  return failed;
}
