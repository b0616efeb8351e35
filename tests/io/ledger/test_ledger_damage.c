/* Ledgers that cannot be created, and files that are not, or no longer, a ledger. */
#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/ledger/ledger.h"
#include "io/ledger/seal.h"
#include "tests/io/ledger/fixture.h"
#include "tests/mpi_test.h"

static fixture fix;
static char directory[] = "/tmp/test_damage.XXXXXX";
static char path[256], partial[272], copy[256];

static bool exists(const char *name) {
  struct stat info;
  return lstat(name, &info) == 0;
}

static int setup(void **state) {
  (void)state;
  lrp_failure_clear();
  unlink(path);
  unlink(copy);
  return 0;
}

/* A plan of one dataset and one unit that writes its first row. */
typedef struct {
  lrp_ledger_plan plan;
  lrp_ledger_dataset dataset;
  lrp_ledger_extent extent;
  lrp_ledger_unit unit;
  lrp_ledger_note note;
} small;

static void small_init(small *s) {
  memset(s, 0, sizeof *s);
  s->dataset = (lrp_ledger_dataset){"/a/b", LRP_LEDGER_F32, 4, 3};
  s->extent = (lrp_ledger_extent){0, 0, 1};
  s->unit = (lrp_ledger_unit){"unit", 0, 1};
  s->note = (lrp_ledger_note){"job", "x", 1};
  s->plan =
      (lrp_ledger_plan){FIXTURE_FORMAT, &s->dataset, 1, &s->extent, 1, &s->unit, 1, &s->note, 1};
}

static void assert_not_created(small *s, lrp_status expected) {
  lrp_failure_clear();
  assert_int_equal(lrp_ledger_create(path, &s->plan), expected);
  assert_non_null(lrp_failure_message(expected));
  assert_false(exists(path));
  assert_false(exists(partial));
  small_init(s);
}

static void test_plans_that_make_no_sense(void **state) {
  static const char *const paths[] = {"a",     "/",     "/a/",     "/a//b",    "/a/./b",
                                      "/../b", "/plan", "/plan/x", "/journal", "/journal/x"};
  static const char *const names[] = {"", "a/b", "units", "data", "..", "names"};
  small s;
  (void)state;

  small_init(&s);
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    s.dataset.path = (char *)paths[i];
    assert_not_created(&s, LRP_ERR_BUG);
  }
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    s.note.name = names[i];
    assert_not_created(&s, LRP_ERR_BUG);
  }
  s.dataset.rows = -1;
  assert_not_created(&s, LRP_ERR_BUG);
  s.extent.rows = 5; /* of 4 */
  assert_not_created(&s, LRP_ERR_BUG);
  s.extent.row = INT64_MAX;
  assert_not_created(&s, LRP_ERR_BUG);
  s.extent.dataset = 1;
  assert_not_created(&s, LRP_ERR_BUG);
  s.unit.n_extents = 2;
  assert_not_created(&s, LRP_ERR_BUG);
  s.unit.first_extent = -1;
  assert_not_created(&s, LRP_ERR_BUG);
}

static void test_no_space(void **state) {
  struct rlimit old, tiny;
  char need[32];
  small s;
  (void)state;

  small_init(&s);
  s.dataset.rows = INT64_C(1) << 50;
  snprintf(need, sizeof need, "need %" PRId64, s.dataset.rows * 12 + 89);
  assert_int_equal(lrp_ledger_create(path, &s.plan), LRP_ERR_CREATE);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_CREATE), need));
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_CREATE), path));
  assert_not_created(&s, LRP_ERR_CREATE);
  s.dataset.rows = INT64_MAX / 8;
  assert_not_created(&s, LRP_ERR_CREATE);

  getrlimit(RLIMIT_FSIZE, &old);
  tiny = old;
  tiny.rlim_cur = 2000;
  setrlimit(RLIMIT_FSIZE, &tiny);
  s.dataset.rows = 4000;
  assert_not_created(&s, LRP_ERR_CREATE);
  assert_not_created(&s, LRP_ERR_CREATE); /* the data fit, the HDF5 file does not */
  setrlimit(RLIMIT_FSIZE, &old);
}

static void test_places_that_are_not_there(void **state) {
  small s;
  (void)state;

  small_init(&s);
  assert_int_equal(lrp_ledger_create("/tmp/no/such/place/a.h5", &s.plan), LRP_ERR_CREATE);
  if (geteuid() != 0) return;
  chmod(directory, 0755);
  assert_int_equal(seteuid(65534), 0);
  assert_not_created(&s, LRP_ERR_PERM);
  assert_int_equal(seteuid(0), 0);
}

static void test_partial_is_overwritten_and_file_is_not(void **state) {
  lrp_ledger *ledger = NULL;
  small s;
  (void)state;

  small_init(&s);
  close(open(partial, O_CREAT | O_WRONLY, 0600));
  assert_int_equal(truncate(partial, 12345), 0);
  assert_int_equal(lrp_ledger_create(path, &s.plan), LRP_OK);
  assert_false(exists(partial));
  assert_int_equal(lrp_ledger_create(path, &s.plan), LRP_ERR_CREATE);
  assert_int_equal(lrp_ledger_open_readonly(path, FIXTURE_FORMAT, &ledger), LRP_OK);
  lrp_ledger_close(&ledger);
}

static void test_space_is_reserved(void **state) {
  struct stat info;
  small s;
  (void)state;

  small_init(&s);
  s.dataset.rows = 1000000;
  assert_int_equal(lrp_ledger_create(path, &s.plan), LRP_OK);
  assert_int_equal(stat(path, &info), 0);
  assert_true(info.st_size >= 12000000 && info.st_blocks * 512 >= info.st_size);
}

static void test_nothing_planned(void **state) {
  lrp_ledger *ledger = NULL;
  lrp_ledger_plan plan = {.format = FIXTURE_FORMAT};
  int64_t done, bad;
  (void)state;

  assert_int_equal(lrp_ledger_create(path, &plan), LRP_OK);
  assert_int_equal(lrp_ledger_open(path, FIXTURE_FORMAT, MPI_COMM_SELF, &ledger), LRP_OK);
  assert_int_equal(lrp_ledger_units(ledger), 0);
  assert_int_equal(lrp_ledger_refresh(ledger), LRP_OK);
  assert_int_equal(lrp_ledger_verify(ledger, &done, &bad, NULL, NULL), LRP_OK);
  assert_true(done == 0 && bad == 0);
  assert_int_equal(lrp_ledger_close(&ledger), LRP_OK);
}

/* ---- Damage ---------------------------------------------------------------------------------- */

static char *original;
static size_t n_original;

static void put_copy(const char *bytes, size_t n) {
  const int fd = open(copy, O_CREAT | O_TRUNC | O_WRONLY, 0600);
  assert_int_equal(write(fd, bytes, n), n);
  close(fd);
}

/* A finished ledger: every byte of its data belongs to a unit that is done. */
static int finished(void **state) {
  lrp_ledger *ledger = NULL;
  struct stat info;
  int fd;

  setup(state);
  assert_int_equal(lrp_ledger_create(path, &fix.plan), LRP_OK);
  assert_int_equal(lrp_ledger_open(path, FIXTURE_FORMAT, MPI_COMM_SELF, &ledger), LRP_OK);
  for (int64_t i = 0; i < fixture_units; i++) {
    assert_int_equal(fixture_write(ledger, &fix, i, 1), LRP_OK);
  }
  assert_int_equal(lrp_ledger_close(&ledger), LRP_OK);
  fd = open(path, O_RDONLY);
  fstat(fd, &info);
  n_original = (size_t)info.st_size;
  original = malloc(n_original);
  assert_non_null(original);
  assert_int_equal(read(fd, original, n_original), n_original);
  close(fd);
  put_copy(original, n_original);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  free(original);
  original = NULL;
  return 0;
}

static lrp_status open_copy(int64_t *bad) {
  lrp_ledger *ledger = NULL;
  int64_t done;
  lrp_status st;

  *bad = 0;
  lrp_failure_clear();
  st = lrp_ledger_open_readonly(copy, FIXTURE_FORMAT, &ledger);
  if (st == LRP_OK) st = lrp_ledger_verify(ledger, &done, bad, NULL, NULL);
  lrp_ledger_close(&ledger);
  return st;
}

static void assert_refused(const char *why) {
  lrp_ledger *ledger = NULL;
  int64_t bad;

  assert_int_equal(open_copy(&bad), LRP_ERR_DATA);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_DATA), why));
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_DATA), copy));
  assert_int_equal(lrp_ledger_open(copy, FIXTURE_FORMAT, MPI_COMM_SELF, &ledger), LRP_ERR_DATA);
  assert_null(ledger);
}

static void test_truncated(void **state) {
  (void)state;
  for (size_t n = 0; n < n_original; n += 4096) {
    assert_int_equal(truncate(copy, (off_t)n), 0);
    assert_refused(n == 0 ? "is not a ledger" : "bytes, was created with");
    put_copy(original, n_original);
  }
  assert_int_equal(truncate(copy, (off_t)n_original - 1), 0);
  assert_refused("bytes, was created with");
}

static void test_not_a_ledger(void **state) {
  char *garbage = malloc(n_original);
  (void)state;

  for (size_t i = 0; i < n_original; i++) garbage[i] = (char)(i * i * 31 + 7);
  put_copy(garbage, n_original);
  assert_refused("is not a ledger");
  put_copy(original + LRP_SEAL_SIZE, n_original - LRP_SEAL_SIZE); /* another HDF5 file */
  assert_refused("is not a ledger");
  unlink(copy);
  assert_int_equal(mkfifo(copy, 0600), 0);
  assert_refused("is not a ledger");
  unlink(copy);
  free(garbage);
}

static void test_newer_version(void **state) {
  char *bytes = malloc(n_original);
  const int64_t version = LRP_LEDGER_VERSION + 1;
  (void)state;

  memcpy(bytes, original, n_original);
  memcpy(bytes + 80, &version, sizeof version);
  put_copy(bytes, n_original);
  assert_refused("newer lrpipe");
  free(bytes);
}

/* One flipped bit, anywhere: in what is fixed the file is refused, in data a unit is bad. */
static void test_every_flipped_bit_is_found(void **state) {
  uint64_t random = 88172645463325252u;
  int refused = 0, found = 0;
  (void)state;

  for (int i = 0; i < 1500; i++) {
    int64_t bad;
    size_t at;
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    at = (size_t)(random % n_original);
    if (i < 200) at = (size_t)i + (i < 100 ? 0 : LRP_SEAL_SIZE - 100); /* seal, superblock */
    original[at] ^= (char)(1 << (random >> 60) % 8);
    put_copy(original, n_original);
    original[at] ^= (char)(1 << (random >> 60) % 8);
    const lrp_status st = open_copy(&bad);
    refused += st == LRP_ERR_DATA;
    found += st == LRP_OK && bad == 1;
    assert_int_equal(refused + found, i + 1);
  }
  assert_true(refused >= 200 && found > 0);
}

/* ---- A hostile plan under a seal that holds ---------------------------------------------------
 */

static off_t place_of(const char *dataset) {
  const hid_t file = H5Fopen(copy, H5F_ACC_RDONLY, H5P_DEFAULT);
  const hid_t d = H5Dopen2(file, dataset, H5P_DEFAULT);
  const off_t at = (off_t)H5Dget_offset(d);
  H5Dclose(d);
  H5Fclose(file);
  return at;
}

static void reseal(void) {
  const int fd = open(copy, O_RDWR);
  int64_t table[2]; /* offset, rows */
  lrp_seal_range ranges[fixture_datasets + 1];

  assert_int_equal(pread(fd, table, sizeof table, 96), sizeof table);
  assert_int_equal(table[1], fixture_datasets + 1);
  assert_int_equal(pread(fd, ranges, sizeof ranges, table[0]), sizeof ranges);
  assert_int_equal(lrp_seal_write(fd, copy, FIXTURE_FORMAT, ranges, table[1], table[0]), LRP_OK);
  close(fd);
}

static void assert_hostile(const char *table, int column, int64_t value) {
  off_t at;
  int fd;

  put_copy(original, n_original);
  at = place_of(table) + 8 * column;
  fd = open(copy, O_RDWR);
  assert_int_equal(pwrite(fd, &value, sizeof value, at), sizeof value);
  close(fd);
  reseal();
  assert_refused(table);
}

/* The last name loses its NUL. */
static void test_name_without_end(void **state) {
  off_t at = place_of("/plan/names");
  int fd = open(copy, O_RDWR);
  (void)state;

  for (int i = 0; i < fixture_datasets; i++) at += (off_t)strlen(fix.datasets[i].path) + 1;
  for (int i = 0; i < fixture_units; i++) at += (off_t)strlen(fix.names[i]) + 1;
  assert_int_equal(pwrite(fd, "x", 1, at - 1), 1);
  close(fd);
  reseal();
  assert_refused("/plan/names");
}

static void test_hostile_plan(void **state) {
  static const int64_t values[] = {-1, INT64_MIN, INT64_MAX, INT64_C(1) << 40};
  int64_t bad;
  (void)state;

  reseal(); /* the seal anew, and nothing else, is fine */
  assert_int_equal(open_copy(&bad), LRP_OK);
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    for (int column = 0; column < 3; column++) {
      assert_hostile("/plan/units", column, values[i]);
      assert_hostile("/plan/extents", column, values[i]);
    }
    for (int column = 0; column < 4; column++) {
      assert_hostile("/plan/datasets", column, values[i]);
    }
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_plans_that_make_no_sense, setup),
      cmocka_unit_test_setup(test_no_space, setup),
      cmocka_unit_test_setup(test_places_that_are_not_there, setup),
      cmocka_unit_test_setup(test_partial_is_overwritten_and_file_is_not, setup),
      cmocka_unit_test_setup(test_space_is_reserved, setup),
      cmocka_unit_test_setup(test_nothing_planned, setup),
      cmocka_unit_test_setup_teardown(test_truncated, finished, teardown),
      cmocka_unit_test_setup_teardown(test_not_a_ledger, finished, teardown),
      cmocka_unit_test_setup_teardown(test_newer_version, finished, teardown),
      cmocka_unit_test_setup_teardown(test_every_flipped_bit_is_found, finished, teardown),
      cmocka_unit_test_setup_teardown(test_name_without_end, finished, teardown),
      cmocka_unit_test_setup_teardown(test_hostile_plan, finished, teardown),
  };
  int failed;

  setenv("OMPI_MCA_io", "romio321", 1);
  signal(SIGXFSZ, SIG_IGN);
  lrp_ledger_init();
  MPI_Init(&argc, &argv);
  fixture_init(&fix, 1);
  if (!mkdtemp(directory)) return 1;
  snprintf(path, sizeof path, "%s/factors.h5", directory);
  snprintf(copy, sizeof copy, "%s/copy.h5", directory);
  snprintf(partial, sizeof partial, "%s.partial", path);
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  unlink(path);
  unlink(copy);
  rmdir(directory);
  fixture_free(&fix);
  MPI_Finalize();
  return failed;
}
